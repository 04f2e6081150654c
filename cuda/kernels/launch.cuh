// How a kernel is launched: through LS_LAUNCH alone, so that the stand-in of the tests can run the same
// sources. A launch that fails is seen by ls_cuda_launched, which the function that launches returns.
#pragma once

#include "base/status.h"

#include <cuda_runtime.h>
#include <stdint.h>

#ifdef LS_FAKECUDA
#include <fake_launch.h> // tests/fakecuda: defines LS_LAUNCH
#else
#define LS_LAUNCH(kernel, grid, block, stream, ...) kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__)
#endif

// Threads of a block, everywhere but where a comment says otherwise.
enum { THREADS = 256 };

static inline ls_status ls_cuda_launched(void) {
    cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "a kernel could not be launched: %s", cudaGetErrorString(error));
}

// Blocks for `items` of which each block takes `each`; at least one.
static inline unsigned blocks_for(int64_t items, int64_t each) {
    return items > 0 ? (unsigned)((items + each - 1) / each) : 1u;
}

// a / b, for neither negative; the division of 64 bits is several times slower, and rarely needed.
static __device__ __forceinline__ int64_t quotient(int64_t a, int64_t b) {
    if (((a | b) >> 32) == 0) return (int64_t)((uint32_t)a / (uint32_t)b);
    return a / b;
}
