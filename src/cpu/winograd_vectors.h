// Vectors of 16 channels. Included only where the compiler was told that there is AVX-512.
#pragma once

#include "cpu/winograd_parts.h"

#include <immintrin.h>

// The channels of a vector that are there, where so many are left: all, or the first few.
static inline __mmask16 ls_winograd_mask(int64_t left) {
    return left >= LS_WINOGRAD_VECTOR ? 0xffff : (__mmask16)((1u << left) - 1);
}

// … and 0 for those that are not. A whole vector is read without a mask, which is faster.
static inline __m512 ls_winograd_load(const float *from, int64_t left) {
    return left >= LS_WINOGRAD_VECTOR ? _mm512_loadu_ps(from)
                                      : _mm512_maskz_loadu_ps(ls_winograd_mask(left), from);
}

static inline void ls_winograd_store(float *to, int64_t left, __m512 x) {
    if (left >= LS_WINOGRAD_VECTOR)
        _mm512_storeu_ps(to, x);
    else
        _mm512_mask_storeu_ps(to, ls_winograd_mask(left), x);
}
