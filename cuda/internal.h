// What device.c, queue.c and program.c share.
#pragma once

#include "cuda/cuda.h"
#include "device/device.h"

#include <cuda_runtime.h>

struct ls_lib;

struct ls_cuda_device {
    struct ls_device base; // first: a struct ls_device of this kind is one of these
    int gpu;
    struct ls_lib *lib;
    bool replay; // segments are captured into graphs
    // The reservation: allocations are carved from its front, and it is whole again once all are given back.
    char *reserved;
    size_t reserved_bytes, carved;
    int in_use; // allocations in it
};

static inline struct ls_cuda_device *ls_cuda_device_of(const struct ls_device *device) {
    return (struct ls_cuda_device *)device;
}

ls_status ls_cuda_open(const struct ls_cuda_options *options, struct ls_device **device);

// LS_OK, or LS_SYSTEM with `what` and the runtime's own words. The runtime forgets the error.
ls_status ls_cuda_check(cudaError_t error, const char *what);
#define LS_CUDA(what, call) LS_TRY(ls_cuda_check((call), (what)))

// ---- queue.c
ls_status ls_cuda_queue_open(struct ls_device *device, const char *name, struct ls_queue **queue);
void ls_cuda_queue_close(struct ls_queue *queue);
void *ls_cuda_native(struct ls_queue *queue);
ls_status ls_cuda_event_open(struct ls_device *device, bool awaited, struct ls_event **event);
void ls_cuda_event_close(struct ls_event *event);
void ls_cuda_record(struct ls_queue *queue, struct ls_event *event);
void ls_cuda_wait(struct ls_queue *queue, struct ls_event *event);
ls_status ls_cuda_sync(struct ls_queue *queue);
ls_status ls_cuda_await(struct ls_queue *queue, struct ls_event *event);
void ls_cuda_host_call(struct ls_queue *queue, ls_status (*function)(void *argument), const void *argument,
                       size_t bytes);

cudaStream_t ls_cuda_stream(const struct ls_queue *queue);
// May more be enqueued? Not after an error: what would follow passes.
bool ls_cuda_sound(const struct ls_queue *queue);
// What was enqueued with this status: an error, which the calling thread has recorded, becomes the queue's,
// if it is its first.
void ls_cuda_note(struct ls_queue *queue, ls_status status);

// ---- program.c
ls_status ls_cuda_node_workspace(const struct ls_device *device, const struct ls_graph *graph,
                                 const struct ls_node *node, size_t *workspace);
ls_status ls_cuda_load(struct ls_device *device, const struct ls_plan *plan, struct ls_queue *const *queues,
                       int n_queues, struct ls_program **program);
void ls_cuda_unload(struct ls_program *program);
void ls_cuda_convert(struct ls_queue *queue, struct ls_program *program, int part, int parts,
                     const struct ls_lane *lane);
void ls_cuda_run(struct ls_queue *queue, struct ls_program *program, int segment, const struct ls_lane *lane);
