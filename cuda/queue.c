// Queues are streams, events are events. The runtime forgets no error of its own, and knows none of a host
// call: so a queue keeps its first error, from wherever it came.
#include "cuda/internal.h"

#include "base/pulse.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 1024 }; // that may wait on a queue

struct call {
    struct ls_queue *queue;
    ls_status (*function)(void *argument);
    alignas(16) unsigned char argument[LS_CALL_BYTES];
};

struct ls_queue {
    struct ls_cuda_device *cuda;
    cudaStream_t stream;
    char name[16];
    // The error is written once, by the host or by a host call, and read after `failed` says so.
    pthread_mutex_t lock;
    atomic_bool failed;
    struct ls_error error;
    // Host calls, in the order of the stream: [done, issued) wait or run.
    uint64_t issued;
    _Atomic uint64_t done;
    struct call calls[CALLS];
};

struct ls_event {
    cudaEvent_t event;
    const struct ls_queue *recorded_on; // NULL: never recorded
};

// ---- queues

cudaStream_t ls_cuda_stream(const struct ls_queue *queue) {
    return queue->stream;
}

void *ls_cuda_native(struct ls_queue *queue) {
    return queue->stream;
}

bool ls_cuda_sound(const struct ls_queue *queue) {
    return !atomic_load_explicit(&queue->failed, memory_order_acquire);
}

void ls_cuda_note(struct ls_queue *queue, ls_status status) {
    if (status == LS_OK) return;
    pthread_mutex_lock(&queue->lock);
    if (!queue->failed) {
        queue->error = *ls_error_last();
        queue->error.status = status;
        if (queue->error.text[0] == 0)
            snprintf(queue->error.text, sizeof queue->error.text,
                     "a task of queue \"%s\" failed without saying why", queue->name);
        atomic_store_explicit(&queue->failed, true, memory_order_release);
    }
    pthread_mutex_unlock(&queue->lock);
}

// Lanes give way to what other ranks and the next lane wait for.
static ls_status open_stream(struct ls_queue *queue) {
    int least = 0, greatest = 0;
    LS_CUDA("opening a stream", cudaSetDevice(queue->cuda->gpu));
    LS_CUDA("opening a stream", cudaDeviceGetStreamPriorityRange(&least, &greatest));
    const bool lane = strncmp(queue->name, "lane", 4) == 0;
    return ls_cuda_check(
        cudaStreamCreateWithPriority(&queue->stream, cudaStreamNonBlocking, lane ? least : greatest),
        "opening a stream");
}

ls_status ls_cuda_queue_open(struct ls_device *device, const char *name, struct ls_queue **out) {
    struct ls_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return LS_FAIL(LS_SYSTEM, "queue \"%s\": no memory for %zu bytes", name, sizeof *queue);
    queue->cuda = ls_cuda_device_of(device);
    snprintf(queue->name, sizeof queue->name, "%.15s", name);
    pthread_mutex_init(&queue->lock, NULL);
    ls_status status = open_stream(queue);
    if (status != LS_OK) {
        ls_cuda_queue_close(queue);
        return status;
    }
    *out = queue;
    return LS_OK;
}

// Host calls that are still to run lead into the queue: it goes after them.
void ls_cuda_queue_close(struct ls_queue *queue) {
    if (!queue) return;
    if (queue->stream) {
        if (cudaStreamSynchronize(queue->stream) != cudaSuccess) (void)cudaGetLastError();
        if (cudaStreamDestroy(queue->stream) != cudaSuccess) (void)cudaGetLastError();
    }
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

// The host has waited, with this result.
static ls_status state_after(struct ls_queue *queue, cudaError_t error) {
    char what[96];
    snprintf(what, sizeof what, "%.60s, queue \"%s\"", queue->cuda->base.name, queue->name);
    ls_cuda_note(queue, ls_cuda_check(error, what));
    ls_pulse_tick();
    return ls_cuda_sound(queue) ? LS_OK : ls_error_adopt(&queue->error);
}

ls_status ls_cuda_sync(struct ls_queue *queue) {
    return state_after(queue, cudaStreamSynchronize(queue->stream));
}

// ---- events

// A host that waits sleeps, as in device.c; events that only streams wait for are quicker without that.
ls_status ls_cuda_event_open(struct ls_device *device, bool awaited, struct ls_event **out) {
    const unsigned flags = cudaEventDisableTiming | (awaited ? (unsigned)cudaEventBlockingSync : 0);
    struct ls_event *event = calloc(1, sizeof *event);
    if (!event) return LS_FAIL(LS_SYSTEM, "no memory for an event");
    cudaError_t error = cudaSetDevice(ls_cuda_device_of(device)->gpu);
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&event->event, flags);
    if (error != cudaSuccess) {
        free(event);
        return ls_cuda_check(error, "making an event");
    }
    *out = event;
    return LS_OK;
}

void ls_cuda_event_close(struct ls_event *event) {
    if (!event) return;
    if (cudaEventDestroy(event->event) != cudaSuccess) (void)cudaGetLastError();
    free(event);
}

void ls_cuda_record(struct ls_queue *queue, struct ls_event *event) {
    event->recorded_on = queue;
    ls_cuda_note(queue, ls_cuda_check(cudaEventRecord(event->event, queue->stream), "recording an event"));
}

// Within a queue the order is there already.
void ls_cuda_wait(struct ls_queue *queue, struct ls_event *event) {
    if (!event->recorded_on || event->recorded_on == queue) return;
    ls_cuda_note(queue,
                 ls_cuda_check(cudaStreamWaitEvent(queue->stream, event->event, 0), "waiting for an event"));
}

ls_status ls_cuda_await(struct ls_queue *queue, struct ls_event *event) {
    return state_after(queue, event->recorded_on ? cudaEventSynchronize(event->event) : cudaSuccess);
}

// ---- host calls

// On a thread of the runtime.
static void CUDART_CB run_call(void *argument) {
    struct call *call = argument;
    struct ls_queue *queue = call->queue;
    if (ls_cuda_sound(queue)) {
        ls_error_clear();
        ls_cuda_note(queue, call->function(call->argument));
    }
    ls_pulse_tick();
    atomic_fetch_add_explicit(&queue->done, 1, memory_order_release);
}

static ls_status call_too_big(void *argument) {
    size_t bytes;
    memcpy(&bytes, argument, sizeof bytes);
    return LS_FAIL(LS_SYSTEM, "the argument of a call has %zu bytes, at most %d fit", bytes, LS_CALL_BYTES);
}

void ls_cuda_host_call(struct ls_queue *queue, ls_status (*function)(void *argument), const void *argument,
                       size_t bytes) {
    const bool full = queue->issued - atomic_load_explicit(&queue->done, memory_order_acquire) >= CALLS;
    if (full)
        ls_cuda_note(queue, ls_cuda_check(cudaStreamSynchronize(queue->stream), "waiting for host calls"));
    if (!ls_cuda_sound(queue)) return;
    struct call *call = &queue->calls[queue->issued % CALLS];
    call->queue = queue;
    call->function = bytes > LS_CALL_BYTES ? call_too_big : function;
    if (bytes > LS_CALL_BYTES)
        memcpy(call->argument, &bytes, sizeof bytes);
    else if (bytes > 0)
        memcpy(call->argument, argument, bytes);
    ls_status status = ls_cuda_check(cudaLaunchHostFunc(queue->stream, run_call, call), "a host call");
    if (status == LS_OK) queue->issued++;
    ls_cuda_note(queue, status);
}
