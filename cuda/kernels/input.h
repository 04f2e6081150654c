// The input op: raw samples become a normalized f32 tensor [samples][out_height][out_width][channels].
#pragma once

#include "base/status.h"

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ls_augment;
struct ls_raw; // ops/augment_pixel.h: how a sample lies

// `line`, in device memory: a, then b, [channels] each; value v of channel c becomes v * a[c] + b[c].
// `augment` [samples] and `shift` [samples], written here, are NULL where nothing is augmented. A sample
// mixed with one that is not there becomes NaN.
ls_status ls_cuda_input(const struct ls_raw *raw, int64_t samples, const void *from, const float *line,
                        const struct ls_augment *augment, float *shift, float *x, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
