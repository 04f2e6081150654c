// What comes out of an evaluation: a loss, and piece by piece what the model said.
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/begin.h"

struct ls_evaluation {
    double loss, accuracy; // means over the samples
    int64_t samples;
    bool abandoned; // a rank was asked to stop; the figures mean nothing
};

// Samples [first, first + n) of the set, and this rank's part of them.
struct ls_piece {
    int64_t first, n;
    const int64_t *n_of;  // [ranks]: samples of each rank, which follow each other in the order of ranks
    int64_t mine, n_mine; // [mine, mine + n_mine)
    const float *values;  // [n_mine][...]: probabilities or predictions
    const void *targets;  // [n_mine]: i32 classes; or [n_mine][...]: f32; NULL where the set has none
};

// What is to be done with the results, piece by piece, in order.
struct ls_sink {
    int64_t first; // sample to begin with: a multiple of the lane's batch
    // All ranks call it alike, so it may be collective; its status is agreed on.
    ls_status (*take)(void *context, const struct ls_piece *piece);
    void *context;
};

#include "base/end.h"
