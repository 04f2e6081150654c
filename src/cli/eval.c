#include "cli/cli.h"
#include "cli/session.h"
#include "cli/world.h"
#include "train/evaluate.h"

#include <stdio.h>

struct request {
    const char *checkpoint, *data;
    bool json;
};

static void print(const struct request *request, const struct ls_session *session,
                  const struct ls_evaluation *evaluation) {
    if (!request->json) {
        printf("step=%llu loss=%.4f accuracy=%.4f samples=%lld\n",
               (unsigned long long)session->header.state.step, evaluation->loss, evaluation->accuracy,
               (long long)evaluation->samples);
        return;
    }
    struct ls_text text = {0};
    ls_text_add(&text, "{\"checkpoint\": ");
    ls_text_add_json(&text, request->checkpoint);
    ls_text_add(&text, ", \"step\": %llu, \"loss\": ", (unsigned long long)session->header.state.step);
    ls_text_add_number(&text, evaluation->loss);
    ls_text_add(&text, ", \"accuracy\": ");
    ls_text_add_number(&text, evaluation->accuracy);
    ls_text_add(&text, ", \"samples\": %lld}", (long long)evaluation->samples);
    puts(text.data);
    ls_text_free(&text);
}

static ls_status work(struct ls_comm *comm, void *context) {
    const struct request *request = context;
    struct ls_session session;
    LS_TRY(ls_session_open(comm, request->checkpoint, request->data, true, &session));
    struct ls_evaluator *evaluator = NULL;
    struct ls_evaluation evaluation = {0};
    ls_status status = ls_comm_agree(comm, ls_data_scan(session.dataset, &session.recipe, comm));
    if (status == LS_OK)
        status = ls_comm_agree(comm, ls_evaluator_open(session.engine, comm, &session.recipe, &session.model,
                                                       session.device, session.dataset, &evaluator));
    if (status == LS_OK) status = ls_evaluate(evaluator, false, NULL, NULL, &evaluation);
    if (status == LS_OK && comm->rank == 0) print(request, &session, &evaluation);
    ls_evaluator_close(evaluator);
    ls_session_close(&session);
    return status;
}

ls_status ls_command_eval(const struct ls_command *command, int argc, char **argv) {
    struct request request = {0};
    bool helped = false;
    const struct ls_option options[] = {
        {"--data", NULL, LS_WORD, &request.data, "GLOB",
         "files to evaluate on (default: the recipe's data.test)"},
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
