// A device whose queues keep what they are given until someone runs it, one task at a time: so a test can
// play many ranks in one thread and choose who goes next. Only what comm/ uses: memory, add, host calls.
#pragma once

#include "comm/transport.h"
#include "device/device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct task {
    enum { TASK_ADD, TASK_CALL, TASK_EXCHANGE } kind;
    float *to;
    const float *a, *b;
    size_t n;
    ls_status (*function)(void *argument);
    _Alignas(max_align_t) char argument[LS_CALL_BYTES];
    // TASK_EXCHANGE: `a` of n floats goes to peer_to, `to` takes n_receive floats from peer_from.
    int peer_to, peer_from;
    size_t n_receive;
    bool offered, taken, received; // offered: the peer may take `a`
};

struct ls_queue {
    struct task *tasks;
    int n, capacity, done;
};

static inline struct task *queue_task(struct ls_queue *queue) {
    if (queue->n == queue->capacity) {
        queue->capacity = queue->capacity ? 2 * queue->capacity : 64;
        queue->tasks = realloc(queue->tasks, sizeof *queue->tasks * (size_t)queue->capacity);
        if (!queue->tasks) abort();
    }
    struct task *task = &queue->tasks[queue->n++];
    memset(task, 0, sizeof *task);
    return task;
}

static inline void rehearsal_add(struct ls_queue *queue, float *to, const float *a, const float *b,
                                 size_t n) {
    struct task *task = queue_task(queue);
    task->kind = TASK_ADD;
    task->to = to, task->a = a, task->b = b, task->n = n;
}

static inline void rehearsal_call(struct ls_queue *queue, ls_status (*function)(void *argument),
                                  const void *argument, size_t bytes) {
    struct task *task = queue_task(queue);
    if (bytes > LS_CALL_BYTES) abort();
    task->kind = TASK_CALL;
    task->function = function;
    memcpy(task->argument, argument, bytes);
}

// Poisoned, not zeroed: nothing may count on zeros.
static inline ls_status rehearsal_alloc(struct ls_device *device, size_t bytes, void **memory) {
    (void)device;
    *memory = malloc(bytes);
    if (!*memory) return LS_FAIL(LS_SYSTEM, "out of memory");
    memset(*memory, 0x55, bytes);
    return LS_OK;
}

static inline void rehearsal_free(struct ls_device *device, void *memory) {
    (void)device;
    free(memory);
}

static inline struct ls_device *rehearsal_device(void) {
    static const struct ls_device_api api = {.kind = "rehearsal",
                                             .alloc = rehearsal_alloc,
                                             .free = rehearsal_free,
                                             .add = rehearsal_add,
                                             .call = rehearsal_call};
    static struct ls_device device = {.api = &api, .compute_queues = 1, .host_memory = true};
    return &device;
}

// Runs an add or a call.
static inline ls_status run_task(struct task *task) {
    if (task->kind == TASK_CALL) return task->function(task->argument);
    // Of two NaNs the left one stays, whatever the compiler makes of an addition.
    for (size_t i = 0; i < task->n; i++)
        task->to[i] = isnan(task->a[i]) ? task->a[i] : task->a[i] + task->b[i];
    return LS_OK;
}

static inline void queue_clear(struct ls_queue *queue) {
    free(queue->tasks);
    *queue = (struct ls_queue){0};
}

// Runs all that was enqueued, as long as nothing fails.
static inline ls_status queue_run(struct ls_queue *queue) {
    ls_status status = LS_OK;
    for (; status == LS_OK && queue->done < queue->n; queue->done++)
        status = run_task(&queue->tasks[queue->done]);
    queue_clear(queue);
    return status;
}
