// Batch normalization of x [rows][channels], f32, bf16 or f16; all that has a number a channel is f32. With
// `relu` the result is relu's, and in backward dy counts where y > 0.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ls_cuda_norm {
    ls_dtype type;
    int64_t rows, channels;
    double epsilon;
    bool relu;
    float most; // the bound of relu, which is clip then; NaN: none
};

// Bytes that every function below may use of `workspace`.
size_t ls_cuda_batchnorm_workspace(const struct ls_cuda_norm *of);

ls_status ls_cuda_batchnorm(const struct ls_cuda_norm *of, const void *x, const float *scale,
                            const float *shift, void *y, float *mean, float *var, void *workspace,
                            cudaStream_t stream);
ls_status ls_cuda_batchnorm_eval(const struct ls_cuda_norm *of, const void *x, const float *scale,
                                 const float *shift, const float *mean, const float *var, void *y,
                                 void *workspace, cudaStream_t stream);
// `y` is not read without `relu`.
ls_status ls_cuda_batchnorm_grad(const struct ls_cuda_norm *of, const void *x, const void *y, const void *dy,
                                 const float *scale, const float *mean, const float *var, void *dx,
                                 float *dscale, float *dshift, void *workspace, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
