// Values that only move: runs of numbers that lie side by side, and transpositions.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ls_runs; // ops/move.h
struct ls_steps;

ls_status ls_cuda_move_runs(ls_dtype type, const struct ls_runs *runs, const void *x, void *y,
                            cudaStream_t stream);
ls_status ls_cuda_transpose(ls_dtype type, const struct ls_steps *steps, const void *x, void *y,
                            cudaStream_t stream);

#ifdef __cplusplus
}
#endif
