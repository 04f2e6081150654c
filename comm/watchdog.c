// The thread of the watchdog: what it hears and says, and how it comes to its verdict.
#include "comm/watchdog_parts.h"

#include "base/clock.h"
#include "comm/judge.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double SHORTEST_PERIOD_S = 0.05, LONGEST_PERIOD_S = 0.25;
static const double GRACE_S = 1;     // a rank's error of communication is often another's death
static const double SETTLE_S = 0.3;  // from a suspicion to the verdict: more than a period, see confirm
static const double DEPUTY_S = 2;    // for the deputy to speak where the hub is lost
static const double LINGER_S = 12;   // see linger_for
static const double SUSPENDED_S = 3; // the thread sleeps no longer than a period by its own will

static bool is_hub(const struct ls_watchdog *dog) {
    return dog->comm->rank == 0;
}

static bool is_deputy(const struct ls_watchdog *dog) {
    return dog->comm->rank == dog->deputy;
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

// Open MPI's mpirun ends a job whose host is lost once it notices, but waits for that host for ever if a rank
// ends before. So it is given the time in which it notices where it was told to keep connections alive.
static double linger_for(const struct ls_watchdog *dog, const struct ls_verdict *verdict) {
    return verdict->silent && strcmp(dog->ranks[verdict->rank].host, dog->comm->host) != 0 ? LINGER_S : 0;
}

// The last act of the hub, or of the deputy in its place. Members that do not listen are left to the
// launcher.
static _Noreturn void end_all(struct ls_watchdog *dog, ls_status status, const char *text, double linger) {
    if (text && text[0]) print_line(text);
    const struct ls_wire_message end = {.kind = LS_WIRE_END, .status = (uint32_t)status, .still = linger};
    for (int r = 0; r < dog->comm->size; r++) ls_wire_send(&dog->wires[r], &end);
    ls_sleep(linger);
    ls_sleep(0.2); // a launcher kills the others as soon as one ends: let them end by themselves
    _exit((int)status);
}

static _Noreturn void obey(const struct ls_wire_message *end) {
    ls_sleep(end->still);
    _exit((int)end->status);
}

// The hub is lost. The deputy says so for all; where it is lost too, everyone does for itself.
static _Noreturn void end_without_hub(struct ls_watchdog *dog, const struct ls_verdict *verdict) {
    if (is_deputy(dog)) end_all(dog, LS_COMM, verdict->text, linger_for(dog, verdict));
    struct ls_wire *deputy = &dog->wires[dog->deputy];
    for (const double end = ls_now() + DEPUTY_S; ls_now() < end;) {
        struct pollfd polled = {.fd = deputy->fd, .events = POLLIN};
        struct ls_wire_message message;
        poll(&polled, 1, 100);
        const int got = ls_wire_receive(deputy, &message);
        if (got > 0 && message.kind == LS_WIRE_END) obey(&message);
        if (got < 0) ls_wire_close(deputy);
    }
    print_line(verdict->text);
    ls_sleep(linger_for(dog, verdict));
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
    case LS_WIRE_END: obey(message);
    case LS_WIRE_TROUBLE: hear_trouble(dog, message); break;
    default: break;
    }
}

static void listen_to(struct ls_watchdog *dog, int rank) {
    struct ls_wire_message message;
    int got;
    while ((got = ls_wire_receive(&dog->wires[rank], &message)) > 0) hear(dog, &dog->ranks[rank], &message);
    if (got == 0) return;
    ls_wire_close(&dog->wires[rank]);
    dog->ranks[rank].dead = !dog->ranks[rank].left;
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
    for (int r = is_hub(dog) ? 1 : 0; r < end; r++) ls_wire_send(&dog->wires[r], message);
}

static void say_beat(struct ls_watchdog *dog, double now) {
    const struct ls_wire_message beat = beat_of(dog, now);
    say(dog, &beat);
    struct watched *itself = &dog->ranks[dog->comm->rank];
    itself->pulse = beat.pulse;
    itself->still = beat.still;
    itself->heard = now;
}

