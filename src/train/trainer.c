// The loop of a run, from its first step to its last.
#include "train/trainer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/pulse.h"
#include "train/run.h"
#include "train/stop.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static double epoch_of(const struct ls_run *run, uint64_t step) {
    return (double)step * (double)run->clock.batch / (double)run->clock.samples;
}

static bool due(const struct ls_run *run, const struct ls_span *every, uint64_t step) {
    return step == run->steps || ls_span_due(every, &run->clock, step);
}

static struct ls_scores scores_of_step(const struct ls_run *run) {
    return ls_scores_of_step(ls_outputs_of(&run->recipe), run->last.score);
}

static ls_status add_piece(void *context, const struct ls_piece *piece) {
    ls_figures_add(context, piece->n_mine, piece->values, piece->targets);
    return LS_OK;
}

static void tell_evaluation(struct ls_run *run, int64_t samples) {
    struct ls_text words = {0};
    ls_progress_clear(run->progress);
    ls_metrics_eval(run->metrics, run->state.step, run->state.last_loss, &run->state.last, (uint64_t)samples);
    ls_scores_words(&run->state.last, &words);
    ls_note("step %" PRIu64 " (epoch %.2f): test loss %.4f%s", run->state.step,
            epoch_of(run, run->state.step), run->state.last_loss, words.data ? words.data : "");
    ls_text_free(&words);
    const struct ls_train_watch *watch = &run->request->watch;
    if (watch->evaluation)
        watch->evaluation(watch->context, run->state.step, run->state.last_loss, &run->state.last);
}

// Leaves state.evaluated_step behind state.step where a signal cut it short.
static ls_status evaluate(struct ls_run *run, bool stoppable) {
    if (!run->evaluator) return LS_OK;
    struct ls_evaluation evaluation;
    ls_pulse_phase(LS_EVALUATING);
    const struct ls_sink sink = {0, add_piece, &run->figures};
    ls_figures_reset(&run->figures);
    LS_TRY(ls_evaluate(run->evaluator, stoppable, &sink, &evaluation));
    ls_pulse_phase(LS_TRAINING);
    if (evaluation.abandoned) return LS_OK;
    LS_TRY(ls_figures_reduce(&run->figures, run->comm));
    run->state.evaluated_step = run->state.step;
    run->state.last_loss = evaluation.loss;
    run->state.last = ls_scores_of_figures(&run->figures);
    if (ls_run_writes(run)) tell_evaluation(run, evaluation.samples);
    return LS_OK;
}

static void request_batch(struct ls_run *run, uint64_t step) {
    const struct ls_lane_range lanes = ls_engine_lanes(run->engine);
    const int64_t lane = run->model.train->lane_batch;
    if (step < run->steps)
        ls_reader_request(run->reader, step * run->clock.batch + (uint64_t)(lanes.begin * lane),
                          (lanes.end - lanes.begin) * lane);
}

static void report_step(struct ls_run *run, double lr, double seconds, double waited) {
    if (!ls_run_writes(run)) return;
    const struct ls_metrics_step line = {
        .step = run->state.step,
        .epoch = epoch_of(run, run->state.step),
        .loss = run->last.loss,
        .scores = scores_of_step(run),
        .lr = lr,
        .grad_norm = run->last.grad_norm,
        .samples_per_s = (double)run->clock.batch / seconds,
        .step_ms = seconds * 1e3,
        .data_wait_ms = waited * 1e3,
        .comm_exposed_ms = run->last.comm_exposed * 1e3,
        .skipped = run->state.skipped,
    };
    ls_metrics_step(run->metrics, &line);
    if (run->progress) ls_progress_step(run->progress, run->state.step, run->last.loss, line.samples_per_s);
    const struct ls_train_watch *watch = &run->request->watch;
    if (watch->step) watch->step(watch->context, &line);
}

// nan_limit steps in a row were skipped. Nothing changed in them, so that what is saved is the state before
// the first.
static ls_status give_up(struct ls_run *run) {
    const uint64_t row = run->state.skipped_in_row;
    run->state.step -= row;
    run->state.skipped -= row;
    run->state.skipped_in_row = 0;
    if (run->state.evaluated_step > run->state.step) run->state.evaluated_step = run->state.step;
    LS_TRY(ls_run_save_now(run));
    return LS_FAIL(LS_NUMBERS,
                   "loss or gradient was not finite in %" PRIu64
                   " steps in a row (train.nan_limit), from step %" PRIu64 "; the checkpoint of step %" PRIu64
                   " is from before",
                   row, run->state.step + 1, run->state.step);
}

