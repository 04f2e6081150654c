#include "comm/add.h"

typedef float vector __attribute__((vector_size(64), aligned(4), may_alias));
enum { VECTOR = sizeof(vector) / sizeof(float) };

static inline __attribute__((always_inline)) void add_vectors(float *to, const float *left,
                                                              const float *right, size_t n) {
    size_t i = 0;
    for (; i + VECTOR <= n; i += VECTOR)
        *(vector *)(to + i) = *(const vector *)(left + i) + *(const vector *)(right + i);
    for (; i < n; i++) to[i] = left[i] + right[i];
}

static void add_anywhere(float *to, const float *left, const float *right, size_t n) {
    add_vectors(to, left, right, n);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void add_avx2(float *to, const float *left, const float *right,
                                                     size_t n) {
    add_vectors(to, left, right, n);
}

__attribute__((target("avx512f"))) static void add_avx512(float *to, const float *left, const float *right,
                                                          size_t n) {
    add_vectors(to, left, right, n);
}
#endif

ls_add_function *ls_choose_add(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return add_avx512;
    if (__builtin_cpu_supports("avx2")) return add_avx2;
#endif
    return add_anywhere;
}
