// Evaluation: forward over a data set in lane-sized chunks, the last one masked. Chunks are taken in pieces;
// each piece is spread over the ranks in contiguous blocks and folded by chunk index, so that the figures
// have one value on any number of ranks, and memory does not grow with the set.
#pragma once

#include "train/engine.h"
#include "train/evaluation.h"

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

// All ranks call it. `sink` may be NULL; else the evaluator was opened with `results`.
ls_status ls_evaluate(struct ls_evaluator *evaluator, bool stoppable, const struct ls_sink *sink,
                      struct ls_evaluation *evaluation);
