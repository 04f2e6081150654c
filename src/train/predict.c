#include "train/predict.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "train/predictions.h"
#include "train/session_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RECALL_BYTES = 8 << 20, GATHER_BYTES = 1 << 30 /* of one call: MPI counts in an int */ };
static const double SECONDS_BETWEEN_NOTES = 10;

// What is at work while the pieces of the evaluation come in.
struct work {
    const struct ls_predict_request *request;
    struct ls_session *session;
    struct ls_comm *comm;
    struct ls_figures figures;
    struct ls_predictions *file; // rank 0
    int64_t outputs, top, samples;
    enum ls_outputs kind;
    bool targets;
    int32_t *order;                      // [outputs], to rank in
    struct ls_prediction_rows mine, all; // ranked rows of this rank, of all ranks (rank 0); grown as needed
    int64_t room_mine, room_all;         // samples
    size_t *bytes_of, *left_of;          // [ranks]: in a gathering now, and after it
    double noted;
};

// ---- memory

static ls_status grow(const struct work *work, struct ls_prediction_rows *rows, int64_t *room, int64_t n) {
    if (n <= *room) return LS_OK;
    free(rows->values);
    free(rows->classes);
    free(rows->confidence);
    rows->values = malloc((size_t)(n * work->outputs) * sizeof *rows->values);
    rows->classes = malloc((size_t)(n * work->top) * sizeof *rows->classes);
    rows->confidence = malloc((size_t)(n * work->top) * sizeof *rows->confidence);
    *room = n;
    if (rows->values && rows->classes && rows->confidence) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "out of memory for the predictions of %" PRId64 " samples", n);
}

static void free_rows(struct ls_prediction_rows *rows) {
    free(rows->values);
    free(rows->classes);
    free(rows->confidence);
}

// ---- a piece

static ls_status check_finite(const struct work *work, int64_t first, int64_t n, const float *values) {
    for (int64_t i = 0; i < n * work->outputs; i++) {
        if (isfinite(values[i])) continue;
        int64_t index;
        const char *file = ls_dataset_locate(work->session->dataset, first + i / work->outputs, &index);
        return LS_FAIL(LS_NUMBERS, "%s: %s[%" PRId64 "]: output %" PRId64 " of %s for this sample is %g",
                       file, work->session->recipe.data.input, index, i % work->outputs,
                       work->request->checkpoint, (double)values[i]);
    }
    return LS_OK;
}

static void rank_rows(const struct work *work, int64_t n, const float *values) {
    const float least = work->figures.min_confidence;
    for (int64_t i = 0; i < n; i++) {
        int32_t *ranked = work->mine.classes + i * work->top;
        float *confidence = work->mine.confidence + i * work->top;
        ls_rank_classes(values + i * work->outputs, work->outputs, work->top, work->order, ranked,
                        confidence);
        for (int64_t k = 0; confidence[0] < least && k < work->top; k++) ranked[k] = -1;
    }
}

static ls_status take_mine(struct work *work, const struct ls_piece *piece) {
    LS_TRY(check_finite(work, piece->mine, piece->n_mine, piece->values));
    LS_TRY(grow(work, &work->mine, &work->room_mine, piece->n_mine));
    if (work->comm->rank == 0) LS_TRY(grow(work, &work->all, &work->room_all, piece->n));
    if (work->kind == LS_CLASSES) rank_rows(work, piece->n_mine, piece->values);
    ls_figures_add(&work->figures, piece->n_mine, piece->values, work->targets ? piece->targets : NULL);
    return LS_OK;
}

// What the first ranks still have, as much of it as one call takes.
static size_t fill_gathering(struct work *work) {
    size_t room = GATHER_BYTES;
    for (int r = 0; r < work->comm->size; r++) {
        work->bytes_of[r] = work->left_of[r] < room ? work->left_of[r] : room;
        work->left_of[r] -= work->bytes_of[r];
        room -= work->bytes_of[r];
    }
    return GATHER_BYTES - room;
}

