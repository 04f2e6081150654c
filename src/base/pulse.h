// What this process is doing, for whoever watches over it: any thread moves these figures, any thread reads
// them. "Moving" means that something was computed, read, written or received; waiting for another rank is
// not.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/begin.h"

enum ls_phase { LS_STARTING, LS_TRAINING, LS_EVALUATING, LS_SAVING, LS_PACKING, LS_ENDING };
const char *ls_phase_name(enum ls_phase phase); // "training"

enum { LS_PULSE_TEXT = 56 };

struct ls_pulse {
    uint64_t ticks; // grows whenever something moves
    uint64_t step;  // that the host is at, 0-based: done before it
    enum ls_phase phase;
    // The collective call that the process is in or was in last. All ranks make the same calls in the same
    // order, so that under one number they must have the same name and size, at the same step.
    uint64_t calls; // entered so far
    uint64_t call_step;
    uint64_t bytes;
    bool waiting; // in the call now
    char call[LS_PULSE_TEXT];
};

void ls_pulse_tick(void); // a few instructions: an op may call it
void ls_pulse_step(uint64_t step);
enum ls_phase ls_pulse_phase(enum ls_phase phase); // returns the phase before
void ls_pulse_enter(const char *call, uint64_t bytes);
// Of work that was enqueued for a step: the host may have come to the next one meanwhile.
void ls_pulse_enter_of_step(uint64_t step, const char *call, uint64_t bytes);
void ls_pulse_leave(void);
struct ls_pulse ls_pulse_read(void);

#include "base/end.h"
