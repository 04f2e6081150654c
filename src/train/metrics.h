// metrics.jsonl: one object a line, each with "kind" and "step". A line is one write(2), so that a reader, or
// what is left after a crash, never sees two lines mixed.
//
//   {"kind":"start","step":0,"ranks":2,"lanes":8,"batch":256,"steps":1172,"samples":60000,…}
//   {"kind":"step","step":1,"epoch":0.00426,"loss":2.31,"accuracy":0.1,"lr":0.0004,"grad_norm":1.7,…}
//   {"kind":"eval","step":234,"loss":0.61,"accuracy":0.78,"samples":10000}
//   {"kind":"checkpoint","step":234,"path":"…/step-00000234.h5","seconds":0.4,"bytes":44791808}
//   {"kind":"end","step":1172,"loss":0.24,"accuracy":0.91,…,"params_hash":"0123456789abcdef",…}
//
// accuracy is null where there are neither classes nor labels. Other scores stand behind it where the task
// has them: top5 (evaluations of more than five classes), label_accuracy and f1 (evaluations of labels), mae
// (also of steps) and mse (evaluations of values); scores.h says what they are. Numbers read back as the same
// f64; one that is not finite is null.
#pragma once

#include "base/status.h"
#include "train/scores.h"

#include <stdint.h>

#include "base/begin.h"

struct ls_metrics;

struct ls_metrics_start {
    uint64_t step; // where this process starts
    int ranks;
    int64_t lanes, batch;
    uint64_t steps, samples; // of the whole run; of the training set
    int64_t parameters;
    uint64_t reduced_bytes; // what the ranks sum in a step: gradients of what is trained
    uint64_t data_identity, data_content;
    const char *from; // model.from, NULL: none; what it held then, 0: unknown
    uint64_t from_content;
    const char *model, *device, *fingerprint, *version;
};

struct ls_metrics_step {
    uint64_t step;
    double epoch, loss;
    struct ls_scores scores;
    double lr, grad_norm, samples_per_s, step_ms, data_wait_ms, comm_exposed_ms;
    uint64_t skipped;
};

struct ls_metrics_end {
    uint64_t step;
    double loss;
    struct ls_scores scores;
    double samples_per_s;
    uint64_t params_hash;
    int ranks;
    int64_t lanes;
    const char *device;
    double seconds;
};

// Opens or makes the file. Of what is there already, lines of steps after `step` go, evaluations after
// `evaluated_step`, the ends of runs that go on now, and lines that a crash has cut or garbled: the file is
// replaced as a whole, or left as it is.
ls_status ls_metrics_open(const char *path, uint64_t step, uint64_t evaluated_step,
                          struct ls_metrics **metrics);
// Each adds a line; any thread may. A write error is warned of once, the file cut back to its last whole
// line, and training goes on; the next line tries again.
void ls_metrics_start(struct ls_metrics *metrics, const struct ls_metrics_start *start);
void ls_metrics_step(struct ls_metrics *metrics, const struct ls_metrics_step *step);
void ls_metrics_eval(struct ls_metrics *metrics, uint64_t step, double loss, const struct ls_scores *scores,
                     uint64_t samples);
void ls_metrics_checkpoint(struct ls_metrics *metrics, uint64_t step, const char *path, double seconds,
                           uint64_t bytes);
void ls_metrics_end(struct ls_metrics *metrics, const struct ls_metrics_end *end);
// LS_SYSTEM, naming the first error, where a line was lost. NULL is allowed.
ls_status ls_metrics_close(struct ls_metrics *metrics);

#include "base/end.h"
