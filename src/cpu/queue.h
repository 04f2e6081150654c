// A queue: one thread and a fixed ring of tasks. An event is a place in a queue: nothing runs when it is
// recorded, and waiting for it is waiting until that queue has come so far.
//
//      done                     enqueued
//        v                         v
//   … x x [running] [task] [task] ( ) ( ) …      position p lies in ring[p % LS_QUEUE_TASKS]
#pragma once

#include "device/device.h"

enum { LS_QUEUE_TASKS = 256, LS_TASK_BYTES = 168 };

typedef ls_status (*ls_task_function)(void *argument);

// The thread starts here. The struct outlives ls_queue_close (a task of another queue may still look at it),
// until ls_queue_free.
ls_status ls_queue_start(const char *name, struct ls_queue **queue);
void ls_queue_close(struct ls_queue *queue); // runs what is there, then ends the thread
void ls_queue_free(struct ls_queue *queue);  // closes it first where that was not done

// Copies `bytes` of `argument` (at most LS_TASK_BYTES); waits while the ring is full. Any thread may enqueue.
// The function passes once an earlier one of the queue has failed.
void ls_queue_enqueue(struct ls_queue *queue, ls_task_function function, const void *argument, size_t bytes);
// Waits until the queue is empty, then returns its first error. The error stays for good: later tasks pass,
// later calls report it again.
ls_status ls_queue_sync(struct ls_queue *queue);

ls_status ls_event_make(struct ls_event **event);
void ls_event_free(struct ls_event *event);
void ls_event_record(struct ls_queue *queue, struct ls_event *event);
void ls_event_wait(struct ls_queue *queue, struct ls_event *event);
// The caller waits; then the queue's first error so far.
ls_status ls_event_await(struct ls_queue *queue, struct ls_event *event);

// What the queue belongs to, and a list of queues, for whoever owns them.
struct ls_cpu_device;
void ls_queue_set_owner(struct ls_queue *queue, const struct ls_cpu_device *owner);
const struct ls_cpu_device *ls_queue_owner(const struct ls_queue *queue);
struct ls_queue *ls_queue_next(const struct ls_queue *queue);
void ls_queue_set_next(struct ls_queue *queue, struct ls_queue *next);
