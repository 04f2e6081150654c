// Figures against their formulas, computed the long way; in parts; and the ranking against a full sort.
#include "train/figures.h"
#include "unit/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 400, CLASSES = 9 };

static struct ls_comm alone = {.size = 1, .local_size = 1};
static float rows[N][CLASSES];
static int32_t labels[N];

// Quarters and eighths, so that there are equals, and every sum below is exact.
static void make_rows(void) {
    uint32_t x = 12345;
    for (int i = 0; i < N; i++) {
        for (int c = 0; c < CLASSES; c++) {
            x = x * 1664525 + 1013904223;
            rows[i][c] = (float)(x >> 29) / 8;
        }
        x = x * 1664525 + 1013904223;
        labels[i] = (int32_t)(x >> 16) % CLASSES;
    }
}

static int best_of(const float *row) {
    int best = 0;
    for (int c = 1; c < CLASSES; c++)
        if (row[c] > row[best]) best = c;
    return best;
}

static void test_classes(void **state) {
    (void)state;
    struct ls_figures figures, parts;
    assert_int_equal(ls_figures_open(CLASSES, LS_CLASSES, 0.75f, true, &figures), LS_OK);
    ls_figures_add(&figures, N, rows[0], labels);
    assert_int_equal(ls_figures_reduce(&figures, &alone), LS_OK);
    int correct = 0, answered = 0, right_answers = 0, in_bin[15] = {0}, right_in_bin[15] = {0};
    double confidence[15] = {0};
    for (int i = 0; i < N; i++) {
        const int best = best_of(rows[i]);
        const float p = rows[i][best];
        const bool right = best == labels[i];
        correct += right;
        answered += p >= 0.75f;
        right_answers += p >= 0.75f && right;
        int bin = 0;
        while (bin < 14 && (double)p > (bin + 1) / 15.0) bin++;
        in_bin[bin]++, right_in_bin[bin] += right, confidence[bin] += (double)p;
    }
    double ece = 0;
    for (int b = 0; b < 15; b++) {
        assert_int_equal(figures.counts.bins[b].samples, in_bin[b]);
        ece += fabs(right_in_bin[b] - confidence[b]) / N;
    }
    assert_true(ls_figures_accuracy(&figures) == (double)correct / N);
    assert_true(ls_figures_answered_accuracy(&figures) == (double)right_answers / answered);
    assert_int_equal(figures.counts.abstained, N - answered);
    assert_true(fabs(ls_figures_ece(&figures) - ece) < 1e-12); // 15 roundings of f64
    uint64_t all = 0, diagonal = 0;
    for (int a = 0; a < CLASSES; a++)
        for (int b = 0; b < CLASSES; b++) {
            all += figures.confusion[a * CLASSES + b];
            diagonal += a == b ? figures.confusion[a * CLASSES + b] : 0;
        }
    assert_int_equal(all, N);
    assert_int_equal(diagonal, correct);
    // In parts, the last first: the same bits.
    assert_int_equal(ls_figures_open(CLASSES, LS_CLASSES, 0.75f, true, &parts), LS_OK);
    ls_figures_add(&parts, N - 170, rows[170], labels + 170);
    ls_figures_add(&parts, 170, rows[0], labels);
    assert_int_equal(ls_figures_reduce(&parts, &alone), LS_OK);
    assert_memory_equal(&parts.counts, &figures.counts, sizeof parts.counts);
    ls_figures_close(&parts);
    ls_figures_close(&figures);
}

static const float *sorted_row;
static int before(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (sorted_row[x] != sorted_row[y]) return sorted_row[x] > sorted_row[y] ? -1 : 1;
    return x - y;
}

static void test_ranking(void **state) {
    (void)state;
    struct ls_figures figures;
    assert_int_equal(ls_figures_open(CLASSES, LS_CLASSES, 0, true, &figures), LS_OK);
    ls_figures_add(&figures, N, rows[0], labels);
    uint64_t in_top = 0;
    for (int i = 0; i < N; i++) {
        int32_t sorted[CLASSES], order[CLASSES], ranked[CLASSES];
        float confidence[CLASSES];
        for (int c = 0; c < CLASSES; c++) sorted[c] = c;
        sorted_row = rows[i];
        qsort(sorted, CLASSES, sizeof *sorted, before);
        for (int top = 1; top <= CLASSES; top++) {
            ls_rank_classes(rows[i], CLASSES, top, order, ranked, confidence);
            assert_memory_equal(ranked, sorted, (size_t)top * sizeof *ranked);
            for (int k = 0; k < top; k++) assert_true(confidence[k] == rows[i][sorted[k]]);
        }
        for (int k = 0; k < 5; k++) in_top += sorted[k] == labels[i];
    }
    assert_int_equal(figures.counts.in_top, in_top);
    ls_figures_close(&figures);
}

static void test_values(void **state) {
    (void)state;
    const float values[3][2] = {{1, 2}, {3, -4}, {0.5f, 0}}, targets[3][2] = {{1, 0}, {0, -4}, {1, 0}};
    struct ls_figures figures;
    assert_int_equal(ls_figures_open(2, LS_VALUES, 0, true, &figures), LS_OK);
    assert_null(figures.confusion);
    ls_figures_add(&figures, 3, values[0], targets);
    assert_int_equal(ls_figures_reduce(&figures, &alone), LS_OK);
    assert_true(ls_figures_mse(&figures) == (4 + 9 + 0.25) / 6);
    assert_true(ls_figures_mae(&figures) == (2 + 3 + 0.5) / 6);
    assert_true(figures.largest == 3);
    ls_figures_close(&figures);
}

static void test_labels(void **state) {
    (void)state;
    const float values[3][2] = {{0.5f, 0.25f}, {0.75f, 1}, {0, 0}}, targets[3][2] = {{1, 0}, {0, 1}, {1, 1}};
    struct ls_figures figures;
    assert_int_equal(ls_figures_open(2, LS_LABELS, 0, true, &figures), LS_OK);
    ls_figures_add(&figures, 3, values[0], targets);
    assert_int_equal(ls_figures_reduce(&figures, &alone), LS_OK);
    assert_true(ls_figures_label_accuracy(&figures) == 2 / 6.0);
    assert_true(ls_figures_accuracy(&figures) == 0);
    ls_figures_close(&figures);
}

static void test_nothing(void **state) {
    (void)state;
    struct ls_figures figures;
    assert_int_equal(ls_figures_open(3, LS_CLASSES, 0.5f, true, &figures), LS_OK);
    assert_true(isnan(ls_figures_accuracy(&figures)) && isnan(ls_figures_ece(&figures)));
    const float row[3] = {0.25f, 0.5f, 0.25f}, unsure[3] = {0.375f, 0.375f, 0.25f};
    ls_figures_add(&figures, 1, row, NULL);
    ls_figures_add(&figures, 1, unsure, NULL);
    assert_int_equal(figures.counts.abstained, 1);
    ls_figures_close(&figures);
}

int main(void) {
    make_rows();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes), cmocka_unit_test(test_ranking), cmocka_unit_test(test_values),
        cmocka_unit_test(test_labels),  cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
