#include "comm/patience.h"

#include "base/clock.h"

#include <sched.h>
#include <time.h>

enum { MODEST_BYTES_PER_S = 100 * 1000 * 1000, SLEEP_NS = 50 * 1000 };
static const double PATIENCE_S = 0.01;

struct ls_patience ls_patience_for(double bytes) {
    return (struct ls_patience){.until = ls_now() + PATIENCE_S + bytes / MODEST_BYTES_PER_S};
}

void ls_patience_pass(struct ls_patience *patience) {
    if (patience->spent) {
        const struct timespec pause = {.tv_nsec = SLEEP_NS};
        nanosleep(&pause, NULL);
    } else {
        sched_yield();
        patience->spent = ls_now() > patience->until;
    }
}
