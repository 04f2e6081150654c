// Ranges for a profiler: the part of NVIDIA's interface that Lockstep uses.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

int nvtxRangePushA(const char *name); // how deep it lies, from 0 on
int nvtxRangePop(void);               // how deep the range lay; negative: there was none

#ifdef __cplusplus
}
#endif
