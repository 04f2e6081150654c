// Opening and closing the watchdog, and what the main thread tells it.
#include "comm/watchdog_parts.h"

#include "base/clock.h"
#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const double DEFAULT_TIMEOUT_S = 300;
static const double ANSWER_S = 10; // for the hub to end a process that told it of trouble

// Not one signal is for this thread.
static ls_status start_thread(struct ls_watchdog *dog) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&dog->thread, NULL, ls_watchdog_watch, dog);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? LS_FAIL(LS_SYSTEM, "no thread for the watchdog: %s", strerror(failed)) : LS_OK;
}

// Where everyone is. The deputy is on another host than the hub, if there is one: hosts are lost whole.
static ls_status learn_hosts(struct ls_watchdog *dog) {
    const int size = dog->comm->size;
    char mine[sizeof dog->ranks->host], (*all)[sizeof mine] = calloc((size_t)size, sizeof *all);
    if (!all) return LS_FAIL(LS_SYSTEM, "out of memory");
    snprintf(mine, sizeof mine, "%.*s", (int)sizeof mine - 1, dog->comm->host);
    ls_status status = ls_comm_gather_all(dog->comm, mine, all, sizeof mine);
    dog->deputy = size > 2 ? 1 : 0;
    for (int r = size - 1; r > 0; r--)
        if (size > 2 && strcmp(all[r], all[0]) != 0) dog->deputy = r;
    for (int r = 0; r < size; r++) memcpy(dog->ranks[r].host, all[r], sizeof mine);
    free(all);
    return status;
}

static ls_status meet_all(struct ls_watchdog *dog) {
    const int size = dog->comm->size;
    bool *met = calloc((size_t)size, sizeof *met);
    if (!met) return LS_FAIL(LS_SYSTEM, "out of memory");
    ls_status status = ls_meet(dog->comm, 0, 1, dog->wires, met);
    int unreached = -1;
    for (int r = 0; r < size; r++) {
        dog->ranks[r].reached = met[r];
        if (!met[r]) unreached = r;
    }
    if (status == LS_OK && dog->deputy > 0) status = ls_meet(dog->comm, dog->deputy, 1, dog->wires, met);
    for (int r = 0; r < size; r++) dog->ranks[r].heard = ls_now();
    free(met);
    if (status == LS_OK && unreached >= 0)
        ls_warn("no watchdog for rank %d on %s: it cannot reach rank 0 on %s over TCP; whether it lives only "
                "the launcher will notice",
                unreached, dog->ranks[unreached].host, dog->ranks[0].host);
    return status;
}

static void release(struct ls_watchdog *dog) {
    for (int r = 0; dog->wires && r < dog->comm->size; r++) ls_wire_close(&dog->wires[r]);
    if (dog->wake >= 0) close(dog->wake);
    pthread_mutex_destroy(&dog->lock);
    free(dog->wires);
    free(dog->ranks);
    free(dog->witnesses);
    free(dog->polled);
    free(dog);
}

static struct ls_watchdog *make(struct ls_comm *comm) {
    struct ls_watchdog *dog = calloc(1, sizeof *dog);
    if (!dog) return NULL;
    const size_t n = (size_t)comm->size;
    dog->comm = comm;
    dog->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    dog->launcher = getppid();
    dog->timeout = DEFAULT_TIMEOUT_S;
    dog->ticked = ls_now();
    pthread_mutex_init(&dog->lock, NULL);
    dog->wires = calloc(n, sizeof *dog->wires);
    dog->ranks = calloc(n, sizeof *dog->ranks);
    dog->witnesses = calloc(n, sizeof *dog->witnesses);
    dog->polled = calloc(n + 1, sizeof *dog->polled);
    for (size_t r = 0; dog->wires && r < n; r++) dog->wires[r].fd = -1;
    if (dog->wake >= 0 && dog->wires && dog->ranks && dog->witnesses && dog->polled) return dog;
    release(dog);
    return NULL;
}

ls_status ls_watchdog_open(struct ls_comm *comm, struct ls_watchdog **watchdog) {
    *watchdog = NULL;
    if (comm->size == 1) return LS_OK;
    struct ls_watchdog *dog = make(comm);
    LS_TRY(ls_comm_agree(comm, dog ? LS_OK : LS_FAIL(LS_SYSTEM, "no memory or descriptor for the watchdog")));
    ls_status status = learn_hosts(dog);
    if (status == LS_OK) status = meet_all(dog);
    const bool watched = dog->ranks[comm->rank].reached;
    if (status == LS_OK && watched) status = start_thread(dog);
    if (status != LS_OK || !watched) {
        release(dog);
        return status;
    }
    *watchdog = dog;
    return LS_OK;
}

void ls_watchdog_set_timeout(struct ls_watchdog *dog, double seconds) {
    pthread_mutex_lock(&dog->lock);
    dog->timeout = seconds;
    pthread_mutex_unlock(&dog->lock);
}

static void wake(struct ls_watchdog *dog) {
    const uint64_t one = 1;
    ssize_t ignored = write(dog->wake, &one, sizeof one);
    (void)ignored;
}

_Noreturn void ls_watchdog_end_all(struct ls_watchdog *dog, ls_status status, const char *text) {
    pthread_mutex_lock(&dog->lock);
    dog->trouble = (struct ls_wire_message){
        .kind = LS_WIRE_TROUBLE, .rank = (uint32_t)dog->comm->rank, .status = (uint32_t)status};
    snprintf(dog->trouble.text, sizeof dog->trouble.text, "%s", text ? text : "");
    dog->troubled = true;
    pthread_mutex_unlock(&dog->lock);
    wake(dog);
    ls_sleep(ANSWER_S); // the thread ends the process; where the hub does not answer, this does
    _exit((int)status);
}

static void hand_over(struct ls_watchdog *dog, bool *flag) {
    pthread_mutex_lock(&dog->lock);
    *flag = true;
    pthread_mutex_unlock(&dog->lock);
    wake(dog);
}

void ls_watchdog_leave(struct ls_watchdog *dog) {
    if (dog) hand_over(dog, &dog->leaving);
}

void ls_watchdog_close(struct ls_watchdog *dog) {
    if (!dog) return;
    hand_over(dog, &dog->closing);
    pthread_join(dog->thread, NULL);
    release(dog);
}
