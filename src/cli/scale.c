#include "cli/cli.h"
#include "study/study.h"
#include "train/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b) {
    return *(const int *)a - *(const int *)b;
}

// "1,2,4": ascending, each once.
static ls_status read_list(const char *option, const char *text, int *to, int *n) {
    *n = 0;
    for (const char *at = text; at && *at;) {
        char *end = NULL;
        const long value = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || (*end && !end[1]) || value < 1 || value > 1000000 ||
            *n == LS_STUDY_POINTS)
            return LS_FAIL(LS_INPUT, "%s: expected up to %d numbers like 1,2,4, found \"%s\"", option,
                           LS_STUDY_POINTS, text);
        to[(*n)++] = (int)value;
        at = *end ? end + 1 : end;
    }
    qsort(to, (size_t)*n, sizeof *to, compare);
    for (int i = 1; i < *n; i++)
        if (to[i] == to[i - 1]) return LS_FAIL(LS_INPUT, "%s: %d stands there twice", option, to[i]);
    return LS_OK;
}

static ls_status read_price(const char *text, double *price) {
    if (text && (ls_parse_number(text, price) || *price <= 0 || *price > 1e9))
        return LS_FAIL(LS_INPUT, "--price: expected the price of a device hour, found \"%s\"", text);
    return LS_OK;
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    const char *ranks = NULL, *fit = NULL, *price = NULL;
    int64_t repeats = 3, steps = 50, forecast = 0;
    bool helped = false, strong = false, weak = false, both = false;
    struct ls_study_spec spec = {.out = "scaling"};
    const struct ls_option options[] = {
        {"--ranks", NULL, LS_WORD, &ranks, "1,2,4", "numbers of ranks to measure"},
        {"--out", "-o", LS_WORD, &spec.out, "DIR",
         "where table, report, plot and runs go (default: scaling); runs already there are kept"},
        {"--strong", NULL, LS_FLAG, &strong, NULL, "the recipe as it is, shared out (default)"},
        {"--weak", NULL, LS_FLAG, &weak, NULL, "batch and lanes grow with the ranks"},
        {"--both", NULL, LS_FLAG, &both, NULL, "both studies"},
        {"--repeats", NULL, LS_INTEGER(1, LS_STUDY_TRIALS), &repeats, "N", "runs of each (default 3)"},
        {"--steps", NULL, LS_INTEGER(5, 1000000), &steps, "N",
         "steps of a run (default 50); the first fifth is left out"},
        {"--hosts", NULL, LS_WORD, &spec.hosts, "H", "for mpirun: a hostfile, or host:ranks,…"},
        {"--launcher", NULL, LS_WORD, &spec.launcher, "CMD",
         "starts a run, %n being its ranks: 'launch/run -n %n' (default: srun in Slurm, else mpirun)"},
        {"--slurm-array", NULL, LS_FLAG, &spec.array, NULL,
         "start nothing, write DIR/array.sbatch, whose elements make the runs"},
        {"--collect", NULL, LS_FLAG, &spec.collect, NULL, "start nothing, use the runs that are in DIR/runs"},
        {"--fit", NULL, LS_WORD, &fit, "1,2",
         "ranks that the model is fitted to (default: all but the most, of three or more)"},
        {"--forecast", NULL, LS_INTEGER(1, 1000000), &forecast, "N",
         "forecast up to so many ranks; strong scaling ends at the recipe's lanes"},
        {"--price", NULL, LS_WORD, &price, "X", "of a device hour: the report then has costs"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n < 1) return LS_FAIL(LS_INPUT, "scale needs a recipe: lockstep scale %s", command->usage);
    if (!ranks) return LS_FAIL(LS_INPUT, "scale needs --ranks: lockstep scale %s --ranks 1,2,4", argv[0]);
    LS_TRY(read_list("--ranks", ranks, spec.ranks, &spec.n_ranks));
    LS_TRY(read_list("--fit", fit, spec.fit, &spec.n_fit));
    if (spec.n_ranks == 0) return LS_FAIL(LS_INPUT, "--ranks: expected numbers like 1,2,4, found none");
    LS_TRY(read_price(price, &spec.price));
    spec.recipe = argv[0];
    spec.overrides = (const char *const *)(argv + 1);
    spec.n_overrides = n - 1;
    spec.repeats = (int)repeats, spec.steps = (int)steps, spec.forecast = (int)forecast;
    spec.strong = strong || both || !weak;
    spec.weak = weak || both;
    LS_TRY(ls_study(&spec));
    if (spec.array) {
        printf("%s/array.sbatch: edit its two lines, sbatch it, then the same command with --collect\n",
               spec.out);
        return LS_OK;
    }
    printf("%s/report.md, scaling.csv, scaling.json, scaling.svg, scaling.png\n", spec.out);
    return LS_OK;
}

const struct ls_command ls_command_scale = {
    .name = "scale",
    .summary = "a scaling study: table, report, plot, forecast",
    .usage = "RECIPE --ranks 1,2,4 [-o DIR] [key=value …]",
    .details = "Trains a few steps on each number of ranks, through mpirun or srun, several times; "
               "strong-scaling runs must end with the same weights. Writes DIR/report.md, scaling.csv, "
               "scaling.json and a plot: rate and efficiency, where the time goes, device hours, and a "
               "forecast from a model of compute, network and input. Runs that are there already are kept.",
    .example =
        "lockstep scale launch/recipes/fashion-mnist.yaml --ranks 1,2,4 --both --forecast 64 --price 2.5",
    .run = run,
    .alone = true,
};
