// From the recipe to a run that may take its first step, and back.
#include "train/run.h"

#include "base/file.h"
#include "base/log.h"
#include "train/groups.h"
#include "train/reading.h"
#include "train/schema.h"
#include "train/setup.h"
#include "train/stop.h"
#include "train/weights_from.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- what it is made of ----

static ls_status read_recipe(struct ls_run *run) {
    const struct ls_train_request *request = run->request;
    if (!request->out && !request->recipe.path)
        return LS_FAIL(LS_INPUT, "a run whose recipe is no file needs a folder of its own");
    LS_TRY(ls_recipe_load(&request->recipe, &run->recipe));
    ls_recipe_print(&run->recipe, &run->resolved);
    ls_comm_set_timeout(run->comm, run->recipe.train.timeout);
    return ls_engine_check_ranks(&run->recipe, run->comm);
}

static const char *default_folder(const struct ls_train_request *request, char *out, size_t bytes) {
    if (request->out) return request->out;
    const char *slash = strrchr(request->recipe.path, '/');
    const char *name = slash ? slash + 1 : request->recipe.path;
    const char *dot = strrchr(name, '.');
    snprintf(out, bytes, "runs/%.*s", (int)(dot && dot != name ? dot - name : (ptrdiff_t)strlen(name)), name);
    return out;
}

static ls_status check_folder(const struct ls_run *run) {
    char name[1024];
    if (!ls_run_writes(run) || run->request->resume) return LS_OK;
    return ls_run_folder_refuse_a_run(default_folder(run->request, name, sizeof name));
}

static ls_status open_data(struct ls_run *run) {
    LS_TRY(ls_data_open(&run->recipe, false, &run->train));
    if (run->recipe.data.test.n > 0) {
        LS_TRY(ls_data_open(&run->recipe, true, &run->test));
        LS_TRY(ls_data_same_shape(&run->recipe, ls_dataset_info(run->train), ls_dataset_info(run->test)));
    }
    return LS_OK;
}

// A node whose copy of the data is another would train on it without a word.
static ls_status agree_on_data(struct ls_run *run) {
    const struct ls_dataset_info *train = ls_dataset_info(run->train);
    const struct ls_dataset_info *test = run->test ? ls_dataset_info(run->test) : NULL;
    char text[128];
    snprintf(text, sizeof text,
             "%" PRId64 " samples, identity %016" PRIx64 "; %" PRId64 " test samples, %016" PRIx64,
             train->samples, train->identity, test ? test->samples : 0, test ? test->identity : 0);
    return ls_comm_agree_same(run->comm, LS_INPUT, "the data", text);
}

static ls_status scan_data(struct ls_run *run) {
    LS_TRY(ls_data_scan(run->train, &run->recipe, run->comm));
    return run->test ? ls_data_scan(run->test, &run->recipe, run->comm) : LS_OK;
}

static ls_status make_model(struct ls_run *run) {
    const struct ls_sample_shape sample = ls_sample_shape_of(ls_dataset_info(run->train));
    LS_TRY(ls_model_make(&run->recipe, &sample, run->device, &run->model));
    const struct ls_memory memory =
        ls_memory_of(&run->recipe, &run->model, ls_dataset_info(run->train),
                     run->test ? ls_dataset_info(run->test) : NULL, run->device, run->comm);
    LS_TRY(ls_memory_check(&run->recipe, &sample, run->device, run->comm, &memory));
    const struct ls_layout *layout = run->model.train->layout;
    char bytes[32], frozen[48] = "";
    if (layout->frozen) snprintf(frozen, sizeof frozen, ", %" PRId64 " of them frozen", layout->frozen);
    ls_note("model: %s, %" PRId64 " parameters%s; %d %s %" PRId64 " lanes of %" PRId64
            " samples; rank 0 takes %s",
            run->recipe.model.zoo, layout->parameters, frozen, run->comm->size,
            run->comm->size == 1 ? "rank has" : "ranks share", run->recipe.train.lanes,
            run->model.train->lane_batch, ls_format_bytes(bytes, (double)memory.total));
    return LS_OK;
}

static ls_status open_engine(struct ls_run *run) {
    const struct ls_engine_spec spec = {run->device, run->comm, &run->model, &run->recipe};
    // A CPU's lanes would lose to the host what it gains; and a signal is answered a step later.
    run->runs_ahead = !run->device->host_memory;
    return ls_engine_open(&spec, &run->engine);
}

