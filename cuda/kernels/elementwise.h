// Element by element. `type` is that of all tensors: f32, bf16 or f16. The result may take the place of the
// first input.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

ls_status ls_cuda_relu(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream);
ls_status ls_cuda_relu_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                            cudaStream_t stream);
ls_status ls_cuda_clip(ls_dtype type, const void *x, void *y, int64_t n, float low, float high,
                       cudaStream_t stream);
ls_status ls_cuda_clip_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n, float low,
                            float high, cudaStream_t stream);
ls_status ls_cuda_sigmoid(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream);
ls_status ls_cuda_sigmoid_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                               cudaStream_t stream);
ls_status ls_cuda_tanh(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream);
ls_status ls_cuda_tanh_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                            cudaStream_t stream);
ls_status ls_cuda_silu(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream);
ls_status ls_cuda_silu_grad(ls_dtype type, const void *x, const void *dy, void *dx, int64_t n,
                            cudaStream_t stream);
ls_status ls_cuda_hard_swish(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream);
ls_status ls_cuda_hard_swish_grad(ls_dtype type, const void *x, const void *dy, void *dx, int64_t n,
                                  cudaStream_t stream);
ls_status ls_cuda_leaky_relu(ls_dtype type, const void *x, void *y, int64_t n, float slope,
                             cudaStream_t stream);
ls_status ls_cuda_leaky_relu_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                                  float slope, cudaStream_t stream);
ls_status ls_cuda_gelu(ls_dtype type, const void *x, void *y, int64_t n, bool by_tanh, cudaStream_t stream);
ls_status ls_cuda_gelu_grad(ls_dtype type, const void *x, const void *dy, void *dx, int64_t n, bool by_tanh,
                            cudaStream_t stream);
ls_status ls_cuda_cast(ls_dtype from, const void *x, ls_dtype to, void *y, int64_t n, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
