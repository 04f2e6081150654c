// Batch normalization of x [rows][channels], f32, bf16 or f16; all that has a number a channel is f32. What
// is done after it is part of the same pass, and in backward dy counts where that let it through.
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
    bool relu;  // follows
    float most; // the bound of relu, which is clip then; NaN: none
};

// Bytes that every function below may use of `workspace`.
size_t ls_cuda_batchnorm_workspace(const struct ls_cuda_norm *of);

// `b` is added before relu; NULL: nothing is.
ls_status ls_cuda_batchnorm(const struct ls_cuda_norm *of, const void *x, const float *scale,
                            const float *shift, const void *b, void *y, float *mean, float *var,
                            void *workspace, cudaStream_t stream);
ls_status ls_cuda_batchnorm_eval(const struct ls_cuda_norm *of, const void *x, const float *scale,
                                 const float *shift, const float *mean, const float *var, void *y,
                                 void *workspace, cudaStream_t stream);
// dx may be dy.
ls_status ls_cuda_batchnorm_eval_grad(const struct ls_cuda_norm *of, const void *dy, const float *scale,
                                      const float *var, void *dx, void *workspace, cudaStream_t stream);
// What comes after is computed again from x. `shift` is not read where nothing does.
ls_status ls_cuda_batchnorm_grad(const struct ls_cuda_norm *of, const void *x, const void *dy,
                                 const float *scale, const float *shift, const float *mean, const float *var,
                                 void *dx, float *dscale, float *dshift, void *workspace,
                                 cudaStream_t stream);

// Where a sum and a relu, whose result is y, came after: the sum of dy and `more` (NULL: dy alone) counts
// where y > 0; it goes to db.
struct ls_cuda_norm_sum {
    const void *x, *y, *dy, *more;
    const float *scale, *mean, *var;
    void *dx, *db;
    float *dscale, *dshift;
};
ls_status ls_cuda_batchnorm_add_relu_grad(const struct ls_cuda_norm *of, const struct ls_cuda_norm_sum *sum,
                                          void *workspace, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
