// Sums and means over the rows of a tensor, for each channel: the gradient of a bias, and the global average
// pool.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Bytes that the functions below may use of `workspace`, for `groups` times `rows`.
size_t ls_cuda_sums_workspace(ls_dtype type, int64_t groups, int64_t rows, int64_t channels);

// y [rows][channels] = x + bias f32 [channels]; y may be x.
ls_status ls_cuda_bias(ls_dtype type, const void *x, const float *bias, void *y, int64_t rows,
                       int64_t channels, cudaStream_t stream);
// dy [rows][channels] -> grad f32 [channels].
ls_status ls_cuda_bias_grad(ls_dtype type, const void *dy, float *grad, int64_t rows, int64_t channels,
                            void *workspace, cudaStream_t stream);
// x [images][pixels][channels] -> y [images][channels].
ls_status ls_cuda_global_avg_pool(ls_dtype type, const void *x, void *y, int64_t images, int64_t pixels,
                                  int64_t channels, void *workspace, cudaStream_t stream);
// dy [images][channels] -> dx [images][pixels][channels].
ls_status ls_cuda_global_avg_pool_grad(ls_dtype type, const void *dy, void *dx, int64_t images,
                                       int64_t pixels, int64_t channels, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