static ls_status gather(struct work *work, const struct ls_piece *piece, const void *mine, void *all,
                        size_t row_bytes) {
    const int rank = work->comm->rank;
    const char *from = mine;
    char *to = all;
    for (int r = 0; r < work->comm->size; r++) work->left_of[r] = (size_t)piece->n_of[r] * row_bytes;
    for (size_t bytes; (bytes = fill_gathering(work)) > 0; from += work->bytes_of[rank]) {
        LS_TRY(ls_comm_gather(work->comm, from, rank == 0 ? to : NULL, work->bytes_of));
        if (rank == 0) to += bytes;
    }
    return LS_OK;
}

static void note_progress(struct work *work, int64_t done) {
    const double now = ls_now();
    if (now - work->noted < SECONDS_BETWEEN_NOTES) return;
    work->noted = now;
    ls_note("%" PRId64 " of %" PRId64 " samples", done, work->samples);
}

static ls_status take(void *context, const struct ls_piece *piece) {
    struct work *work = context;
    LS_TRY(ls_comm_agree(work->comm, take_mine(work, piece)));
    LS_TRY(gather(work, piece, piece->values, work->all.values, (size_t)work->outputs * sizeof(float)));
    if (work->kind == LS_CLASSES) {
        const size_t bytes = (size_t)work->top * sizeof(float);
        LS_TRY(gather(work, piece, work->mine.classes, work->all.classes, bytes));
        LS_TRY(gather(work, piece, work->mine.confidence, work->all.confidence, bytes));
    }
    if (work->comm->rank != 0) return LS_OK;
    note_progress(work, piece->first + piece->n);
    return ls_predictions_write(work->file, piece->first, piece->n, work->all);
}

// ---- what is there already

// What rank 0 reads at a time.
struct recalling {
    int64_t most; // samples: whole chunks
    int64_t *indices;
    char *targets;
};

// Adds rows [first, first + n), as they were written, to the figures.
static ls_status recall_piece(struct work *work, const struct recalling *recalling, int64_t first,
                              int64_t n) {
    for (int64_t i = 0; i < n; i++) recalling->indices[i] = first + i;
    if (work->targets)
        LS_TRY(ls_dataset_read(work->session->dataset, recalling->indices, n, NULL, recalling->targets, NULL,
                               false));
    ls_figures_add(&work->figures, n, work->all.values, work->targets ? recalling->targets : NULL);
    return LS_OK;
}

static ls_status recall_rows(struct work *work, const struct recalling *recalling, int64_t *done) {
    const int64_t chunk = work->session->model.eval->lane_batch;
    LS_TRY(grow(work, &work->all, &work->room_all, recalling->most));
    for (bool more = true; more && *done < work->samples;) {
        const int64_t left = work->samples - *done, n = left < recalling->most ? left : recalling->most;
        int64_t whole;
        LS_TRY(ls_predictions_read(work->file, *done, n, work->all, &whole));
        more = whole == n;
        if (whole < left) whole -= whole % chunk; // a chunk is computed as a whole
        LS_TRY(recall_piece(work, recalling, *done, whole));
        *done += whole;
    }
    return LS_OK;
}

// Rank 0: rows that are whole, from the first on; they are not computed again.
static ls_status recall(struct work *work, int64_t *done) {
    const struct ls_dataset_info *info = ls_dataset_info(work->session->dataset);
    const int64_t chunk = work->session->model.eval->lane_batch;
    const int64_t row = work->outputs * (int64_t)sizeof(float) + (int64_t)info->target_bytes;
    struct recalling recalling = {.most = (RECALL_BYTES / (chunk * row) + 1) * chunk};
    recalling.indices = malloc((size_t)recalling.most * sizeof *recalling.indices);
    recalling.targets = malloc((size_t)recalling.most * info->target_bytes + 1);
    ls_status status = LS_SYSTEM;
    if (recalling.indices && recalling.targets)
        status = recall_rows(work, &recalling, done);
    else
        (void)LS_FAIL(LS_SYSTEM, "out of memory");
    free(recalling.indices);
    free(recalling.targets);
    LS_TRY(status);
    if (ls_predictions_is_whole(work->file) && *done < work->samples)
        return LS_FAIL(LS_INPUT, "%s: is damaged from row %" PRId64 " on; remove it, or leave --resume out",
                       work->request->output, *done);
    return LS_OK;
}

// ---- the whole