// ---- judging ----

static struct ls_witness witness_of(const struct ls_watchdog *dog, int r, double now) {
    const struct watched *rank = &dog->ranks[r];
    struct ls_witness witness = {
        .watched = rank->reached && !(rank->left && dog->wires[r].fd < 0 && r != dog->comm->rank),
        .dead = rank->dead,
        .silent = now - rank->heard,
        .still = rank->still,
        .pulse = rank->pulse,
    };
    memcpy(witness.host, rank->host, sizeof witness.host);
    return witness;
}

// A member knows of itself and the hub alone, and judges nothing but whether the hub lives.
static bool suspect(struct ls_watchdog *dog, double now, struct ls_verdict *verdict) {
    const double timeout = timeout_of(dog);
    const int size = dog->comm->size;
    for (int r = 0; r < size; r++) dog->witnesses[r] = (struct ls_witness){0};
    for (int r = 0; r < size; r++)
        if (is_hub(dog) || r == 0 || r == dog->comm->rank) dog->witnesses[r] = witness_of(dog, r, now);
    const struct ls_witness *hub = &dog->witnesses[0];
    if (!is_hub(dog) && !hub->dead && !(hub->watched && hub->silent >= timeout)) return false;
    return ls_judge(dog->witnesses, size, timeout, verdict);
}

// A suspicion that lasts becomes a verdict. Meanwhile everyone has got to where it waits, and has said so.
static bool confirm(struct ls_watchdog *dog, double now, struct ls_verdict *verdict) {
    if (!suspect(dog, now, verdict)) {
        dog->suspicious_since = 0;
        return false;
    }
    if (dog->suspicious_since == 0) dog->suspicious_since = now;
    return now - dog->suspicious_since >= SETTLE_S;
}

static void judge(struct ls_watchdog *dog, double now) {
    struct ls_verdict verdict;
    if (confirm(dog, now, &verdict)) {
        if (!is_hub(dog)) end_without_hub(dog, &verdict);
        // Members that are gone when the hub wakes up ended because of it, and have said so.
        const bool overslept = dog->woke > 0 && now - dog->woke < SUSPENDED_S;
        end_all(dog, LS_COMM, overslept ? NULL : verdict.text, linger_for(dog, &verdict));
    }
    if (dog->told_since > 0 && now - dog->told_since > GRACE_S)
        end_all(dog, (ls_status)dog->told.status, dog->told.text, 0);
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
    ls_sleep(GRACE_S);
    _exit(LS_COMM);
}

// poll passes over descriptors of -1.
static nfds_t gather_descriptors(struct ls_watchdog *dog) {
    const int size = dog->comm->size;
    for (int r = 0; r < size; r++) {
        const short events = dog->wires[r].queued > 0 ? POLLIN | POLLOUT : POLLIN;
        dog->polled[r] = (struct pollfd){.fd = dog->wires[r].fd, .events = events};
    }
    dog->polled[size] = (struct pollfd){.fd = dog->wake, .events = POLLIN};
    return (nfds_t)size + 1;
}

static void receive_all(struct ls_watchdog *dog) {
    for (int r = 0; r < dog->comm->size; r++) {
        if (dog->wires[r].fd < 0) continue;
        listen_to(dog, r);
        ls_wire_flush(&dog->wires[r]);
    }
}

// A machine that was suspended, or this process: everyone starts anew, as all were.
static void forgive(struct ls_watchdog *dog, double now) {
    for (int r = 0; r < dog->comm->size; r++) dog->ranks[r].heard = now, dog->ranks[r].still = 0;
    dog->ticked = dog->woke = now;
}

void *ls_watchdog_watch(void *argument) {
    struct ls_watchdog *dog = argument;
    double next = ls_now(), before = next;
    for (;;) {
        const double period = period_of(timeout_of(dog));
        const double wait = next - ls_now();
        poll(dog->polled, gather_descriptors(dog), wait > 0 ? (int)(wait * 1e3) + 1 : 0);
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
        judge(dog, now);
        if (closing) return NULL;
    }
}