static ls_status open_readers(struct ls_run *run) {
    const struct ls_lane_range lanes = ls_engine_lanes(run->engine);
    const int64_t samples = (lanes.end - lanes.begin) * run->model.train->lane_batch;
    struct ls_reader_spec reading = ls_reader_spec_of(&run->recipe, false, samples);
    ls_reader_for_device(&reading, run->device);
    reading.stride = run->recipe.train.batch;
    ls_sampling_apply(&run->sampling, &reading);
    LS_TRY(ls_reader_open(run->train, &reading, &run->reader));
    if (run->recipe.train.audit_every > 0)
        LS_TRY(ls_audit_open(run->engine, run->comm, &run->recipe, &run->model, run->device, run->train,
                             &run->sampling, &run->audit));
    if (!run->test) return LS_OK;
    LS_TRY(ls_figures_open(run->recipe.model.classes, ls_outputs_of(&run->recipe), 0, false, &run->figures));
    return ls_evaluator_open(run->engine, run->comm, &run->recipe, &run->model, run->device, run->test, true,
                             &run->evaluator);
}

static ls_status open_folder(struct ls_run *run) {
    if (!ls_run_writes(run)) return LS_OK;
    char name[1024];
    return ls_run_folder_open(default_folder(run->request, name, sizeof name), run->request->resume,
                              &run->folder);
}

// ---- where it starts ----

static void fresh_state(struct ls_run *run) {
    run->state = (struct ls_checkpoint_state){
        .seed = run->recipe.seed,
        .loss_scale = run->recipe.train.precision == LS_F16 ? LS_LOSS_SCALE_FIRST : 1,
        .samples = run->clock.samples,
        .batch = run->clock.batch,
        .lanes = (uint64_t)run->recipe.train.lanes,
        .data_identity = ls_dataset_info(run->train)->identity,
        .data_content = run->content,
        .best_score = NAN,
        .last_loss = NAN,
        .last = ls_scores_none(),
    };
}

static ls_status same_data(const struct ls_run *run, const char *path,
                           const struct ls_checkpoint_state *saved) {
    const bool same_files = saved->data_identity == ls_dataset_info(run->train)->identity;
    if (same_files && saved->data_content == run->content) return LS_OK;
    const char *what =
        same_files ? "samples or targets were changed since" : "files, sizes or identities differ";
    if (run->request->accept_changed_data) {
        ls_warn("%s: data.train is not the set that the run began with (%s), and goes on all the same", path,
                what);
        return LS_OK;
    }
    return LS_FAIL(LS_INPUT,
                   "cannot resume from %s: data.train is not the set that the run began with (%s); "
                   "--accept-changed-data goes on all the same",
                   path, what);
}

// Bits are promised for equal devices and libraries alone; whoever goes on elsewhere is told so.
static void compare_devices(const struct ls_checkpoint_header *saved, const struct ls_device *device) {
    if (strcmp(saved->fingerprint, device->fingerprint) != 0)
        ls_warn("the run began on \"%s\" and goes on on \"%s\": the result may differ in its last bits",
                saved->fingerprint, device->fingerprint);
    else if (saved->choices && strcmp(saved->choices, device->choices) != 0)
        ls_warn("libraries do the model's operations in other ways than when this run began (one was without "
                "memory or a file, then or now): the result may differ in its last bits");
}

// The run goes on from its own weights, whatever the file holds by now; but the recipe leads elsewhere then.
static void compare_start(const struct ls_checkpoint_header *saved, const struct ls_recipe *recipe) {
    const char *from = recipe->model.from;
    uint64_t content = 0;
    if (!from || saved->state.from_content == 0 || !ls_file_exists(from)) return;
    if (ls_checkpoint_content(from, &content) != LS_OK) {
        ls_warn("%s: cannot tell whether %s holds what the run began from: %s",
                ls_recipe_place(recipe, "model.from"), from, ls_error_last()->text);
        ls_error_clear();
        return;
    }
    if (content == saved->state.from_content) return;
    ls_warn("%s: %s holds other weights than when the run began: the run goes on with those that it took "
            "then, and one that is begun anew will not come to its result",
            ls_recipe_place(recipe, "model.from"), from);
}