// A span on the host's row, from `begin` until now.
static void trace_host(struct ls_run *run, enum ls_trace_kind kind, double begin) {
    struct ls_trace_span *span = ls_trace_add(run->trace, kind, ls_trace_row_of_host(run->trace), 0, 0);
    if (!span) return;
    span->begin = begin;
    span->end = ls_now();
}

static void read_step(struct ls_run *run) {
    struct ls_run_step *now = &run->now;
    const uint64_t step = run->state.step;
    *now = (struct ls_run_step){.start = ls_now(),
                                .lr = ls_schedule_rate(&run->recipe, &run->clock, step, run->steps)};
    ls_trace_step(run->trace, step);
    now->reading = ls_reader_next(run->reader, &now->batch, &now->waited);
    now->error = *ls_error_last();
    trace_host(run, LS_SPAN_WAIT, ls_now() - now->waited);
    now->control = (struct ls_step_control){
        .step = step,
        .updates = step - run->state.skipped,
        .lr = (float)now->lr,
        .loss_scale = (float)run->state.loss_scale,
        .stop = ls_stop_wanted(),
        .fault = now->reading != LS_OK,
    };
}

static void begin_step(struct ls_run *run) {
    read_step(run);
    ls_engine_begin(run->engine, run->now.batch, &run->now.control);
    run->now.begun = true;
}

// Does the next step follow this one with nothing in between that reads weights, waits for the queues or ends
// the run?
static bool goes_on(const struct ls_run *run) {
    const uint64_t step = run->state.step;
    return step < run->steps && !run->last.stop && !ls_audit_due(run->audit, step) &&
           run->state.skipped_in_row < (uint64_t)run->recipe.train.nan_limit &&
           !due(run, &run->recipe.eval.every, step) && !due(run, &run->recipe.checkpoint.every, step);
}

// What the step leaves in the run's state.
static void count_step(struct ls_run *run) {
    run->state.step++;
    ls_pulse_step(run->state.step);
    run->state.skipped += run->last.skipped;
    run->state.skipped_in_row = run->last.skipped ? run->state.skipped_in_row + 1 : 0;
    if (run->recipe.train.precision == LS_F16)
        run->state.loss_scale = ls_loss_scale_next(run->state.loss_scale, run->last.skipped,
                                                   run->state.step - run->state.skipped);
    if (!run->evaluator) {
        run->state.last_loss = run->last.loss;
        run->state.last = scores_of_step(run);
    }
}

// Ends with the next step's lanes under way, where they may be: what is written of this step is written
// meanwhile.
static ls_status one_step(struct ls_run *run) {
    struct ls_run_step *now = &run->now;
    const uint64_t step = run->state.step;
    const bool audited = ls_audit_due(run->audit, step);
    if (audited) LS_TRY(ls_run_compare_replicas(run));
    if (audited) read_step(run);
    if (!audited && !now->begun) begin_step(run);
    // A rank that could not read takes part in the step all the same, and all learn of it.
    ls_status status = audited ? ls_audit_step(run->audit, now->batch, &now->control, &run->last)
                               : ls_engine_apply(run->engine, &now->control, &run->last);
    ls_reader_release(run->reader, now->batch);
    now->begun = false;
    if (status != LS_OK) return audited && ls_audit_failed(run->audit) ? ls_run_distrust(run) : status;
    if (run->last.fault)
        return ls_comm_agree(run->comm, now->reading == LS_OK ? LS_OK : ls_error_adopt(&now->error));
    request_batch(run, step + (uint64_t)run->recipe.data.prefetch);
    count_step(run);
    trace_host(run, LS_SPAN_STEP, now->start);
    const double seconds = ls_now() - now->start, waited = now->waited, lr = now->lr;
    run->seconds_in_steps += seconds;
    run->steps_here++;
    if (goes_on(run)) begin_step(run);
    report_step(run, lr, seconds, waited);
    return LS_OK;
}

