// Batch normalization in bf16 by vectors against the plain kernels in f64, on the same numbers: multiples of
// 1/64 in [-1/2, 1/2], of which sums of two are bf16 too. So what differs is the rounding of the result, 2^-8
// of it, and that of f32. There 256 rows are summed at once, of distances below 1: off by 2^-14 each,
// whatever the order (Higham, "Accuracy and stability of numerical algorithms", 3.1), and a deviation here is
// above 1/8, so that what a factor of 8 makes of it, and of a sum's error over the rows, is below 2^-9.
#include "base/philox.h"
#include "conform/trial.h"
#include "unit/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { X, Y, DY, MORE, B, SCALE, SHIFT, MEAN, VAR, INPUTS };

struct norm {
    struct ls_trial trial;
    ls_value in[INPUTS];
};

static bool is_row(int input) {
    return input >= SCALE;
}

static double drawn(int input, int64_t i) {
    const uint32_t word = ls_philox(7, LS_RANDOM_TEST, (uint64_t)i, (uint64_t)input).word[0];
    const double number = (double)(int32_t)(word % 65) - 32;
    // A mean between the numbers, so that no y is 0 but for rounding.
    return input == VAR ? 0.0625 + number / 1024 : input == MEAN ? 0.003 + number / 512 : number / 64;
}

static void open_norm(struct norm *norm, bool narrow, int64_t rows, int64_t channels) {
    static const char *const names[] = {"x", "y", "dy", "more", "b", "scale", "shift", "mean", "var"};
    ls_trial_open(&norm->trial);
    for (int k = 0; k < INPUTS; k++) {
        const ls_dtype type = !narrow ? LS_F64 : is_row(k) ? LS_F32 : LS_BF16;
        const struct ls_shape shape = is_row(k) ? LS_SHAPE(channels) : LS_SHAPE(rows, channels, 1, 1);
        norm->in[k] = ls_trial_input(&norm->trial, names[k], type, shape);
        for (int64_t i = 0; i < ls_trial_count(&norm->trial, norm->in[k]); i++)
            ls_trial_put(&norm->trial, norm->in[k], i, drawn(k, i));
    }
}

struct way {
    enum ls_op_id op;
    double most;
    int n_in, in[7];
};

static const struct way ways[] = {
    {LS_OP_BATCHNORM, 0, 3, {X, SCALE, SHIFT}},
    {LS_OP_BATCHNORM_RELU, 0, 3, {X, SCALE, SHIFT}},
    {LS_OP_BATCHNORM_RELU, 0.40625, 3, {X, SCALE, SHIFT}},
    {LS_OP_BATCHNORM_ADD_RELU, 0, 4, {X, SCALE, SHIFT, B}},
    {LS_OP_BATCHNORM_GRAD, 0, 5, {X, DY, SCALE, MEAN, VAR}},
    {LS_OP_BATCHNORM_RELU_GRAD, 0, 6, {X, DY, SCALE, SHIFT, MEAN, VAR}},
    {LS_OP_BATCHNORM_RELU_GRAD, 0.40625, 6, {X, DY, SCALE, SHIFT, MEAN, VAR}},
    {LS_OP_BATCHNORM_ADD_RELU_GRAD, 0, 6, {X, Y, DY, SCALE, MEAN, VAR}},
    {LS_OP_BATCHNORM_ADD_RELU_GRAD, 0, 7, {X, Y, DY, SCALE, MEAN, VAR, MORE}},
};
enum { WAYS = sizeof ways / sizeof *ways };

static const struct ls_node *add(struct norm *norm, const struct way *way) {
    union ls_attr attrs[LS_MAX_ATTRS] = {[LS_BATCHNORM_EPSILON].f = 1e-5};
    ls_value in[LS_MAX_IN];
    for (int k = 0; k < way->n_in; k++) in[k] = norm->in[way->in[k]];
    if (ls_op_table[way->op]->n_attrs > LS_BATCHNORM_MOST) attrs[LS_BATCHNORM_MOST].f = way->most;
    const int i = ls_trial_node(&norm->trial, way->op, in, way->n_in, attrs, NULL, 0);
    if (i < 0) fail_msg("%s", ls_error_last()->text);
    return &norm->trial.graph.nodes[i];
}

static bool is_chosen(const struct norm *norm, const struct ls_node *node, enum ls_cpu_kernels choice) {
    const struct ls_kernel *kernel;
    size_t workspace;
    assert_ok(ls_kernel_choose(choice, &norm->trial.graph, node, &kernel, &workspace));
    return strcmp(kernel->library, "batchnorm") == 0;
}

static void compare(const struct norm *narrow, const struct norm *wide, ls_value value, int64_t rows) {
    const bool stored = ls_info(&narrow->trial.graph, value)->dtype == LS_BF16;
    const bool sum = !stored && ls_info(&wide->trial.graph, value)->shape.rank == 1;
    for (int64_t i = 0; i < ls_trial_count(&wide->trial, value); i++) {
        const double found = ls_trial_get(&narrow->trial, value, i),
                     expected = ls_trial_get(&wide->trial, value, i);
        const double bound = 0x1p-9 * (sum ? 0x1p-5 * (double)rows + 1 : 1);
        if (!(fabs(found - expected) <= bound + (stored ? 0x1p-8 : 0) * fabs(expected)))
            fail_msg("%s, %lld rows, element %lld: %.9g, expected %.9g",
                     ls_info(&wide->trial.graph, value)->name, (long long)rows, (long long)i, found,
                     expected);
    }
}

