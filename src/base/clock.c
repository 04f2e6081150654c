#include "base/clock.h"

#include <time.h>

static double read_clock(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double ls_now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

double ls_thread_time(void) {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

double ls_process_time(void) {
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double ls_unix_time(void) {
    return read_clock(CLOCK_REALTIME);
}

void ls_sleep(double seconds) {
    const struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}
