// Numbers rounded to bf16 by the instruction for it, where the processor has one.
#pragma once

#include "base/dtype.h"

#ifdef __AVX512F__
#include <immintrin.h>

// 32 at a time. It takes subnormal numbers for 0, as all arithmetic here does, so that none comes in.
__attribute__((target("avx512bf16"))) static int64_t plain_narrow_vectors(int64_t n, const float *from,
                                                                          ls_bf16 *to) {
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + 16), _mm512_loadu_ps(from + i));
        _mm512_storeu_si512(to + i, (__m512i)both);
    }
    return i;
}

// Rounds as ls_bf16_from_f32 does; returns how many it has done, from the first on.
static inline int64_t plain_narrow(int64_t n, const float *from, ls_bf16 *to) {
    return __builtin_cpu_supports("avx512bf16") ? plain_narrow_vectors(n, from, to) : 0;
}
#else
static inline int64_t plain_narrow(int64_t n, const float *from, const ls_bf16 *to) {
    (void)n, (void)from, (void)to;
    return 0;
}
#endif
