// Pools over windows of x [images][height][width][channels], f32, bf16 or f16, and their gradients.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ls_cuda_pool {
    ls_dtype type;
    ls_dtype index; // of max pools: u8 or i32
    int64_t images, channels;
    int32_t height, width, out_height, out_width; // with padding on both sides still below 2^31
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    bool count_padding; // of average pools
};

ls_status ls_cuda_max_pool(const struct ls_cuda_pool *pool, const void *x, void *y, void *index,
                           cudaStream_t stream);
ls_status ls_cuda_max_pool_grad(const struct ls_cuda_pool *pool, const void *dy, const void *index, void *dx,
                                cudaStream_t stream);
ls_status ls_cuda_avg_pool(const struct ls_cuda_pool *pool, const void *x, void *y, cudaStream_t stream);
ls_status ls_cuda_avg_pool_grad(const struct ls_cuda_pool *pool, const void *dy, void *dx,
                                cudaStream_t stream);

#ifdef __cplusplus
}
#endif
