// Numbers rounded to bf16 by the instruction for it, where the processor has one.
#pragma once

#include "base/dtype.h"
#include "cpu/plain/plain.h"

#include <string.h>

enum { PLAIN_VECTOR = 16, PLAIN_LANES = 4 * PLAIN_VECTOR };

#ifdef __AVX512F__
#include <immintrin.h>

PLAIN_INLINE void plain_widen_vector(size_t from, size_t to, const void *x, void *v) {
    if (from == to)
        memcpy(v, x, to * PLAIN_VECTOR);
    else
        _mm512_storeu_si512(v, _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(x)), 16));
}

// The first of the numbers in `part`, fewer than PLAIN_VECTOR, become x's.
PLAIN_INLINE void plain_take_some(size_t size, int64_t left, const void *x, void *part) {
    const __mmask16 there = (__mmask16)((1u << left) - 1);
    if (size == 2)
        _mm256_storeu_si256(part, _mm256_mask_loadu_epi16(_mm256_loadu_si256(part), there, x));
    else if (size == 4)
        _mm512_storeu_si512(part, _mm512_mask_loadu_epi32(_mm512_loadu_si512(part), there, x));
    else
        memcpy(part, x, (size_t)left * size);
}

// 32 at a time, then 16, some of them twice; fewer than 16 by a mask, which is slow. It takes subnormal
// numbers for 0, as all arithmetic here does, so that none comes in.
__attribute__((target("avx512bf16"))) static void plain_narrow_vectors(int64_t n, const float *from,
                                                                       ls_bf16 *to) {
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + 16), _mm512_loadu_ps(from + i));
        _mm512_storeu_si512(to + i, (__m512i)both);
    }
    if (n < 16) {
        const __mmask16 there = (__mmask16)((1u << n) - 1);
        const __m256bh some = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(there, from));
        _mm256_mask_storeu_epi16(to, there, (__m256i)some);
        return;
    }
    for (; i < n; i += 16) {
        const int64_t at = i + 16 > n ? n - 16 : i;
        _mm256_storeu_si256((__m256i *)(to + at), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from + at)));
    }
}

// Rounds as ls_bf16_from_f32 does. False: nothing is done, as the processor has no instruction for it.
static inline bool plain_narrow(int64_t n, const float *from, ls_bf16 *to) {
    if (!__builtin_cpu_supports("avx512bf16")) return false;
    plain_narrow_vectors(n, from, to);
    return true;
}
#else
PLAIN_INLINE void plain_widen_vector(size_t from, size_t to, const void *x, void *v) {
    if (from == to) memcpy(v, x, to * PLAIN_VECTOR);
    for (int l = 0; from != to && l < PLAIN_VECTOR; l++)
        ((float *)v)[l] = ls_bf16_to_f32(((const ls_bf16 *)x)[l]);
}

PLAIN_INLINE void plain_take_some(size_t size, int64_t left, const void *x, void *part) {
    memcpy(part, x, (size_t)left * size);
}

static inline bool plain_narrow(int64_t n, const float *from, const ls_bf16 *to) {
    (void)n, (void)from, (void)to;
    return false;
}
#endif
