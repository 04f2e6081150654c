// Passes over flat buffers (flat.cu): what the device enqueues beside the plan. Each is elementwise, or sums
// in one fixed order. Arguments that a struct points to are device memory, except that the struct itself is
// read by the call.
#pragma once

#include "device/device.h"

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

// Whether there is code for the current GPU in this build, by a kernel of it: all are built for the same
// ones.
cudaError_t ls_cuda_find_code(void);
ls_status ls_cuda_add(float *to, const float *a, const float *b, size_t n, cudaStream_t stream); // to = a + b
ls_status ls_cuda_square_sums(const float *data, size_t n, size_t begin, size_t end, double *sums,
                              cudaStream_t stream);
ls_status ls_cuda_fingerprint(const float *data, size_t n, uint64_t *mark, cudaStream_t stream);
ls_status ls_cuda_decide(const struct ls_decide *decide, cudaStream_t stream);
ls_status ls_cuda_update_norms(const struct ls_update *update, size_t begin, size_t end, cudaStream_t stream);
ls_status ls_cuda_update_ratios(const struct ls_update *update, cudaStream_t stream);
ls_status ls_cuda_update(const struct ls_update *update, cudaStream_t stream);
ls_status ls_cuda_update_states(const struct ls_update_states *update, cudaStream_t stream);
ls_status ls_cuda_average(const struct ls_average *average, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