static void check(const struct way *way, int64_t rows, int64_t channels) {
    struct norm narrow, wide;
    open_norm(&narrow, true, rows, channels);
    open_norm(&wide, false, rows, channels);
    const struct ls_node *node = add(&narrow, way), *reference = add(&wide, way);
    assert_true(is_chosen(&narrow, node, LS_CPU_AUTO));
    assert_ok(ls_trial_run(&narrow.trial, LS_CPU_AUTO, 0, 1));
    assert_ok(ls_trial_run(&wide.trial, LS_CPU_PLAIN, 0, 1));
    for (int k = 0; k < node->n_out; k++) {
        assert_int_equal(node->out[k], reference->out[k]);
        compare(&narrow, &wide, node->out[k], rows);
    }
    ls_trial_close(&narrow.trial);
    ls_trial_close(&wide.trial);
}

// Two rows, groups and blocks of rows that are not whole, several stretches.
static void test_against_plain(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{2, 32}, {3, 96}, {258, 64}, {517, 32}, {70, 2048}, {4500, 32}};
    for (int i = 0; i < WAYS; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            check(&ways[i], shapes[s][0], shapes[s][1]);
}

// Channel 0 far from 0 and alike, as bf16 tells them apart; channel 1 of one number; channel 2 of two halves.
static void test_statistics_far_from_zero(void **state) {
    (void)state;
    enum { ROWS = 1000, CHANNELS = 32 };
    struct norm norm;
    open_norm(&norm, true, ROWS, CHANNELS);
    for (int64_t r = 0; r < ROWS; r++) {
        ls_trial_put(&norm.trial, norm.in[X], r * CHANNELS, 4096 + (r % 2 ? 32 : 0));
        ls_trial_put(&norm.trial, norm.in[X], r * CHANNELS + 1, 1000);
        ls_trial_put(&norm.trial, norm.in[X], r * CHANNELS + 2, r < 500 ? 0 : 128);
    }
    const struct ls_node *node = add(&norm, &ways[0]);
    assert_ok(ls_trial_run(&norm.trial, LS_CPU_AUTO, 0, 1));
    static const double expected[2][3] = {{4112, 1000, 64}, {256, 0, 4096}};
    for (int k = 0; k < 2; k++)
        for (int c = 0; c < 3; c++)
            assert_true(fabs(ls_trial_get(&norm.trial, node->out[1 + k], c) - expected[k][c]) <=
                        1e-4 * expected[k][c]);
    ls_trial_close(&norm.trial);
}

// What is not a number stays so behind a relu and a clip, and lets dy through, of either sign.
static void test_nan_is_not_hidden(void **state) {
    (void)state;
    for (int i = 0; i < WAYS; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            struct norm norm;
            open_norm(&norm, true, 5, 32);
            const int spoilt = ways[i].op == LS_OP_BATCHNORM_ADD_RELU_GRAD ? Y : X;
            ls_trial_put(&norm.trial, norm.in[spoilt], 2 * 32 + 7, copysign(NAN, sign));
            ls_trial_put(&norm.trial, norm.in[DY], 2 * 32 + 7, 0.5);
            ls_trial_put(&norm.trial, norm.in[MORE], 2 * 32 + 7, 0);
            const struct ls_node *node = add(&norm, &ways[i]);
            assert_ok(ls_trial_run(&norm.trial, LS_CPU_AUTO, 0, 1));
            if (spoilt == Y)
                assert_true(ls_trial_get(&norm.trial, node->out[3], 2 * 32 + 7) == 0.5);
            else
                assert_true(isnan(ls_trial_get(&norm.trial, node->out[0], 2 * 32 + 7)));
            ls_trial_close(&norm.trial);
        }
}

static void test_what_is_chosen(void **state) {
    (void)state;
    struct norm norm;
    open_norm(&norm, true, 4, 64);
    const struct ls_node *node = add(&norm, &ways[0]);
    assert_false(is_chosen(&norm, node, LS_CPU_PLAIN));
    if (ls_cpu_library()) assert_false(is_chosen(&norm, node, LS_CPU_ONEDNN));
    ls_trial_close(&norm.trial);
    open_norm(&norm, true, 4, 48);
    assert_false(is_chosen(&norm, add(&norm, &ways[0]), LS_CPU_AUTO));
    ls_trial_close(&norm.trial);
    open_norm(&norm, false, 4, 64);
    assert_false(is_chosen(&norm, add(&norm, &ways[0]), LS_CPU_AUTO));
    ls_trial_close(&norm.trial);
}

int main(void) {
    if (!ls_batchnorm_kernel(LS_OP_BATCHNORM)) {
        printf("skipped: this processor has no instructions for bf16\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_plain), cmocka_unit_test(test_statistics_far_from_zero),
        cmocka_unit_test(test_nan_is_not_hidden), cmocka_unit_test(test_what_is_chosen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
