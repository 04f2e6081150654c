#define _GNU_SOURCE // pthread_setname_np
#include "cpu/queue.h"

#include "cpu/floats.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

// Many ranks may share few cores: look a few times, giving way each time, then sleep.
enum { LOOKS_BEFORE_SLEEP = 32 };

struct task {
    ls_task_function function;
    bool even_after_error;
    alignas(16) unsigned char argument[LS_TASK_BYTES];
};

struct ls_queue {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled, advanced; // `enqueued` or `closing` changed; `done` changed
    uint64_t awaited; // the least `done` that a sleeping thread waits for; UINT64_MAX: none sleeps
    bool closing, closed;
    _Atomic uint64_t enqueued, done; // change under the lock; read without it by those who only look
    struct ls_error error;           // the first; written by the queue's thread before `done` passes the task
    atomic_bool failed;              // … and before this says so, to those who look while the queue goes on
    const struct ls_cpu_device *owner;
    struct ls_queue *next;
    char name[16];
    struct task ring[LS_QUEUE_TASKS];
};

struct ls_event {
    pthread_mutex_t lock;
    struct ls_queue *queue; // NULL: never recorded
    uint64_t position;      // reached when queue->done is at least this
};

struct wait_argument {
    struct ls_queue *queue;
    uint64_t position;
};

static void run_task(struct ls_queue *queue, struct task *task) {
    if (queue->error.status != LS_OK && !task->even_after_error) return;
    ls_error_clear();
    ls_status status = task->function(task->argument);
    if (status == LS_OK || queue->error.status != LS_OK) return;
    queue->error = *ls_error_last();
    queue->error.status = status;
    if (queue->error.text[0] == 0) {
        (void)LS_FAIL(status, "a task of queue \"%s\" failed without saying why", queue->name);
        queue->error = *ls_error_last();
    }
    atomic_store_explicit(&queue->failed, true, memory_order_release);
}

// Blocks until there is a task, or the queue is closing and empty (false).
static bool next_task(struct ls_queue *queue) {
    uint64_t done = atomic_load_explicit(&queue->done, memory_order_relaxed);
    for (int look = 0; look < LOOKS_BEFORE_SLEEP; look++) {
        if (atomic_load_explicit(&queue->enqueued, memory_order_acquire) != done) return true;
        sched_yield();
    }
    pthread_mutex_lock(&queue->lock);
    while (queue->enqueued == done && !queue->closing) pthread_cond_wait(&queue->filled, &queue->lock);
    bool more = queue->enqueued != done;
    pthread_mutex_unlock(&queue->lock);
    return more;
}

// With the lock held. Those who wait for more say so again: to wake them for each task would cost it more
// than many tasks take.
static void wake_sleepers(struct ls_queue *queue) {
    queue->awaited = UINT64_MAX;
    pthread_cond_broadcast(&queue->advanced);
}

static void *run_queue(void *argument) {
    struct ls_queue *queue = argument;
    ls_float_mode_flush();
#ifdef _OPENMP
    omp_set_num_threads(1); // a lane is one thread, also inside libraries
#endif
    while (next_task(queue)) {
        uint64_t done = atomic_load_explicit(&queue->done, memory_order_relaxed);
        run_task(queue, &queue->ring[done % LS_QUEUE_TASKS]);
        pthread_mutex_lock(&queue->lock);
        atomic_store_explicit(&queue->done, done + 1, memory_order_release);
        if (done + 1 >= queue->awaited) wake_sleepers(queue);
        pthread_mutex_unlock(&queue->lock);
    }
    return NULL;
}

// Waits, with the lock held, until `position` tasks are done.
static void sleep_until(struct ls_queue *queue, uint64_t position) {
    while (queue->done < position) {
        if (position < queue->awaited) queue->awaited = position;
        pthread_cond_wait(&queue->advanced, &queue->lock);
    }
}

static void wait_until(struct ls_queue *queue, uint64_t position) {
    for (int look = 0; look < LOOKS_BEFORE_SLEEP; look++) {
        if (atomic_load_explicit(&queue->done, memory_order_acquire) >= position) return;
        sched_yield();
    }
    pthread_mutex_lock(&queue->lock);
    sleep_until(queue, position);
    pthread_mutex_unlock(&queue->lock);
}

