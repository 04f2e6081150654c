#include "train/trainer.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/pulse.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/metrics.h"
#include "train/progress.h"
#include "train/runfolder.h"
#include "train/schedule.h"
#include "train/setup.h"
#include "train/stop.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Everything a run holds, in the order in which it is opened; closed the other way round.
struct run {
    struct ls_comm *comm;
    const struct ls_train_request *request;
    struct ls_recipe recipe;
    struct ls_text resolved; // the recipe, as the run folder and the checkpoints keep it
    struct ls_device *device;
    struct ls_dataset *train, *test; // test may be NULL
    struct ls_model model;
    struct ls_engine *engine;
    struct ls_reader *reader;
    struct ls_evaluator *evaluator;
    // Rank 0 only:
    struct ls_run_folder *folder;
    struct ls_metrics *metrics;
    struct ls_progress *progress;
    struct ls_checkpoint_writer *writer;

    struct ls_clock clock;
    uint64_t steps;                   // of the whole run
    struct ls_checkpoint_state state; // after the last step done
    struct ls_step_result last;
    double seconds_in_steps;
    uint64_t steps_here; // since this process started
};

static bool chief(const struct run *run) {
    return run->comm->rank == 0;
}

// ---- opening
// --------------------------------------------------------------------------------------------------

static ls_status read_recipe(struct run *run) {
    const struct ls_train_request *request = run->request;
    LS_TRY(ls_recipe_read(request->recipe, request->overrides, request->n_overrides, &run->recipe));
    ls_recipe_print(&run->recipe, &run->resolved);
    ls_comm_set_timeout(run->comm, run->recipe.train.timeout);
    return ls_engine_check_ranks(&run->recipe, run->comm);
}

static ls_status open_data(struct run *run) {
    LS_TRY(ls_data_open(&run->recipe, false, &run->train));
    if (run->recipe.data.test.n > 0) {
        LS_TRY(ls_data_open(&run->recipe, true, &run->test));
        LS_TRY(ls_data_same_shape(ls_dataset_info(run->train), ls_dataset_info(run->test)));
    }
    return LS_OK;
}

// A node whose copy of the data is another would train on it without a word.
static ls_status agree_on_data(struct run *run) {
    const struct ls_dataset_info *train = ls_dataset_info(run->train);
    const struct ls_dataset_info *test = run->test ? ls_dataset_info(run->test) : NULL;
    char text[128];
    snprintf(text, sizeof text,
             "%" PRId64 " samples, identity %016" PRIx64 "; %" PRId64 " test samples, %016" PRIx64,
             train->samples, train->identity, test ? test->samples : 0, test ? test->identity : 0);
    return ls_comm_agree_same(run->comm, LS_INPUT, "the data", text);
}

static ls_status scan_data(struct run *run) {
    LS_TRY(ls_data_scan(run->train, &run->recipe, run->comm));
    return run->test ? ls_data_scan(run->test, &run->recipe, run->comm) : LS_OK;
}

static ls_status make_model(struct run *run) {
    const struct ls_sample_shape sample = ls_sample_shape_of(ls_dataset_info(run->train));
    LS_TRY(ls_model_make(&run->recipe, &sample, run->device, &run->model));
    const struct ls_memory memory = ls_memory_of(&run->recipe, &run->model, ls_dataset_info(run->train),
                                                 run->test ? ls_dataset_info(run->test) : NULL, run->device,
                                                 run->comm->rank, run->comm->size);
    LS_TRY(ls_memory_check(&run->recipe, &sample, run->device, &memory));
    char bytes[32];
    ls_note("model: %s, %" PRId64 " parameters; %d ranks share %" PRId64 " lanes of %" PRId64
            " samples; rank 0 takes %s",
            run->recipe.model.zoo, run->model.train->layout->parameters, run->comm->size,
            run->recipe.train.lanes, run->model.train->lane_batch,
            ls_format_bytes(bytes, (double)memory.total));
    return LS_OK;
}

static ls_status reader_alloc(void *device, size_t bytes, void **memory) {
    return ((struct ls_device *)device)->api->alloc_host(device, bytes, memory);
}

