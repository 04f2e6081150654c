#include "comm/watchdog.h"

#include "base/clock.h"
#include "base/log.h"
#include "comm/judge.h"
#include "comm/wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const double DEFAULT_TIMEOUT_S = 300, SHORTEST_PERIOD_S = 0.05, LONGEST_PERIOD_S = 0.25;
static const double GRACE_S = 1; // a rank's error of communication is often another's death
static const double STAGGER_S = 1, LONGEST_STAGGER_S = 2; // between members that print, where the hub is lost
static const double LINGER_S = 12;                        // see linger_for
static const double INTRODUCTION_S = 5;                   // for a stranger to say who it is
static const double SUSPENDED_S = 3; // the thread sleeps no longer than a period by its own will

struct watched { // one a rank; at a member, the hub's alone is used
    struct ls_wire wire;
    double heard, still;
    struct ls_pulse pulse;
    char host[64];
    bool reached, left, dead;
};

struct stranger { // accepted, and not introduced yet
    struct ls_wire wire;
    double since;
};

enum { STRANGERS = 8 };

struct ls_watchdog {
    struct ls_comm *comm;
    struct ls_wire_place place;
    int listening, wake; // wake: an eventfd
    pthread_t thread;
    pid_t launcher;
    struct watched *ranks;        // [comm->size]
    struct ls_witness *witnesses; // of the hub
    struct pollfd *polled;
    struct stranger strangers[STRANGERS];

    pthread_mutex_t lock; // of what the main thread hands over:
    double timeout;
    bool leaving, closing, troubled;
    struct ls_wire_message trouble;

    // The thread's alone:
    struct ls_wire_message told; // the first trouble that the hub heard of
    double told_since;           // 0: none
    uint64_t ticks;              // of this process
    double ticked;               // when they last moved
    double woke;                 // when this process or machine last came back from being suspended
    bool said_bye;
};

static bool is_hub(const struct ls_watchdog *dog) {
    return dog->comm->rank == 0;
}

static double timeout_of(struct ls_watchdog *dog) {
    pthread_mutex_lock(&dog->lock);
    const double timeout = dog->timeout;
    pthread_mutex_unlock(&dog->lock);
    return timeout;
}

static double period_of(double timeout) {
    const double period = timeout / 10;
    return period < SHORTEST_PERIOD_S  ? SHORTEST_PERIOD_S
           : period > LONGEST_PERIOD_S ? LONGEST_PERIOD_S
                                       : period;
}

// ---- the end ----

