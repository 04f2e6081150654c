#include "data/dataset_parts.h"

#define SWAP(ctype, swap)                                                                                    \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        ctype x;                                                                                             \
        memcpy(&x, (char *)numbers + (size_t)i * sizeof x, sizeof x);                                        \
        x = swap(x);                                                                                         \
        memcpy((char *)numbers + (size_t)i * sizeof x, &x, sizeof x);                                        \
    }                                                                                                        \
    break

void ls_swap_bytes(ls_dtype type, void *numbers, int64_t n) {
    switch (ls_dtype_bytes(type)) {
    case 2: SWAP(uint16_t, __builtin_bswap16);
    case 4: SWAP(uint32_t, __builtin_bswap32);
    case 8: SWAP(uint64_t, __builtin_bswap64);
    default: break;
    }
}

static float f16_to_f32(uint16_t half) {
    // The exponent is moved by a multiplication with 2^112, which also makes subnormals right.
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
    uint32_t bits = magnitude << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    value *= 0x1p112f;
    memcpy(&bits, &value, sizeof bits);
    if (magnitude >= 0x7c00u) bits = 0x7f800000u | (magnitude & 0x3ffu) << 13;
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#define WIDEN(ctype, expression)                                                                             \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        ctype x = ((const ctype *)in)[i];                                                                    \
        out[i] = (expression);                                                                               \
    }                                                                                                        \
    break

void ls_widen(ls_dtype type, const void *in, int64_t n, float *out) {
    switch (type) {
    case LS_F32: memcpy(out, in, (size_t)n * sizeof *out); break;
    case LS_F64: WIDEN(double, (float)x);
    case LS_F16: WIDEN(uint16_t, f16_to_f32(x));
    case LS_BF16: WIDEN(uint16_t, ls_bf16_to_f32(x));
    case LS_U8: WIDEN(uint8_t, (float)x);
    case LS_I8: WIDEN(int8_t, (float)x);
    case LS_U16: WIDEN(uint16_t, (float)x);
    case LS_I16: WIDEN(int16_t, (float)x);
    case LS_U32: WIDEN(uint32_t, (float)x);
    case LS_I32: WIDEN(int32_t, (float)x);
    case LS_U64: WIDEN(uint64_t, (float)x);
    case LS_I64: WIDEN(int64_t, (float)x);
    case LS_DTYPES: break;
    }
}

#define NARROW(ctype, fits)                                                                                  \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        ctype x = ((const ctype *)in)[i];                                                                    \
        if (!(fits)) return i;                                                                               \
        out[i] = (int32_t)x;                                                                                 \
    }                                                                                                        \
    break

static bool is_whole(double x) {
    return x >= INT32_MIN && x <= INT32_MAX && x == (double)(int32_t)x;
}

static int64_t narrow_halves(ls_dtype type, const void *in, int64_t n, int32_t *out) {
    for (int64_t i = 0; i < n; i++) {
        float x = 0;
        ls_widen(type, (const uint16_t *)in + i, 1, &x);
        if (!is_whole((double)x)) return i;
        out[i] = (int32_t)x;
    }
    return n;
}

int64_t ls_narrow(ls_dtype type, const void *in, int64_t n, int32_t *out) {
    switch (type) {
    case LS_U8: NARROW(uint8_t, true);
    case LS_I8: NARROW(int8_t, true);
    case LS_U16: NARROW(uint16_t, true);
    case LS_I16: NARROW(int16_t, true);
    case LS_U32: NARROW(uint32_t, x <= INT32_MAX);
    case LS_I32: NARROW(int32_t, true);
    case LS_U64: NARROW(uint64_t, x <= INT32_MAX);
    case LS_I64: NARROW(int64_t, x >= INT32_MIN && x <= INT32_MAX);
    case LS_F32: NARROW(float, is_whole((double)x));
    case LS_F64: NARROW(double, is_whole(x));
    default: return narrow_halves(type, in, n, out);
    }
    return n;
}

int64_t ls_first_not_finite(const float *values, int64_t n) {
    // Without a branch in the loop, so that it runs at the speed of memory; the search is for the rare case.
    uint32_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        found |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    if (!found) return n;
    int64_t i = 0;
    while (values[i] - values[i] == 0) i++;
    return i;
}
