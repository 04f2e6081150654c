// Dropout: zeros, and the rest times 1 / (1 - rate), by the random numbers that LS_OP_DROPOUT in ops/ops.h
// names.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ls_lane_control;

// x, y [samples][each]; y may be x.
ls_status ls_cuda_dropout(ls_dtype type, const void *x, void *y, int64_t samples, int64_t each, double rate,
                          int64_t site, const struct ls_lane_control *control, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
