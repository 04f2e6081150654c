// Sums and products of two tensors that may have to be spread over each other, and sums over what was spread.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Axes to go along, the fastest first, and how far two tensors move meanwhile, in elements. No axes: one
// place.
enum { LS_CUDA_AXES = 5 };
struct ls_cuda_axes {
    int32_t axes;
    int64_t size[LS_CUDA_AXES];
    int64_t stride[2][LS_CUDA_AXES];
};

// y, dense along the axes, of a and b, whose strides along axis 0 are 0 or 1. y may be a where a is as large.
ls_status ls_cuda_sum(ls_dtype type, const struct ls_cuda_axes *along, const void *a, const void *b, void *y,
                      cudaStream_t stream);
ls_status ls_cuda_sum_relu(ls_dtype type, const struct ls_cuda_axes *along, const void *a, const void *b,
                           void *y, cudaStream_t stream);
ls_status ls_cuda_product(ls_dtype type, const struct ls_cuda_axes *along, const void *a, const void *b,
                          void *y, cudaStream_t stream);

// y, dense along the axes that are kept: for each place on them the sum of x * factor along the others. The
// strides are those of x, then of the factor; factor NULL: 1. `rows_first`: the axis that lies closest in x
// is kept.
struct ls_cuda_terms {
    ls_dtype type;
    struct ls_cuda_axes kept, summed;
    int64_t places, terms; // on the axes kept; summed for each
    bool rows_first;
};
size_t ls_cuda_sum_to_workspace(const struct ls_cuda_terms *of);
ls_status ls_cuda_sum_to(const struct ls_cuda_terms *of, const void *x, const void *factor, float *y,
                         void *workspace, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
