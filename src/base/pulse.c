#include "base/pulse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

// One a process: what moves is deep in kernels and file writes, which know nothing of the run that they
// serve.
static atomic_uint_fast64_t ticks, steps;
static atomic_int phase_now;

static pthread_mutex_t call_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ls_pulse call_now; // its call alone

const char *ls_phase_name(enum ls_phase phase) {
    static const char *const names[] = {"starting", "training", "evaluating", "saving a checkpoint",
                                        "packing",  "ending"};
    return (size_t)phase < sizeof names / sizeof *names ? names[phase] : "?";
}

void ls_pulse_tick(void) {
    atomic_fetch_add_explicit(&ticks, 1, memory_order_relaxed);
}

void ls_pulse_step(uint64_t step) {
    atomic_store_explicit(&steps, step, memory_order_relaxed);
    ls_pulse_tick();
}

enum ls_phase ls_pulse_phase(enum ls_phase phase) {
    ls_pulse_tick();
    return (enum ls_phase)atomic_exchange(&phase_now, (int)phase);
}

void ls_pulse_enter(const char *call, uint64_t bytes) {
    ls_pulse_enter_of_step(atomic_load_explicit(&steps, memory_order_relaxed), call, bytes);
}

void ls_pulse_enter_of_step(uint64_t step, const char *call, uint64_t bytes) {
    pthread_mutex_lock(&call_lock);
    call_now.calls++;
    call_now.call_step = step;
    call_now.bytes = bytes;
    call_now.waiting = true;
    snprintf(call_now.call, sizeof call_now.call, "%s", call);
    pthread_mutex_unlock(&call_lock);
    ls_pulse_tick();
}

void ls_pulse_leave(void) {
    pthread_mutex_lock(&call_lock);
    call_now.waiting = false;
    pthread_mutex_unlock(&call_lock);
    ls_pulse_tick();
}

struct ls_pulse ls_pulse_read(void) {
    pthread_mutex_lock(&call_lock);
    struct ls_pulse pulse = call_now;
    pthread_mutex_unlock(&call_lock);
    pulse.ticks = atomic_load_explicit(&ticks, memory_order_relaxed);
    pulse.step = atomic_load_explicit(&steps, memory_order_relaxed);
    pulse.phase = (enum ls_phase)atomic_load(&phase_now);
    return pulse;
}
