// Number types of tensors and of data on disk.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/begin.h"

typedef enum ls_dtype {
    LS_F32,
    LS_F64,
    LS_F16,
    LS_BF16,
    LS_U8,
    LS_I8,
    LS_U16,
    LS_I16,
    LS_U32,
    LS_I32,
    LS_U64,
    LS_I64,
    LS_DTYPES,
} ls_dtype;

size_t ls_dtype_bytes(ls_dtype type); // of one number
bool ls_dtype_is_integer(ls_dtype type);
const char *ls_dtype_name(ls_dtype type); // "f32", "u8", …
// The type of that name, or LS_DTYPES.
ls_dtype ls_dtype_named(const char *name);

typedef uint16_t ls_bf16; // the upper half of an IEEE binary32

static inline float ls_bf16_to_f32(ls_bf16 half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Rounds to nearest even; a NaN stays a NaN.
static inline ls_bf16 ls_bf16_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (ls_bf16)((bits >> 16) | 0x40u);
    return (ls_bf16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

typedef uint16_t ls_f16; // IEEE binary16

static inline float ls_f16_to_f32(ls_f16 half) {
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 31u, fraction = half & 0x3ffu,
             bits;
    if (exponent == 0) { // subnormal, or 0
        float value = (float)fraction * (1.0f / 16777216.0f);
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Rounds to nearest even, from 65520 on to infinity; a NaN stays a NaN.
static inline ls_f16 ls_f16_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return (ls_f16)(sign | 0x7e00u);
    if (size >= 0x477ff000u) return (ls_f16)(sign | 0x7c00u);
    if (size >= 0x38800000u) return (ls_f16)(sign | (size + 0xfffu + (size >> 13 & 1u) - 0x38000000u) >> 13);
    // Subnormal: a sum near 1/2 has steps of 2^-24, as these have, and is rounded to one.
    float sum;
    memcpy(&sum, &size, sizeof sum);
    sum += 0.5f;
    memcpy(&size, &sum, sizeof size);
    return (ls_f16)(sign | (size - 0x3f000000u));
}

#include "base/end.h"