static void reader_free(void *device, void *memory) {
    ((struct ls_device *)device)->api->free_host(device, memory);
}

static ls_status open_engine(struct run *run) {
    const struct ls_engine_spec spec = {run->device, run->comm, &run->model, &run->recipe};
    LS_TRY(ls_engine_open(&spec, &run->engine));
    const struct ls_lane_range lanes = ls_engine_lanes(run->engine);
    const int64_t samples = (lanes.end - lanes.begin) * run->model.train->lane_batch;
    struct ls_reader_spec reading = ls_reader_spec_of(&run->recipe, false, samples);
    reading.alloc = reader_alloc;
    reading.free = reader_free;
    reading.context = run->device;
    LS_TRY(ls_reader_open(run->train, &reading, &run->reader));
    if (!run->test) return LS_OK;
    return ls_evaluator_open(run->engine, run->comm, &run->recipe, &run->model, run->device, run->test,
                             &run->evaluator);
}

static const char *default_folder(const struct ls_train_request *request, char *out, size_t bytes) {
    if (request->out) return request->out;
    const char *slash = strrchr(request->recipe, '/');
    const char *name = slash ? slash + 1 : request->recipe;
    const char *dot = strrchr(name, '.');
    snprintf(out, bytes, "runs/%.*s", (int)(dot && dot != name ? dot - name : (ptrdiff_t)strlen(name)), name);
    return out;
}

static ls_status open_folder(struct run *run) {
    if (!chief(run)) return LS_OK;
    char name[1024];
    return ls_run_folder_open(default_folder(run->request, name, sizeof name), run->request->resume,
                              &run->folder);
}

// ---- where the run starts
// -------------------------------------------------------------------------------------

static void fresh_state(struct run *run) {
    run->state = (struct ls_checkpoint_state){
        .seed = run->recipe.seed,
        .loss_scale = 1,
        .samples = run->clock.samples,
        .batch = run->clock.batch,
        .lanes = (uint64_t)run->recipe.train.lanes,
        .data_identity = ls_dataset_info(run->train)->identity,
        .best_score = NAN,
        .last_loss = NAN,
        .last_accuracy = NAN,
    };
}

// Rank 0: may the run go on from this file with the recipe as it is now?
static ls_status fits(struct run *run, const char *path) {
    struct ls_checkpoint_header header;
    LS_TRY(ls_checkpoint_read_header(path, &header));
    struct ls_recipe saved;
    ls_status status = ls_recipe_parse(header.recipe, path, ".", NULL, 0, &saved);
    if (status == LS_OK) {
        status = ls_recipe_same_result(&saved, &run->recipe);
        if (status != LS_OK) ls_error_prefix("cannot resume from %s", path);
        ls_recipe_free(&saved);
    }
    if (status == LS_OK && header.state.data_identity != ls_dataset_info(run->train)->identity)
        status = LS_FAIL(LS_INPUT,
                         "cannot resume from %s: data.train is not the set that the run began with (files, "
                         "sizes or identities differ)",
                         path);
    if (status == LS_OK && strcmp(header.fingerprint, run->device->fingerprint) != 0)
        ls_warn("the run began on \"%s\" and goes on on \"%s\": the result may differ in its last bits",
                header.fingerprint, run->device->fingerprint);
    ls_checkpoint_header_free(&header);
    return status;
}

static ls_status take_weights_from(struct run *run) {
    const struct ls_layout *layout = run->model.train->layout;
    struct ls_replica replica = ls_engine_replica(run->engine);
    int taken = 0, left = 0;
    ls_status status = LS_OK;
    if (chief(run)) {
        status = ls_checkpoint_read_matching(run->recipe.model.from, layout, replica.params, replica.states,
                                             &taken, &left);
        if (status == LS_OK)
            ls_note("model.from: %d parameters and statistics taken from %s, %d start anew", taken,
                    run->recipe.model.from, left);
    }
    LS_TRY(ls_comm_agree(run->comm, status));
    LS_TRY(ls_comm_broadcast(run->comm, replica.params, layout->param_floats * sizeof(float), 0));
    return ls_comm_broadcast(run->comm, replica.states, layout->state_floats * sizeof(float), 0);
}