// Rank 0: may the run go on from this file with the recipe as it is now?
static ls_status fits(struct ls_run *run, const char *path) {
    struct ls_checkpoint_header header;
    LS_TRY(ls_checkpoint_read_header(path, &header));
    struct ls_recipe saved;
    ls_status status = ls_recipe_parse(header.recipe, path, ".", NULL, 0, &saved);
    if (status == LS_OK) {
        status = ls_recipe_same_result(&saved, &run->recipe);
        if (status != LS_OK) ls_error_prefix("cannot resume from %s", path);
        ls_recipe_free(&saved);
    }
    if (status == LS_OK) status = same_data(run, path, &header.state);
    if (status == LS_OK) compare_devices(&header, run->device);
    if (status == LS_OK) compare_start(&header, &run->recipe);
    ls_checkpoint_header_free(&header);
    return status;
}

// model.from: rank 0 reads, all receive.
static ls_status take_weights(struct ls_run *run) {
    const struct ls_layout *layout = run->model.train->layout;
    struct ls_replica replica = ls_engine_replica(run->engine);
    if (!run->recipe.model.from) {
        if (run->recipe.model.freeze.n > 0)
            ls_warn("model.freeze without model.from: what is frozen stays at its initial values");
        return LS_OK;
    }
    ls_status status = ls_run_writes(run) ? ls_weights_from_check(&run->recipe) : LS_OK;
    if (status == LS_OK && ls_run_writes(run))
        status = ls_weights_from(&run->recipe, layout, replica.params, replica.states);
    if (status == LS_OK && ls_run_writes(run))
        status = ls_checkpoint_content(run->recipe.model.from, &run->from_content);
    LS_TRY(ls_comm_agree(run->comm, status));
    LS_TRY(ls_comm_broadcast(run->comm, replica.params, layout->param_floats * sizeof(float), 0));
    LS_TRY(ls_comm_broadcast(run->comm, replica.states, layout->state_floats * sizeof(float), 0));
    ls_replica_begin_average(&replica, layout);
    return ls_comm_agree(run->comm, ls_engine_upload(run->engine));
}

static ls_status choose_start(struct ls_run *run) {
    char path[4096] = "";
    ls_status status = LS_OK;
    if (ls_run_writes(run) && run->request->resume) {
        char *newest = NULL;
        status = ls_checkpoint_newest(ls_run_folder_checkpoints(run->folder), &newest);
        if (status == LS_OK && newest) status = fits(run, newest);
        if (newest) snprintf(path, sizeof path, "%s", newest);
        free(newest);
    }
    LS_TRY(ls_comm_agree(run->comm, status));
    LS_TRY(ls_comm_broadcast(run->comm, path, sizeof path, 0));
    if (path[0] == 0) {
        if (run->request->resume) LS_TRY(take_weights(run));
        run->state.from_content = run->from_content;
        return LS_OK;
    }
    LS_TRY(ls_replica_load(run->engine, run->model.train->layout, run->comm, path, true, &run->state));
    run->state.samples = run->clock.samples;
    run->state.data_identity =
        ls_dataset_info(run->train)->identity; // others where changed data were accepted
    run->state.data_content = run->content;
    run->saved_step = run->state.step;
    run->scale_before_row = ls_loss_scale_before(run->state.loss_scale, run->state.skipped_in_row);
    ls_note("resuming from %s, step %" PRIu64 "%s", path, run->state.step,
            run->recipe.model.from ? "; model.from is not read" : "");
    return LS_OK;
}

// The key that the warm-up was read from: each schedule that has one has its own.
static const char *warmup_key(const struct ls_recipe *recipe) {
    for (int i = 0; i < ls_schema_keys; i++)
        if (ls_schema[i].kind == LS_KEY_SPAN &&
            ls_schema[i].offset == offsetof(struct ls_recipe, train.warmup) &&
            !ls_schema_is_idle(&ls_schema[i], recipe))
            return ls_schema[i].path;
    return "train.schedule";
}

