// Learning rates: a function of the step alone.
#pragma once

#include "train/recipe.h"

struct ls_clock {     // how steps and epochs relate in this run
    uint64_t batch;   // global
    uint64_t samples; // of the training set
};

// Steps of a span, rounded to the nearest, at least 1 where the span is not 0.
uint64_t ls_span_steps(const struct ls_span *span, const struct ls_clock *clock);
// Whether what happens `every` so often happens after `step` steps are done. Where an epoch is no whole
// number of steps, the j-th time is the step nearest to j epochs, so that nothing drifts: 5 epochs end in the
// fifth.
bool ls_span_due(const struct ls_span *every, const struct ls_clock *clock, uint64_t step);
// Rate of `step` (0-based) of `steps`; the same bits on every machine. Warm-up goes linearly from
// peak / warmup steps to peak.
// Cosine (Loshchilov, Hutter 2017, one period): final + (peak - final) * (1 + cos(pi * t)) / 2 after warm-up,
// t from 0 at its end to 1 at `steps`. Polynomial (the "poly" policy of Chen et al. 2017, DeepLab):
// final + (peak - final) * (1 - t)^power, the same t. Step: peak * gamma^k, k times `every` being over,
// warm-up included. One cycle (Smith, Topin 2018, as PyTorch's OneCycleLR anneals it, without its cycle of
// momentum): half a cosine from peak / initial_divisor up to peak at step rise * steps - 1, another from
// there down to peak / initial_divisor / final_divisor at step steps - 1. Where there is no time to rise,
// step 0 has the peak.
double ls_schedule_rate(const struct ls_recipe *recipe, const struct ls_clock *clock, uint64_t step,
                        uint64_t steps);

// Loss scaling of fp16 (Micikevicius et al. 2018), a power of 2: halved after a step that was skipped, down
// to 1; doubled at every LS_LOSS_SCALE_UPDATES updates, up to LS_LOSS_SCALE_MOST. `updates`: done, this
// step's included.
enum { LS_LOSS_SCALE_FIRST = 1 << 16, LS_LOSS_SCALE_MOST = 1 << 24, LS_LOSS_SCALE_UPDATES = 2000 };
double ls_loss_scale_next(double scale, bool skipped, uint64_t updates);
// The scale before `row` skipped steps in a row have halved it, where it had not come down to 1.
double ls_loss_scale_before(double scale, uint64_t row);
