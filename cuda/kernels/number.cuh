// Stored numbers as kernels see them, 16 or 32 bits of them, all computed with in f32; and packs of several,
// so that a thread moves 16 bytes at a time.
#pragma once

#include "base/dtype.h"
#include "cuda/kernels/launch.cuh"

#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef LS_FAKECUDA
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};

static __device__ __forceinline__ float get(float number) {
    return number;
}

static __device__ __forceinline__ float get(bf16 number) {
    uint32_t bits = (uint32_t)number.bits << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static __device__ __forceinline__ float get(f16 number) {
#ifdef LS_FAKECUDA
    return ls_f16_to_f32(number.bits);
#else
    return __half2float(__ushort_as_half(number.bits));
#endif
}

// put<T>(value): rounded to the nearest T, to even.
template <typename T> static __device__ __forceinline__ T put(float value);

template <> __device__ __forceinline__ float put<float>(float value) {
    return value;
}

template <> __device__ __forceinline__ bf16 put<bf16>(float value) {
#ifdef LS_FAKECUDA
    return {ls_bf16_from_f32(value)};
#else
    return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
#endif
}

template <> __device__ __forceinline__ f16 put<f16>(float value) {
#ifdef LS_FAKECUDA
    return {ls_f16_from_f32(value)};
#else
    return {__half_as_ushort(__float2half_rn(value))};
#endif
}

// The exponential is of a number that is not above 0: no overflow. In f64, as everywhere.
static __device__ __forceinline__ float sigmoid(float x) {
    double e = exp(-fabs((double)x));
    return (float)(x < 0 ? e / (1 + e) : 1 / (1 + e));
}

// ---- packs

template <typename T, int N> struct pack { T at[N]; };

// The widest access: how many T lie in 16 bytes.
template <typename T> struct wide { static constexpr int N = 16 / (int)sizeof(T); };

template <int BYTES> struct word;
template <> struct word<1> { typedef uint8_t type; };
template <> struct word<2> { typedef uint16_t type; };
template <> struct word<4> { typedef uint32_t type; };
template <> struct word<8> { typedef uint2 type; };
template <> struct word<16> { typedef uint4 type; };

// A pack lies at a multiple of its size, or of 16 bytes where it is larger. At a wrong place the
// stand-in fails, as a GPU does.
template <typename T, int N> static __device__ __forceinline__ pack<T, N> load(const T *from) {
    constexpr int BYTES = N * (int)sizeof(T), PIECE = BYTES < 16 ? BYTES : 16;
    pack<T, N> out;
#ifdef LS_FAKECUDA
    if ((uintptr_t)from % PIECE) fake::kernel_error("%d bytes are loaded from %p", PIECE, (const void *)from);
    memcpy(&out, from, sizeof out);
#else
    typedef typename word<PIECE>::type piece;
    piece pieces[BYTES / PIECE];
#pragma unroll
    for (int i = 0; i < BYTES / PIECE; i++) pieces[i] = reinterpret_cast<const piece *>(from)[i];
    memcpy(&out, pieces, sizeof out);
#endif
    return out;
}

static __device__ __forceinline__ uint32_t bits_of(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static __device__ __forceinline__ uint32_t bits_of(bf16 number) {
    return number.bits;
}

static __device__ __forceinline__ uint32_t bits_of(f16 number) {
    return number.bits;
}

static __device__ __forceinline__ uint32_t bits_of(uint8_t number) {
    return number;
}

static __device__ __forceinline__ uint32_t bits_of(int32_t number) {
    return (uint32_t)number;
}

// Word i of a pack. Made by shifts, and stored by __stwb, an ordinary store: nvcc splits others into small
// ones.
template <typename T, int N>
static __device__ __forceinline__ uint32_t word_at(const pack<T, N> &from, int i) {
    constexpr int EACH = 4 / (int)sizeof(T);
    uint32_t word = 0;
#pragma unroll
    for (int k = 0; k < EACH; k++) word |= bits_of(from.at[i * EACH + k]) << (k * 8 * (int)sizeof(T));
    return word;
}

template <typename T, int N> static __device__ __forceinline__ void store(T *to, const pack<T, N> &from) {
    constexpr int BYTES = N * (int)sizeof(T), PIECE = BYTES < 16 ? BYTES : 16;
#ifdef LS_FAKECUDA
    if ((uintptr_t)to % PIECE) fake::kernel_error("%d bytes are stored to %p", PIECE, (const void *)to);
    memcpy(to, &from, sizeof from);
#else
    if constexpr (PIECE == 16) {
#pragma unroll
        for (int i = 0; i < BYTES / PIECE; i++)
            __stwb(reinterpret_cast<uint4 *>(to) + i,
                   make_uint4(word_at(from, 4 * i), word_at(from, 4 * i + 1), word_at(from, 4 * i + 2),
                              word_at(from, 4 * i + 3)));
    } else if constexpr (PIECE == 8) {
        __stwb(reinterpret_cast<uint2 *>(to), make_uint2(word_at(from, 0), word_at(from, 1)));
    } else if constexpr (PIECE == 4) {
        __stwb(reinterpret_cast<uint32_t *>(to), word_at(from, 0));
    } else {
#pragma unroll
        for (int k = 0; k < N; k++) to[k] = from.at[k];
    }
#endif
}

// ---- which type

// Calls launch(T()) with the T that `type` stores, and says how the launch went.
template <typename F> static ls_status by_type(ls_dtype type, F launch) {
    switch (type) {
    case LS_F32: launch(float()); break;
    case LS_BF16: launch(bf16()); break;
    case LS_F16: launch(f16()); break;
    default: return LS_FAIL(LS_SYSTEM, "no kernel stores %s", ls_dtype_name(type));
    }
    return ls_cuda_launched();
}
