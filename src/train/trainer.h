// A run, from the recipe to the last line.
#pragma once

#include "comm/comm.h"
#include "train/scores.h"

#include <stdbool.h>

struct ls_train_request {
    const char *recipe;           // path
    const char *const *overrides; // "train.batch=512"
    int n_overrides;
    const char *out; // run folder; NULL: runs/<recipe name>
    bool resume;
    bool accept_changed_data; // resume although data.train is not what it was
    int64_t trace_steps;      // to trace; 0: none
    const char *version;      // Lockstep's, for the checkpoints
};

struct ls_train_summary {
    bool complete;           // every step is done
    uint64_t step;           // steps done
    double loss;             // of the last evaluation, or, without a test set, of the last step
    struct ls_scores scores; // the same
    uint64_t params_hash;
};

// All ranks call it. LS_PREEMPTED after a signal, once a checkpoint is there; LS_NUMBERS after nan_limit
// skipped steps in a row.
ls_status ls_train(struct ls_comm *comm, const struct ls_train_request *request,
                   struct ls_train_summary *summary);