// A hash of all that decides the bytes of the rows.
static ls_status identify(const struct work *work, char identity[20]) {
    const struct ls_session *session = work->session;
    const struct ls_layout *layout = session->model.train->layout;
    const struct ls_replica replica = ls_engine_replica(session->engine);
    // What it predicts with.
    const float *params = replica.average ? replica.average : replica.params;
    const float *states = replica.average ? replica.average_states : replica.states;
    uint64_t content;
    LS_TRY(ls_dataset_content(session->dataset, &content));
    const uint64_t numbers[] = {ls_dataset_info(session->dataset)->identity, content, (uint64_t)work->top,
                                ls_params_hash(layout, params)};
    struct ls_hash *hash = ls_hash_open();
    ls_hash_add(hash, numbers, sizeof numbers);
    ls_hash_add(hash, &work->request->min_confidence, sizeof work->request->min_confidence);
    ls_hash_add(hash, states, layout->state_floats * sizeof *states);
    ls_hash_add(hash, session->header.recipe, strlen(session->header.recipe));
    ls_hash_add(hash, session->device->fingerprint, strlen(session->device->fingerprint));
    snprintf(identity, 20, "%016" PRIx64, ls_hash_value(hash));
    ls_hash_close(hash);
    return LS_OK;
}

static ls_status open_output(struct work *work, int64_t *done) {
    *done = 0;
    if (work->comm->rank != 0) return LS_OK;
    char identity[20];
    LS_TRY(identify(work, identity));
    const struct ls_predictions_about about = {
        .samples = work->samples,
        .outputs = work->outputs,
        .top = work->top,
        .kind = work->kind,
        .min_confidence = work->request->min_confidence,
        .identity = identity,
        .checkpoint = work->request->checkpoint,
        .dataset = work->session->dataset,
        .class_names = ls_session_class_names(work->session),
    };
    LS_TRY(ls_predictions_open(work->request->output, &about, work->request->resume, &work->file));
    if (!work->request->resume) return LS_OK;
    LS_TRY(recall(work, done));
    ls_note("%s: %" PRId64 " of %" PRId64 " rows are there", work->request->output, *done, work->samples);
    return LS_OK;
}

static ls_status check_request(const struct work *work) {
    const struct ls_predict_request *request = work->request;
    if (!(request->min_confidence >= 0 && request->min_confidence <= 1))
        return LS_FAIL(LS_INPUT, "min-confidence: expected 0 to 1, found %g", request->min_confidence);
    if (work->top < 1 || work->top > work->outputs)
        return LS_FAIL(LS_INPUT, "top: expected 1 to %" PRId64 ", found %" PRId64, work->outputs, work->top);
    if (work->kind != LS_CLASSES && (request->top > 1 || request->min_confidence > 0 || request->confusion))
        return LS_FAIL(LS_INPUT, "%s: %s is no model of classes",
                       request->top > 1              ? "top"
                       : request->min_confidence > 0 ? "min-confidence"
                                                     : "confusion",
                       request->checkpoint);
    if (request->confusion && !work->targets)
        return LS_FAIL(LS_INPUT, "confusion: the data have no targets '%s' to compare with",
                       work->session->recipe.data.target);
    if (request->confusion && !work->figures.confusion)
        return LS_FAIL(LS_INPUT, "confusion: expected at most %d classes, found %" PRId64,
                       LS_CONFUSION_CLASSES, work->outputs);
    return LS_OK;
}

static ls_status compute(struct work *work, int64_t done) {
    const struct ls_sink sink = {done, take, work};
    struct ls_evaluation evaluation = {0};
    LS_TRY(ls_session_run(work->session, true, &sink, &evaluation));
    if (!evaluation.abandoned) return LS_OK;
    ls_note("stopped by a signal; the rows so far are kept: --resume goes on");
    return LS_PREEMPTED;
}

static ls_status finish(struct work *work) {
    struct ls_predictions *file = work->file;
    work->file = NULL;
    return file ? ls_predictions_finish(file) : LS_OK;
}