// The lines of others are not to be cut in two by this one.
static void print_line(const char *text) {
    char line[LS_VERDICT_TEXT + 64];
    const char *start = isatty(STDERR_FILENO) ? "\r\033[K" : ""; // over a progress bar
    const int length = snprintf(line, sizeof line, "%slockstep: error: %s\n", start, text);
    ssize_t ignored =
        write(STDERR_FILENO, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    (void)ignored;
}

static void pause_for(double seconds) {
    const struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

// Open MPI's mpirun ends a job whose host is lost once it notices, but waits for that host for ever if a rank
// ends before. So it is given the time in which it notices where it was told to keep connections alive.
static double linger_for(const struct ls_watchdog *dog, const struct ls_verdict *verdict) {
    return verdict->silent && strcmp(dog->ranks[verdict->rank].host, dog->comm->host) != 0 ? LINGER_S : 0;
}

// The hub's last act. Members that do not listen are left to the launcher.
static _Noreturn void end_all(struct ls_watchdog *dog, ls_status status, const char *text, double linger) {
    if (text && text[0]) print_line(text);
    const struct ls_wire_message end = {.kind = LS_WIRE_END, .status = (uint32_t)status, .still = linger};
    for (int r = 1; r < dog->comm->size; r++) ls_wire_send(&dog->ranks[r].wire, &end);
    pause_for(linger);
    pause_for(0.2); // a launcher kills the others as soon as one ends: let them end by themselves
    _exit((int)status);
}

// The hub is lost: every member ends, and says so unless a lower rank's end has taken it along.
static _Noreturn void end_without_hub(const struct ls_watchdog *dog, const struct ls_verdict *verdict) {
    const double wait = STAGGER_S * (dog->comm->rank - 1);
    pause_for(wait < LONGEST_STAGGER_S ? wait : LONGEST_STAGGER_S);
    print_line(verdict->text);
    pause_for(linger_for(dog, verdict));
    _exit(LS_COMM);
}

// ---- what is heard and said ----

static void hear_trouble(struct ls_watchdog *dog, const struct ls_wire_message *trouble) {
    if (trouble->text[0] == 0) end_all(dog, (ls_status)trouble->status, NULL, 0);
    if (dog->told_since > 0) return;
    dog->told = *trouble;
    dog->told_since = ls_now();
}

static void hear(struct ls_watchdog *dog, struct watched *from, const struct ls_wire_message *message) {
    from->heard = ls_now();
    switch (message->kind) {
    case LS_WIRE_BEAT:
        from->still = message->still;
        from->pulse = message->pulse;
        break;
    case LS_WIRE_BYE: from->left = true; break;
    case LS_WIRE_END: pause_for(message->still); _exit((int)message->status);
    case LS_WIRE_TROUBLE: hear_trouble(dog, message); break;
    default: break;
    }
}

static void listen_to(struct ls_watchdog *dog, struct watched *from) {
    struct ls_wire_message message;
    int got;
    while ((got = ls_wire_receive(&from->wire, &message)) > 0) hear(dog, from, &message);
    if (got == 0) return;
    ls_wire_close(&from->wire);
    from->dead = !from->left;
}

static struct stranger *free_place(struct ls_watchdog *dog) {
    for (int i = 0; i < STRANGERS; i++)
        if (dog->strangers[i].wire.fd < 0) return &dog->strangers[i];
    return NULL;
}

static void accept_one(struct ls_watchdog *dog) {
    struct stranger *stranger = free_place(dog);
    const int fd = stranger ? accept(dog->listening, NULL, NULL) : -1;
    if (fd < 0) return;
    ls_wire_adopt(&stranger->wire, fd);
    stranger->since = ls_now();
}

// The first message says which rank it is.
static void meet(struct ls_watchdog *dog, struct stranger *stranger) {
    struct ls_wire_message hello;
    const int got = ls_wire_receive(&stranger->wire, &hello);
    if (got == 0 && ls_now() - stranger->since < INTRODUCTION_S) return;
    const bool known = got > 0 && hello.kind == LS_WIRE_HELLO && hello.cookie == dog->place.cookie &&
                       hello.rank > 0 && hello.rank < (uint32_t)dog->comm->size &&
                       dog->ranks[hello.rank].wire.fd < 0;
    if (!known) {
        ls_wire_close(&stranger->wire);
        return;
    }
    struct watched *rank = &dog->ranks[hello.rank];
    rank->wire = stranger->wire;
    rank->heard = ls_now();
    stranger->wire.fd = -1;
}

static struct ls_wire_message beat_of(struct ls_watchdog *dog, double now) {
    struct ls_wire_message beat = {
        .kind = LS_WIRE_BEAT, .rank = (uint32_t)dog->comm->rank, .pulse = ls_pulse_read()};
    if (beat.pulse.ticks != dog->ticks) dog->ticks = beat.pulse.ticks, dog->ticked = now;
    beat.still = now - dog->ticked;
    return beat;
}

// To the hub, or from it to all members.
static void say(struct ls_watchdog *dog, const struct ls_wire_message *message) {
    const int end = is_hub(dog) ? dog->comm->size : 1;
    for (int r = is_hub(dog) ? 1 : 0; r < end; r++) ls_wire_send(&dog->ranks[r].wire, message);
}

static void say_beat(struct ls_watchdog *dog, double now) {
    const struct ls_wire_message beat = beat_of(dog, now);
    say(dog, &beat);
    if (!is_hub(dog)) return;
    dog->ranks[0].pulse = beat.pulse;
    dog->ranks[0].still = beat.still;
    dog->ranks[0].heard = now;
}

// ---- judging ----

static void judge(struct ls_watchdog *dog, double now) {
    for (int r = 0; r < dog->comm->size; r++) {
        const struct watched *rank = &dog->ranks[r];
        struct ls_witness *witness = &dog->witnesses[r];
        *witness = (struct ls_witness){
            .watched = rank->reached && !(rank->left && rank->wire.fd < 0),
            .dead = rank->dead,
            .silent = now - rank->heard,
            .still = rank->still,
            .pulse = rank->pulse,
        };
        memcpy(witness->host, rank->host, sizeof witness->host);
    }
    struct ls_verdict verdict;
    if (ls_judge(dog->witnesses, dog->comm->size, timeout_of(dog), &verdict)) {
        // Members that are gone when the hub wakes up ended because of it, and have said so.
        const bool overslept = dog->woke > 0 && now - dog->woke < SUSPENDED_S;
        end_all(dog, LS_COMM, overslept ? NULL : verdict.text, linger_for(dog, &verdict));
    }
    if (dog->told_since > 0 && now - dog->told_since > GRACE_S)
        end_all(dog, (ls_status)dog->told.status, dog->told.text, 0);
}

static void judge_hub(struct ls_watchdog *dog, double now) {
    struct watched *hub = &dog->ranks[0];
    const double timeout = timeout_of(dog);
    const bool gone = hub->left && hub->wire.fd < 0;
    if (gone || (!hub->dead && now - hub->heard < timeout)) return;
    struct ls_witness witness = {
        .watched = true, .dead = hub->dead, .silent = now - hub->heard, .pulse = hub->pulse};
    memcpy(witness.host, hub->host, sizeof witness.host);
    struct ls_verdict verdict;
    if (ls_judge(&witness, 1, timeout, &verdict)) end_without_hub(dog, &verdict);
}

// ---- the thread ----

// What the main thread has handed over. True: nothing more is to be done.
static bool serve(struct ls_watchdog *dog) {
    uint64_t count;
    ssize_t ignored = read(dog->wake, &count, sizeof count);
    (void)ignored;
    pthread_mutex_lock(&dog->lock);
    const bool leaving = dog->leaving, closing = dog->closing, troubled = dog->troubled;
    const struct ls_wire_message trouble = dog->trouble;
    dog->troubled = false;
    pthread_mutex_unlock(&dog->lock);
    if (troubled && is_hub(dog)) hear_trouble(dog, &trouble);
    if (troubled && !is_hub(dog)) say(dog, &trouble);
    if (leaving && !dog->said_bye) {
        const struct ls_wire_message bye = {.kind = LS_WIRE_BYE, .rank = (uint32_t)dog->comm->rank};
        say(dog, &bye);
        dog->said_bye = true;
    }
    return closing;
}

// A rank without its launcher would run on for nobody.
static void check_launcher(struct ls_watchdog *dog) {
    if (getppid() == dog->launcher) return;
    char text[LS_VERDICT_TEXT];
    snprintf(text, sizeof text, "rank %d (host %s) has lost its launcher, process %d", dog->comm->rank,
             dog->comm->host, (int)dog->launcher);
    if (is_hub(dog)) end_all(dog, LS_COMM, text, 0);
    struct ls_wire_message message = {
        .kind = LS_WIRE_TROUBLE, .rank = (uint32_t)dog->comm->rank, .status = LS_COMM};
    memcpy(message.text, text, sizeof message.text);
    say(dog, &message);
    pause_for(GRACE_S);
    _exit(LS_COMM);
}

// poll passes over descriptors of -1.
static int gather_descriptors(struct ls_watchdog *dog) {
    int n = 0;
    dog->polled[n++] = (struct pollfd){.fd = dog->wake, .events = POLLIN};
    dog->polled[n++] = (struct pollfd){.fd = free_place(dog) ? dog->listening : -1, .events = POLLIN};
    for (int i = 0; i < STRANGERS; i++)
        dog->polled[n++] = (struct pollfd){.fd = dog->strangers[i].wire.fd, .events = POLLIN};
    for (int r = 0; r < dog->comm->size; r++) {
        const struct ls_wire *wire = &dog->ranks[r].wire;
        const short events = wire->queued > 0 ? POLLIN | POLLOUT : POLLIN;
        dog->polled[n++] = (struct pollfd){.fd = wire->fd, .events = events};
    }
    return n;
}

static void receive_all(struct ls_watchdog *dog) {
    if (dog->listening >= 0) accept_one(dog);
    for (int i = 0; i < STRANGERS; i++)
        if (dog->strangers[i].wire.fd >= 0) meet(dog, &dog->strangers[i]);
    for (int r = 0; r < dog->comm->size; r++) {
        if (dog->ranks[r].wire.fd < 0) continue;
        listen_to(dog, &dog->ranks[r]);
        ls_wire_flush(&dog->ranks[r].wire);
    }
}

// A machine that was suspended, or this process: everyone starts anew, as all were.
static void forgive(struct ls_watchdog *dog, double now) {
    for (int r = 0; r < dog->comm->size; r++) dog->ranks[r].heard = now, dog->ranks[r].still = 0;
    dog->ticked = dog->woke = now;
}

static void *watch(void *argument) {
    struct ls_watchdog *dog = argument;
    double next = ls_now(), before = next;
    for (;;) {
        const double period = period_of(timeout_of(dog));
        const double wait = next - ls_now();
        poll(dog->polled, (nfds_t)gather_descriptors(dog), wait > 0 ? (int)(wait * 1e3) + 1 : 0);
        const double now = ls_now();
        if (now - before > SUSPENDED_S + period) forgive(dog, now);
        before = now;
        receive_all(dog);
        const bool closing = serve(dog);
        if (now >= next) {
            say_beat(dog, now);
            check_launcher(dog);
            next = now + period;
        }
        if (is_hub(dog))
            judge(dog, now);
        else
            judge_hub(dog, now);
        if (closing) return NULL;
    }
}

// ---- opening and closing ----

// Not one signal is for this thread.
static ls_status start_thread(struct ls_watchdog *dog) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&dog->thread, NULL, watch, dog);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? LS_FAIL(LS_SYSTEM, "no thread for the watchdog: %s", strerror(failed)) : LS_OK;
}

