// A product by its definition, and numbers of both types; for small integers every sum is exact.
#pragma once

#include "cuda/lib/parts.h"

static inline float get(const void *from, int64_t at, ls_dtype type) {
    if (type == LS_F32) return ((const float *)from)[at];
    return ls_bf16_to_f32(((const ls_bf16 *)from)[at]);
}

static inline void put(void *to, int64_t at, ls_dtype type, float value) {
    if (type == LS_F32)
        ((float *)to)[at] = value;
    else
        ((ls_bf16 *)to)[at] = ls_bf16_from_f32(value);
}

static inline void define_product(const struct ls_matrix_product *p, const void *a_matrix,
                                  const void *b_matrix, const void *bias, void *out) {
    const struct ls_lib_product *of = &p->of;
    const int64_t products = p->batch == 0 ? 1 : p->batch;
    const int64_t row_a = p->row_a ? p->row_a : of->transpose_a ? of->m : of->k;
    const int64_t row_b = p->row_b ? p->row_b : of->transpose_b ? of->k : of->n;
    const int64_t row_c = p->row_c ? p->row_c : of->n;
    for (int64_t g = 0; g < products; g++)
        for (int64_t i = 0; i < of->m; i++)
            for (int64_t j = 0; j < of->n; j++) {
                const int64_t at = g * p->next_c + i * row_c + j;
                float sum = p->accumulate ? get(out, at, of->output) : 0;
                for (int64_t k = 0; k < of->k; k++) {
                    const int64_t a = g * p->next_a + (of->transpose_a ? k * row_a + i : i * row_a + k);
                    const int64_t b = g * p->next_b + (of->transpose_b ? j * row_b + k : k * row_b + j);
                    sum += get(a_matrix, a, of->input) * get(b_matrix, b, of->input);
                }
                if (of->scale != 0) sum *= of->scale;
                if (of->bias) sum += ((const float *)bias)[g * p->next_bias + j];
                put(out, at, of->output, of->relu && sum < 0 ? 0 : sum);
            }
}
