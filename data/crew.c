#include "data/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct ls_crew {
    pthread_mutex_t lock;
    pthread_cond_t start, end;
    uint64_t job; // counts jobs; a thread that has not done this one yet does
    bool stop;
    int busy; // threads at the job
    int64_t n;
    _Atomic(int64_t) next;
    void (*work)(void *context, int worker, int64_t item);
    void *context;
    int threads, running; // running: started, without the caller's
    struct member {
        struct ls_crew *crew;
        pthread_t thread;
        int worker;
    } * members;
};

static void work_on(struct ls_crew *crew, int worker) {
    for (int64_t item; (item = atomic_fetch_add(&crew->next, 1)) < crew->n;)
        crew->work(crew->context, worker, item);
}

static void *serve(void *argument) {
    struct member *member = argument;
    struct ls_crew *crew = member->crew;
    uint64_t done = 0;
    pthread_mutex_lock(&crew->lock);
    for (;;) {
        while (!crew->stop && crew->job == done) pthread_cond_wait(&crew->start, &crew->lock);
        if (crew->stop) break;
        done = crew->job;
        pthread_mutex_unlock(&crew->lock);
        work_on(crew, member->worker);
        pthread_mutex_lock(&crew->lock);
        if (--crew->busy == 0) pthread_cond_signal(&crew->end);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

void ls_crew_run(struct ls_crew *crew, int64_t n, void (*work)(void *context, int worker, int64_t item),
                 void *context) {
    pthread_mutex_lock(&crew->lock);
    crew->work = work;
    crew->context = context;
    crew->n = n;
    atomic_store(&crew->next, 0);
    crew->busy = crew->running;
    crew->job++;
    pthread_cond_broadcast(&crew->start);
    pthread_mutex_unlock(&crew->lock);
    work_on(crew, 0);
    pthread_mutex_lock(&crew->lock);
    while (crew->busy) pthread_cond_wait(&crew->end, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}

void ls_crew_close(struct ls_crew *crew) {
    if (!crew) return;
    pthread_mutex_lock(&crew->lock);
    crew->stop = true;
    pthread_cond_broadcast(&crew->start);
    pthread_mutex_unlock(&crew->lock);
    for (int i = 0; i < crew->running; i++) pthread_join(crew->members[i].thread, NULL);
    pthread_mutex_destroy(&crew->lock);
    pthread_cond_destroy(&crew->start);
    pthread_cond_destroy(&crew->end);
    free(crew->members);
    free(crew);
}

// The threads take no signals: those are for the thread that began.
static ls_status start(struct ls_crew *crew) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    for (int i = 0; i < crew->threads - 1 && !error; i++) {
        crew->members[i] = (struct member){.crew = crew, .worker = i + 1};
        error = pthread_create(&crew->members[i].thread, NULL, serve, &crew->members[i]);
        if (!error) crew->running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? LS_FAIL(LS_SYSTEM, "cannot start a thread: %s", strerror(error)) : LS_OK;
}

ls_status ls_crew_open(int threads, struct ls_crew **result) {
    *result = NULL;
    struct ls_crew *crew = calloc(1, sizeof *crew);
    if (crew) crew->members = calloc((size_t)threads, sizeof *crew->members);
    if (!crew || !crew->members) {
        free(crew);
        return LS_FAIL(LS_SYSTEM, "out of memory for %d threads", threads);
    }
    crew->threads = threads;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->start, NULL);
    pthread_cond_init(&crew->end, NULL);
    ls_status status = start(crew);
    if (status != LS_OK) {
        ls_crew_close(crew);
        return status;
    }
    *result = crew;
    return LS_OK;
}
