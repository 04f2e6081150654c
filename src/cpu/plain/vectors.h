// Vectors of the type that is computed in, as long as the level has them, for kernels that keep more in
// registers than a compiler does with a loop over single numbers. vectors.inc reads and writes them.
#pragma once

#include "cpu/plain/plain.h"

#include <string.h>

#if defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#define PLAIN_WIDE_BYTES 64
#elif defined(__AVX2__)
#include <immintrin.h>
#define PLAIN_WIDE_BYTES 32
#else // all else is left to the compiler
#define PLAIN_WIDE_BYTES 16
#endif

#define PLAIN_VECTOR_OF(type, count)                                                                         \
    __attribute__((vector_size(sizeof(type) * (count)), aligned(sizeof(type)), may_alias))

// For each type: its numbers as they are computed with (wide) and as they lie (stored); integers as wide,
// which comparisons give, all ones where they hold; and places in windows, bytes or words.
enum { WIDTH_f32 = PLAIN_WIDE_BYTES / 4, WIDTH_f64 = PLAIN_WIDE_BYTES / 8, WIDTH_bf16 = WIDTH_f32 };

typedef float wide_f32 PLAIN_VECTOR_OF(float, WIDTH_f32), stored_f32 PLAIN_VECTOR_OF(float, WIDTH_f32);
typedef int32_t integers_f32 PLAIN_VECTOR_OF(int32_t, WIDTH_f32), words_f32
    PLAIN_VECTOR_OF(int32_t, WIDTH_f32);
typedef uint8_t bytes_f32 PLAIN_VECTOR_OF(uint8_t, WIDTH_f32);

typedef double wide_f64 PLAIN_VECTOR_OF(double, WIDTH_f64), stored_f64 PLAIN_VECTOR_OF(double, WIDTH_f64);
typedef int64_t integers_f64 PLAIN_VECTOR_OF(int64_t, WIDTH_f64);
typedef int32_t words_f64 PLAIN_VECTOR_OF(int32_t, WIDTH_f64);
typedef uint8_t bytes_f64 PLAIN_VECTOR_OF(uint8_t, WIDTH_f64);

typedef wide_f32 wide_bf16;
typedef ls_bf16 stored_bf16 PLAIN_VECTOR_OF(ls_bf16, WIDTH_bf16);
typedef integers_f32 integers_bf16;
typedef words_f32 words_bf16;
typedef bytes_f32 bytes_bf16;
typedef uint32_t plain_bits PLAIN_VECTOR_OF(uint32_t, WIDTH_f32);

// ---- what compilers make one number at a time, by the instructions for it

// a where it is greater, else b: also where one of them is NaN. Its bits are kept: a maximum's instruction
// would make 0 of a subnormal number.
static inline wide_f32 greater_f32(wide_f32 a, wide_f32 b) {
#if PLAIN_WIDE_BYTES == 64
    const __mmask16 which = _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
    return (wide_f32)_mm512_mask_mov_ps((__m512)b, which, (__m512)a);
#elif PLAIN_WIDE_BYTES == 32
    const __m256 which = _mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ);
    return (wide_f32)_mm256_blendv_ps((__m256)b, (__m256)a, which);
#else
    const integers_f32 which = a > b;
    return (wide_f32)((which & (integers_f32)a) | (~which & (integers_f32)b));
#endif
}

static inline wide_f64 greater_f64(wide_f64 a, wide_f64 b) {
    const integers_f64 which = a > b;
    return (wide_f64)((which & (integers_f64)a) | (~which & (integers_f64)b));
}

static inline wide_bf16 greater_bf16(wide_bf16 a, wide_bf16 b) {
    return greater_f32(a, b);
}

static inline bool any_is_nan_f32(wide_f32 x) {
#if PLAIN_WIDE_BYTES == 64
    return _mm512_cmp_ps_mask((__m512)x, (__m512)x, _CMP_UNORD_Q) != 0;
#elif PLAIN_WIDE_BYTES == 32
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)x, (__m256)x, _CMP_UNORD_Q)) != 0;
#else
    bool any = false;
    for (int i = 0; i < WIDTH_f32; i++) any |= isnan(x[i]);
    return any;
#endif
}

static inline bool any_is_nan_f64(wide_f64 x) {
    bool any = false;
    for (int i = 0; i < WIDTH_f64; i++) any |= isnan(x[i]);
    return any;
}

static inline bool any_is_nan_bf16(wide_bf16 x) {
    return any_is_nan_f32(x);
}