static ls_status choose_start(struct run *run) {
    char path[4096] = "";
    ls_status status = LS_OK;
    if (chief(run) && run->request->resume) {
        char *newest = NULL;
        status = ls_checkpoint_newest(ls_run_folder_checkpoints(run->folder), &newest);
        if (status == LS_OK && newest) status = fits(run, newest);
        if (newest) snprintf(path, sizeof path, "%s", newest);
        free(newest);
    }
    LS_TRY(ls_comm_agree(run->comm, status));
    LS_TRY(ls_comm_broadcast(run->comm, path, sizeof path, 0));
    if (path[0] == 0) return run->recipe.model.from ? take_weights_from(run) : LS_OK;
    LS_TRY(ls_replica_load(run->engine, run->model.train->layout, run->comm, path, true, &run->state));
    ls_note("resuming from %s, step %" PRIu64, path, run->state.step);
    return LS_OK;
}

// ---- what is written
// ------------------------------------------------------------------------------------------

static struct ls_checkpoint snapshot(struct run *run) {
    const struct ls_replica replica = ls_engine_replica(run->engine);
    struct ls_checkpoint checkpoint = {
        .layout = run->model.train->layout,
        .params = replica.params,
        .states = replica.states,
        .state = run->state,
        .recipe = run->resolved.data,
        .model = run->model.description.data,
        .fingerprint = run->device->fingerprint,
        .version = run->request->version,
    };
    for (int i = 0; i < LS_MAX_SLOTS; i++) {
        checkpoint.slot[i] = replica.slot[i];
        checkpoint.slot_names[i] = replica.slot_names[i];
    }
    return checkpoint;
}

static uint64_t params_hash(const struct run *run) {
    return ls_params_hash(run->model.train->layout, ls_engine_replica(run->engine).params);
}

// The replicas agree by construction; one that does not computes wrongly, and is named before its weights are
// kept.
static ls_status compare_replicas(struct run *run) {
    char text[32];
    snprintf(text, sizeof text, "%016" PRIx64, params_hash(run));
    return ls_comm_agree_same(run->comm, LS_COMM, "the hash of the parameters", text);
}

static void checkpoint_written(void *context, uint64_t step, const char *path, double seconds,
                               uint64_t bytes) {
    struct run *run = context;
    ls_metrics_checkpoint(run->metrics, step, path, seconds, bytes);
}

static ls_status open_writers(struct run *run) {
    if (!chief(run)) return LS_OK;
    LS_TRY(ls_run_folder_write_recipe(run->folder, run->resolved.data));
    LS_TRY(ls_metrics_open(ls_run_folder_metrics(run->folder), run->state.step, run->state.evaluated_step,
                           &run->metrics));
    const struct ls_checkpoint like = snapshot(run);
    LS_TRY(ls_checkpoint_writer_open(ls_run_folder_checkpoints(run->folder), like.layout, &like,
                                     run->recipe.checkpoint.keep, &run->writer));
    ls_checkpoint_writer_on_done(run->writer, checkpoint_written, run);
    const struct ls_metrics_start start = {
        .step = run->state.step,
        .ranks = run->comm->size,
        .lanes = run->recipe.train.lanes,
        .batch = run->recipe.train.batch,
        .steps = run->steps,
        .samples = run->clock.samples,
        .parameters = run->model.train->layout->parameters,
        .model = run->recipe.model.zoo,
        .device = run->device->name,
        .fingerprint = run->device->fingerprint,
        .version = run->request->version,
    };
    ls_metrics_start(run->metrics, &start);
    return ls_progress_open(run->steps, run->state.step, run->clock.samples, run->clock.batch,
                            &run->progress);
}

// ---- the loop
// -------------------------------------------------------------------------------------------------

static double epoch_of(const struct run *run, uint64_t step) {
    return (double)step * (double)run->clock.batch / (double)run->clock.samples;
}

static bool due(const struct run *run, const struct ls_span *every, uint64_t step) {
    return step == run->steps || ls_span_due(every, &run->clock, step);
}

