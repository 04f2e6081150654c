// Reading what a run has left behind.
#include "base/file.h"
#include "base/sort.h"
#include "study/parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Lockstep writes no blank behind the colon, and escapes quotes in strings: so `"key":` can only be a key.
static const char *behind(const char *line, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(line, quoted);
    if (!at) return NULL;
    at += strlen(quoted);
    while (*at == ' ') at++;
    return at;
}

double ls_study_number(const char *line, const char *key) {
    const char *at = behind(line, key);
    char *end = NULL;
    const double number = at ? strtod(at, &end) : NAN;
    return end && end != at ? number : NAN;
}

void ls_study_string(const char *line, const char *key, char *out, size_t bytes) {
    const char *at = behind(line, key);
    out[0] = 0;
    if (!at || *at != '"') return;
    snprintf(out, bytes, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
}

struct series {
    double *step, *wait, *exposed; // [capacity]
    int n, capacity;
};

// Every line of a run could be a step.
static ls_status make_series(const char *text, struct series *series) {
    *series = (struct series){.capacity = 1};
    for (const char *c = text; *c; c++) series->capacity += *c == '\n';
    series->step = calloc((size_t)series->capacity, 3 * sizeof(double));
    if (!series->step) return LS_FAIL(LS_SYSTEM, "out of memory");
    series->wait = series->step + series->capacity;
    series->exposed = series->wait + series->capacity;
    return LS_OK;
}

static void add_step(struct series *series, const char *line) {
    series->step[series->n] = ls_study_number(line, "step_ms") / 1e3;
    series->wait[series->n] = ls_study_number(line, "data_wait_ms") / 1e3;
    series->exposed[series->n] = ls_study_number(line, "comm_exposed_ms") / 1e3;
    series->n++;
}

static void read_start(const char *line, struct ls_study *study, struct ls_trial *trial) {
    trial->ranks = (int64_t)ls_study_number(line, "ranks");
    trial->steps = (int64_t)ls_study_number(line, "steps");
    trial->batch = (int64_t)ls_study_number(line, "batch");
    trial->lanes = (int64_t)ls_study_number(line, "lanes");
    study->samples = (int64_t)ls_study_number(line, "samples");
    study->parameters = (int64_t)ls_study_number(line, "parameters");
    study->bytes = ls_study_number(line, "reduced_bytes");
    ls_study_string(line, "model", study->model, sizeof study->model);
    ls_study_string(line, "device", study->device, sizeof study->device);
    ls_study_string(line, "version", study->version, sizeof study->version);
    ls_study_string(line, "fingerprint", study->fingerprint, sizeof study->fingerprint);
}

static void read_lines(char *text, struct ls_study *study, struct series *series, struct ls_trial *trial) {
    char *rest = text;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strstr(line, "\"kind\":\"start\"")) read_start(line, study, trial);
        if (strstr(line, "\"kind\":\"step\"")) add_step(series, line);
        if (strstr(line, "\"kind\":\"end\""))
            ls_study_string(line, "params_hash", trial->params, sizeof trial->params);
    }
}

static double median_from(double *values, int first, int n) {
    return ls_median(values + first, (size_t)(n - first));
}

ls_status ls_study_read_trial(const char *metrics, struct ls_study *study, struct ls_trial *trial) {
    char *text = NULL;
    size_t bytes = 0;
    *trial = (struct ls_trial){0};
    LS_TRY(ls_file_read(metrics, (size_t)1 << 30, &text, &bytes));
    struct series series;
    ls_status status = make_series(text, &series);
    if (status == LS_OK) read_lines(text, study, &series, trial);
    if (status == LS_OK && (trial->params[0] == 0 || series.n == 0))
        status = LS_FAIL(LS_INPUT, "%s: the run did not come to its end", metrics);
    if (status == LS_OK) {
        const int first = series.n / 5; // caches, clocks and buffers settle
        trial->step = median_from(series.step, first, series.n);
        trial->wait = median_from(series.wait, first, series.n);
        trial->exposed = median_from(series.exposed, first, series.n);
    }
    free(series.step);
    free(text);
    return status;
}
