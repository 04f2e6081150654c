// The CUDA device: one GPU, its memory, and the passes over flat buffers.
#include "cuda/internal.h"

#include "base/text.h"
#include "cuda/kernels/flat.h"
#include "cuda/lib/lib.h"
#include "cuda/range.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ls_status ls_cuda_check(cudaError_t error, const char *what) {
    if (error == cudaSuccess) return LS_OK;
    (void)cudaGetLastError();
    return LS_FAIL(LS_SYSTEM, "%s: %s (%s)", what, cudaGetErrorString(error), cudaGetErrorName(error));
}

// ---- memory

static size_t rounded(size_t bytes) {
    return (bytes + LS_DEVICE_ALIGN - 1) / LS_DEVICE_ALIGN * LS_DEVICE_ALIGN;
}

static ls_status no_memory(const struct ls_cuda_device *cuda, size_t bytes, cudaError_t error) {
    size_t available = 0, total = 0;
    char wanted[32], there[32];
    (void)cudaGetLastError();
    if (cudaMemGetInfo(&available, &total) != cudaSuccess) (void)cudaGetLastError();
    return LS_FAIL(LS_SYSTEM, "%s: %s for %s; %s are free", cuda->base.name, cudaGetErrorString(error),
                   ls_format_bytes(wanted, (double)bytes), ls_format_bytes(there, (double)available));
}

// Waits: streams of ours do not wait for the default one, which does this.
static ls_status clear(void *memory, size_t bytes) {
    LS_CUDA("clearing device memory", cudaMemset(memory, 0, bytes));
    return ls_cuda_check(cudaDeviceSynchronize(), "clearing device memory");
}

static ls_status allocate(struct ls_cuda_device *cuda, size_t bytes, void **memory) {
    cudaError_t error = cudaSetDevice(cuda->gpu);
    if (error == cudaSuccess) error = cudaMalloc(memory, bytes);
    if (error != cudaSuccess) {
        *memory = NULL;
        return no_memory(cuda, bytes, error);
    }
    return LS_OK;
}

static void cuda_free_now(void *memory) {
    if (memory && cudaFree(memory) != cudaSuccess) (void)cudaGetLastError();
}

static ls_status cuda_reserve(struct ls_device *device, size_t bytes) {
    struct ls_cuda_device *cuda = ls_cuda_device_of(device);
    if (cuda->in_use > 0)
        return LS_FAIL(LS_SYSTEM, "device memory was reserved a second time while %d allocations are in use",
                       cuda->in_use);
    cuda_free_now(cuda->reserved);
    cuda->reserved = NULL;
    cuda->reserved_bytes = cuda->carved = 0;
    void *memory = NULL;
    // A little more, so that what has no bytes lies inside too, wherever it lies.
    LS_TRY(allocate(cuda, rounded(bytes) + LS_DEVICE_ALIGN, &memory));
    cuda->reserved = memory;
    cuda->reserved_bytes = rounded(bytes);
    return LS_OK;
}

static ls_status carve(struct ls_cuda_device *cuda, size_t bytes, void **memory) {
    if (bytes > cuda->reserved_bytes - cuda->carved)
        return LS_FAIL(LS_SYSTEM,
                       "%zu bytes of device memory were planned, %zu are in use, %zu more are asked for",
                       cuda->reserved_bytes, cuda->carved, bytes);
    *memory = cuda->reserved + cuda->carved;
    cuda->carved += bytes;
    cuda->in_use++;
    return LS_OK;
}

static ls_status cuda_alloc(struct ls_device *device, size_t bytes, void **memory) {
    struct ls_cuda_device *cuda = ls_cuda_device_of(device);
    bytes = rounded(bytes);
    *memory = NULL;
    LS_TRY(cuda->reserved ? carve(cuda, bytes, memory)
                          : allocate(cuda, bytes ? bytes : LS_DEVICE_ALIGN, memory));
    return bytes > 0 ? clear(*memory, bytes) : LS_OK;
}

static void cuda_free(struct ls_device *device, void *memory) {
    struct ls_cuda_device *cuda = ls_cuda_device_of(device);
    const char *at = memory;
    const bool carved = cuda->reserved && at >= cuda->reserved && at <= cuda->reserved + cuda->reserved_bytes;
    if (!carved)
        cuda_free_now(memory);
    else if (--cuda->in_use == 0)
        cuda->carved = 0;
}

static ls_status cuda_alloc_host(struct ls_device *device, size_t bytes, void **memory) {
    char text[32];
    cudaError_t error = cudaSetDevice(ls_cuda_device_of(device)->gpu);
    if (error == cudaSuccess) error = cudaHostAlloc(memory, bytes ? bytes : 1, cudaHostAllocPortable);
    if (error != cudaSuccess) {
        *memory = NULL;
        (void)cudaGetLastError();
        return LS_FAIL(LS_SYSTEM, "%s for %s of pinned host memory", cudaGetErrorString(error),
                       ls_format_bytes(text, (double)bytes));
    }
    memset(*memory, 0, bytes);
    return LS_OK;
}