// Fine for a trial of a few steps, and a mistake in a recipe.
static void warn_of_warmup(const struct ls_run *run) {
    const uint64_t warmup = ls_span_steps(&run->recipe.train.warmup, &run->clock);
    if (warmup <= run->steps) return;
    ls_warn("%s: the rate rises for %" PRIu64 " steps, but the run has %" PRIu64
            ": it comes to %.3g, not to its peak of %g",
            ls_recipe_place(&run->recipe, warmup_key(&run->recipe)), warmup, run->steps,
            (double)run->steps / (double)warmup * run->recipe.train.peak, run->recipe.train.peak);
}

// ---- all of it ----

// A signal may come while the run is prepared: nothing is there to be saved then.
static ls_status stop_if_asked(struct ls_run *run) {
    uint64_t wishes = ls_stop_wanted() ? 1 : 0;
    LS_TRY(ls_comm_sum_u64(run->comm, &wishes, 1));
    if (wishes == 0) return LS_OK;
    ls_note("stopped by a signal before the first step; --resume starts, or goes on");
    return LS_PREEMPTED;
}

ls_status ls_run_open(struct ls_run *run) {
    struct ls_comm *comm = run->comm;
    LS_TRY(ls_comm_agree(comm, read_recipe(run)));
    LS_TRY(ls_comm_agree_same(comm, LS_INPUT, "the recipe", run->resolved.data));
    LS_TRY(ls_comm_agree(comm, check_folder(run)));
    LS_TRY(ls_comm_agree(comm, ls_device_choose(&run->recipe, comm, true, &run->device)));
    LS_TRY(ls_device_agree(&run->recipe, comm, run->device));
    LS_TRY(ls_comm_agree(comm, open_data(run)));
    ls_note("data: %s", ls_dataset_path_note(run->train));
    LS_TRY(ls_comm_agree(comm, make_model(run)));
    LS_TRY(ls_comm_agree(comm, scan_data(run)));
    LS_TRY(agree_on_data(run));
    LS_TRY(ls_comm_agree(comm, ls_sampling_open(&run->recipe, run->train, &run->sampling)));
    LS_TRY(ls_comm_agree(comm, ls_run_writes(run) ? ls_dataset_content(run->train, &run->content) : LS_OK));
    LS_TRY(stop_if_asked(run));
    LS_TRY(ls_comm_agree(comm, open_engine(run)));
    LS_TRY(ls_comm_agree(comm, open_readers(run)));
    if (!run->request->resume) LS_TRY(take_weights(run)); // before a folder is there that would be left empty
    LS_TRY(ls_comm_agree(comm, open_folder(run)));
    run->clock = (struct ls_clock){.batch = (uint64_t)run->recipe.train.batch,
                                   .samples = (uint64_t)ls_dataset_info(run->train)->samples};
    run->steps = ls_span_steps(&run->recipe.train.length, &run->clock);
    warn_of_warmup(run);
    ls_groups_warn(&run->recipe, run->model.train->layout);
    fresh_state(run);
    LS_TRY(choose_start(run));
    LS_TRY(stop_if_asked(run));
    LS_TRY(ls_comm_agree(comm, ls_run_open_files(run)));
    if (run->request->trace_steps == 0) return LS_OK;
    LS_TRY(ls_trace_open(comm, ls_engine_queues(run->engine), !run->device->host_memory,
                         run->request->trace_steps, ls_engine_spans_a_step(run->engine), &run->trace));
    ls_engine_trace(run->engine, run->trace);
    return LS_OK;
}

void ls_run_close(struct ls_run *run) {
    if (run->writer) ls_checkpoint_writer_close(run->writer);
    if (run->progress) ls_progress_close(run->progress);
    (void)ls_metrics_close(run->metrics); // its error came out of end_files, or another one came first
    if (run->folder) ls_run_folder_close(run->folder);
    if (run->reader) ls_reader_close(run->reader);
    ls_evaluator_close(run->evaluator);
    ls_figures_close(&run->figures);
    ls_audit_close(run->audit);
    ls_engine_close(run->engine);
    ls_trace_close(run->trace);
    ls_model_free(&run->model);
    ls_sampling_close(&run->sampling);
    if (run->test) ls_dataset_close(run->test);
    if (run->train) ls_dataset_close(run->train);
    if (run->device) run->device->api->close(run->device);
    ls_text_free(&run->class_names);
    ls_text_free(&run->resolved);
    ls_recipe_free(&run->recipe);
}
