// A run, for the files of this folder that it is spread over: run_open.c makes it, trainer.c takes the steps,
// run_files.c writes what is kept.
#pragma once

#include "train/audit.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/metrics.h"
#include "train/progress.h"
#include "train/runfolder.h"
#include "train/schedule.h"
#include "train/trace.h"
#include "train/trainer.h"

// A step whose batch is read.
struct ls_run_step {
    bool begun;          // its lanes are enqueued
    double start, ended; // ended 0: not yet
    double waited, lr;
    struct ls_trace_span *span; // the step, on the host's row; NULL: not traced
    struct ls_batch *batch;
    ls_status reading;
    struct ls_error error; // of reading
    struct ls_step_control control;
};

// In the order in which it is opened; closed the other way round.
struct ls_run {
    struct ls_comm *comm;
    const struct ls_train_request *request;
    struct ls_recipe recipe;
    struct ls_text class_names; // of train, one a line; on rank 0
    struct ls_text resolved;    // the recipe, as the run folder and the checkpoints keep it
    struct ls_device *device;
    struct ls_dataset *train, *test; // test may be NULL
    uint64_t content;                // of train; on rank 0
    uint64_t from_content;           // of model.from, where it was read; on rank 0
    struct ls_sampling sampling;     // of train
    struct ls_model model;
    struct ls_engine *engine;
    struct ls_reader *reader;
    struct ls_evaluator *evaluator;
    struct ls_figures figures; // of the evaluation under way, or the last one
    struct ls_audit *audit;    // NULL: none
    struct ls_trace *trace;    // NULL: none
    // Rank 0 only:
    struct ls_run_folder *folder;
    struct ls_metrics *metrics;
    struct ls_progress *progress;
    struct ls_checkpoint_writer *writer;

    struct ls_clock clock;
    uint64_t steps;                   // of the whole run
    struct ls_checkpoint_state state; // after the last step done
    struct ls_run_step now, next;     // next: begun while `now` was under way, where not `begun` is false
    bool runs_ahead;                  // the next step may be begun before this one's result is known
    double ended;                     // when the last step did
    double scale_before_row;          // the loss scale before the steps that were skipped in a row
    struct ls_step_result last;
    bool told_skipped; // that a step was skipped
    double seconds_in_steps;
    uint64_t steps_here; // since this process started
    uint64_t saved_step; // of the newest checkpoint, read or written; 0: none
};

static inline bool ls_run_writes(const struct ls_run *run) {
    return run->comm->rank == 0;
}

// ---- run_open.c: collective ----

// Everything up to the first step. LS_PREEMPTED where a signal came before it: then nothing is to be saved.
ls_status ls_run_open(struct ls_run *run);
void ls_run_close(struct ls_run *run); // also what ls_run_open left half open

// ---- run_files.c: collective where they compare or agree; rank 0 alone writes ----

// Recipe, metrics, the checkpoint writer and the progress bar.
ls_status ls_run_open_files(struct ls_run *run);
ls_status ls_run_params_hash(struct ls_run *run, uint64_t *hash);
// The replicas agree by construction; one that does not computes wrongly, and is named (LS_COMM) before its
// weights are kept.
ls_status ls_run_compare_replicas(struct ls_run *run);
// Starts to write the state after the last step; training goes on meanwhile.
ls_status ls_run_checkpoint(struct ls_run *run);
// The state after the last step is whole on disk when this returns. Written once, where it is already there.
ls_status ls_run_save_now(struct ls_run *run);
// After an audit that failed: no checkpoint since the one before may lead to a result. Returns the verdict.
ls_status ls_run_distrust(struct ls_run *run);
// After a signal: LS_PREEMPTED once the checkpoint is whole on disk, before anyone ends.
ls_status ls_run_preempted(struct ls_run *run);
// Rank 0: what could not be written while training went on is an error now.
ls_status ls_run_end_files(struct ls_run *run, const struct ls_metrics_end *end);
