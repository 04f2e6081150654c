// A run, from the recipe to the last line.
#pragma once

#include "comm/comm.h"
#include "train/metrics.h"
#include "train/recipe_source.h"

#include <stdbool.h>

#include "base/begin.h"

// What is told on the way, by rank 0, between steps: take little time. Each may be NULL.
struct ls_train_watch {
    void (*step)(void *context, const struct ls_metrics_step *step); // after each step
    void (*evaluation)(void *context, uint64_t step, double loss,
                       const struct ls_scores *scores); // of data.test
    void *context;
};

enum { LS_TRACE_STEPS = 20 }; // enough to see how steps overlap

// What it points to stays the caller's until ls_train returns.
struct ls_train_request {
    struct ls_recipe_source recipe;
    const char *out; // run folder; NULL: runs/<name of the recipe's file>
    bool resume;
    bool accept_changed_data; // resume although data.train is not what it was
    bool progress;            // draw a bar on stderr, or where that is no terminal write a line now and then
    int64_t trace_steps;      // to trace; 0: none
    struct ls_train_watch watch;
};

struct ls_train_summary {
    bool complete;           // every step is done
    uint64_t step;           // steps done
    double loss;             // of the last evaluation, or, without a test set, of the last step
    struct ls_scores scores; // the same
    uint64_t params_hash;
};

// All ranks call it alike. LS_INPUT: recipe, data, model, device or folder cannot be used; nothing was
// begun. LS_PREEMPTED after ls_stop_listen's signal or ls_stop_ask, once a checkpoint is there; LS_NUMBERS
// after nan_limit skipped steps in a row; LS_COMM where a rank computes wrongly; LS_SYSTEM where a file
// could not be written, with `complete` where the training is all the same.
ls_status ls_train(struct ls_comm *comm, const struct ls_train_request *request,
                   struct ls_train_summary *summary);

#include "base/end.h"
