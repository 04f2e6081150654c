#include "train/session_parts.h"

#include "base/log.h"
#include "base/pulse.h"
#include "train/gpu.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- data

static ls_status open_files(struct ls_session *session, const struct ls_session_spec *spec,
                            const char *target) {
    const struct ls_recipe *recipe = &session->recipe;
    if (!spec->patterns && recipe->data.test.n == 0)
        return LS_FAIL(LS_INPUT, "%s: its recipe has no data.test; name the data with --data",
                       spec->checkpoint);
    const struct ls_dataset_spec files = {
        .patterns = spec->patterns ? spec->patterns : (const char *const *)recipe->data.test.items,
        .n_patterns = spec->patterns ? spec->n_patterns : recipe->data.test.n,
        .input = recipe->data.input,
        .target = target,
        .target_optional = spec->may_lack_targets,
        .targets = ls_targets_of(recipe),
        .what = spec->patterns ? "data" : "data.test",
        .axes = recipe->data.axes,
        .tokens = recipe->model.vocabulary,
        .as_listed = spec->patterns != NULL,
    };
    return ls_dataset_open(&files, &session->dataset);
}

// Can the model be held against these targets?
static ls_status check_targets(const struct ls_session *session) {
    const struct ls_dataset_info *info = ls_dataset_info(session->dataset);
    const int64_t outputs = session->recipe.model.classes, values = info->target_values;
    const bool classes = ls_session_kind(session) == LS_CLASSES;
    if (!info->has_target) return LS_OK;
    if (classes ? info->target_is_class && (values == 1 || values == outputs) : values == outputs)
        return LS_OK;
    int64_t index;
    return LS_FAIL(LS_INPUT, "%s: dataset '%s' has %" PRId64 " %s a sample, expected %s%" PRId64 "%s",
                   ls_dataset_locate(session->dataset, 0, &index), session->recipe.data.target, values,
                   info->target_is_class ? "classes" : "values", classes ? "one of " : "", outputs,
                   classes ? " classes" : " values");
}

// Every rank looks through its part; one opinion on all.
static ls_status scan_targets(const struct ls_session *session) {
    struct ls_comm *comm = session->comm;
    const int64_t n = ls_dataset_info(session->dataset)->samples;
    return ls_dataset_scan(session->dataset, n * comm->rank / comm->size, n * (comm->rank + 1) / comm->size,
                           session->recipe.model.classes, false);
}

// Whatever is wrong with the targets, the samples may be good: then that is said, and they go without.
static ls_status open_data(struct ls_session *session, const struct ls_session_spec *spec) {
    struct ls_comm *comm = session->comm;
    const char *target = session->recipe.data.target;
    if (!spec->may_lack_targets) return ls_comm_agree(comm, open_files(session, spec, target));
    ls_status status = open_files(session, spec, target);
    if (status == LS_OK) status = check_targets(session);
    status = ls_comm_agree(comm, status);
    if (status == LS_OK) status = ls_comm_agree(comm, scan_targets(session));
    if (status != LS_INPUT) return status;
    const struct ls_error found = *ls_error_last();
    ls_error_clear();
    if (session->dataset) ls_dataset_close(session->dataset);
    session->dataset = NULL;
    if (ls_comm_agree(comm, open_files(session, spec, NULL)) != LS_OK) return ls_error_last()->status;
    ls_warn("%s; targets are left out, and there are no figures", found.text);
    return LS_OK;
}

// ---- what fits

// What the checkpoint's graph says of its samples: `%0 = raw "raw" u8 32x1x16x16`, type, batch, channels,
// height and width; of tokens `i32 32x64`, batch and how many a sample. Ops may have changed since it was
// written, so that nothing else in it is looked at.
static bool find_trained_shape(const char *graph, char type[8], long long dim[3]) {
    const char *line = strstr(graph, " = raw ");
    dim[1] = dim[2] = 1;
    const int found =
        !line ? 0
              : sscanf(line, " = raw \"%*[^\"]\" %7s %*dx%lldx%lldx%lld", type, &dim[0], &dim[1], &dim[2]);
    return found == 4 || (found == 2 && strcmp(type, "i32") == 0);
}