static void enqueue(struct ls_queue *queue, ls_task_function function, bool even_after_error,
                    const void *argument, size_t bytes) {
    pthread_mutex_lock(&queue->lock);
    // Another thread may take the free place while this one sleeps, hence the loop.
    while (queue->enqueued - queue->done >= LS_QUEUE_TASKS)
        sleep_until(queue, queue->enqueued - LS_QUEUE_TASKS + 1);
    struct task *task = &queue->ring[queue->enqueued % LS_QUEUE_TASKS];
    task->function = function;
    task->even_after_error = even_after_error;
    if (bytes > 0) memcpy(task->argument, argument, bytes);
    atomic_fetch_add_explicit(&queue->enqueued, 1, memory_order_release);
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

static ls_status fail_too_big(void *argument) {
    size_t bytes;
    memcpy(&bytes, argument, sizeof bytes);
    return LS_FAIL(LS_SYSTEM, "a task's argument has %zu bytes, at most %d fit", bytes, LS_TASK_BYTES);
}

void ls_queue_enqueue(struct ls_queue *queue, ls_task_function function, const void *argument, size_t bytes) {
    if (bytes > LS_TASK_BYTES)
        enqueue(queue, fail_too_big, false, &bytes, sizeof bytes);
    else
        enqueue(queue, function, false, argument, bytes);
}

ls_status ls_queue_sync(struct ls_queue *queue) {
    wait_until(queue, atomic_load_explicit(&queue->enqueued, memory_order_acquire));
    return queue->error.status == LS_OK ? LS_OK : ls_error_adopt(&queue->error);
}

static int start_thread(struct ls_queue *queue) {
    // Signals are for the thread that runs main.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&queue->thread, NULL, run_queue, queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed) pthread_setname_np(queue->thread, queue->name);
    return failed;
}

ls_status ls_queue_start(const char *name, struct ls_queue **queue_out) {
    struct ls_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return LS_FAIL(LS_SYSTEM, "queue \"%s\": no memory for %zu bytes", name, sizeof *queue);
    size_t length = strnlen(name, sizeof queue->name - 1);
    memcpy(queue->name, name, length);
    queue->awaited = UINT64_MAX;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
    pthread_cond_init(&queue->advanced, NULL);
    int failed = start_thread(queue);
    if (failed) {
        queue->closed = true;
        ls_queue_free(queue);
        return LS_FAIL(LS_SYSTEM, "queue \"%s\": cannot start a thread: %s", name, strerror(failed));
    }
    *queue_out = queue;
    return LS_OK;
}

void ls_queue_close(struct ls_queue *queue) {
    if (!queue || queue->closed) return;
    pthread_mutex_lock(&queue->lock);
    queue->closing = true;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
    pthread_join(queue->thread, NULL);
    queue->closed = true;
}

void ls_queue_free(struct ls_queue *queue) {
    if (!queue) return;
    ls_queue_close(queue);
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->filled);
    pthread_cond_destroy(&queue->advanced);
    free(queue);
}

void ls_queue_set_owner(struct ls_queue *queue, const struct ls_cpu_device *owner) {
    queue->owner = owner;
}

const struct ls_cpu_device *ls_queue_owner(const struct ls_queue *queue) {
    return queue->owner;
}

struct ls_queue *ls_queue_next(const struct ls_queue *queue) {
    return queue->next;
}

void ls_queue_set_next(struct ls_queue *queue, struct ls_queue *next) {
    queue->next = next;
}

ls_status ls_event_make(struct ls_event **event) {
    *event = calloc(1, sizeof **event);
    if (!*event) return LS_FAIL(LS_SYSTEM, "no memory for an event");
    pthread_mutex_init(&(*event)->lock, NULL);
    return LS_OK;
}

void ls_event_free(struct ls_event *event) {
    if (!event) return;
    pthread_mutex_destroy(&event->lock);
    free(event);
}

void ls_event_record(struct ls_queue *queue, struct ls_event *event) {
    pthread_mutex_lock(&event->lock);
    event->queue = queue;
    event->position = atomic_load_explicit(&queue->enqueued, memory_order_acquire);
    pthread_mutex_unlock(&event->lock);
}

static ls_status wait_task(void *argument) {
    const struct wait_argument *wait = argument;
    wait_until(wait->queue, wait->position);
    return LS_OK;
}

static struct wait_argument last_record(struct ls_event *event) {
    pthread_mutex_lock(&event->lock);
    const struct wait_argument record = {event->queue, event->position};
    pthread_mutex_unlock(&event->lock);
    return record;
}

void ls_event_wait(struct ls_queue *queue, struct ls_event *event) {
    const struct wait_argument wait = last_record(event);
    // A queue that has failed still waits: what others read or write must not be touched before its time.
    if (wait.queue && wait.queue != queue) enqueue(queue, wait_task, true, &wait, sizeof wait);
}

ls_status ls_event_await(struct ls_queue *queue, struct ls_event *event) {
    const struct wait_argument wait = last_record(event);
    if (wait.queue) wait_until(wait.queue, wait.position);
    const bool failed = atomic_load_explicit(&queue->failed, memory_order_acquire);
    return failed ? ls_error_adopt(&queue->error) : LS_OK;
}
