// What a run writes, and when: on rank 0, after all ranks have compared what they hold.
#include "train/run.h"

#include "base/log.h"
#include "base/pulse.h"
#include "base/version.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// The mirror must be as the replica is: it was compared, or nothing but its shape matters.
static struct ls_checkpoint snapshot(const struct ls_run *run) {
    const struct ls_replica replica = ls_engine_replica(run->engine);
    struct ls_checkpoint checkpoint = {
        .layout = run->model.train->layout,
        .params = replica.params,
        .states = replica.states,
        .average = replica.average,
        .average_states = replica.average_states,
        .state = run->state,
        .recipe = run->resolved.data,
        .model = run->model.description.data,
        .fingerprint = run->device->fingerprint,
        .choices = run->device->choices,
        .version = ls_version(),
        .class_names = run->class_names.data,
    };
    for (int i = 0; i < LS_MAX_SLOTS; i++) {
        checkpoint.slot[i] = replica.slot[i];
        checkpoint.slot_names[i] = replica.slot_names[i];
    }
    return checkpoint;
}

ls_status ls_run_params_hash(struct ls_run *run, uint64_t *hash) {
    LS_TRY(ls_engine_download(run->engine));
    *hash = ls_params_hash(run->model.train->layout, ls_engine_replica(run->engine).params);
    return LS_OK;
}

ls_status ls_run_compare_replicas(struct ls_run *run) {
    char text[64];
    uint64_t hash = 0;
    LS_TRY(ls_comm_agree(run->comm, ls_run_params_hash(run, &hash)));
    const float *average = ls_engine_replica(run->engine).average;
    int length = snprintf(text, sizeof text, "%016" PRIx64, hash);
    if (average)
        snprintf(text + length, sizeof text - (size_t)length, ", of their average %016" PRIx64,
                 ls_params_hash(run->model.train->layout, average));
    return ls_comm_agree_same(run->comm, LS_COMM, "the hash of the parameters", text);
}

static void checkpoint_written(void *context, uint64_t step, const char *path, double seconds,
                               uint64_t bytes) {
    struct ls_run *run = context;
    ls_metrics_checkpoint(run->metrics, step, path, seconds, bytes);
}

// A name with a line break would be two.
static void note_class_names(struct ls_run *run) {
    int n = 0;
    const char *const *names = ls_dataset_class_names(run->train, &n);
    ls_text_clear(&run->class_names);
    for (int i = 0; i < n; i++)
        if (names[i][strcspn(names[i], "\n")]) return;
    for (int i = 0; i < n; i++) ls_text_add(&run->class_names, "%s\n", names[i]);
}

ls_status ls_run_open_files(struct ls_run *run) {
    if (!ls_run_writes(run)) return LS_OK;
    note_class_names(run);
    LS_TRY(ls_run_folder_write_recipe(run->folder, run->resolved.data));
    LS_TRY(ls_metrics_open(ls_run_folder_metrics(run->folder), run->state.step, run->state.evaluated_step,
                           &run->metrics));
    const struct ls_checkpoint like = snapshot(run);
    LS_TRY(ls_checkpoint_writer_open(ls_run_folder_checkpoints(run->folder), like.layout, &like,
                                     run->recipe.checkpoint.keep, &run->writer));
    ls_checkpoint_writer_audits_every(run->writer, (uint64_t)run->recipe.train.audit_every);
    ls_checkpoint_writer_on_done(run->writer, checkpoint_written, run);
    const struct ls_metrics_start start = {
        .step = run->state.step,
        .ranks = run->comm->size,
        .lanes = run->recipe.train.lanes,
        .batch = run->recipe.train.batch,
        .steps = run->steps,
        .samples = run->clock.samples,
        .parameters = run->model.train->layout->parameters,
        .reduced_bytes = run->model.train->layout->output_floats * sizeof(float),
        .data_identity = run->state.data_identity,
        .data_content = run->state.data_content,
        .from = run->recipe.model.from,
        .from_content = run->state.from_content,
        .model = run->recipe.model.zoo,
        .device = run->device->name,
        .fingerprint = run->device->fingerprint,
        .version = ls_version(),
    };
    ls_metrics_start(run->metrics, &start);
    if (!run->request->progress) return LS_OK;
    return ls_progress_open(run->steps, run->state.step, run->clock.samples, run->clock.batch,
                            &run->progress);
}

static ls_status start_checkpoint(struct ls_run *run) {
    LS_TRY(ls_run_compare_replicas(run));
    const double score = ls_scores_best(&run->state.last, run->state.last_loss);
    const bool evaluated =
        run->evaluator && run->state.step > 0 && run->state.evaluated_step == run->state.step;
    if (evaluated && !(score <= run->state.best_score)) {
        run->state.best_score = score;
        run->state.best_step = run->state.step;
    }
    run->saved_step = run->state.step;
    if (!ls_run_writes(run)) return LS_OK;
    if (ls_run_folder_check(run->folder) != LS_OK) {
        ls_checkpoint_writer_refuse(run->writer);
        return LS_OK;
    }
    const struct ls_checkpoint now = snapshot(run);
    ls_checkpoint_writer_start(run->writer, &now);
    return LS_OK;
}

ls_status ls_run_checkpoint(struct ls_run *run) {
    ls_engine_phase_begin(run->engine, LS_SPAN_CHECKPOINT);
    const ls_status status = start_checkpoint(run);
    ls_engine_phase_end(run->engine);
    return status;
}

ls_status ls_run_save_now(struct ls_run *run) {
    ls_pulse_phase(LS_SAVING);
    if (run->saved_step != run->state.step) LS_TRY(ls_run_checkpoint(run));
    // What failed to be written before was warned of then; this file makes up for it.
    ls_status status = ls_run_writes(run) ? ls_checkpoint_writer_flush(run->writer) : LS_OK;
    return ls_comm_agree(run->comm, status);
}

ls_status ls_run_distrust(struct ls_run *run) {
    const struct ls_error verdict = *ls_error_last();
    if (ls_run_writes(run)) {
        (void)ls_checkpoint_writer_flush(run->writer); // warned of when it failed
        if (ls_run_folder_check(run->folder) == LS_OK)
            ls_checkpoint_set_aside(ls_run_folder_checkpoints(run->folder),
                                    ls_audit_trusted(run->audit, run->state.step));
    }
    // No rank ends, and takes rank 0 with it, before the files are aside.
    LS_TRY(ls_comm_agree(run->comm, LS_OK));
    return ls_error_adopt(&verdict);
}

ls_status ls_run_preempted(struct ls_run *run) {
    LS_TRY(ls_run_save_now(run));
    if (ls_run_writes(run)) ls_progress_clear(run->progress);
    ls_note("stopped by a signal at step %" PRIu64 "; the checkpoint is written: --resume goes on",
            run->state.step);
    ls_error_clear();
    return LS_PREEMPTED;
}

ls_status ls_run_end_files(struct ls_run *run, const struct ls_metrics_end *end) {
    ls_progress_clear(run->progress);
    ls_status status = ls_checkpoint_writer_finish(run->writer);
    ls_metrics_end(run->metrics, end);
    const ls_status lines = ls_metrics_close(run->metrics);
    run->metrics = NULL;
    return status == LS_OK ? lines : status;
}
