// How a kernel is launched: through this macro alone, so that the stand-in of the tests can run the same
// sources. A launch that fails is seen by ls_cuda_launched, which the function that launches returns.
#pragma once

#include <cuda_runtime.h>

#ifdef LS_FAKECUDA
#include <fake_launch.h> // tests/fakecuda: defines LS_LAUNCH
#else
#define LS_LAUNCH(kernel, grid, block, stream, ...) kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__)
#endif
