#include "base/file.h"
#include "cli/cli.h"
#include "cli/session.h"
#include "cli/world.h"
#include "h5/h5.h"
#include "train/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct request {
    const char *checkpoint, *input, *output;
    int64_t top;
};

// Where the rows of a batch go.
struct sink {
    struct ls_h5 *file;
    int64_t outputs, top;
    bool classes;      // probabilities: class and confidence, too
    int32_t *ranked;   // [batch * top]
    float *confidence; // [batch * top]
};

// The `top` classes of one row, the most probable first; of equals, the lower class.
static void rank_row(const float *row, int64_t n, int64_t top, int32_t *ranked, float *confidence) {
    for (int64_t k = 0; k < top; k++) {
        int64_t best = -1;
        for (int64_t c = 0; c < n; c++) {
            bool taken = false;
            for (int64_t j = 0; j < k; j++) taken |= ranked[j] == c;
            if (!taken && (best < 0 || row[c] > row[best])) best = c;
        }
        ranked[k] = (int32_t)best;
        confidence[k] = row[best];
    }
}

static ls_status write_rows(void *context, int64_t first, int64_t n, const float *values) {
    struct sink *sink = context;
    for (int64_t i = 0; i < n * sink->outputs; i++)
        if (!isfinite(values[i]))
            return LS_FAIL(LS_NUMBERS, "the model's output for sample %lld is not finite",
                           (long long)(first + i / sink->outputs));
    LS_TRY(ls_h5_write_rows(sink->file, sink->classes ? "probabilities" : "predictions", first, n, LS_F32,
                            values));
    if (!sink->classes) return LS_OK;
    for (int64_t i = 0; i < n; i++)
        rank_row(values + i * sink->outputs, sink->outputs, sink->top, sink->ranked + i * sink->top,
                 sink->confidence + i * sink->top);
    LS_TRY(ls_h5_write_rows(sink->file, "class", first, n, LS_I32, sink->ranked));
    return ls_h5_write_rows(sink->file, "confidence", first, n, LS_F32, sink->confidence);
}

static ls_status make_output(const struct request *request, const struct ls_session *session,
                             const char *path, struct sink *sink) {
    const int64_t samples = ls_dataset_info(session->dataset)->samples;
    const int64_t rows[2] = {samples, sink->outputs}, ranked[2] = {samples, sink->top};
    LS_TRY(ls_h5_create(path, &sink->file));
    LS_TRY(ls_h5_set_text(sink->file, "/", "format", "lockstep-predictions"));
    LS_TRY(ls_h5_set_text(sink->file, "/", "checkpoint", request->checkpoint));
    LS_TRY(ls_h5_set_text(sink->file, "/", "input", request->input));
    LS_TRY(ls_h5_make(sink->file, sink->classes ? "probabilities" : "predictions", LS_F32, 2, rows));
    if (!sink->classes) return LS_OK;
    // With --top 1 a class is a number, not a list of one.
    const int rank = sink->top == 1 ? 1 : 2;
    LS_TRY(ls_h5_make(sink->file, "class", LS_I32, rank, ranked));
    return ls_h5_make(sink->file, "confidence", LS_F32, rank, ranked);
}

static ls_status predict(const struct request *request, struct ls_session *session, const char *path) {
    const struct ls_plan *plan = session->model.eval;
    const int64_t batch = plan->lane_batch * session->device->compute_queues;
    struct sink sink = {
        .outputs = ls_shape_count(&ls_info(plan->graph, plan->result)->shape) / plan->lane_batch,
        .top = request->top,
        .classes = session->recipe.train.loss == LS_RECIPE_CROSS_ENTROPY,
    };
    if (sink.top < 1 || sink.top > sink.outputs)
        return LS_FAIL(LS_INPUT, "--top: expected 1 to %lld, found %lld", (long long)sink.outputs,
                       (long long)sink.top);
    sink.ranked = calloc((size_t)(batch * sink.top), sizeof *sink.ranked);
    sink.confidence = calloc((size_t)(batch * sink.top), sizeof *sink.confidence);
    struct ls_evaluator *evaluator = NULL;
    struct ls_evaluation evaluation;
    ls_status status = LS_OK;
    if (!sink.ranked || !sink.confidence) status = LS_FAIL(LS_SYSTEM, "out of memory");
    if (status == LS_OK) status = make_output(request, session, path, &sink);
    if (status == LS_OK)
        status = ls_evaluator_open(session->engine, session->comm, &session->recipe, &session->model,
                                   session->device, session->dataset, &evaluator);
    if (status == LS_OK) status = ls_evaluate(evaluator, false, write_rows, &sink, &evaluation);
    ls_evaluator_close(evaluator);
    free(sink.ranked);
    free(sink.confidence);
    if (status == LS_OK) return ls_h5_finish(sink.file);
    if (sink.file) ls_h5_close(sink.file);
    return status;
}

// The output takes no input's place.
static ls_status keep_apart(const struct request *request) {
    const char *const inputs[] = {request->input, request->checkpoint};
    struct stat out, in;
    if (stat(request->output, &out) != 0) return LS_OK;
    for (int i = 0; i < 2; i++)
        if (stat(inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return LS_FAIL(LS_INPUT, "-o %s: would overwrite its own input", request->output);
    return LS_OK;
}

static ls_status work(struct ls_comm *comm, void *context) {
    const struct request *request = context;
    ls_status fit =
        comm->size > 1 ? LS_FAIL(LS_INPUT, "predict runs on one rank, found %d", comm->size) : LS_OK;
    if (fit == LS_OK) fit = keep_apart(request);
    LS_TRY(ls_comm_agree(comm, fit));
    struct ls_session session;
    LS_TRY(ls_session_open(comm, request->checkpoint, request->input, false, &session));
    // The output appears under its name when it is whole.
    struct ls_text temporary = {0};
    ls_text_add(&temporary, "%s.tmp.%ld", request->output, (long)getpid());
    ls_status status = predict(request, &session, temporary.data);
    if (status == LS_OK)
        status = ls_file_commit(temporary.data, request->output);
    else
        unlink(temporary.data);
    if (status == LS_OK)
        printf("predicted %lld samples into %s\n", (long long)ls_dataset_info(session.dataset)->samples,
               request->output);
    ls_text_free(&temporary);
    ls_session_close(&session);
    return status;
}

ls_status ls_command_predict(const struct ls_command *command, int argc, char **argv) {
    struct request request = {.top = 1};
    bool helped = false;
    const struct ls_option options[] = {
        {"--out", "-o", LS_WORD, &request.output, "OUT.h5", "the file to write"},
        {"--top", NULL, LS_INTEGER, &request.top, "K",
         "how many classes and confidences a sample (default 1)"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n != 2)
        return LS_FAIL(
            LS_INPUT, "predict takes a checkpoint and an input file, found %d arguments: lockstep predict %s",
            n, command->usage);
    if (!request.output) return LS_FAIL(LS_INPUT, "predict needs -o OUT.h5");
    request.checkpoint = argv[0];
    request.input = argv[1];
    return ls_with_world(work, &request);
}
