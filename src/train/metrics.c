#include "train/metrics.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ls_metrics {
    char *path;
    int file;
    pthread_mutex_t lock; // lines come from the loop and from the checkpoint writer's thread
    struct ls_text line;
    off_t end;       // of the last whole line
    int first_error; // errno; 0: every line was written
};

// ---- cutting back

// The step of a line that is whole, or UINT64_MAX. In a JSON string a quote is escaped, so that `"step":` can
// only be a key.
static uint64_t step_of(const char *line, size_t length) {
    static const char key[] = "\"step\":";
    if (length < 3 || strlen(line) != length || line[0] != '{' || strcmp(line + length - 2, "}\n") != 0)
        return UINT64_MAX;
    const char *number = strstr(line, key);
    if (!number) return UINT64_MAX;
    number += strlen(key);
    while (*number == ' ') number++;
    if (*number < '0' || *number > '9') return UINT64_MAX;
    return strtoull(number, NULL, 10);
}

struct cut {
    uint64_t step, evaluated_step;
};

static bool stays(const char *line, size_t length, const struct cut *cut) {
    const uint64_t at = step_of(line, length);
    if (at == UINT64_MAX || at > cut->step) return false;
    if (strstr(line, "\"kind\":\"end\"")) return false;
    return at <= cut->evaluated_step || !strstr(line, "\"kind\":\"eval\"");
}

// Copies the lines that stay; counts the others.
static ls_status copy_lines(FILE *from, FILE *to, const char *path, const struct cut *cut,
                            uint64_t *dropped) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    bool written = true;
    while (written && (length = getline(&line, &capacity, from)) >= 0) {
        if (!stays(line, (size_t)length, cut)) {
            (*dropped)++;
        } else {
            written = fwrite(line, 1, (size_t)length, to) == (size_t)length;
        }
    }
    int error = errno;
    free(line);
    if (!written) return LS_FAIL(LS_SYSTEM, "%s: cannot write a shorter copy: %s", path, strerror(error));
    if (ferror(from)) return LS_FAIL(LS_SYSTEM, "%s: cannot read: %s", path, strerror(error));
    return LS_OK;
}

static ls_status cut_back_into(FILE *from, const char *temporary, const char *path, const struct cut *cut) {
    FILE *to = fopen(temporary, "we");
    if (!to) return LS_FAIL(LS_SYSTEM, "%s: cannot create: %s", temporary, strerror(errno));
    uint64_t dropped = 0;
    ls_status status = copy_lines(from, to, path, cut, &dropped);
    if (fclose(to) != 0 && status == LS_OK)
        status = LS_FAIL(LS_SYSTEM, "%s: cannot write: %s", temporary, strerror(errno));
    // A file that may stay as it is keeps its identity, for whoever is reading along.
    if (status == LS_OK && dropped > 0) return ls_file_commit(temporary, path);
    unlink(temporary);
    return status;
}

static ls_status cut_back(const char *path, const struct cut *cut) {
    FILE *from = fopen(path, "re");
    if (!from && errno == ENOENT) return LS_OK;
    if (!from) return LS_FAIL(LS_INPUT, "%s: cannot open: %s", path, strerror(errno));
    struct ls_text temporary = {0};
    ls_text_add(&temporary, "%s.tmp", path);
    ls_status status = cut_back_into(from, temporary.data, path, cut);
    ls_text_free(&temporary);
    fclose(from);
    return status;
}

// ---- lines

static void add_hash(struct ls_text *line, const char *key, uint64_t hash) {
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    ls_json_text(line, key, text);
}

static struct ls_text *begin(struct ls_metrics *metrics, const char *kind, uint64_t step) {
    pthread_mutex_lock(&metrics->lock);
    ls_text_clear(&metrics->line);
    ls_json_begin(&metrics->line, NULL);
    ls_json_text(&metrics->line, "kind", kind);
    ls_json_count(&metrics->line, "step", (int64_t)step);
    return &metrics->line;
}