static void cuda_free_host(struct ls_device *device, void *memory) {
    (void)device;
    if (memory && cudaFreeHost(memory) != cudaSuccess) (void)cudaGetLastError();
}

// ---- enqueued work

static void cuda_copy(struct ls_queue *queue, void *to, const void *from, size_t bytes) {
    if (bytes == 0 || !ls_cuda_sound(queue)) return;
    cudaError_t error = cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, ls_cuda_stream(queue));
    ls_cuda_note(queue, ls_cuda_check(error, "a copy"));
}

static void cuda_zero(struct ls_queue *queue, void *memory, size_t bytes) {
    if (bytes == 0 || !ls_cuda_sound(queue)) return;
    cudaError_t error = cudaMemsetAsync(memory, 0, bytes, ls_cuda_stream(queue));
    ls_cuda_note(queue, ls_cuda_check(error, "clearing memory"));
}

static void cuda_add(struct ls_queue *queue, float *to, const float *a, const float *b, size_t n) {
    if (n > 0 && ls_cuda_sound(queue)) ls_cuda_note(queue, ls_cuda_add(to, a, b, n, ls_cuda_stream(queue)));
}

static void cuda_square_sums(struct ls_queue *queue, const float *data, size_t n, size_t begin, size_t end,
                             double *sums) {
    if (begin < end && ls_cuda_sound(queue))
        ls_cuda_note(queue, ls_cuda_square_sums(data, n, begin, end, sums, ls_cuda_stream(queue)));
}

static void cuda_fingerprint(struct ls_queue *queue, const float *data, size_t n, uint64_t *mark) {
    if (ls_cuda_sound(queue)) ls_cuda_note(queue, ls_cuda_fingerprint(data, n, mark, ls_cuda_stream(queue)));
}

static void cuda_decide(struct ls_queue *queue, const struct ls_decide *decide) {
    if (ls_cuda_sound(queue)) ls_cuda_note(queue, ls_cuda_decide(decide, ls_cuda_stream(queue)));
}

static void cuda_update(struct ls_queue *queue, const struct ls_update *update) {
    if (update->begin < update->end && ls_cuda_sound(queue))
        ls_cuda_note(queue, ls_cuda_update(update, ls_cuda_stream(queue)));
}

static void cuda_update_norms(struct ls_queue *queue, const struct ls_update *update, size_t begin,
                              size_t end) {
    if (begin < end && ls_cuda_sound(queue))
        ls_cuda_note(queue, ls_cuda_update_norms(update, begin, end, ls_cuda_stream(queue)));
}

static void cuda_update_ratios(struct ls_queue *queue, const struct ls_update *update) {
    if (update->n_ranges > 0 && ls_cuda_sound(queue))
        ls_cuda_note(queue, ls_cuda_update_ratios(update, ls_cuda_stream(queue)));
}

static void cuda_update_states(struct ls_queue *queue, const struct ls_update_states *update) {
    if (update->n_states > 0 && ls_cuda_sound(queue))
        ls_cuda_note(queue, ls_cuda_update_states(update, ls_cuda_stream(queue)));
}

static void cuda_average(struct ls_queue *queue, const struct ls_average *average) {
    if (average->n > 0 && ls_cuda_sound(queue))
        ls_cuda_note(queue, ls_cuda_average(average, ls_cuda_stream(queue)));
}

// ---- opening and closing

static void cuda_close(struct ls_device *device) {
    if (!device) return;
    struct ls_cuda_device *cuda = ls_cuda_device_of(device);
    cuda_free_now(cuda->reserved);
    ls_lib_close(cuda->lib);
    free(cuda);
}

static const struct ls_device_api api = {
    .kind = "cuda",
    .close = cuda_close,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .reserve = cuda_reserve,
    .alloc_host = cuda_alloc_host,
    .free_host = cuda_free_host,
    .queue_open = ls_cuda_queue_open,
    .queue_close = ls_cuda_queue_close,
    .native = ls_cuda_native,
    .event_open = ls_cuda_event_open,
    .event_close = ls_cuda_event_close,
    .record = ls_cuda_record,
    .wait = ls_cuda_wait,
    .sync = ls_cuda_sync,
    .await = ls_cuda_await,
    .range_begin = ls_cuda_range_begin,
    .range_end = ls_cuda_range_end,
    .copy = cuda_copy,
    .zero = cuda_zero,
    .add = cuda_add,
    .call = ls_cuda_host_call,
    .square_sums = cuda_square_sums,
    .fingerprint = cuda_fingerprint,
    .decide = cuda_decide,
    .update_norms = cuda_update_norms,
    .update_ratios = cuda_update_ratios,
    .update = cuda_update,
    .update_states = cuda_update_states,
    .average = cuda_average,
    .node_workspace = ls_cuda_node_workspace,
    .load = ls_cuda_load,
    .unload = ls_cuda_unload,
    .convert = ls_cuda_convert,
    .run = ls_cuda_run,
};

