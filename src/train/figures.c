#include "train/figures.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct ls_figure_counts) % sizeof(uint64_t) == 0, "ranks add it as an array of u64");

ls_status ls_figures_open(int64_t outputs, enum ls_outputs kind, float min_confidence, bool confusion,
                          struct ls_figures *figures) {
    *figures = (struct ls_figures){.outputs = outputs, .kind = kind, .min_confidence = min_confidence};
    if (!confusion || kind != LS_CLASSES || outputs > LS_CONFUSION_CLASSES) return LS_OK;
    figures->confusion = calloc((size_t)(outputs * outputs), sizeof *figures->confusion);
    return figures->confusion ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory for a confusion matrix");
}

void ls_figures_close(struct ls_figures *figures) {
    free(figures->confusion);
    *figures = (struct ls_figures){0};
}

void ls_figures_reset(struct ls_figures *figures) {
    figures->counts = (struct ls_figure_counts){0};
    figures->largest = 0;
    const size_t cells = (size_t)(figures->outputs * figures->outputs);
    if (figures->confusion) memset(figures->confusion, 0, cells * sizeof *figures->confusion);
}

// ---- classes

static int64_t most_probable(const float *row, int64_t n) {
    int64_t best = 0;
    for (int64_t c = 1; c < n; c++)
        if (row[c] > row[best]) best = c;
    return best;
}

static bool is_in_top(const float *row, int64_t n, int64_t target) {
    int before = 0;
    for (int64_t c = 0; c < n; c++) before += row[c] > row[target] || (row[c] == row[target] && c < target);
    return before < LS_TOP;
}

static struct ls_calibration_bin *bin_of(struct ls_figures *figures, float confidence) {
    const int bin = (int)ceil((double)confidence * LS_CALIBRATION_BINS) - 1;
    return &figures->counts.bins[bin < 0 ? 0 : bin >= LS_CALIBRATION_BINS ? LS_CALIBRATION_BINS - 1 : bin];
}

static void add_class(struct ls_figures *figures, const float *row, const int32_t *target) {
    struct ls_figure_counts *counts = &figures->counts;
    const int64_t answer = most_probable(row, figures->outputs);
    const float confidence = row[answer] >= 0 ? row[answer] : 0; // a model that has diverged has none
    const bool abstains = confidence < figures->min_confidence;
    counts->abstained += abstains;
    if (!target) return;
    const bool right = answer == *target;
    counts->correct += right;
    counts->correct_answers += right && !abstains;
    counts->in_top += right || is_in_top(row, figures->outputs, *target);
    struct ls_calibration_bin *bin = bin_of(figures, confidence);
    bin->samples++;
    bin->correct += right;
    ls_exact_add(&bin->confidence, confidence);
    if (figures->confusion) figures->confusion[*target * figures->outputs + answer]++;
}

// ---- labels and values

static void add_labels(struct ls_figures *figures, const float *row, const float *target) {
    int64_t right = 0;
    for (int64_t k = 0; k < figures->outputs; k++) {
        const bool said = row[k] > 0.5f, held = target[k] > 0.5f;
        right += said == held;
        figures->counts.held_labels += held;
        figures->counts.said_labels += said;
        figures->counts.found_labels += said && held;
    }
    figures->counts.correct_labels += (uint64_t)right;
    figures->counts.correct += right == figures->outputs;
}

static float within_f32(double value) {
    return value < (double)FLT_MAX ? (float)value : FLT_MAX;
}

static void add_values(struct ls_figures *figures, const float *row, const float *target) {
    for (int64_t k = 0; k < figures->outputs; k++) {
        const double error = fabs((double)row[k] - (double)target[k]);
        const float absolute = within_f32(error);
        ls_exact_add(&figures->counts.absolute, absolute);
        ls_exact_add(&figures->counts.squared, within_f32(error * error));
        if (absolute > figures->largest) figures->largest = absolute;
    }
}

void ls_figures_add(struct ls_figures *figures, int64_t n, const float *values, const void *targets) {
    figures->counts.samples += (uint64_t)n;
    for (int64_t i = 0; i < n; i++) {
        const float *row = values + i * figures->outputs;
        const float *target = targets ? (const float *)targets + i * figures->outputs : NULL;
        if (figures->kind == LS_CLASSES)
            add_class(figures, row, targets ? (const int32_t *)targets + i : NULL);
        else if (target && figures->kind == LS_LABELS)
            add_labels(figures, row, target);
        else if (target)
            add_values(figures, row, target);
    }
}

