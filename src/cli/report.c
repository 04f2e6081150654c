#include "cli/report.h"

#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TABLE_CLASSES = 20, NAME_COLUMNS = 16 };

// ---- JSON

static void add_calibration(const struct ls_figures *figures, struct ls_text *text) {
    ls_json_begin_list(text, "calibration");
    for (int b = 0; b < LS_CALIBRATION_BINS; b++) {
        const struct ls_calibration_bin *bin = &figures->counts.bins[b];
        const double n = (double)bin->samples;
        ls_json_begin(text, NULL);
        ls_json_count(text, "samples", (int64_t)bin->samples);
        ls_json_number(text, "accuracy", bin->samples ? (double)bin->correct / n : NAN);
        ls_json_number(text, "confidence", bin->samples ? ls_exact_value(&bin->confidence) / n : NAN);
        ls_json_end(text);
    }
    ls_json_end_list(text);
}

static void add_names(int64_t n, const char *const *names, struct ls_text *text) {
    if (!names) {
        ls_json_null(text, "class_names");
        return;
    }
    ls_json_begin_list(text, "class_names");
    for (int64_t c = 0; c < n; c++) ls_json_text(text, NULL, names[c]);
    ls_json_end_list(text);
}

static void add_confusion(const struct ls_figures *figures, struct ls_text *text) {
    const int64_t n = figures->outputs;
    ls_json_begin_list(text, "confusion");
    for (int64_t row = 0; row < n; row++) {
        ls_json_begin_list(text, NULL);
        for (int64_t column = 0; column < n; column++)
            ls_json_count(text, NULL, (int64_t)figures->confusion[row * n + column]);
        ls_json_end_list(text);
    }
    ls_json_end_list(text);
}

static void add_classes(const struct ls_figures *figures, bool targets, const char *const *names,
                        struct ls_text *text) {
    const bool top = targets && figures->outputs > LS_TOP;
    ls_json_count(text, "classes", figures->outputs);
    add_names(figures->outputs, names, text);
    ls_json_number(text, "accuracy", targets ? ls_figures_accuracy(figures) : NAN);
    ls_json_number(text, "top5", top ? ls_figures_top(figures) : NAN);
    ls_json_number(text, "ece", targets ? ls_figures_ece(figures) : NAN);
    ls_json_number(text, "min_confidence", (double)figures->min_confidence);
    ls_json_count(text, "abstained", (int64_t)figures->counts.abstained);
    ls_json_number(text, "answered_accuracy", targets ? ls_figures_answered_accuracy(figures) : NAN);
    if (targets)
        add_calibration(figures, text);
    else
        ls_json_null(text, "calibration");
    if (targets && figures->confusion)
        add_confusion(figures, text);
    else
        ls_json_null(text, "confusion");
}

static void add_values(const struct ls_figures *figures, bool targets, struct ls_text *text) {
    const double mse = targets ? ls_figures_mse(figures) : NAN;
    ls_json_count(text, "outputs", figures->outputs);
    ls_json_number(text, "mse", mse);
    ls_json_number(text, "rmse", sqrt(mse));
    ls_json_number(text, "mae", targets ? ls_figures_mae(figures) : NAN);
    ls_json_number(text, "max_error", targets ? (double)figures->largest : NAN);
}

static void add_labels(const struct ls_figures *figures, bool targets, const char *const *names,
                       struct ls_text *text) {
    ls_json_count(text, "labels", figures->outputs);
    add_names(figures->outputs, names, text);
    ls_json_number(text, "accuracy", targets ? ls_figures_accuracy(figures) : NAN);
    ls_json_number(text, "label_accuracy", targets ? ls_figures_label_accuracy(figures) : NAN);
    ls_json_number(text, "f1", targets ? ls_figures_f1(figures) : NAN);
}