static void introduce(struct ls_watchdog *dog) {
    struct ls_wire_message hello = {
        .kind = LS_WIRE_HELLO, .rank = (uint32_t)dog->comm->rank, .cookie = dog->place.cookie};
    ls_wire_send(&dog->ranks[0].wire, &hello);
}

struct introduction {
    bool reached;
    char host[64];
};

// Where the hub is, who reaches it, and on which host everyone is.
static ls_status meet_all(struct ls_watchdog *dog) {
    struct ls_comm *comm = dog->comm;
    if (is_hub(dog)) dog->listening = ls_wire_listen(comm->size, &dog->place);
    char hub_host[sizeof comm->host];
    memcpy(hub_host, comm->host, sizeof hub_host);
    LS_TRY(ls_comm_broadcast(comm, hub_host, sizeof hub_host, 0));
    LS_TRY(ls_comm_broadcast(comm, &dog->place, sizeof dog->place, 0));
    struct introduction mine = {.reached = dog->place.port != 0};
    snprintf(mine.host, sizeof mine.host, "%.63s", comm->host);
    if (!is_hub(dog)) {
        mine.reached = ls_wire_connect(&dog->ranks[0].wire, &dog->place, strcmp(hub_host, comm->host) == 0);
        if (mine.reached) introduce(dog);
    }
    struct introduction *all = calloc((size_t)comm->size, sizeof *all);
    if (!all) return LS_FAIL(LS_SYSTEM, "out of memory");
    ls_status status = ls_comm_gather_all(comm, &mine, all, sizeof mine);
    int unreached = -1;
    for (int r = 0; r < comm->size && status == LS_OK; r++) {
        dog->ranks[r].reached = all[r].reached;
        dog->ranks[r].heard = ls_now();
        memcpy(dog->ranks[r].host, all[r].host, sizeof all[r].host);
        if (!all[r].reached) unreached = r;
    }
    free(all);
    if (status == LS_OK && unreached >= 0)
        ls_warn("no watchdog for rank %d on %s: it cannot reach rank 0 on %s over TCP; whether it lives only "
                "the launcher "
                "will notice",
                unreached, dog->ranks[unreached].host, hub_host);
    return status;
}

