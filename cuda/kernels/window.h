// Convolutions of few channels, as a network's first layer is, without writing windows out (window.cu).
#pragma once

#include "cuda/kernels/im2col.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// Does the kernel take windows of this shape, with `outputs` channels of y? 16 bits; packs of two numbers of
// a window must lie at even places.
bool ls_cuda_window_fits(ls_dtype type, const struct ls_columns *of, int64_t outputs);
// y [n * oh * ow, outputs] = windows of x times w [outputs, kh kw c]'. Needs Tensor Cores of compute
// capability 8.0.
ls_status ls_cuda_window(ls_dtype type, const struct ls_columns *of, int64_t outputs, const void *x,
                         const void *w, void *y, cudaStream_t stream);

// The same for dw [outputs, kh kw c], f32, of x and dy [n * oh * ow, outputs]: a sum of parts, in f32, of a
// fixed number of blocks, which are added in f64.
bool ls_cuda_window_grad_fits(ls_dtype type, const struct ls_columns *of, int64_t outputs);
size_t ls_cuda_window_grad_workspace(const struct ls_columns *of, int64_t outputs); // bytes
ls_status ls_cuda_window_grad(ls_dtype type, const struct ls_columns *of, int64_t outputs, const void *x,
                              const void *dy, float *dw, void *workspace, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
