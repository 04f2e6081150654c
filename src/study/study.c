#include "study/study.h"

#include "cpu/cpu.h"
#include "study/parts.h"
#include "train/recipe.h"
#include "train/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ls_status read_recipe(struct ls_study *study, struct ls_recipe *recipe) {
    const struct ls_study_spec *spec = study->spec;
    LS_TRY(ls_recipe_read(spec->recipe, spec->overrides, spec->n_overrides, recipe));
    study->batch = recipe->train.batch;
    study->lanes = recipe->train.lanes;
    study->fast = recipe->train.fast;
    study->threads = (int)recipe->device.threads;
    study->cores = ls_cpu_cores();
    return LS_OK;
}

// Before hours of runs: what the last of them would be refused for.
static ls_status check_ranks(const struct ls_study *study) {
    const struct ls_study_spec *spec = study->spec;
    const int most = spec->ranks[spec->n_ranks - 1];
    if (spec->launcher && most > 1 && !strstr(spec->launcher, "%n"))
        return LS_FAIL(LS_INPUT, "--launcher: expected %%n in it, for the number of ranks, found \"%s\"",
                       spec->launcher);
    if (spec->strong && most > study->lanes)
        return LS_FAIL(LS_INPUT, "--ranks: %d ranks share train.lanes: %lld; at most as many ranks as lanes",
                       most, (long long)study->lanes);
    for (int i = 0; i < spec->n_ranks && spec->weak; i++)
        if (study->lanes * spec->ranks[i] % spec->ranks[0] != 0 ||
            study->batch * spec->ranks[i] % spec->ranks[0] != 0)
            return LS_FAIL(LS_INPUT,
                           "--weak: %lld lanes of %d ranks are no whole number of lanes for %d ranks",
                           (long long)study->lanes, spec->ranks[0], spec->ranks[i]);
    return LS_OK;
}

static int count_hosts(const char *hosts) {
    if (!hosts) {
        const char *nodes = getenv("SLURM_JOB_NUM_NODES");
        return nodes && atoi(nodes) > 0 ? atoi(nodes) : 1;
    }
    int n = 0;
    FILE *file = fopen(hosts, "re");
    if (!file) {
        n = 1;
        for (const char *c = hosts; *c; c++) n += *c == ',';
        return n;
    }
    char line[1024];
    while (fgets(line, sizeof line, file))
        n += line[strspn(line, " \t")] != '#' && line[strspn(line, " \t\n")] != 0;
    fclose(file);
    return n ? n : 1;
}

static ls_status check_fit(const struct ls_study_spec *spec) {
    for (int k = 0; k < spec->n_fit; k++) {
        bool measured = false;
        for (int i = 0; i < spec->n_ranks; i++) measured |= spec->ranks[i] == spec->fit[k];
        if (!measured)
            return LS_FAIL(LS_INPUT, "--fit: %d ranks are none of --ranks: there is nothing to fit to",
                           spec->fit[k]);
    }
    return LS_OK;
}

static void add_points(struct ls_study *study, enum ls_scaling_mode mode) {
    const struct ls_study_spec *spec = study->spec;
    for (int i = 0; i < spec->n_ranks; i++) {
        const int ranks = spec->ranks[i];
        bool fitted = spec->n_fit == 0 && (i + 1 < spec->n_ranks || spec->n_ranks < 3);
        for (int k = 0; k < spec->n_fit; k++) fitted |= spec->fit[k] == ranks;
        study->points[study->n_points++] = (struct ls_point){
            .mode = mode,
            .ranks = ranks,
            .lanes = ls_scaling_lanes(study, mode, ranks),
            .batch = mode == LS_STRONG ? study->batch : study->batch * ranks / spec->ranks[0],
            .fitted = fitted,
        };
    }
}

// One recipe, one result: a strong-scaling study measures speed and nothing else.
static ls_status check_params(const struct ls_study *study) {
    const struct ls_trial *first = NULL;
    int ranks = 0;
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        for (int t = 0; t < point->n_trials && point->mode == LS_STRONG; t++) {
            if (!first) first = &point->trials[t], ranks = point->ranks;
            if (strcmp(first->params, point->trials[t].params) != 0)
                return LS_FAIL(LS_NUMBERS,
                               "%d ranks end with params %s, %d ranks with %s: they must be the same", ranks,
                               first->params, point->ranks, point->trials[t].params);
        }
    }
    return LS_OK;
}

// What could not be found is not in the tables.
static ls_status drop_empty(struct ls_study *study) {
    int kept = 0;
    bool fitted = false;
    for (int i = 0; i < study->n_points; i++) {
        if (study->points[i].n_trials == 0) continue;
        fitted |= study->points[i].fitted;
        study->points[kept++] = study->points[i];
    }
    study->n_points = kept;
    if (kept == 0) return LS_FAIL(LS_INPUT, "%s/runs: no run that came to its end", study->spec->out);
    if (fitted) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "%s/runs: of the numbers of ranks that the model is fitted to, no run came to its end; "
                   "--fit names others",
                   study->spec->out);
}

static ls_status measure_all(struct ls_study *study) {
    for (int i = 0; i < study->n_points; i++) LS_TRY(ls_study_measure(study, &study->points[i]));
    LS_TRY(drop_empty(study));
    return study->fast ? LS_OK : check_params(study);
}

ls_status ls_study(const struct ls_study_spec *spec) {
    struct ls_study *study = calloc(1, sizeof *study);
    if (!study) return LS_FAIL(LS_SYSTEM, "out of memory");
    study->spec = spec;
    study->hosts = count_hosts(spec->hosts);
    struct ls_recipe recipe = {0};
    ls_status status = read_recipe(study, &recipe);
    if (status == LS_OK) status = check_ranks(study);
    if (status == LS_OK) status = check_fit(spec);
    if (status == LS_OK && spec->strong) add_points(study, LS_STRONG);
    if (status == LS_OK && spec->weak) add_points(study, LS_WEAK);
    if (status == LS_OK && spec->array) {
        status = ls_study_write_array(study);
        ls_recipe_free(&recipe);
        free(study);
        return status;
    }
    if (status == LS_OK) status = measure_all(study);
    if (status == LS_OK) {
        const struct ls_clock clock = {.batch = (uint64_t)study->batch, .samples = (uint64_t)study->samples};
        study->steps = (int64_t)ls_span_steps(&recipe.train.length, &clock);
        const struct ls_scaling_fit fit = ls_scaling_fit_to(study);
        status = ls_study_write(study, &fit);
        if (status == LS_OK) status = ls_study_plot(study);
    }
    ls_recipe_free(&recipe);
    free(study);
    return status;
}
