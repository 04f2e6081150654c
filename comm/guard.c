#include "comm/guard.h"

#include "base/clock.h"
#include "comm/comm.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double SLOW_START_S = 5; // beyond the timeout: MPI reads its settings, finds its networks …
static const double PERIOD_S = 0.25;
static const double SUSPENDED_S = 3; // the thread sleeps no longer than a period by its own will
static const double ALIKE_S = 2;     // more than what lies between the starts of two ranks of a host
static const double OTHERS_S = 4;    // for those who know more to speak first

struct ls_guard {
    double timeout;
    pid_t launcher;
    pthread_t thread;
    pthread_mutex_t lock; // of `closing`
    pthread_cond_t changed;
    bool closing;
};

// ---- the ranks of this host ----

static const char *const rank_names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
enum { RANK_NAMES = sizeof rank_names / sizeof *rank_names };

int ls_launched_rank(void) {
    for (int i = 0; i < RANK_NAMES; i++) {
        const char *rank = getenv(rank_names[i]);
        if (rank) return (int)strtol(rank, NULL, 10);
    }
    return -1;
}

// The same of another process; -1 too where its environment cannot be read.
static int rank_of(long process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/environ", process);
    FILE *file = fopen(path, "re");
    if (!file) return -1;
    int rank = -1;
    char *entry = NULL;
    size_t capacity = 0;
    while (rank < 0 && getdelim(&entry, &capacity, 0, file) > 0) {
        const size_t length = strcspn(entry, "=");
        for (int i = 0; i < RANK_NAMES; i++)
            if (strlen(rank_names[i]) == length && strncmp(entry, rank_names[i], length) == 0)
                rank = (int)strtol(entry + length + 1, NULL, 10);
    }
    free(entry);
    fclose(file);
    return rank;
}

// The state and the parent of a process, from "PID (NAME) STATE PARENT …"; 0: there is none.
static char state_of(long process, long *parent) {
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", process);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    const bool got = fgets(line, sizeof line, file);
    fclose(file);
    const char *name_ends = got ? strrchr(line, ')') : NULL;
    if (!name_ends || strlen(name_ends) < 4) return 0;
    *parent = strtol(name_ends + 3, NULL, 10);
    return name_ends[2];
}

struct siblings { // of one launcher
    int stopped;  // the lowest rank that is; -1: none
    int speaker;  // the lowest rank that is not
};

static struct siblings find_siblings(pid_t launcher) {
    struct siblings found = {-1, -1};
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    while (processes && (entry = readdir(processes))) {
        long parent = 0;
        const long process = strtol(entry->d_name, NULL, 10);
        const char state = process > 0 ? state_of(process, &parent) : 0;
        if (state == 0 || state == 'Z' || parent != (long)launcher) continue;
        const int rank = rank_of(process);
        int *lowest = state == 'T' || state == 't' ? &found.stopped : &found.speaker;
        if (rank >= 0 && (*lowest < 0 || rank < *lowest)) *lowest = rank;
    }
    if (processes) closedir(processes);
    return found;
}

// ---- the thread ----

// True: no more of it.
static bool wait_for_close(struct ls_guard *guard, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const double end = (double)until.tv_sec + (double)until.tv_nsec * 1e-9 + seconds;
    until.tv_sec = (time_t)end;
    until.tv_nsec = (long)((end - (double)until.tv_sec) * 1e9);
    pthread_mutex_lock(&guard->lock);
    while (!guard->closing && pthread_cond_timedwait(&guard->changed, &guard->lock, &until) != ETIMEDOUT) {
    }
    const bool closing = guard->closing;
    pthread_mutex_unlock(&guard->lock);
    return closing;
}

static void speak(int stopped, double seconds) {
    char host[128] = "?", line[320];
    gethostname(host, sizeof host - 1);
    const int length =
        stopped >= 0
            ? snprintf(line, sizeof line,
                       "lockstep: error: rank %d (host %s) is stopped while starting: MPI has not come up "
                       "for %.0f s\n",
                       stopped, host, seconds)
            : snprintf(line, sizeof line,
                       "lockstep: error: MPI has not come up for %.0f s (rank %d on host %s): a rank hangs, "
                       "or MPI's network does not connect the hosts\n",
                       seconds, ls_launched_rank(), host);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);
    (void)ignored;
}

// Whoever shares a host with a stopped rank knows most; on each host, one rank speaks. Which one is found out
// a while before: then none has ended yet.
static void end(struct ls_guard *guard, double seconds) {
    const struct siblings siblings = find_siblings(guard->launcher);
    if (wait_for_close(guard, ALIKE_S)) return;
    const bool knows = siblings.stopped >= 0 && siblings.speaker == ls_launched_rank();
    if (!knows && wait_for_close(guard, siblings.speaker == ls_launched_rank() ? OTHERS_S : 2 * OTHERS_S))
        return;
    speak(siblings.stopped, seconds);
    _exit(LS_COMM);
}

static void *look_after(void *argument) {
    struct ls_guard *guard = argument;
    double began = ls_now(), before = began;
    while (!wait_for_close(guard, PERIOD_S)) {
        const double now = ls_now(), limit = guard->timeout + SLOW_START_S;
        if (now - before > SUSPENDED_S) began = now; // all were, perhaps
        before = now;
        if (getppid() != guard->launcher) _exit(LS_COMM);
        if (now - began > limit - ALIKE_S) end(guard, limit);
    }
    return NULL;
}

ls_status ls_guard_open(double timeout, struct ls_guard **out) {
    struct ls_guard *guard = calloc(1, sizeof *guard);
    if (!guard) return LS_FAIL(LS_SYSTEM, "out of memory");
    guard->timeout = timeout;
    guard->launcher = getppid();
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&guard->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&guard->lock, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&guard->thread, NULL, look_after, guard);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(guard);
        return LS_FAIL(LS_SYSTEM, "no thread for the start of MPI: %s", strerror(failed));
    }
    *out = guard;
    return LS_OK;
}

void ls_guard_close(struct ls_guard *guard) {
    pthread_mutex_lock(&guard->lock);
    guard->closing = true;
    pthread_cond_signal(&guard->changed);
    pthread_mutex_unlock(&guard->lock);
    pthread_join(guard->thread, NULL);
    pthread_cond_destroy(&guard->changed);
    pthread_mutex_destroy(&guard->lock);
    free(guard);
}
