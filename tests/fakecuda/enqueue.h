// For the stand-in's libraries, in C: work on a stream.
#pragma once

#include <cuda_runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

// Enqueues run(copy of the `bytes` at `argument`), which reads and writes device memory. `name` is what
// LS_FAKE_FAIL calls it.
cudaError_t ls_fake_enqueue(cudaStream_t stream, const char *name, void (*run)(const void *argument),
                            const void *argument, size_t bytes);

// The error that LS_FAKE_FAIL has for this call of `name`.
cudaError_t ls_fake_injected(const char *name);

#ifdef __cplusplus
}
#endif