static ls_status predict(struct work *work) {
    struct ls_comm *comm = work->comm;
    int64_t done = 0;
    work->order = malloc((size_t)work->outputs * sizeof *work->order);
    work->bytes_of = calloc((size_t)comm->size, sizeof *work->bytes_of);
    work->left_of = calloc((size_t)comm->size, sizeof *work->left_of);
    ls_status status =
        work->order && work->bytes_of && work->left_of ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory");
    if (status == LS_OK)
        status = ls_figures_open(work->outputs, work->kind, (float)work->request->min_confidence, true,
                                 &work->figures);
    if (status == LS_OK) status = check_request(work);
    LS_TRY(ls_comm_agree(comm, status));
    LS_TRY(ls_comm_agree(comm, open_output(work, &done)));
    LS_TRY(ls_comm_broadcast(comm, &done, sizeof done, 0));
    if (done < work->samples) LS_TRY(compute(work, done));
    LS_TRY(ls_figures_reduce(&work->figures, comm));
    return ls_comm_agree(comm, finish(work));
}

// The output takes no input's place, nor that of anything but predictions.
static ls_status keep_apart(const struct ls_predict_request *request, const struct ls_dataset *dataset) {
    struct stat out, in;
    if (stat(request->output, &out) != 0) return LS_OK;
    const int files = ls_dataset_info(dataset)->n_files;
    for (int i = -1; i < files; i++) {
        int64_t samples;
        const char *input = i < 0 ? request->checkpoint : ls_dataset_file(dataset, i, &samples);
        if (stat(input, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return LS_FAIL(LS_INPUT, "output %s: would overwrite its own input", request->output);
    }
    const ls_status status = ls_predictions_may_replace(request->output);
    if (status != LS_OK) ls_error_prefix("output");
    return status;
}

static ls_status check_places(const struct ls_predict_request *request) {
    const ls_status status = ls_file_may_write(request->output);
    if (status != LS_OK) ls_error_prefix("output");
    return status;
}

// A run that others may go on with leaves its rows; what would fail again leaves nothing.
static bool keeps_rows(ls_status status) {
    return status == LS_PREEMPTED || status == LS_SYSTEM || status == LS_COMM;
}

// The session's names go with it.
static void keep_names(struct ls_predict_summary *summary, const char *const *names, int64_t n) {
    if (!names) return;
    const char **kept = LS_ARENA_NEW(&summary->memory, const char *, n);
    for (int64_t i = 0; i < n; i++) kept[i] = ls_arena_copy(&summary->memory, names[i]);
    summary->class_names = kept;
}

// The figures go from the work into the summary.
static void summarize(struct work *work, struct ls_predict_summary *summary) {
    *summary = (struct ls_predict_summary){
        .step = ls_session_step(work->session),
        .samples = work->samples,
        .targets = work->targets,
        .figures = work->figures,
    };
    work->figures = (struct ls_figures){0};
    keep_names(summary, ls_session_class_names(work->session), work->outputs);
}

static void free_work(struct work *work) {
    ls_figures_close(&work->figures);
    free_rows(&work->mine);
    free_rows(&work->all);
    free(work->order);
    free(work->bytes_of);
    free(work->left_of);
    ls_session_close(work->session);
}

ls_status ls_predict(struct ls_comm *comm, const struct ls_predict_request *request,
                     struct ls_predict_summary *summary) {
    *summary = (struct ls_predict_summary){0};
    LS_TRY(ls_comm_agree(comm, comm->rank == 0 ? check_places(request) : LS_OK));
    const struct ls_session_spec spec = {
        .checkpoint = request->checkpoint,
        .patterns = request->inputs,
        .n_patterns = request->n_inputs,
        .may_lack_targets = true,
    };
    struct ls_session *session;
    LS_TRY(ls_session_open(comm, &spec, &session));
    struct work work = {
        .request = request,
        .session = session,
        .comm = comm,
        .outputs = ls_session_outputs(session),
        .top = request->top == 0 ? 1 : request->top,
        .samples = ls_session_samples(session),
        .kind = ls_session_kind(session),
        .targets = ls_session_has_targets(session),
        .noted = ls_now(),
    };
    ls_status status = ls_comm_agree(comm, keep_apart(request, session->dataset));
    if (status == LS_OK) status = predict(&work);
    if (work.file && status == LS_SYSTEM)
        ls_note("%s.partial keeps the rows so far: --resume goes on", request->output);
    ls_predictions_abandon(work.file, keeps_rows(status));
    if (status == LS_OK) summarize(&work, summary);
    free_work(&work);
    return status;
}

void ls_predict_summary_free(struct ls_predict_summary *summary) {
    ls_figures_close(&summary->figures);
    ls_arena_free(&summary->memory);
    *summary = (struct ls_predict_summary){0};
}
