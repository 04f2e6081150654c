// Convolutions as products: the windows of x as rows of a matrix, and back (im2col.cu).
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

// columns [n * oh * ow, groups, row] of x [n, h, w, c]: a window for each; in a group, its elements
// [kh, kw, c / groups] lie as those of a filter do. An image has fewer than 2^31 numbers, with its padding.
struct ls_columns {
    int64_t n, h, w, c, oh, ow, kh, kw, groups;
    int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    int64_t row; // elements from a group to the next: at least kh kw c / groups
};

// columns = windows of x, 0 where they reach beyond it, and at the end of a row; both of `type`. A row is a
// multiple of 16 bytes.
ls_status ls_cuda_im2col(ls_dtype type, const struct ls_columns *columns, const void *x, void *matrix,
                         cudaStream_t stream);
// dx = the sum of each element over the windows that hold it, in the order of their places; rounded once. The
// matrix is f32, with no end of a row, dx of `type`.
ls_status ls_cuda_col2im(ls_dtype type, const struct ls_columns *columns, const float *matrix, void *dx,
                         cudaStream_t stream);

// Rows of `from_row` elements become rows of `to_row`: cut off, or with 0 at their ends.
ls_status ls_cuda_copy_rows(ls_dtype type, int64_t rows, const void *from, int64_t from_row, void *to,
                            int64_t to_row, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