// Where there are no classes there is no accuracy.
static double accuracy_of(const struct run *run, double accuracy) {
    return run->recipe.train.loss == LS_RECIPE_CROSS_ENTROPY ? accuracy : NAN;
}

// Leaves state.evaluated_step behind state.step where a signal cut it short.
static ls_status evaluate(struct run *run, bool stoppable) {
    if (!run->evaluator) return LS_OK;
    struct ls_evaluation evaluation;
    ls_pulse_phase(LS_EVALUATING);
    LS_TRY(ls_evaluate(run->evaluator, stoppable, NULL, NULL, &evaluation));
    ls_pulse_phase(LS_TRAINING);
    if (evaluation.abandoned) return LS_OK;
    run->state.evaluated_step = run->state.step;
    run->state.last_loss = evaluation.loss;
    run->state.last_accuracy = accuracy_of(run, evaluation.accuracy);
    if (!chief(run)) return LS_OK;
    ls_progress_clear(run->progress);
    ls_metrics_eval(run->metrics, run->state.step, run->state.last_loss, run->state.last_accuracy,
                    (uint64_t)evaluation.samples);
    ls_note("step %" PRIu64 " (epoch %.2f): test loss %.4f, accuracy %.4f", run->state.step,
            epoch_of(run, run->state.step), run->state.last_loss, run->state.last_accuracy);
    return LS_OK;
}

static ls_status checkpoint(struct run *run) {
    LS_TRY(compare_replicas(run));
    const double score = isnan(run->state.last_accuracy) ? -run->state.last_loss : run->state.last_accuracy;
    const bool evaluated = run->evaluator && run->state.evaluated_step == run->state.step;
    if (evaluated && !(score <= run->state.best_score)) {
        run->state.best_score = score;
        run->state.best_step = run->state.step;
    }
    if (!chief(run)) return LS_OK;
    const struct ls_checkpoint now = snapshot(run);
    ls_checkpoint_writer_start(run->writer, &now);
    return LS_OK;
}

// After a signal: the checkpoint is whole on disk before anyone ends.
static ls_status preempted(struct run *run) {
    ls_pulse_phase(LS_SAVING);
    LS_TRY(checkpoint(run));
    // What failed to be written before was warned of then; this file makes up for it.
    ls_status status = chief(run) ? ls_checkpoint_writer_flush(run->writer) : LS_OK;
    LS_TRY(ls_comm_agree(run->comm, status));
    if (chief(run)) ls_progress_clear(run->progress);
    ls_note("stopped by a signal at step %" PRIu64 "; the checkpoint is written: --resume goes on",
            run->state.step);
    ls_error_clear();
    return LS_PREEMPTED;
}

static void request_batch(struct run *run, uint64_t step) {
    const struct ls_lane_range lanes = ls_engine_lanes(run->engine);
    const int64_t lane = run->model.train->lane_batch;
    if (step < run->steps)
        ls_reader_request(run->reader, step * run->clock.batch + (uint64_t)(lanes.begin * lane),
                          (lanes.end - lanes.begin) * lane);
}

static void report_step(struct run *run, double lr, double seconds, double waited) {
    if (!chief(run)) return;
    const struct ls_metrics_step line = {
        .step = run->state.step,
        .epoch = epoch_of(run, run->state.step),
        .loss = run->last.loss,
        .accuracy = accuracy_of(run, run->last.accuracy),
        .lr = lr,
        .grad_norm = run->last.grad_norm,
        .samples_per_s = (double)run->clock.batch / seconds,
        .step_ms = seconds * 1e3,
        .data_wait_ms = waited * 1e3,
        .comm_exposed_ms = run->last.comm_exposed * 1e3,
        .skipped = run->state.skipped,
    };
    ls_metrics_step(run->metrics, &line);
    ls_progress_step(run->progress, run->state.step, run->last.loss, line.samples_per_s);
}

