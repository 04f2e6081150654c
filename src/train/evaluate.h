// Evaluation: forward over a data set in lane-sized chunks, the last one masked. Chunks are taken in pieces;
// each piece is spread over the ranks in contiguous blocks and folded by chunk index, so that the figures
// have one value on any number of ranks, and memory does not grow with the set.
#pragma once

#include "train/engine.h"

struct ls_evaluation {
    double loss, accuracy; // means over the samples
    int64_t samples;
    bool abandoned; // a rank was asked to stop; the figures mean nothing
};

struct ls_evaluator;

// The reader's buffers are made once. The data set stays the caller's. `results`: plan->result and the
// targets of a piece are kept, for ls_evaluate to hand on.
ls_status ls_evaluator_open(struct ls_engine *engine, struct ls_comm *comm, const struct ls_recipe *recipe,
                            const struct ls_model *model, struct ls_device *device,
                            struct ls_dataset *dataset, bool results, struct ls_evaluator **evaluator);
// What it keeps of results and targets, at most.
size_t ls_evaluator_bytes(const struct ls_plan *plan, const struct ls_dataset_info *info, int64_t lanes,
                          int ranks);
void ls_evaluator_close(struct ls_evaluator *evaluator);

// Samples [first, first + n) of the set, and this rank's part of them.
struct ls_piece {
    int64_t first, n;
    const int64_t *n_of;  // [ranks]: samples of each rank, which follow each other in the order of ranks
    int64_t mine, n_mine; // [mine, mine + n_mine)
    const float *values;  // [n_mine][...]: plan->result
    const void *targets;  // [n_mine][...]: as the reader delivers them; NULL where the set has none
};

// What is to be done with the results, piece by piece, in order.
struct ls_sink {
    int64_t first; // sample to begin with: a multiple of the lane's batch
    // All ranks call it alike, so it may be collective; its status is agreed on.
    ls_status (*take)(void *context, const struct ls_piece *piece);
    void *context;
};

// All ranks call it. `sink` may be NULL; else the evaluator was opened with `results`.
ls_status ls_evaluate(struct ls_evaluator *evaluator, bool stoppable, const struct ls_sink *sink,
                      struct ls_evaluation *evaluation);