static void release(struct ls_watchdog *dog) {
    for (int r = 0; dog->ranks && r < dog->comm->size; r++) ls_wire_close(&dog->ranks[r].wire);
    for (int i = 0; i < STRANGERS; i++) ls_wire_close(&dog->strangers[i].wire);
    if (dog->listening >= 0) close(dog->listening);
    if (dog->wake >= 0) close(dog->wake);
    pthread_mutex_destroy(&dog->lock);
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
    dog->listening = -1;
    dog->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    dog->launcher = getppid();
    dog->timeout = DEFAULT_TIMEOUT_S;
    dog->ticked = ls_now();
    pthread_mutex_init(&dog->lock, NULL);
    dog->ranks = calloc(n, sizeof *dog->ranks);
    dog->witnesses = calloc(n, sizeof *dog->witnesses);
    dog->polled = calloc(n + STRANGERS + 2, sizeof *dog->polled);
    for (int i = 0; i < STRANGERS; i++) dog->strangers[i].wire.fd = -1;
    for (size_t r = 0; dog->ranks && r < n; r++) dog->ranks[r].wire.fd = -1;
    if (dog->wake >= 0 && dog->ranks && dog->witnesses && dog->polled) return dog;
    release(dog);
    return NULL;
}

ls_status ls_watchdog_open(struct ls_comm *comm, struct ls_watchdog **watchdog) {
    *watchdog = NULL;
    if (comm->size == 1) return LS_OK;
    struct ls_watchdog *dog = make(comm);
    LS_TRY(ls_comm_agree(comm, dog ? LS_OK : LS_FAIL(LS_SYSTEM, "no memory or descriptor for the watchdog")));
    ls_status status = meet_all(dog);
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
    pause_for(10 * GRACE_S); // the thread ends the process; where the hub does not answer, this does
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