enum { LEAST_MAJOR = 7, LEAST_MINOR = 5 };

// Of another architecture than those that were asked for when this was built, and older than the newest of
// them: or the driver is too old to translate that one's code.
static ls_status check_code(const struct ls_cuda_device *cuda, const struct cudaDeviceProp *gpu) {
    const cudaError_t error = ls_cuda_find_code();
    if (error == cudaSuccess) return LS_OK;
    (void)cudaGetLastError();
    if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction ||
        error == cudaErrorUnsupportedPtxVersion)
        return LS_FAIL(
            LS_INPUT,
            "GPU %d (%s) has compute capability %d.%d, for which this build of Lockstep has no code "
            "(%s): build it with -DLOCKSTEP_CUDA_ARCHITECTURES=%d%d",
            cuda->gpu, gpu->name, gpu->major, gpu->minor, cudaGetErrorString(error), gpu->major, gpu->minor);
    return ls_cuda_check(error, "the code for a GPU");
}

static ls_status describe(struct ls_cuda_device *cuda) {
    struct cudaDeviceProp properties;
    LS_CUDA("the properties of a GPU", cudaGetDeviceProperties(&properties, cuda->gpu));
    const int major = properties.major, minor = properties.minor;
    if (major < LEAST_MAJOR || (major == LEAST_MAJOR && minor < LEAST_MINOR))
        return LS_FAIL(LS_INPUT, "GPU %d (%s) has compute capability %d.%d; Lockstep needs %d.%d", cuda->gpu,
                       properties.name, major, minor, LEAST_MAJOR, LEAST_MINOR);
    LS_TRY(check_code(cuda, &properties));
    // Tells NVIDIA's libraries whether they may use TF32, whatever the program says.
    const char *tf32 = getenv("NVIDIA_TF32_OVERRIDE");
    int runtime = 0;
    LS_CUDA("the version of the CUDA runtime", cudaRuntimeGetVersion(&runtime));
    snprintf(cuda->base.name, sizeof cuda->base.name, "GPU %d, %.96s", cuda->gpu, properties.name);
    // Libraries promise equal bits for equal numbers of multiprocessors; GPUs of one name may have different
    // ones.
    const int length =
        snprintf(cuda->base.fingerprint, sizeof cuda->base.fingerprint,
                 "cuda %.96s, compute capability %d.%d, %d multiprocessors; arithmetic %d; runtime %d.%d; "
                 "%s%s%.8s",
                 properties.name, major, minor, properties.multiProcessorCount, LS_ARITHMETIC, runtime / 1000,
                 runtime % 1000 / 10, ls_lib_versions(cuda->lib), tf32 ? "; NVIDIA_TF32_OVERRIDE=" : "",
                 tf32 ? tf32 : "");
    if (length < 0 || (size_t)length >= sizeof cuda->base.fingerprint)
        return LS_FAIL(LS_SYSTEM, "the description of the GPU has %d bytes, at most %zu fit", length,
                       sizeof cuda->base.fingerprint - 1);
    return LS_OK;
}

enum { LEFT_FREE = 32 }; // a 32nd

static ls_status open_gpu(struct ls_cuda_device *cuda, const struct ls_cuda_options *options) {
    // Makes its context, for which it may be too busy, or held by another process alone. A host that waits
    // sleeps: it is told of a step's end while the next one's work is there for the GPU, and the core that
    // CUDA would spin on is one that readers and other ranks want.
    cudaError_t error = cudaSetDevice(cuda->gpu);
    if (error == cudaSuccess) error = cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync);
    if (error != cudaSuccess) {
        (void)cudaGetLastError();
        return LS_FAIL(LS_INPUT, "GPU %d cannot be used: %s", cuda->gpu, cudaGetErrorString(error));
    }
    LS_TRY(ls_lib_open(cuda->gpu, options->tf32, &cuda->lib));
    LS_TRY(describe(cuda));
    // What is free now is what can be taken: contexts and handles are there already. A part is left for what
    // is yet to come: the code of kernels, which is loaded when they first run, captured graphs, buffers of
    // NCCL.
    size_t available = 0, total = 0;
    LS_CUDA("the free memory of a GPU", cudaMemGetInfo(&available, &total));
    cuda->base.memory_free = (int64_t)(available - available / LEFT_FREE);
    return LS_OK;
}

ls_status ls_cuda_open(const struct ls_cuda_options *options, struct ls_device **device) {
    struct ls_cuda_device *cuda = calloc(1, sizeof *cuda);
    if (!cuda) return LS_FAIL(LS_SYSTEM, "no memory for a device");
    cuda->base.api = &api;
    cuda->base.compute_queues = 1;
    cuda->base.memory_limit = options->memory;
    cuda->gpu = options->gpu;
    cuda->replay = !options->eager;
    ls_status status = open_gpu(cuda, options);
    if (status != LS_OK) {
        cuda_close(&cuda->base);
        return status;
    }
    *device = &cuda->base;
    return LS_OK;
}