static ls_status loop(struct ls_run *run) {
    ls_pulse_step(run->state.step);
    ls_pulse_phase(LS_TRAINING);
    for (int64_t ahead = 0; ahead < run->recipe.data.prefetch; ahead++)
        request_batch(run, run->state.step + (uint64_t)ahead);
    // An evaluation that a signal cut short is made up for.
    if (run->state.step > 0 && run->state.evaluated_step != run->state.step &&
        due(run, &run->recipe.eval.every, run->state.step)) {
        LS_TRY(evaluate(run, true));
        if (run->evaluator && run->state.evaluated_step != run->state.step) return ls_run_preempted(run);
    }
    while (run->state.step < run->steps) {
        LS_TRY(one_step(run));
        if (run->state.skipped_in_row >= (uint64_t)run->recipe.train.nan_limit) return give_up(run);
        bool stop = run->last.stop;
        if (!stop && due(run, &run->recipe.eval.every, run->state.step)) {
            const double began = ls_now();
            LS_TRY(evaluate(run, true));
            trace_host(run, LS_SPAN_EVALUATE, began);
            stop = run->evaluator && run->state.evaluated_step != run->state.step;
        }
        if (stop) return ls_run_preempted(run);
        // Amid skipped steps nothing is new, and giving up must find the newest file to be from before them.
        const bool fine = run->state.skipped_in_row == 0 || run->state.step == run->steps;
        if (!fine || !due(run, &run->recipe.checkpoint.every, run->state.step)) continue;
        const double began = ls_now();
        LS_TRY(ls_run_checkpoint(run));
        trace_host(run, LS_SPAN_CHECKPOINT, began);
    }
    return LS_OK;
}

static ls_status finish(struct ls_run *run, double started, struct ls_train_summary *summary) {
    LS_TRY(ls_run_compare_replicas(run));
    // A run that was complete when it was resumed ends with the figures that it had.
    if (run->evaluator && run->state.evaluated_step != run->state.step) LS_TRY(evaluate(run, false));
    *summary = (struct ls_train_summary){
        .complete = true,
        .step = run->state.step,
        .loss = run->state.last_loss,
        .scores = run->state.last,
    };
    LS_TRY(ls_comm_agree(run->comm, ls_run_params_hash(run, &summary->params_hash)));
    const struct ls_metrics_end end = {
        .step = summary->step,
        .loss = summary->loss,
        .scores = summary->scores,
        .samples_per_s = run->seconds_in_steps > 0
                             ? (double)run->steps_here * (double)run->clock.batch / run->seconds_in_steps
                             : 0,
        .params_hash = summary->params_hash,
        .ranks = run->comm->size,
        .lanes = run->recipe.train.lanes,
        .device = run->device->name,
        .seconds = ls_now() - started,
    };
    ls_pulse_phase(LS_SAVING);
    return ls_comm_agree(run->comm, ls_run_writes(run) ? ls_run_end_files(run, &end) : LS_OK);
}

// Of a run that was stopped too: what it has traced is written.
static ls_status traced(struct ls_run *run, ls_status status) {
    if (!run->trace || (status != LS_OK && status != LS_PREEMPTED)) return status;
    const struct ls_error error = *ls_error_last();
    char path[4096] = "";
    if (ls_run_writes(run)) snprintf(path, sizeof path, "%s/trace.json", ls_run_folder_path(run->folder));
    LS_TRY(ls_trace_write(run->trace, path));
    ls_note("trace of %" PRId64 " steps: trace.json in the run folder, for chrome://tracing or Perfetto",
            run->request->trace_steps);
    return status == LS_OK ? LS_OK : error.status == status ? ls_error_adopt(&error) : status;
}

ls_status ls_train(struct ls_comm *comm, const struct ls_train_request *request,
                   struct ls_train_summary *summary) {
    const double started = ls_now();
    struct ls_run run = {.comm = comm, .request = request};
    ls_status status = ls_run_open(&run);
    if (status == LS_OK) status = traced(&run, loop(&run));
    if (status == LS_OK) status = finish(&run, started, summary);
    const struct ls_error error = *ls_error_last();
    ls_run_close(&run);
    return status == LS_OK ? LS_OK : error.status == status ? ls_error_adopt(&error) : status;
}
