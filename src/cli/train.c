#include "cli/cli.h"
#include "cli/world.h"
#include "train/stop.h"
#include "train/trainer.h"

#include <stdio.h>
#include <unistd.h>

static ls_status work(struct ls_comm *comm, void *context) {
    const struct ls_train_request *request = context;
    struct ls_train_summary summary = {0};
    ls_status status = ls_train(comm, request, &summary);
    // A run that is complete says so also where a file could not be written; the error follows.
    if (summary.complete && comm->rank == 0) {
        struct ls_text scores = {0};
        ls_scores_line(&summary.scores, &scores);
        printf("done: step=%llu loss=%.4f%s params=%016llx\n", (unsigned long long)summary.step, summary.loss,
               scores.data, (unsigned long long)summary.params_hash);
        ls_text_free(&scores);
    }
    return status;
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    bool trace = false, help_recipe = false, helped = false;
    struct ls_train_request request = {.progress = true};
    const struct ls_option options[] = {
        {"--out", "-o", LS_WORD, &request.out, "DIR", "the run's folder (default: runs/<recipe name>)"},
        {"--resume", NULL, LS_FLAG, &request.resume, NULL,
         "go on from the newest good checkpoint in DIR; starts where there is none"},
        {"--accept-changed-data", NULL, LS_FLAG, &request.accept_changed_data, NULL,
         "resume although data.train is not what the run began with: the result is neither's then"},
        {"--trace", NULL, LS_FLAG, &trace, NULL,
         "write DIR/trace.json: a Chrome trace of 20 steps on all ranks"},
        {"--trace-steps", NULL, LS_INTEGER(1, 10000), &request.trace_steps, "N",
         "trace so many steps, after the first two"},
        {"--help-recipe", NULL, LS_FLAG, &help_recipe, NULL,
         "print every key of a recipe with its default and meaning"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (help_recipe) {
        struct ls_text text = {0};
        ls_recipe_help(&text);
        fputs(text.data, stdout);
        ls_text_free(&text);
        return LS_OK;
    }
    if (n < 1) return LS_FAIL(LS_INPUT, "train needs a recipe: lockstep train %s", command->usage);
    if (trace && request.trace_steps == 0) request.trace_steps = LS_TRACE_STEPS;
    request.recipe = (struct ls_recipe_source){
        .path = argv[0], .overrides = (const char *const *)(argv + 1), .n_overrides = n - 1};
    ls_stop_listen();
    return ls_with_world_within(ls_recipe_timeout(&request.recipe), work, &request);
}

const struct ls_command ls_command_train = {
    .name = "train",
    .summary = "train a model as a recipe says",
    .usage = "RECIPE [key=value …] [--out DIR] [--resume] [--trace] [--help-recipe]",
    .details = "Trains alone, under mpirun, or under srun; the weights are the same bit for bit on any "
               "number of ranks. DIR gets the resolved recipe, metrics.jsonl and the checkpoints. key=value "
               "changes the recipe: train.batch=512. SIGUSR1 or SIGTERM writes a checkpoint and ends with "
               "75; --resume goes on from the newest good checkpoint.",
    .example = "mpirun -n 2 lockstep train launch/recipes/fashion-mnist.yaml train.epochs=2 --out runs/first",
    .run = run,
};
