// A checkpoint run over samples, into a file (predictions.h draws it). Until that is whole it is called
// OUTPUT.partial.
#pragma once

#include "base/arena.h"
#include "comm/comm.h"
#include "train/figures.h"

#include <stdbool.h>

#include "base/begin.h"

// What it points to stays the caller's until ls_predict returns.
struct ls_predict_request {
    const char *checkpoint, *output;
    const char *const
        *inputs; // files and patterns, in the order of the rows; targets are taken where they are there
    int n_inputs;
    int64_t top;           // classes and confidences of a sample, the most probable first; 0 is 1
    double min_confidence; // abstain, class -1, where the most probable class has less; 0 to 1
    bool resume;           // go on with what a run that was ended left in OUTPUT.partial
    bool confusion; // LS_INPUT, before anything is computed, where the figures cannot have a confusion matrix
};

struct ls_predict_summary {
    uint64_t step;                  // of the checkpoint
    int64_t samples;                // rows of the file
    bool targets;                   // there were some to hold the results against
    struct ls_figures figures;      // of all ranks, the rows of an earlier run among them
    const char *const *class_names; // [figures.outputs], or NULL
    struct ls_arena memory;         // holds them
};

// All ranks call it; the file has the same bytes on any number of them. LS_PREEMPTED where ls_stop_wanted
// ended it, with the rows so far kept; LS_INPUT where OUTPUT is there and is no file of predictions;
// LS_NUMBERS names a sample whose output is not finite. `summary` is to be freed, on success.
ls_status ls_predict(struct ls_comm *comm, const struct ls_predict_request *request,
                     struct ls_predict_summary *summary);
void ls_predict_summary_free(struct ls_predict_summary *summary);

#include "base/end.h"
