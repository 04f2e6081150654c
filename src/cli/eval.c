#include "base/json.h"
#include "cli/cli.h"
#include "cli/report.h"
#include "cli/world.h"
#include "train/session.h"

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
        ls_json_begin(&text, NULL);
        ls_json_text(&text, "checkpoint", request->checkpoint);
        ls_json_count(&text, "step", (int64_t)ls_session_step(session));
        ls_json_count(&text, "samples", evaluation->samples);
        ls_json_number(&text, "loss", evaluation->loss);
        ls_report_json(figures, true, names, &text);
        ls_json_end(&text);
        ls_text_add(&text, "\n");
    } else {
        ls_text_add(&text, "step=%" PRIu64 " loss=%.4f ", ls_session_step(session), evaluation->loss);
        ls_report_text(figures, true, names, &text);
    }
    fputs(text.data, stdout);
    ls_text_free(&text);
}

static ls_status tell(const struct request *request, struct ls_session *session,
                      const struct ls_evaluation *evaluation, const struct ls_figures *figures) {
    if (request->confusion)
        LS_TRY(ls_confusion_draw(figures, ls_session_class_names(session), request->confusion));
    print(request, session, evaluation, figures);
    return LS_OK;
}

static ls_status check_confusion(const struct request *request, const struct ls_session *session) {
    const int64_t classes = ls_session_kind(session) == LS_CLASSES ? ls_session_outputs(session) : 0;
    if (!request->confusion || (classes > 0 && classes <= LS_CONFUSION_CLASSES)) return LS_OK;
    return LS_FAIL(LS_INPUT, "--confusion: expected 1 to %d classes, found %" PRId64, LS_CONFUSION_CLASSES,
                   classes);
}

static ls_status work(struct ls_comm *comm, void *context) {
    const struct request *request = context;
    struct ls_session *session;
    struct ls_figures figures = {0};
    struct ls_evaluation evaluation = {0};
    if (request->confusion)
        LS_TRY(ls_comm_agree(comm, comm->rank == 0 ? ls_confusion_check(request->confusion) : LS_OK));
    const struct ls_session_spec spec = {
        .checkpoint = request->checkpoint,
        .patterns = request->data ? &request->data : NULL,
        .n_patterns = 1,
    };
    LS_TRY(ls_session_open(comm, &spec, &session));
    ls_status status = ls_comm_agree(comm, check_confusion(request, session));
    if (status == LS_OK) status = ls_session_evaluate(session, &figures, &evaluation);
    if (status == LS_OK)
        status = ls_comm_agree(comm, comm->rank == 0 ? tell(request, session, &evaluation, &figures) : LS_OK);
    ls_figures_close(&figures);
    ls_session_close(session);
    return status;
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
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

const struct ls_command ls_command_eval = {
    .name = "eval",
    .summary = "evaluate a checkpoint on its test set, or on other data",
    .usage = "CHECKPOINT [--data GLOB] [--confusion FILE.png] [--json]",
    .details = "Prints loss and accuracy over the whole set, top-5 accuracy of more than five classes, the "
               "calibration error, and the confusion matrix of up to 20 classes; of labels how many samples "
               "have all right, how many labels are right, and f1 = 2 TP / (2 TP + FP + FN) over all labels; "
               "of regression the errors. Works under mpirun too; the figures are the same on any number of "
               "ranks. ece = sum over bins of n_b / n * |accuracy_b - mean confidence_b|, of 15 equal bins "
               "of the confidence, the probability of the most probable class: (0, 1/15], (1/15, 2/15], …",
    .example = "lockstep eval runs/first/checkpoints/step-00000470.h5 --data 'shards/test-*.h5'",
    .run = run,
};
