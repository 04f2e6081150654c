// What the module tells of the machine without opening a device.
#pragma once

#include "cuda/cuda.h"

void ls_cuda_gpus(struct ls_cuda_gpu gpus[LS_CUDA_MAX_GPUS], int *n, char why[256]);
int64_t ls_cuda_memory_free(int gpu);
void ls_cuda_libraries(struct ls_cuda_libraries *libraries);
const char *ls_cuda_link(int a, int b);
