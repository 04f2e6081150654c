#include "train/scores.h"

#include "base/json.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

// In the order in which they are told.
static const struct info {
    const char *name;
    size_t offset;
    const char *format; // a part has four digits; an error any size
    bool last_line;     // of train: accuracy alone where there are classes, which scripts rely on
} infos[] = {
    {"accuracy", offsetof(struct ls_scores, accuracy), "%.4f", true},
    {"top5", offsetof(struct ls_scores, top5), "%.4f", false},
    {"label_accuracy", offsetof(struct ls_scores, label_accuracy), "%.4f", false},
    {"f1", offsetof(struct ls_scores, f1), "%.4f", true},
    {"mae", offsetof(struct ls_scores, mae), "%.6g", true},
    {"mse", offsetof(struct ls_scores, mse), "%.6g", true},
};
enum { INFOS = sizeof infos / sizeof *infos };

static double value_of(const struct ls_scores *scores, const struct info *info) {
    double value;
    memcpy(&value, (const char *)scores + info->offset, sizeof value);
    return value;
}

struct ls_scores ls_scores_none(void) {
    return (struct ls_scores){NAN, NAN, NAN, NAN, NAN, NAN};
}

struct ls_scores ls_scores_of_figures(const struct ls_figures *figures) {
    struct ls_scores scores = ls_scores_none();
    if (figures->kind != LS_VALUES) scores.accuracy = ls_figures_accuracy(figures);
    switch (figures->kind) {
    case LS_CLASSES:
        if (figures->outputs > LS_TOP) scores.top5 = ls_figures_top(figures);
        break;
    case LS_LABELS:
        scores.label_accuracy = ls_figures_label_accuracy(figures);
        scores.f1 = ls_figures_f1(figures);
        break;
    case LS_VALUES:
        scores.mae = ls_figures_mae(figures);
        scores.mse = ls_figures_mse(figures);
        break;
    }
    return scores;
}

struct ls_scores ls_scores_of_step(enum ls_outputs kind, double score) {
    struct ls_scores scores = ls_scores_none();
    *(kind == LS_VALUES ? &scores.mae : &scores.accuracy) = score;
    return scores;
}

double ls_scores_best(const struct ls_scores *scores, double loss) {
    return !isnan(scores->f1) ? scores->f1 : !isnan(scores->accuracy) ? scores->accuracy : -loss;
}

void ls_scores_json(const struct ls_scores *scores, struct ls_text *out) {
    for (int i = 0; i < INFOS; i++) {
        const double value = value_of(scores, &infos[i]);
        if (i > 0 && isnan(value)) continue;
        ls_json_number(out, infos[i].name, value);
    }
}

// `before` is what stands in front of a name, `between` what follows it.
static void add_known(const struct ls_scores *scores, bool last_line, const char *before, const char *between,
                      struct ls_text *out) {
    for (int i = 0; i < INFOS; i++) {
        const double value = value_of(scores, &infos[i]);
        if (isnan(value) || (last_line && !infos[i].last_line)) continue;
        ls_text_add(out, "%s%s%s", before, infos[i].name, between);
        ls_text_add(out, infos[i].format, value);
    }
}

void ls_scores_line(const struct ls_scores *scores, struct ls_text *out) {
    const size_t length = out->length;
    add_known(scores, true, " ", "=", out);
    if (out->length == length) ls_text_add(out, " accuracy=nan");
}

void ls_scores_words(const struct ls_scores *scores, struct ls_text *out) {
    add_known(scores, false, ", ", " ", out);
}