static ls_status check_shape(const struct ls_session *session, const char *checkpoint) {
    const struct ls_dataset_info *info = ls_dataset_info(session->dataset);
    long long dim[3];
    char type[8];
    int64_t index;
    if (!find_trained_shape(session->header.model, type, dim)) return LS_OK;
    // Of samples larger than it sees, the model is shown the centre: then any that hold it will do.
    const int64_t seen = session->recipe.data.augment.size;
    const bool same = dim[1] == info->height && dim[2] == info->width;
    const bool holds_it = seen > 0 && info->height >= seen && info->width >= seen;
    if (dim[0] == info->channels && (same || holds_it)) return LS_OK;
    if (info->type == LS_I32)
        return LS_FAIL(LS_INPUT,
                       "%s: dataset '%s' holds samples of %" PRId64
                       " tokens, but %s was trained on samples of %lld",
                       ls_dataset_locate(session->dataset, 0, &index), session->recipe.data.input,
                       info->channels, checkpoint, dim[0]);
    return LS_FAIL(LS_INPUT,
                   "%s: dataset '%s' holds samples of %" PRId64 "x%" PRId64 "x%" PRId64
                   " (height, width, channels), but %s was trained on samples of %lldx%lldx%lld",
                   ls_dataset_locate(session->dataset, 0, &index), session->recipe.data.input, info->height,
                   info->width, info->channels, checkpoint, dim[1], dim[2], dim[0]);
}

static ls_status find_sample(struct ls_session *session, const char *checkpoint) {
    struct ls_sample_shape *sample = &session->sample;
    long long dim[3];
    char type[8];
    const struct ls_dataset_info *info = session->dataset ? ls_dataset_info(session->dataset) : NULL;
    if (info) {
        *sample = ls_sample_shape_of(info);
    } else {
        if (!find_trained_shape(session->header.model, type, dim))
            return LS_FAIL(LS_INPUT, "%s: does not say which samples it was trained on", checkpoint);
        sample->channels = dim[0];
        sample->height = dim[1];
        sample->width = dim[2];
        sample->type = ls_dtype_named(type);
    }
    if (!info || !info->has_target) {
        // Nothing will read the targets: the model is built as its recipe says.
        sample->target_is_class = ls_session_kind(session) == LS_CLASSES;
        sample->target_values = session->recipe.model.classes;
    }
    return LS_OK;
}

static ls_status make_model(struct ls_session *session, const char *checkpoint) {
    LS_TRY(find_sample(session, checkpoint));
    return ls_model_make(&session->recipe, &session->sample, session->device, &session->model);
}

static ls_status open_engine(struct ls_session *session) {
    const struct ls_engine_spec spec = {session->device, session->comm, &session->model, &session->recipe};
    return ls_engine_open(&spec, &session->engine);
}

// ---- all of it

// Trained on a GPU, used on a laptop: what the recipe says of the device is not of this one. Where there is
// no GPU, f32 takes the place of what only a GPU computes.
static void use_here(struct ls_recipe *recipe) {
    const struct ls_cuda_gpu *gpus;
    const char *why;
    recipe->device.kind = "auto";
    recipe->device.id = "auto";
    recipe->device.memory = 0;
    if (ls_gpu_count(&gpus, &why) > 0) return;
    recipe->train.tf32 = false;
    if (recipe->train.precision == LS_F16) recipe->train.precision = LS_F32;
}

// Ranks share out chunks of a lane's samples, however many lanes there were: with more ranks than that, the
// engine is told of one each, of the same samples.
static void widen(struct ls_recipe *recipe, int ranks) {
    const int64_t lane_batch = recipe->train.batch / recipe->train.lanes;
    if (ranks <= recipe->train.lanes) return;
    recipe->train.lanes = ranks;
    recipe->train.batch = ranks * lane_batch;
}

static ls_status read_header(struct ls_session *session, const char *checkpoint) {
    LS_TRY(ls_checkpoint_read_header(checkpoint, &session->header));
    LS_TRY(ls_recipe_parse(session->header.recipe, checkpoint, ".", NULL, 0, &session->recipe));
    use_here(&session->recipe);
    widen(&session->recipe, session->comm->size);
    return LS_OK;
}