static inline integers_f32 integers_of_bytes_f32(bytes_f32 x) {
#if PLAIN_WIDE_BYTES == 64
    return (integers_f32)_mm512_cvtepu8_epi32((__m128i)x);
#elif PLAIN_WIDE_BYTES == 32
    return (integers_f32)_mm256_cvtepu8_epi32(_mm_set_epi64x(0, (int64_t)x));
#else
    return __builtin_convertvector(x, integers_f32);
#endif
}

// Of numbers below 256.
static inline bytes_f32 bytes_of_integers_f32(integers_f32 x) {
#if PLAIN_WIDE_BYTES == 64
    return (bytes_f32)_mm512_cvtepi32_epi8((__m512i)x);
#elif PLAIN_WIDE_BYTES == 32
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
    return (bytes_f32)_mm_cvtsi128_si64(_mm_packus_epi16(words, words));
#else
    return __builtin_convertvector(x, bytes_f32);
#endif
}

static inline integers_f64 integers_of_bytes_f64(bytes_f64 x) {
    return __builtin_convertvector(x, integers_f64);
}

static inline bytes_f64 bytes_of_integers_f64(integers_f64 x) {
    return __builtin_convertvector(x, bytes_f64);
}

static inline integers_bf16 integers_of_bytes_bf16(bytes_bf16 x) {
    return integers_of_bytes_f32(x);
}

static inline bytes_bf16 bytes_of_integers_bf16(integers_bf16 x) {
    return bytes_of_integers_f32(x);
}

static inline wide_f32 widened_f32(stored_f32 x) {
    return x;
}

static inline stored_f32 narrowed_f32(wide_f32 x) {
    return x;
}

static inline wide_f64 widened_f64(stored_f64 x) {
    return x;
}

static inline stored_f64 narrowed_f64(wide_f64 x) {
    return x;
}

static inline wide_bf16 widened_bf16(stored_bf16 x) {
#if PLAIN_WIDE_BYTES == 64
    const plain_bits bits = (plain_bits)_mm512_cvtepu16_epi32((__m256i)x);
#elif PLAIN_WIDE_BYTES == 32
    const plain_bits bits = (plain_bits)_mm256_cvtepu16_epi32((__m128i)x);
#else
    const plain_bits bits = __builtin_convertvector(x, plain_bits);
#endif
    return (wide_bf16)(bits << 16);
}

// Of bits below 2^16.
static inline stored_bf16 stored_of_bits(plain_bits x) {
#if PLAIN_WIDE_BYTES == 64
    return (stored_bf16)_mm512_cvtepi32_epi16((__m512i)x);
#elif PLAIN_WIDE_BYTES == 32
    return (stored_bf16)_mm_packus_epi32(_mm256_castsi256_si128((__m256i)x),
                                         _mm256_extracti128_si256((__m256i)x, 1));
#else
    return __builtin_convertvector(x, stored_bf16);
#endif
}

// Of numbers that are stored ones.
static inline stored_f32 cut_f32(wide_f32 x) {
    return x;
}

static inline stored_f64 cut_f64(wide_f64 x) {
    return x;
}

static inline stored_bf16 cut_bf16(wide_bf16 x) {
    return stored_of_bits((plain_bits)x >> 16);
}

// As ls_bf16_from_f32 rounds.
static inline stored_bf16 narrowed_bf16(wide_bf16 x) {
    const plain_bits bits = (plain_bits)x, nan = (plain_bits)((bits & 0x7fffffffu) > 0x7f800000u);
    const plain_bits near = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, kept = bits >> 16 | 0x40u;
    return stored_of_bits((nan & kept) | (~nan & near));
}

// The first bytes of a vector, fewer than all; 0 behind them. What is not asked for is not touched.
typedef uint8_t plain_bytes PLAIN_VECTOR_OF(uint8_t, PLAIN_WIDE_BYTES);

static inline plain_bytes plain_take(const void *from, size_t bytes) {
#if PLAIN_WIDE_BYTES == 64
    return (plain_bytes)_mm512_maskz_loadu_epi8((1ull << bytes) - 1, from);
#else
    plain_bytes taken = {0};
    memcpy(&taken, from, bytes);
    return taken;
#endif
}

static inline void plain_leave(void *to, plain_bytes from, size_t bytes) {
#if PLAIN_WIDE_BYTES == 64
    _mm512_mask_storeu_epi8(to, (1ull << bytes) - 1, (__m512i)from);
#else
    memcpy(to, &from, bytes);
#endif
}