// ---- over ranks

static void carry(struct ls_figure_counts *counts) {
    for (int b = 0; b < LS_CALIBRATION_BINS; b++) ls_exact_carry(&counts->bins[b].confidence);
    ls_exact_carry(&counts->absolute);
    ls_exact_carry(&counts->squared);
}

static ls_status reduce_largest(struct ls_figures *figures, struct ls_comm *comm) {
    float *all = calloc((size_t)comm->size, sizeof *all);
    if (!all) return LS_FAIL(LS_SYSTEM, "out of memory");
    const ls_status status = ls_comm_gather_all(comm, &figures->largest, all, sizeof *all);
    for (int r = 0; r < comm->size; r++)
        if (all[r] > figures->largest) figures->largest = all[r];
    free(all);
    return status;
}

ls_status ls_figures_reduce(struct ls_figures *figures, struct ls_comm *comm) {
    carry(&figures->counts);
    LS_TRY(ls_comm_sum_u64(comm, (uint64_t *)&figures->counts,
                           (int)(sizeof figures->counts / sizeof(uint64_t))));
    carry(&figures->counts);
    if (figures->confusion)
        LS_TRY(ls_comm_sum_u64(comm, figures->confusion, (int)(figures->outputs * figures->outputs)));
    return reduce_largest(figures, comm);
}

// ---- what they say

static double ratio(uint64_t part, uint64_t whole) {
    return whole ? (double)part / (double)whole : NAN;
}

double ls_figures_accuracy(const struct ls_figures *figures) {
    return ratio(figures->counts.correct, figures->counts.samples);
}

double ls_figures_label_accuracy(const struct ls_figures *figures) {
    return ratio(figures->counts.correct_labels, figures->counts.samples * (uint64_t)figures->outputs);
}

double ls_figures_f1(const struct ls_figures *figures) {
    const struct ls_figure_counts *counts = &figures->counts;
    if (counts->samples == 0) return NAN;
    const uint64_t all = counts->held_labels + counts->said_labels; // 2 TP + FP + FN
    return all ? ratio(2 * counts->found_labels, all) : 0;
}

double ls_figures_top(const struct ls_figures *figures) {
    return ratio(figures->counts.in_top, figures->counts.samples);
}

double ls_figures_answered_accuracy(const struct ls_figures *figures) {
    const struct ls_figure_counts *counts = &figures->counts;
    return ratio(counts->correct_answers, counts->samples - counts->abstained);
}

double ls_figures_ece(const struct ls_figures *figures) {
    const struct ls_figure_counts *counts = &figures->counts;
    if (!counts->samples) return NAN;
    double sum = 0;
    for (int b = 0; b < LS_CALIBRATION_BINS; b++)
        sum += fabs((double)counts->bins[b].correct - ls_exact_value(&counts->bins[b].confidence));
    return sum / (double)counts->samples;
}

static double mean_error(const struct ls_figures *figures, const struct ls_exact *sum) {
    const double n = (double)figures->counts.samples * (double)figures->outputs;
    return n > 0 ? ls_exact_value(sum) / n : NAN;
}

double ls_figures_mse(const struct ls_figures *figures) {
    return mean_error(figures, &figures->counts.squared);
}

double ls_figures_mae(const struct ls_figures *figures) {
    return mean_error(figures, &figures->counts.absolute);
}

// ---- ranking

static bool is_before(const float *values, int32_t a, int32_t b) {
    return values[a] > values[b] || (values[a] == values[b] && a < b);
}

// A heap in order[0..n): no child is before its parent, once that holds below `at`.
static void sift(const float *values, int32_t *order, int64_t n, int64_t at) {
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_before(values, order[child + 1], order[child])) child++;
        if (!is_before(values, order[child], order[at])) return;
        const int32_t class = order[at];
        order[at] = order[child];
        order[child] = class;
    }
}

void ls_rank_classes(const float *values, int64_t n, int64_t top, int32_t *order, int32_t *ranked,
                     float *confidence) {
    if (top == 1) {
        const int64_t best = most_probable(values, n);
        ranked[0] = (int32_t)best;
        confidence[0] = values[best];
        return;
    }
    for (int64_t c = 0; c < n; c++) order[c] = (int32_t)c;
    for (int64_t at = n / 2; at-- > 0;) sift(values, order, n, at);
    for (int64_t k = 0; k < top; k++) {
        ranked[k] = order[0];
        confidence[k] = values[order[0]];
        order[0] = order[--n];
        sift(values, order, n, 0);
    }
}