void ls_report_json(const struct ls_figures *figures, bool targets, const char *const *names,
                    struct ls_text *text) {
    switch (figures->kind) {
    case LS_CLASSES: add_classes(figures, targets, names, text); break;
    case LS_LABELS: add_labels(figures, targets, names, text); break;
    case LS_VALUES: add_values(figures, targets, text); break;
    }
}

// ---- text

// The name in so many characters of UTF-8, cut or filled up.
static void add_name(const char *name, struct ls_text *text) {
    int columns = 0;
    const char *end = name;
    for (; *end; end++) {
        const bool begins = (*end & 0xc0) != 0x80;
        if (begins && columns == NAME_COLUMNS) break;
        columns += begins;
    }
    ls_text_add(text, " %.*s%*s", (int)(end - name), name, NAME_COLUMNS - columns, "");
}

static int digits_of(const struct ls_figures *figures) {
    uint64_t most = 0;
    for (int64_t i = 0; i < figures->outputs * figures->outputs; i++)
        if (figures->confusion[i] > most) most = figures->confusion[i];
    char digits[32];
    const int width = snprintf(digits, sizeof digits, "%" PRIu64, most);
    return width > 4 ? width : 4;
}

// Columns have the numbers of the classes, rows their names too.
static void add_table(const struct ls_figures *figures, const char *const *names, struct ls_text *text) {
    const int64_t n = figures->outputs;
    const int width = digits_of(figures);
    ls_text_add(text, "confusion: a row for each true class, a column for each predicted one\n%*s",
                names ? NAME_COLUMNS + 5 : 4, "");
    for (int64_t c = 0; c < n; c++) ls_text_add(text, " %*" PRId64, width, c);
    ls_text_add(text, "  recall\n");
    for (int64_t row = 0; row < n; row++) {
        uint64_t all = 0;
        ls_text_add(text, "%4" PRId64, row);
        if (names) add_name(names[row], text);
        for (int64_t c = 0; c < n; c++) {
            all += figures->confusion[row * n + c];
            ls_text_add(text, " %*" PRIu64, width, figures->confusion[row * n + c]);
        }
        if (all)
            ls_text_add(text, "  %.4f\n", (double)figures->confusion[row * n + row] / (double)all);
        else
            ls_text_add(text, "       -\n");
    }
}

static void add_class_figures(const struct ls_figures *figures, bool targets, struct ls_text *text) {
    if (targets) {
        if (figures->outputs > LS_TOP) ls_text_add(text, " top5=%.4f", ls_figures_top(figures));
        ls_text_add(text, " ece=%.4f", ls_figures_ece(figures));
    }
    if (figures->min_confidence <= 0) return;
    ls_text_add(text, " abstained=%" PRIu64, figures->counts.abstained);
    if (targets && figures->counts.abstained < figures->counts.samples)
        ls_text_add(text, " answered_accuracy=%.4f", ls_figures_answered_accuracy(figures));
}

void ls_report_text(const struct ls_figures *figures, bool targets, const char *const *names,
                    struct ls_text *text) {
    if (targets && figures->kind != LS_VALUES)
        ls_text_add(text, "accuracy=%.4f ", ls_figures_accuracy(figures));
    ls_text_add(text, "samples=%" PRIu64, figures->counts.samples);
    if (figures->kind == LS_CLASSES) add_class_figures(figures, targets, text);
    if (targets && figures->kind == LS_LABELS)
        ls_text_add(text, " label_accuracy=%.4f f1=%.4f", ls_figures_label_accuracy(figures),
                    ls_figures_f1(figures));
    if (targets && figures->kind == LS_VALUES)
        ls_text_add(text, " mse=%.6g rmse=%.6g mae=%.6g max_error=%.6g", ls_figures_mse(figures),
                    sqrt(ls_figures_mse(figures)), ls_figures_mae(figures), (double)figures->largest);
    ls_text_add(text, "\n");
    if (targets && figures->confusion && figures->outputs <= TABLE_CLASSES) add_table(figures, names, text);
}
