// The entry of the module: a table of what it offers.
#include "comm/nccl/nccl.h"
#include "cuda/gpus.h"
#include "cuda/internal.h"

#ifdef LS_FAKECUDA
#define NAME "cuda (stand-in)"
#else
#define NAME "cuda"
#endif

static const struct ls_cuda_module module = {
    .abi = LS_CUDA_ABI,
    .name = NAME,
    .gpus = ls_cuda_gpus,
    .memory_free = ls_cuda_memory_free,
    .libraries = ls_cuda_libraries,
    .link = ls_cuda_link,
    .open = ls_cuda_open,
    .open_nccl = ls_transport_open_nccl,
};

const struct ls_cuda_module *lockstep_cuda_module(void) {
    return &module;
}
