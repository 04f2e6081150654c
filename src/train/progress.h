// How far training is, on stderr, from rank 0: on a terminal a bar that redraws itself a few times a second
// and is gone at the end; elsewhere a plain line at the first step, every ten seconds or so, and at each
// epoch's end. While a bar stands, lines of base/log.h take its place and it comes back below them.
#pragma once

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct ls_progress;

// Starts at `step` of `steps`; `samples` and `batch` tell where epochs end.
ls_status ls_progress_open(uint64_t steps, uint64_t step, uint64_t samples, uint64_t batch,
                           struct ls_progress **progress);
// The same on any file descriptor.
ls_status ls_progress_open_on(int file, uint64_t steps, uint64_t step, uint64_t samples, uint64_t batch,
                              struct ls_progress **progress);
// `step` steps are done. The rate shown is smoothed over a few seconds; the time left goes by all that was
// spent since opening, evaluations and checkpoints included.
void ls_progress_step(struct ls_progress *progress, uint64_t step, double loss, double samples_per_s);
// Takes the bar off the screen, for lines of others; the next step draws it again.
void ls_progress_clear(struct ls_progress *progress);
void ls_progress_close(struct ls_progress *progress); // NULL is allowed

// What the bar says, in at most `columns` characters (at most bytes - 1): "epoch 2/5 [===>    ] 512/1175 …".
struct ls_progress_view {
    uint64_t step, steps, epoch, epochs; // epoch counts from 1
    double loss, samples_per_s, seconds_left;
};
char *ls_progress_bar(const struct ls_progress_view *view, int columns, char *out, size_t bytes);
