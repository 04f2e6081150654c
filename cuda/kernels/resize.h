// Images [images][height][width][channels] of another size, f32, bf16 or f16.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ls_cuda_sizes {
    ls_dtype type;
    int64_t images, channels;
    int32_t height, width, out_height, out_width; // of x and y
    bool bilinear;
};

ls_status ls_cuda_resize(const struct ls_cuda_sizes *of, const void *x, void *y, cudaStream_t stream);
ls_status ls_cuda_resize_grad(const struct ls_cuda_sizes *of, const void *dy, void *dx, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