// nan_limit steps in a row were skipped. Nothing changed in them, so that what is saved is the state before
// the first.
static ls_status give_up(struct run *run) {
    const uint64_t row = run->state.skipped_in_row;
    run->state.step -= row;
    run->state.skipped -= row;
    run->state.skipped_in_row = 0;
    if (run->state.evaluated_step > run->state.step) run->state.evaluated_step = run->state.step;
    ls_pulse_phase(LS_SAVING);
    LS_TRY(checkpoint(run));
    ls_status status = chief(run) ? ls_checkpoint_writer_finish(run->writer) : LS_OK;
    LS_TRY(ls_comm_agree(run->comm, status));
    return LS_FAIL(LS_NUMBERS,
                   "loss or gradient was not finite in %" PRIu64
                   " steps in a row (train.nan_limit), from step %" PRIu64 "; the checkpoint of step %" PRIu64
                   " is from before",
                   row, run->state.step + 1, run->state.step);
}

static ls_status one_step(struct run *run) {
    const uint64_t step = run->state.step;
    const double start = ls_now();
    double waited = 0;
    struct ls_batch *batch = NULL;
    ls_status reading = ls_reader_next(run->reader, &batch, &waited);
    const struct ls_error error = *ls_error_last();
    const double lr = ls_schedule_rate(&run->recipe, &run->clock, step, run->steps);
    const struct ls_step_control control = {
        .step = step,
        .updates = step - run->state.skipped,
        .lr = (float)lr,
        .stop = ls_stop_wanted(),
        .fault = reading != LS_OK,
    };
    // A rank that could not read takes part in the step all the same, and all learn of it.
    ls_status status = ls_engine_step(run->engine, batch, &control, &run->last);
    ls_reader_release(run->reader, batch);
    if (status != LS_OK) return status;
    if (run->last.fault) return ls_comm_agree(run->comm, reading == LS_OK ? LS_OK : ls_error_adopt(&error));
    request_batch(run, step + (uint64_t)run->recipe.data.prefetch);
    run->state.step++;
    ls_pulse_step(run->state.step);
    run->state.skipped += run->last.skipped;
    run->state.skipped_in_row = run->last.skipped ? run->state.skipped_in_row + 1 : 0;
    if (!run->evaluator) {
        run->state.last_loss = run->last.loss;
        run->state.last_accuracy = accuracy_of(run, run->last.accuracy);
    }
    const double seconds = ls_now() - start;
    run->seconds_in_steps += seconds;
    run->steps_here++;
    report_step(run, lr, seconds, waited);
    return LS_OK;
}

static ls_status loop(struct run *run) {
    ls_pulse_step(run->state.step);
    ls_pulse_phase(LS_TRAINING);
    for (int64_t ahead = 0; ahead < run->recipe.data.prefetch; ahead++)
        request_batch(run, run->state.step + (uint64_t)ahead);
    // An evaluation that a signal cut short is made up for.
    if (run->state.step > 0 && run->state.evaluated_step != run->state.step &&
        due(run, &run->recipe.eval.every, run->state.step))
        LS_TRY(evaluate(run, true));
    while (run->state.step < run->steps) {
        LS_TRY(one_step(run));
        if (run->state.skipped_in_row >= (uint64_t)run->recipe.train.nan_limit) return give_up(run);
        bool stop = run->last.stop;
        if (!stop && due(run, &run->recipe.eval.every, run->state.step)) {
            LS_TRY(evaluate(run, true));
            stop = run->evaluator && run->state.evaluated_step != run->state.step;
        }
        if (stop) return preempted(run);
        // Amid skipped steps nothing is new, and giving up must find the newest file to be from before them.
        const bool fine = run->state.skipped_in_row == 0 || run->state.step == run->steps;
        if (fine && due(run, &run->recipe.checkpoint.every, run->state.step)) LS_TRY(checkpoint(run));
    }
    return LS_OK;
}

// Rank 0: what could not be written while training went on is an error now.
static ls_status end_files(struct run *run, const struct ls_metrics_end *end) {
    ls_progress_clear(run->progress);
    ls_status status = ls_checkpoint_writer_finish(run->writer);
    ls_metrics_end(run->metrics, end);
    const ls_status lines = ls_metrics_close(run->metrics);
    run->metrics = NULL;
    return status == LS_OK ? lines : status;
}

