// Ranges that NVIDIA's profilers show, where the toolkit has their headers; without a profiler they cost next
// to nothing.
#pragma once

#ifdef __has_include
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define LS_CUDA_HAVE_NVTX
#endif
#endif

static inline void ls_cuda_range_begin(const char *name) {
#ifdef LS_CUDA_HAVE_NVTX
    nvtxRangePushA(name);
#else
    (void)name;
#endif
}

static inline void ls_cuda_range_end(void) {
#ifdef LS_CUDA_HAVE_NVTX
    nvtxRangePop();
#endif
}
