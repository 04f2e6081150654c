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
    ls_engine_phase_begin(run->engine, LS_SPAN_EVALUATE);
    const ls_status status = ls_evaluate(run->evaluator, stoppable, &sink, &evaluation);
    ls_engine_phase_end(run->engine);
    LS_TRY(status);
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

// The ring has place for one batch more than are read ahead: for the one of the step under way. That of the
// next step, where that is begun already, is none of those.
static uint64_t requested_ahead(const struct ls_run *run) {
    return (uint64_t)run->recipe.data.prefetch + run->runs_ahead;
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

// nan_limit steps in a row were skipped. No weight changed in them, so that what is saved is the state before
// the first, its loss scale too: resumed with a higher limit, the run is what it would have been.
static ls_status give_up(struct ls_run *run) {
    const uint64_t row = run->state.skipped_in_row;
    run->state.step -= row;
    run->state.skipped -= row;
    run->state.skipped_in_row = 0;
    run->state.loss_scale = run->scale_before_row;
    if (run->state.evaluated_step > run->state.step) run->state.evaluated_step = run->state.step;
    LS_TRY(ls_run_save_now(run));
    char kept[64] = "nothing was trained before";
    if (run->state.step > 0 || run->recipe.model.from)
        snprintf(kept, sizeof kept, "the checkpoint of step %" PRIu64 " is from before", run->state.step);
    return LS_FAIL(LS_NUMBERS,
                   "loss or gradient was not finite in %" PRIu64
                   " steps in a row (train.nan_limit), from step %" PRIu64 "; %s",
                   row, run->state.step + 1, kept);
}

// A span on the host's row, from `begin` until now.
static void trace_host(struct ls_run *run, enum ls_trace_kind kind, double begin) {
    struct ls_trace_span *span = ls_trace_add(run->trace, kind, ls_trace_row_of_host(run->trace), 0, 0);
    if (!span) return;
    span->begin = begin;
    span->end = ls_now();
}

// ---- a step's parts ----

// The batch of `step`, and what its lanes are told. How many updates came before it is not known yet.
static void read_step(struct ls_run *run, struct ls_run_step *taken, uint64_t step, double loss_scale) {
    *taken = (struct ls_run_step){.start = ls_now(),
                                  .lr = ls_schedule_rate(&run->recipe, &run->clock, step, run->steps)};
    ls_trace_step(run->trace, step);
    taken->span = ls_trace_add(run->trace, LS_SPAN_STEP, ls_trace_row_of_host(run->trace), 0, 0);
    ls_engine_phase_begin(run->engine, LS_SPAN_WAIT);
    taken->reading = ls_reader_next(run->reader, &taken->batch, &taken->waited);
    taken->error = *ls_error_last();
    ls_engine_phase_end(run->engine);
    trace_host(run, LS_SPAN_WAIT, ls_now() - taken->waited);
    taken->control = (struct ls_step_control){
        .step = step,
        .lr = (float)taken->lr,
        .loss_scale = (float)loss_scale,
        .stop = ls_stop_wanted(),
        .fault = taken->reading != LS_OK,
    };
}

static void begin_step(struct ls_run *run, struct ls_run_step *begun, uint64_t step, double loss_scale) {
    read_step(run, begun, step, loss_scale);
    ls_pulse_step(step);
    ls_engine_begin(run->engine, begun->batch, &begun->control);
    begun->begun = true;
}

// The loss scale after the step under way.
static double next_loss_scale(const struct ls_run *run, bool skipped) {
    const struct ls_checkpoint_state *state = &run->state;
    if (run->recipe.train.precision != LS_F16) return state->loss_scale;
    return ls_loss_scale_next(state->loss_scale, skipped, state->step + 1 - state->skipped - skipped);
}

// Does `step` follow the one before it with nothing in between that reads weights, waits for the queues or
// ends the run, unless that one's result does?
static bool may_follow(const struct ls_run *run, uint64_t step) {
    return step < run->steps && !ls_audit_due(run->audit, step) && !due(run, &run->recipe.eval.every, step) &&
           !due(run, &run->recipe.checkpoint.every, step);
}

static bool goes_on(const struct ls_run *run) {
    return may_follow(run, run->state.step) && !run->last.stop &&
           run->state.skipped_in_row < (uint64_t)run->recipe.train.nan_limit;
}

// Most steps are followed by another, and are not skipped: so the next one is begun. Where data are late,
// they are waited for once this step is done, and that time is the next one's.
static void run_ahead(struct ls_run *run) {
    const uint64_t next = run->state.step + 1;
    if (!run->runs_ahead || !may_follow(run, next)) return;
    if (!ls_reader_ready(run->reader)) {
        ls_engine_wait(run->engine);
        run->now.ended = ls_now();
    }
    begin_step(run, &run->next, next, next_loss_scale(run, false));
}

// `next` was begun in vain. Keeps the last error.
static void drop_next(struct ls_run *run) {
    const struct ls_error error = *ls_error_last();
    if (!run->next.begun) return;
    (void)ls_engine_abandon(run->engine); // an error of these lanes is of no step
    ls_reader_release(run->reader, run->next.batch);
    if (run->next.span) run->next.span->begin = run->next.span->end = run->next.start;
    run->next.begun = false;
    if (error.status != LS_OK) ls_error_adopt(&error);
}

// Ends with the next step's lanes under way, where they may be: what is written of this step is written
// meanwhile. Lanes that were begun with another loss scale than this step has left begin anew.
static void go_on(struct ls_run *run) {
    struct ls_run_step *now = &run->now;
    const float loss_scale = (float)run->state.loss_scale;
    if (!goes_on(run)) {
        drop_next(run);
    } else if (!run->next.begun) {
        begin_step(run, now, run->state.step, run->state.loss_scale);
    } else {
        *now = run->next;
        run->next.begun = false;
        if (now->control.loss_scale == loss_scale) return;
        now->control.loss_scale = loss_scale;
        (void)ls_engine_abandon(run->engine); // an error stays, and comes with the result
        ls_engine_begin(run->engine, now->batch, &now->control);
    }
}

// What the step leaves in the run's state.
static void count_step(struct ls_run *run) {
    if (run->state.skipped_in_row == 0) run->scale_before_row = run->state.loss_scale;
    run->state.loss_scale = next_loss_scale(run, run->last.skipped);
    run->state.step++;
    ls_pulse_step(run->state.step);
    run->state.skipped += run->last.skipped;
    run->state.skipped_in_row = run->last.skipped ? run->state.skipped_in_row + 1 : 0;
    if (!run->evaluator) {
        run->state.last_loss = run->last.loss;
        run->state.last = scores_of_step(run);
    }
}

// The first one, as it is met, and how many there were, at the end. The loss scale of fp16 finds its place by
// some.
static void tell_skipped(struct ls_run *run) {
    if (!run->last.skipped || run->told_skipped || run->recipe.train.precision == LS_F16) return;
    run->told_skipped = true;
    ls_warn("step %" PRIu64
            " is skipped: its loss or gradient is not finite; metrics.jsonl counts those that "
            "follow, and train.nan_limit: %" PRId64 " in a row end the run",
            run->state.step, run->recipe.train.nan_limit);
}

static void tell_all_skipped(const struct ls_run *run) {
    const struct ls_checkpoint_state *state = &run->state;
    if (state->skipped_in_row > 0)
        ls_warn("the last %" PRIu64 " of %" PRIu64 " steps were skipped, as their loss or gradient was not "
                "finite: the weights are those of step %" PRIu64,
                state->skipped_in_row, state->step, state->step - state->skipped_in_row);
    else if (state->skipped > 0 && run->recipe.train.precision != LS_F16)
        ls_warn("%" PRIu64 " of %" PRIu64 " steps were skipped, as their loss or gradient was not finite",
                state->skipped, state->step);
}

// From its samples to its result. A rank that could not read takes part all the same, and all learn of it.
static ls_status take_step(struct ls_run *run) {
    struct ls_run_step *now = &run->now;
    const uint64_t step = run->state.step;
    if (!now->begun) begin_step(run, now, step, run->state.loss_scale);
    now->control.updates = step - run->state.skipped;
    ls_engine_apply(run->engine, &now->control);
    run_ahead(run);
    return ls_engine_result(run->engine, &run->last);
}

static ls_status take_audited_step(struct ls_run *run) {
    struct ls_run_step *now = &run->now;
    LS_TRY(ls_run_compare_replicas(run));
    read_step(run, now, run->state.step, run->state.loss_scale);
    now->control.updates = run->state.step - run->state.skipped;
    return ls_audit_step(run->audit, now->batch, &now->control, &run->last);
}

// A step's time runs from its start, or from the end of the one before, whatever is later.
static double time_step(struct ls_run *run) {
    struct ls_run_step *now = &run->now;
    if (now->ended == 0) now->ended = ls_now();
    const double from = now->start > run->ended ? now->start : run->ended;
    if (now->span) now->span->begin = from, now->span->end = now->ended;
    run->ended = now->ended;
    run->seconds_in_steps += now->ended - from;
    run->steps_here++;
    return now->ended - from;
}

static ls_status one_step(struct ls_run *run) {
    struct ls_run_step *now = &run->now;
    const bool audited = ls_audit_due(run->audit, run->state.step);
    ls_status status = audited ? take_audited_step(run) : take_step(run);
    ls_reader_release(run->reader, now->batch);
    now->batch = NULL;
    now->begun = false;
    if (status != LS_OK || run->last.fault) drop_next(run);
    if (status != LS_OK) return audited && ls_audit_failed(run->audit) ? ls_run_distrust(run) : status;
    if (run->last.fault)
        return ls_comm_agree(run->comm, now->reading == LS_OK ? LS_OK : ls_error_adopt(&now->error));
    request_batch(run, run->state.step + requested_ahead(run));
    const double seconds = time_step(run), waited = now->waited, lr = now->lr;
    count_step(run);
    go_on(run);
    tell_skipped(run);
    report_step(run, lr, seconds, waited);
    return LS_OK;
}

static ls_status loop(struct ls_run *run) {
    ls_pulse_step(run->state.step);
    ls_pulse_phase(LS_TRAINING);
    for (uint64_t ahead = 0; ahead < requested_ahead(run); ahead++)
        request_batch(run, run->state.step + ahead);
    // An evaluation that a signal cut short is made up for.
    if (run->state.step > 0 && run->state.evaluated_step != run->state.step &&
        due(run, &run->recipe.eval.every, run->state.step)) {
        LS_TRY(evaluate(run, true));
        if (run->evaluator && run->state.evaluated_step != run->state.step) return ls_run_preempted(run);
    }
    // What model.from held is kept: a run that is killed before it has saved anything goes on from the same.
    if (run->recipe.model.from && run->state.step == 0) LS_TRY(ls_run_checkpoint(run));
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
    tell_all_skipped(run);
    return ls_comm_agree(run->comm, ls_run_writes(run) ? ls_run_end_files(run, &end) : LS_OK);
}

// Of a run that was stopped too: what it has traced is written.
static ls_status traced(struct ls_run *run, ls_status status) {
    if (!run->trace || (status != LS_OK && status != LS_PREEMPTED)) return status;
    const struct ls_error error = *ls_error_last();
    char path[4096] = "";
    if (ls_run_writes(run)) snprintf(path, sizeof path, "%s/trace.json", ls_run_folder_path(run->folder));
    LS_TRY(ls_trace_write(run->trace, path));
    ls_note("%s: for chrome://tracing or Perfetto", path);
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
