// Rows of a table, chosen by index [count]; table, of `type` [rows][width].
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// y [count][width]. An index that is no row makes NaN.
ls_status ls_cuda_embedding(ls_dtype type, const int32_t *index, int64_t count, const void *table,
                            int64_t rows, int64_t width, void *y, cudaStream_t stream);
// dy, of `type` [count][width] -> dtable f32 [rows][width].
ls_status ls_cuda_embedding_grad(ls_dtype type, const int32_t *index, int64_t count, const void *dy,
                                 int64_t rows, int64_t width, float *dtable, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
