// Evaluation: forward over a whole data set in lane-sized chunks, the last one masked, spread over the ranks
// in contiguous blocks and folded by chunk index, so that the figures have one value on any number of ranks.
#pragma once

#include "train/engine.h"

struct ls_evaluation {
    double loss, accuracy; // means over the samples
    int64_t samples;
    bool abandoned; // a rank was asked to stop; the figures mean nothing
};

struct ls_evaluator;

// The reader's buffers are made once. The data set stays the caller's.
ls_status ls_evaluator_open(struct ls_engine *engine, struct ls_comm *comm, const struct ls_recipe *recipe,
                            const struct ls_model *model, struct ls_device *device,
                            struct ls_dataset *dataset, struct ls_evaluator **evaluator);
void ls_evaluator_close(struct ls_evaluator *evaluator);

// All ranks call it. Where `results` is not NULL, it gets plan->result of this rank's chunks, passed on in
// order: `results(context, first sample, n, values)`; only valid samples.
typedef ls_status (*ls_results)(void *context, int64_t first, int64_t n, const float *values);
ls_status ls_evaluate(struct ls_evaluator *evaluator, bool stoppable, ls_results results, void *context,
                      struct ls_evaluation *evaluation);