// 0 or errno.
static int write_whole(int file, const char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = write(file, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : EIO;
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static void finish(struct ls_metrics *metrics) {
    struct ls_text *line = &metrics->line;
    ls_json_end(line);
    ls_text_add(line, "\n");
    int error = write_whole(metrics->file, line->data, line->length);
    bool first = error && !metrics->first_error;
    if (!error) metrics->end += (off_t)line->length;
    // Should cutting fail too, the torn line is one that a reader and the next resume pass over.
    if (error && ftruncate(metrics->file, metrics->end) != 0)
        metrics->end = lseek(metrics->file, 0, SEEK_END);
    if (first) metrics->first_error = error;
    pthread_mutex_unlock(&metrics->lock);
    if (first)
        ls_warn("%s: cannot write: %s; training goes on, lines are lost", metrics->path, strerror(error));
}

void ls_metrics_start(struct ls_metrics *metrics, const struct ls_metrics_start *start) {
    struct ls_text *line = begin(metrics, "start", start->step);
    ls_json_count(line, "ranks", start->ranks);
    ls_json_count(line, "lanes", start->lanes);
    ls_json_count(line, "batch", start->batch);
    ls_json_count(line, "steps", (int64_t)start->steps);
    ls_json_count(line, "samples", (int64_t)start->samples);
    ls_json_count(line, "parameters", start->parameters);
    ls_json_count(line, "reduced_bytes", (int64_t)start->reduced_bytes);
    add_hash(line, "data_identity", start->data_identity);
    add_hash(line, "data_content", start->data_content);
    ls_json_text(line, "model", start->model);
    if (start->from) ls_json_text(line, "from", start->from);
    if (start->from && start->from_content) add_hash(line, "from_content", start->from_content);
    ls_json_text(line, "device", start->device);
    ls_json_text(line, "fingerprint", start->fingerprint);
    ls_json_text(line, "version", start->version);
    finish(metrics);
}

void ls_metrics_step(struct ls_metrics *metrics, const struct ls_metrics_step *step) {
    struct ls_text *line = begin(metrics, "step", step->step);
    ls_json_number(line, "epoch", step->epoch);
    ls_json_number(line, "loss", step->loss);
    ls_scores_json(&step->scores, line);
    ls_json_number(line, "lr", step->lr);
    ls_json_number(line, "grad_norm", step->grad_norm);
    ls_json_number(line, "samples_per_s", step->samples_per_s);
    ls_json_number(line, "step_ms", step->step_ms);
    ls_json_number(line, "data_wait_ms", step->data_wait_ms);
    ls_json_number(line, "comm_exposed_ms", step->comm_exposed_ms);
    ls_json_count(line, "skipped", (int64_t)step->skipped);
    finish(metrics);
}

void ls_metrics_eval(struct ls_metrics *metrics, uint64_t step, double loss, const struct ls_scores *scores,
                     uint64_t samples) {
    struct ls_text *line = begin(metrics, "eval", step);
    ls_json_number(line, "loss", loss);
    ls_scores_json(scores, line);
    ls_json_count(line, "samples", (int64_t)samples);
    finish(metrics);
}

void ls_metrics_checkpoint(struct ls_metrics *metrics, uint64_t step, const char *path, double seconds,
                           uint64_t bytes) {
    struct ls_text *line = begin(metrics, "checkpoint", step);
    ls_json_text(line, "path", path);
    ls_json_number(line, "seconds", seconds);
    ls_json_count(line, "bytes", (int64_t)bytes);
    finish(metrics);
}

void ls_metrics_end(struct ls_metrics *metrics, const struct ls_metrics_end *end) {
    struct ls_text *line = begin(metrics, "end", end->step);
    ls_json_number(line, "loss", end->loss);
    ls_scores_json(&end->scores, line);
    ls_json_number(line, "samples_per_s", end->samples_per_s);
    add_hash(line, "params_hash", end->params_hash);
    ls_json_count(line, "ranks", end->ranks);
    ls_json_count(line, "lanes", end->lanes);
    ls_json_text(line, "device", end->device);
    ls_json_number(line, "seconds", end->seconds);
    finish(metrics);
}

// ---- open and close

ls_status ls_metrics_open(const char *path, uint64_t step, uint64_t evaluated_step,
                          struct ls_metrics **metrics) {
    *metrics = NULL;
    LS_TRY(cut_back(path, &(struct cut){step, evaluated_step}));
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) return LS_FAIL(LS_INPUT, "%s: cannot open to write: %s", path, strerror(errno));
    struct ls_metrics *opened = calloc(1, sizeof *opened);
    char *name = strdup(path);
    if (!opened || !name) {
        free(opened);
        free(name);
        close(file);
        return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    }
    opened->path = name;
    opened->file = file;
    opened->end = lseek(file, 0, SEEK_END);
    pthread_mutex_init(&opened->lock, NULL);
    *metrics = opened;
    return LS_OK;
}

ls_status ls_metrics_close(struct ls_metrics *metrics) {
    if (!metrics) return LS_OK;
    // Network file systems report a full disk only now.
    int error = metrics->first_error;
    if (fsync(metrics->file) != 0 && errno != EINVAL && !error) error = errno;
    if (close(metrics->file) != 0 && !error) error = errno;
    ls_status status = LS_OK;
    if (error) status = LS_FAIL(LS_SYSTEM, "%s: lines are missing: %s", metrics->path, strerror(error));
    pthread_mutex_destroy(&metrics->lock);
    ls_text_free(&metrics->line);
    free(metrics->path);
    free(metrics);
    return status;
}
