// The GPUs and libraries of this machine.
#include "cuda/gpus.h"

#include "comm/nccl/nccl.h"
#include "cuda/lib/lib.h"

#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

// "GPU-" and 16 bytes in hexadecimal digits, as nvidia-smi writes them.
static void write_uuid(char text[48], const cudaUUID_t *uuid) {
    static const int dash_before[] = {4, 6, 8, 10};
    int at = snprintf(text, 48, "GPU-");
    for (int i = 0, dash = 0; i < 16; i++) {
        if (dash < 4 && i == dash_before[dash]) text[at++] = '-', dash++;
        at += snprintf(text + at, 48 - (size_t)at, "%02x", (unsigned char)uuid->bytes[i]);
    }
}

static cudaError_t describe(int index, struct ls_cuda_gpu *gpu) {
    struct cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceProperties(&properties, index);
    if (error != cudaSuccess) return error;
    *gpu = (struct ls_cuda_gpu){.index = index,
                                .major = properties.major,
                                .minor = properties.minor,
                                .multiprocessors = properties.multiProcessorCount,
                                .memory = (int64_t)properties.totalGlobalMem};
    snprintf(gpu->name, sizeof gpu->name, "%.*s", (int)sizeof gpu->name - 1, properties.name);
    write_uuid(gpu->uuid, &properties.uuid);
    return cudaDeviceGetPCIBusId(gpu->bus, sizeof gpu->bus, index);
}

int64_t ls_cuda_memory_free(int gpu) {
    size_t available = 0, total = 0;
    if (cudaSetDevice(gpu) == cudaSuccess && cudaMemGetInfo(&available, &total) == cudaSuccess)
        return (int64_t)available;
    (void)cudaGetLastError();
    return 0;
}

void ls_cuda_gpus(struct ls_cuda_gpu gpus[LS_CUDA_MAX_GPUS], int *n, char why[256]) {
    int count = 0, driver = 0;
    why[0] = 0;
    *n = 0;
    cudaError_t error = cudaDriverGetVersion(&driver);
    if (error == cudaSuccess && driver == 0) {
        snprintf(why, 256, "there is no NVIDIA driver");
        return;
    }
    error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count == 0) error = cudaErrorNoDevice;
    for (int i = 0; i < count && i < LS_CUDA_MAX_GPUS && error == cudaSuccess; i++) {
        error = describe(i, &gpus[i]);
        if (error == cudaSuccess) ++*n;
    }
    if (error == cudaSuccess) return;
    snprintf(why, 256, "%s", cudaGetErrorString(error));
    (void)cudaGetLastError(); // a device that works must not hear of it later
}

static void write_version(char text[32], int version) {
    snprintf(text, 32, "%d.%d", version / 1000, version % 1000 / 10);
}

static void add_missing(struct ls_cuda_libraries *libraries, const char *missing) {
    const size_t at = strlen(libraries->missing);
    if (missing[0])
        snprintf(libraries->missing + at, sizeof libraries->missing - at, "%s%s", at ? ", " : "", missing);
}

void ls_cuda_libraries(struct ls_cuda_libraries *libraries) {
    int version = 0;
    *libraries = (struct ls_cuda_libraries){0};
    if (cudaRuntimeGetVersion(&version) == cudaSuccess) write_version(libraries->runtime, version);
    if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0)
        write_version(libraries->driver, version);
    ls_lib_found(libraries->cublas, libraries->cudnn, libraries->missing);
    char missing[LS_NCCL_MISSING];
    snprintf(libraries->nccl, sizeof libraries->nccl, "%s", ls_nccl_version(missing));
    add_missing(libraries, missing);
}

// NVLink carries atomics on another GPU's memory, PCIe does not (CUDA's rank of a pair, and whether it can
// map at all).
const char *ls_cuda_link(int a, int b) {
    int reach = 0, atomics = 0;
    if (cudaDeviceCanAccessPeer(&reach, a, b) != cudaSuccess || !reach) {
        (void)cudaGetLastError();
        return "host";
    }
    if (cudaDeviceGetP2PAttribute(&atomics, cudaDevP2PAttrNativeAtomicSupported, a, b) != cudaSuccess) {
        (void)cudaGetLastError();
        return "PCIe";
    }
    return atomics ? "NVLink" : "PCIe";
}
