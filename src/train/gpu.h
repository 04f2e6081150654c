// The CUDA module: found, opened, and asked for a GPU for this rank. Without a CUDA type, and without the
// module, a driver or a GPU it says in a few words why there is none.
#pragma once

#include "comm/comm.h"
#include "cuda/cuda.h"
#include "train/recipe.h"

#include "base/begin.h"

// $LOCKSTEP_CUDA_MODULE, or else liblockstep-cuda.so beside the program or this library, or in ../lib from
// there. Opened once; NULL where it cannot be used, and then *why says so.
const struct ls_cuda_module *ls_gpu_module(const char **why);
// The GPUs of this process, at most LS_CUDA_MAX_GPUS, looked for once; 0: `why` says why.
int ls_gpu_count(const struct ls_cuda_gpu **gpus, const char **why);
// Opens the GPU of this rank: of device.id, or else by its place among the ranks of its host. LS_INPUT where
// there is none for it, or none that can compute what the recipe asks for.
ls_status ls_gpu_open(const struct ls_recipe *recipe, const struct ls_comm *comm, struct ls_device **device);

#include "base/end.h"
