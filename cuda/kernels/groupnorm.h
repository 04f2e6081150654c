// Layer and group normalization of x, as struct ls_groups sees it, f32, bf16 or f16; scale and shift f32
// [channels].
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ls_groups; // ops/groupnorm.h

ls_status ls_cuda_groupnorm(ls_dtype type, const struct ls_groups *groups, const void *x, const float *scale,
                            const float *shift, void *y, cudaStream_t stream);

size_t ls_cuda_groupnorm_grad_workspace(ls_dtype type, const struct ls_groups *groups); // bytes
ls_status ls_cuda_groupnorm_grad(ls_dtype type, const struct ls_groups *groups, const void *x, const void *dy,
                                 const float *scale, void *dx, float *dscale, float *dshift, void *workspace,
                                 cudaStream_t stream);

#ifdef __cplusplus
}
#endif
