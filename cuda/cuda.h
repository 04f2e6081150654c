// The CUDA module, as the rest of the program sees it: one symbol of liblockstep-cuda.so, which is opened at
// run time. No CUDA type here. The stand-in of the tests is a second module with the same symbol.
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/begin.h"

struct ls_comm;
struct ls_device;
struct ls_transport;

enum { LS_CUDA_ABI = 1, LS_CUDA_MAX_GPUS = 64 };

struct ls_cuda_gpu {
    int index; // as the runtime counts them, CUDA_VISIBLE_DEVICES taken into account
    char name[96], uuid[48], bus[24];
    int major, minor; // compute capability
    int multiprocessors;
    int64_t memory; // bytes
};

struct ls_cuda_libraries { // versions, "" where a library is not there; `missing` says what was looked for
    char runtime[32], driver[32], cublas[32], cudnn[32], nccl[32];
    char missing[256];
};

struct ls_cuda_options {
    int gpu;        // index
    int64_t memory; // bytes that may be taken; 0: no limit
    bool tf32;      // f32 matrix products and convolutions may round their inputs to TF32
    bool eager;     // every kernel is launched anew, instead of once into a graph that is replayed
};

struct ls_cuda_module {
    int abi;          // LS_CUDA_ABI of the module's sources
    const char *name; // "cuda", "cuda (stand-in)"

    // The GPUs that the process may use. None, or no driver: *n is 0 and `why` says in a few words why; that
    // is no error. Opens none: a process on each GPU of a host must not take memory of all others.
    void (*gpus)(struct ls_cuda_gpu gpus[LS_CUDA_MAX_GPUS], int *n, char why[256]);
    // Bytes of GPU `gpu` that are free, once this process has opened it, which this does; 0 where that fails.
    int64_t (*memory_free)(int gpu);
    void (*libraries)(struct ls_cuda_libraries *libraries);
    // How GPU a reaches GPU b: "NVLink", "PCIe", "host".
    const char *(*link)(int a, int b);
    ls_status (*open)(const struct ls_cuda_options *options, struct ls_device **device);
    // Collective: gradients over NCCL. LS_INPUT where NCCL is not there: then MPI through host memory serves.
    ls_status (*open_nccl)(struct ls_comm *comm, struct ls_device *device, struct ls_transport **transport);
};

// The entry: dlsym(module, LS_CUDA_ENTRY).
#define LS_CUDA_ENTRY "lockstep_cuda_module"
__attribute__((visibility("default"))) const struct ls_cuda_module *lockstep_cuda_module(void);

#include "base/end.h"