static ls_status agree_on_data(const struct ls_session *session) {
    const struct ls_dataset_info *info = ls_dataset_info(session->dataset);
    char text[64];
    snprintf(text, sizeof text, "%" PRId64 " samples, identity %016" PRIx64, info->samples, info->identity);
    return ls_comm_agree_same(session->comm, LS_INPUT, "the data", text);
}

static ls_status open_parts(struct ls_session *session, const struct ls_session_spec *spec) {
    struct ls_comm *comm = session->comm;
    LS_TRY(ls_comm_agree(comm, read_header(session, spec->checkpoint)));
    LS_TRY(ls_comm_agree_same(comm, LS_INPUT, "the checkpoint's recipe", session->header.recipe));
    if (!spec->without_data) {
        LS_TRY(open_data(session, spec));
        LS_TRY(agree_on_data(session));
        LS_TRY(ls_comm_agree(comm, check_shape(session, spec->checkpoint)));
    }
    LS_TRY(ls_comm_agree(comm, ls_device_choose(&session->recipe, comm, false, &session->device)));
    LS_TRY(ls_device_agree(&session->recipe, comm, session->device));
    LS_TRY(ls_comm_agree(comm, make_model(session, spec->checkpoint)));
    LS_TRY(ls_comm_agree(comm, open_engine(session)));
    return ls_replica_load(session->engine, session->model.train->layout, comm, spec->checkpoint, false,
                           NULL);
}

ls_status ls_session_open(struct ls_comm *comm, const struct ls_session_spec *spec,
                          struct ls_session **session) {
    struct ls_session *opened = calloc(1, sizeof *opened);
    *session = NULL;
    ls_status status = ls_comm_agree(comm, opened ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory"));
    if (status == LS_OK && opened) {
        opened->comm = comm;
        status = open_parts(opened, spec);
    }
    if (status == LS_OK)
        *session = opened;
    else
        ls_session_close(opened);
    return status;
}

void ls_session_close(struct ls_session *session) {
    if (!session) return;
    ls_session_leave_room(session);
    ls_engine_close(session->engine);
    ls_model_free(&session->model);
    if (session->device) session->device->api->close(session->device);
    if (session->dataset) ls_dataset_close(session->dataset);
    ls_recipe_free(&session->recipe);
    ls_checkpoint_header_free(&session->header);
    ls_arena_free(&session->names);
    free(session);
}

// ---- what it is for

ls_status ls_session_run(struct ls_session *session, bool stoppable, const struct ls_sink *sink,
                         struct ls_evaluation *evaluation) {
    struct ls_evaluator *evaluator = NULL;
    if (!session->dataset) return LS_FAIL(LS_INPUT, "the session was opened without data");
    ls_status status = ls_evaluator_open(session->engine, session->comm, &session->recipe, &session->model,
                                         session->device, session->dataset, true, &evaluator);
    status = ls_comm_agree(session->comm, status);
    ls_pulse_step(session->header.state.step);
    const enum ls_phase before = ls_pulse_phase(LS_EVALUATING);
    if (status == LS_OK) status = ls_evaluate(evaluator, stoppable, sink, evaluation);
    ls_pulse_phase(before);
    ls_evaluator_close(evaluator);
    return status;
}

static ls_status add_piece(void *context, const struct ls_piece *piece) {
    ls_figures_add(context, piece->n_mine, piece->values, piece->targets);
    return LS_OK;
}

ls_status ls_session_evaluate(struct ls_session *session, struct ls_figures *figures,
                              struct ls_evaluation *evaluation) {
    struct ls_comm *comm = session->comm;
    const struct ls_sink sink = {0, add_piece, figures};
    ls_status status =
        ls_figures_open(ls_session_outputs(session), ls_session_kind(session), 0, true, figures);
    if (status == LS_OK && !ls_session_has_targets(session))
        status =
            LS_FAIL(LS_INPUT, "the data have no targets '%s' to compare with", session->recipe.data.target);
    if (status == LS_OK) status = ls_data_scan(session->dataset, &session->recipe, comm);
    LS_TRY(ls_comm_agree(comm, status));
    LS_TRY(ls_session_run(session, false, &sink, evaluation));
    return ls_figures_reduce(figures, comm);
}
