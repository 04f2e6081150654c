// Convolutions with one channel a group and as many outputs: each channel for itself, which is a matter of
// memory and not of matrix products.
#pragma once

#include "cuda/lib/lib.h"

#ifdef __cplusplus
extern "C" {
#endif

// Dimensions below 2^31, with padding on both sides.
size_t ls_cuda_depthwise_workspace(const struct ls_lib_conv *conv);
// `a`, `b`: x, w; dy, w; x, dy, as conv->direction says. bias f32 [c] or NULL.
ls_status ls_cuda_depthwise(const struct ls_lib_conv *conv, const void *a, const void *b, const float *bias,
                            void *out, void *workspace, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
