// What the two files of the watchdog share: watchdog_open.c makes it and hands over what the main thread
// says, watchdog.c is its thread.
#pragma once

#include "comm/judge.h"
#include "comm/meeting.h"
#include "comm/watchdog.h"

#include <poll.h>
#include <pthread.h>
#include <sys/types.h>

struct watched { // one a rank; a member uses that of the hub
    double heard, still;
    struct ls_pulse pulse;
    char host[64];
    bool reached, left, dead;
};

struct ls_watchdog {
    struct ls_comm *comm;
    int deputy; // the rank that speaks where the hub is lost; 0: none
    int wake;   // an eventfd
    pthread_t thread;
    pid_t launcher;
    // [comm->size], and one more of polled. A wire leads from the hub to each member, from a member to hub
    // and deputy, from the deputy to members.
    struct ls_wire *wires;
    struct watched *ranks;
    struct ls_witness *witnesses;
    struct pollfd *polled;

    pthread_mutex_t lock; // of what the main thread hands over:
    double timeout;
    bool leaving, closing, troubled;
    struct ls_wire_message trouble;

    // The thread's alone:
    struct ls_wire_message told; // the first trouble that the hub heard of
    double told_since;           // 0: none
    double suspicious_since;     // 0: not at all
    uint64_t ticks;              // of this process
    double ticked;               // when they last moved
    double woke;                 // when this process or machine last came back from being suspended
    bool said_bye;
};

// The thread, with the watchdog as its argument; it returns once it is to close.
void *ls_watchdog_watch(void *watchdog);
