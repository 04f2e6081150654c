#include "train/predict.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/report.h"
#include "cli/world.h"
#include "train/stop.h"

#include <inttypes.h>
#include <stdio.h>

struct request {
    struct ls_predict_request predict;
    const char *confusion;
    bool json;
};

static void print(const struct request *request, const struct ls_predict_summary *summary) {
    const char *const *names = summary->class_names;
    struct ls_text text = {0};
    if (request->json) {
        ls_json_begin(&text, NULL);
        ls_json_text(&text, "checkpoint", request->predict.checkpoint);
        ls_json_count(&text, "step", (int64_t)summary->step);
        ls_json_text(&text, "output", request->predict.output);
        ls_json_count(&text, "samples", (int64_t)summary->figures.counts.samples);
        ls_report_json(&summary->figures, summary->targets, names, &text);
        ls_json_end(&text);
        ls_text_add(&text, "\n");
    } else {
        ls_text_add(&text, "predicted %" PRId64 " samples into %s\n", summary->samples,
                    request->predict.output);
        ls_report_text(&summary->figures, summary->targets, names, &text);
    }
    fputs(text.data, stdout);
    ls_text_free(&text);
}

static ls_status tell(const struct request *request, const struct ls_predict_summary *summary) {
    if (request->confusion)
        LS_TRY(ls_confusion_draw(&summary->figures, summary->class_names, request->confusion));
    print(request, summary);
    return LS_OK;
}

static ls_status work(struct ls_comm *comm, void *context) {
    const struct request *request = context;
    struct ls_predict_summary summary;
    if (request->confusion)
        LS_TRY(ls_comm_agree(comm, comm->rank == 0 ? ls_confusion_check(request->confusion) : LS_OK));
    LS_TRY(ls_predict(comm, &request->predict, &summary));
    const ls_status status = ls_comm_agree(comm, comm->rank == 0 ? tell(request, &summary) : LS_OK);
    ls_predict_summary_free(&summary);
    return status;
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    struct request request = {.predict.top = 1};
    struct ls_predict_request *predict = &request.predict;
    bool helped = false;
    const struct ls_option options[] = {
        {"--out", "-o", LS_WORD, &predict->output, "OUT.h5", "the file to write"},
        {"--top", NULL, LS_INTEGER(1, 0), &predict->top, "K",
         "how many classes and confidences a sample (default 1)"},
        {"--min-confidence", NULL, LS_REAL(0, 1), &predict->min_confidence, "P",
         "abstain, class -1, where the most probable class has less"},
        {"--confusion", NULL, LS_WORD, &request.confusion, "FILE.png", "draw the confusion matrix (gnuplot)"},
        {"--resume", NULL, LS_FLAG, &predict->resume, NULL,
         "go on with what a run that was ended left in OUT.h5.partial"},
        {"--json", NULL, LS_FLAG, &request.json, NULL, "print one JSON object"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n < 2)
        return LS_FAIL(LS_INPUT,
                       "predict takes a checkpoint and input files, found %d arguments: lockstep predict %s",
                       n, command->usage);
    if (!predict->output) return LS_FAIL(LS_INPUT, "predict needs -o OUT.h5");
    predict->checkpoint = argv[0];
    predict->inputs = (const char *const *)(argv + 1);
    predict->n_inputs = n - 1;
    predict->confusion = request.confusion != NULL;
    ls_stop_listen();
    return ls_with_world(work, &request);
}

const struct ls_command ls_command_predict = {
    .name = "predict",
    .summary = "run a checkpoint over samples",
    .usage =
        "CHECKPOINT IN… -o OUT.h5 [--top K] [--min-confidence P] [--confusion FILE.png] [--resume] [--json]",
    .details = "Writes, in the order of the files and patterns given, the probabilities (or, for regression, "
               "the predictions), the most probable class and its confidence. No targets are needed; where "
               "there are some, prints the figures of 'eval'. Works under mpirun: OUT.h5 is the same on any "
               "number of ranks. Until it is whole it is called OUT.h5.partial; --resume goes on with that "
               "after a kill, and without it that is begun anew. SIGUSR1 or SIGTERM ends with 75.",
    .example =
        "mpirun -n 4 lockstep predict runs/first/checkpoints/step-00000470.h5 'new/*.h5' -o predicted.h5",
    .run = run,
};
