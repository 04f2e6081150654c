// Convolutions as products: the windows of x as rows of a matrix, and back (im2col.cu).
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

// columns [n * oh * ow, groups, kh * kw, c / groups] of x [n, h, w, c]: a row is a window; in a group, its
// elements lie as those of a filter do.
struct ls_columns {
    int64_t n, h, w, c, oh, ow, kh, kw, groups;
    int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

// columns = windows of x, 0 where they reach beyond it; both of `type`.
ls_status ls_cuda_im2col(ls_dtype type, const struct ls_columns *columns, const void *x, void *matrix,
                         cudaStream_t stream);
// dx = the sum of each element over the windows that hold it, in the order of their places; rounded once. The
// matrix is f32, dx of `type`.
ls_status ls_cuda_col2im(ls_dtype type, const struct ls_columns *columns, const float *matrix, void *dx,
                         cudaStream_t stream);

#ifdef __cplusplus
}
#endif
