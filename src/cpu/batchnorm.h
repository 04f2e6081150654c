// Batch normalization in bf16, forward and backward, by vectors of 32 channels where the processor has
// AVX-512 BF16: what `plain/batchnorm.c` says, with each tensor read once in a pass and sums kept in
// registers over a few rows.
//
// Numbers of a channel lie, in what is computed in between, as the two halves of a vector of bf16 come apart:
// those of 16 even channels, then those of 16 odd ones.
#pragma once

#include "base/dtype.h"

#include <stdbool.h>
#include <stddef.h>

enum { LS_BATCHNORM_VECTOR = 32 }; // channels are a multiple of this

// What is NULL takes no part.
struct ls_batchnorm_call {
    int64_t rows, channels;
    double epsilon;
    bool relu;
    float most; // of a relu that is a clip; NaN where it is none
    const ls_bf16 *x;
    const float *scale, *shift; // shift: backward, where `relu` is computed again from x
    void *workspace;            // ls_batchnorm_workspace bytes
    // forward: y = relu(normalized x + b)
    const ls_bf16 *b;
    ls_bf16 *y;
    float *mean_out, *var_out;
    // backward; where sum_y is there: of relu(… + b), whose y it is, and db = dy + more where y > 0
    const ls_bf16 *dy, *more, *sum_y;
    const float *mean, *var;
    ls_bf16 *dx, *db;
    float *dscale, *dshift;
};

#ifdef LS_HAVE_AVX512_BF16
void ls_batchnorm_forward(const struct ls_batchnorm_call *call);
void ls_batchnorm_backward(const struct ls_batchnorm_call *call);
#endif

// Two rows of sums in f64, seven in f32.
static inline size_t ls_batchnorm_workspace(int64_t channels) {
    return (size_t)channels * (2 * sizeof(double) + 7 * sizeof(float));
}
