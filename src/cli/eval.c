#include "cli/cli.h"
#include "cli/report.h"
#include "cli/session.h"
#include "cli/world.h"
#include "train/evaluate.h"

#include <inttypes.h>
#include <stdio.h>

struct request {
    const char *checkpoint, *data, *confusion;
    bool json;
};

static void print(const struct request *request, struct ls_session *session,
                  const struct ls_evaluation *evaluation, const struct ls_figures *figures) {
    const char *const *names = ls_session_class_names(session);
    struct ls_text text = {0};
    if (request->json) {
        ls_text_add(&text, "{\"checkpoint\": ");
        ls_text_add_json(&text, request->checkpoint);
        ls_text_add(&text, ", \"step\": %" PRIu64 ", \"samples\": %" PRId64 ", \"loss\": ",
                    session->header.state.step, evaluation->samples);
        ls_text_add_number(&text, evaluation->loss);
        ls_report_json(figures, true, names, &text);
        ls_text_add(&text, "}\n");
    } else {
        ls_text_add(&text, "step=%" PRIu64 " loss=%.4f ", session->header.state.step, evaluation->loss);
        ls_report_text(figures, true, names, &text);
    }
    fputs(text.data, stdout);
    ls_text_free(&text);
}

static ls_status add_piece(void *context, const struct ls_piece *piece) {
    ls_figures_add(context, piece->n_mine, piece->values, piece->targets);
    return LS_OK;
}

static ls_status finish(const struct request *request, struct ls_session *session,
                        const struct ls_evaluation *evaluation, const struct ls_figures *figures) {
    const char *const *names = ls_session_class_names(session);
    if (session->comm->rank != 0) return LS_OK;
    if (request->confusion) LS_TRY(ls_confusion_draw(figures, names, request->confusion));
    print(request, session, evaluation, figures);
    return LS_OK;
}

static ls_status check_confusion(const struct request *request, const struct ls_figures *figures) {
    if (!request->confusion || figures->confusion) return LS_OK;
    return LS_FAIL(LS_INPUT, "--confusion: expected 1 to %d classes, found %" PRId64, LS_CONFUSION_CLASSES,
                   figures->kind == LS_CLASSES ? figures->outputs : 0);
}

static ls_status evaluate(const struct request *request, struct ls_session *session,
                          struct ls_figures *figures) {
    struct ls_comm *comm = session->comm;
    const struct ls_sink sink = {0, add_piece, figures};
    struct ls_evaluator *evaluator = NULL;
    struct ls_evaluation evaluation = {0};
    ls_status status =
        ls_figures_open(ls_session_outputs(session), ls_session_kind(session), 0, true, figures);
    if (status == LS_OK) status = check_confusion(request, figures);
    if (status == LS_OK) status = ls_data_scan(session->dataset, &session->recipe, comm);
    if (status == LS_OK)
        status = ls_evaluator_open(session->engine, comm, &session->recipe, &session->model, session->device,
                                   session->dataset, true, &evaluator);
    status = ls_comm_agree(comm, status);
    if (status == LS_OK) status = ls_evaluate(evaluator, false, &sink, &evaluation);
    if (status == LS_OK) status = ls_figures_reduce(figures, comm);
    if (status == LS_OK) status = ls_comm_agree(comm, finish(request, session, &evaluation, figures));
    ls_evaluator_close(evaluator);
    return status;
}

static ls_status work(struct ls_comm *comm, void *context) {
    const struct request *request = context;
    struct ls_session session;
    struct ls_figures figures = {0};
    if (request->confusion)
        LS_TRY(ls_comm_agree(comm, comm->rank == 0 ? ls_confusion_check(request->confusion) : LS_OK));
    const struct ls_session_spec spec = {request->checkpoint, request->data ? &request->data : NULL, 1,
                                         false};
    LS_TRY(ls_session_open(comm, &spec, &session));
    const ls_status status = evaluate(request, &session, &figures);
    ls_figures_close(&figures);
    ls_session_close(&session);
    return status;
}

ls_status ls_command_eval(const struct ls_command *command, int argc, char **argv) {
    struct request request = {0};
    bool helped = false;
    const struct ls_option options[] = {
        {"--data", NULL, LS_WORD, &request.data, "GLOB",
         "files to evaluate on (default: the recipe's data.test)"},
        {"--confusion", NULL, LS_WORD, &request.confusion, "FILE.png", "draw the confusion matrix (gnuplot)"},
        {"--json", NULL, LS_FLAG, &request.json, NULL, "print one JSON object"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n != 1)
        return LS_FAIL(LS_INPUT, "eval takes one checkpoint, found %d arguments: lockstep eval %s", n,
                       command->usage);
    request.checkpoint = argv[0];
    return ls_with_world(work, &request);
}
