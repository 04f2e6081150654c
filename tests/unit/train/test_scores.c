// What is told of each task: for scripts, for people, and in the last line of train.
#include "train/scores.h"
#include "unit/check.h"

#include <math.h>
#include <string.h>

static struct ls_comm alone = {.size = 1, .local_size = 1};

static void assert_told(const struct ls_scores *scores, const char *json, const char *line,
                        const char *words) {
    struct ls_text text = {0};
    ls_scores_json(scores, &text);
    assert_string_equal(text.data, json);
    ls_text_clear(&text);
    ls_scores_line(scores, &text);
    assert_string_equal(text.data, line);
    ls_text_clear(&text);
    ls_scores_words(scores, &text);
    assert_string_equal(text.length ? text.data : "", words);
    ls_text_free(&text);
}

static struct ls_scores scores_of(int64_t outputs, enum ls_outputs kind, int64_t n, const float *values,
                                  const void *targets) {
    struct ls_figures figures;
    assert_int_equal(ls_figures_open(outputs, kind, 0, false, &figures), LS_OK);
    assert_null(figures.confusion);
    // What an earlier evaluation has counted is gone.
    ls_figures_add(&figures, n, values, targets);
    ls_figures_reset(&figures);
    ls_figures_add(&figures, n, values, targets);
    assert_int_equal(ls_figures_reduce(&figures, &alone), LS_OK);
    assert_int_equal(figures.counts.samples, n);
    const struct ls_scores scores = ls_scores_of_figures(&figures);
    ls_figures_close(&figures);
    return scores;
}

static void classes(void **state) {
    (void)state;
    static const float rows[2][6] = {{0.5f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f}, {0.3f, 0.2f, 0.2f, 0.1f, 0.2f, 0}};
    const int32_t targets[2] = {0, 5};
    struct ls_scores scores = scores_of(6, LS_CLASSES, 2, rows[0], targets);
    assert_told(&scores, "\"accuracy\":0.5,\"top5\":0.5", " accuracy=0.5000",
                ", accuracy 0.5000, top5 0.5000");
    assert_true(ls_scores_best(&scores, 3) == 0.5);
    // With five classes or less, top-5 says nothing. A tie goes to the first.
    const float pairs[3][2] = {{0.75f, 0.25f}, {0.5f, 0.5f}, {0.5f, 0.5f}};
    const int32_t few[3] = {0, 0, 1};
    scores = scores_of(2, LS_CLASSES, 3, pairs[0], few);
    assert_told(&scores, "\"accuracy\":0.6666666666666666", " accuracy=0.6667", ", accuracy 0.6667");
}

// F1 the long way: TP 2, FP 1, FN 1.
static void labels(void **state) {
    (void)state;
    static const float rows[3][3] = {{0.9f, 0.1f, 0.6f}, {0.2f, 0.51f, 0.5f}, {0.1f, 0.1f, 0.1f}};
    static const float targets[3][3] = {{1, 0, 1}, {0, 0, 1}, {0, 0, 0}};
    struct ls_scores scores = scores_of(3, LS_LABELS, 3, rows[0], targets[0]);
    assert_true(scores.accuracy == 2.0 / 3 && scores.label_accuracy == 7.0 / 9);
    assert_true(fabs(scores.f1 - 2.0 * 2 / (2 * 2 + 1 + 1)) < 1e-15); // one division
    assert_told(
        &scores,
        "\"accuracy\":0.6666666666666666,\"label_accuracy\":0.7777777777777778,\"f1\":0.6666666666666666",
        " accuracy=0.6667 f1=0.6667", ", accuracy 0.6667, label_accuracy 0.7778, f1 0.6667");
    assert_true(ls_scores_best(&scores, 3) == scores.f1);
    // Nothing to be found, and nothing found.
    scores = scores_of(3, LS_LABELS, 1, rows[2], targets[2]);
    assert_true(scores.f1 == 0 && scores.accuracy == 1);
}

static void values(void **state) {
    (void)state;
    static const float rows[2][2] = {{1, 2}, {3, -4}}, targets[2][2] = {{1, 0}, {2, -4}};
    struct ls_scores scores = scores_of(2, LS_VALUES, 2, rows[0], targets[0]);
    assert_told(&scores, "\"accuracy\":null,\"mae\":0.75,\"mse\":1.25", " mae=0.75 mse=1.25",
                ", mae 0.75, mse 1.25");
    assert_true(ls_scores_best(&scores, 3) == -3);
}

static void steps(void **state) {
    (void)state;
    struct ls_scores scores = ls_scores_of_step(LS_VALUES, 0.5);
    assert_told(&scores, "\"accuracy\":null,\"mae\":0.5", " mae=0.5", ", mae 0.5");
    scores = ls_scores_of_step(LS_LABELS, 0.5);
    assert_told(&scores, "\"accuracy\":0.5", " accuracy=0.5000", ", accuracy 0.5000");
    scores = ls_scores_none();
    assert_told(&scores, "\"accuracy\":null", " accuracy=nan", "");
}

// Of a model that has diverged: figures, and no crash.
static void not_finite(void **state) {
    (void)state;
    static const float rows[6] = {NAN, NAN, NAN, NAN, NAN, NAN}, targets[6] = {0};
    const int32_t first[1] = {1};
    struct ls_scores scores = scores_of(6, LS_CLASSES, 1, rows, first);
    assert_true(scores.accuracy == 0);
    scores = scores_of(6, LS_LABELS, 1, rows, targets);
    assert_true(scores.f1 == 0);
    scores = scores_of(6, LS_VALUES, 1, rows, targets);
    assert_true(scores.mae > 1e38);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes), cmocka_unit_test(labels),     cmocka_unit_test(values),
        cmocka_unit_test(steps),   cmocka_unit_test(not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