static ls_status finish(struct run *run, double started, struct ls_train_summary *summary) {
    LS_TRY(compare_replicas(run));
    // A run that was complete when it was resumed ends with the figures that it had.
    if (run->evaluator && run->state.evaluated_step != run->state.step) LS_TRY(evaluate(run, false));
    *summary = (struct ls_train_summary){
        .complete = true,
        .step = run->state.step,
        .loss = run->state.last_loss,
        .accuracy = run->state.last_accuracy,
        .params_hash = params_hash(run),
    };
    const struct ls_metrics_end end = {
        .step = summary->step,
        .loss = summary->loss,
        .accuracy = summary->accuracy,
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
    return ls_comm_agree(run->comm, chief(run) ? end_files(run, &end) : LS_OK);
}

// ---- a whole run
// ----------------------------------------------------------------------------------------------

// A signal may come while the run is prepared: nothing is there to be saved then.
static ls_status stop_if_asked(struct run *run) {
    uint64_t wishes = ls_stop_wanted() ? 1 : 0;
    LS_TRY(ls_comm_sum_u64(run->comm, &wishes, 1));
    if (wishes == 0) return LS_OK;
    ls_note("stopped by a signal before the first step; --resume starts, or goes on");
    return LS_PREEMPTED;
}

static ls_status open_run(struct run *run) {
    struct ls_comm *comm = run->comm;
    LS_TRY(ls_comm_agree(comm, read_recipe(run)));
    LS_TRY(ls_comm_agree_same(comm, LS_INPUT, "the recipe", run->resolved.data));
    LS_TRY(ls_comm_agree(comm, ls_device_choose(&run->recipe, comm, true, &run->device)));
    LS_TRY(ls_comm_agree_same(comm, LS_INPUT, "the device (equal bits need equal devices)",
                              run->device->fingerprint));
    LS_TRY(ls_comm_agree(comm, open_data(run)));
    ls_note("data: %s", ls_dataset_path_note(run->train));
    LS_TRY(ls_comm_agree(comm, make_model(run)));
    LS_TRY(ls_comm_agree(comm, scan_data(run)));
    LS_TRY(agree_on_data(run));
    LS_TRY(stop_if_asked(run));
    LS_TRY(ls_comm_agree(comm, open_engine(run)));
    LS_TRY(ls_comm_agree(
        comm, chief(run) && run->recipe.model.from ? ls_checkpoint_verify(run->recipe.model.from) : LS_OK));
    LS_TRY(ls_comm_agree(comm, open_folder(run)));
    run->clock = (struct ls_clock){.batch = (uint64_t)run->recipe.train.batch,
                                   .samples = (uint64_t)ls_dataset_info(run->train)->samples};
    run->steps = ls_span_steps(&run->recipe.train.length, &run->clock);
    fresh_state(run);
    LS_TRY(choose_start(run));
    LS_TRY(stop_if_asked(run));
    return ls_comm_agree(comm, open_writers(run));
}

static void close_run(struct run *run) {
    if (run->writer) ls_checkpoint_writer_close(run->writer);
    if (run->progress) ls_progress_close(run->progress);
    (void)ls_metrics_close(run->metrics); // its error came out of end_files, or another one came first
    if (run->folder) ls_run_folder_close(run->folder);
    if (run->reader) ls_reader_close(run->reader);
    ls_evaluator_close(run->evaluator);
    ls_engine_close(run->engine);
    ls_model_free(&run->model);
    if (run->test) ls_dataset_close(run->test);
    if (run->train) ls_dataset_close(run->train);
    if (run->device) run->device->api->close(run->device);
    ls_text_free(&run->resolved);
    ls_recipe_free(&run->recipe);
}

ls_status ls_train(struct ls_comm *comm, const struct ls_train_request *request,
                   struct ls_train_summary *summary) {
    const double started = ls_now();
    struct run run = {.comm = comm, .request = request};
    ls_status status = open_run(&run);
    if (status == LS_OK) status = loop(&run);
    if (status == LS_OK) status = finish(&run, started, summary);
    const struct ls_error error = *ls_error_last();
    close_run(&run);
    return status == LS_OK ? LS_OK : error.status == status ? ls_error_adopt(&error) : status;
}
