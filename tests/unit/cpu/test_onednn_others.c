// oneDNN's pooling, sums and activations beside the plain kernels: where it is taken, that it is near, and
// that it reads our places.
#include "conform/cases.h"
#include "unit/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef LOCKSTEP_HAVE_ONEDNN

#define POOL(name_, op_, channels, height, width, kernel, stride, pad)                                       \
    {                                                                                                        \
        .name = (name_), .op = LS_OP_##op_, .n_in = 1,                                                       \
        .in = {{.fill = LS_FILL_DISTINCT, .shape = {4, {2, channels, height, width}}}},                      \
        .attrs = {[LS_STRIDE_H].i = (stride), [LS_STRIDE_W].i = (stride), [LS_PAD_H].i = (pad),              \
                  [LS_PAD_W].i = (pad),       [LS_DILATION_H].i = 1,      [LS_DILATION_W].i = 1,             \
                  [LS_GROUPS].i = 1,          [LS_KERNEL_H].i = (kernel), [LS_KERNEL_W].i = (kernel)},       \
    }

static const struct ls_case pools[] = {
    POOL("max 2x2", MAX_POOL, 64, 8, 6, 2, 2, 0),
    POOL("max 2x2, a row and a column left", MAX_POOL, 5, 9, 7, 2, 2, 0),
    POOL("max 3x3", MAX_POOL, 37, 9, 8, 3, 2, 1),
    POOL("max 5x5", MAX_POOL, 16, 7, 9, 5, 1, 2),
    POOL("max, apart", MAX_POOL, 20, 11, 11, 2, 3, 0),
    POOL("max 16x16", MAX_POOL, 8, 18, 17, 16, 1, 3),
    POOL("avg 2x2", AVG_POOL, 64, 8, 6, 2, 2, 0),
    POOL("avg 3x3", AVG_POOL, 37, 9, 8, 3, 2, 1),
    POOL("avg 5x5", AVG_POOL, 16, 7, 9, 5, 1, 2),
    POOL("avg, apart", AVG_POOL, 20, 11, 11, 2, 3, 0),
};

static const struct ls_case means[] = {
    {.name = "few pixels",
     .op = LS_OP_GLOBAL_AVG_POOL,
     .n_in = 1,
     .in = {{.fill = LS_FILL_SIGNED, .shape = {4, {2, 37, 16, 16}}}}},
    {.name = "many pixels",
     .op = LS_OP_GLOBAL_AVG_POOL,
     .n_in = 1,
     .in = {{.fill = LS_FILL_SIGNED, .shape = {4, {2, 37, 16, 17}}}}},
};

static bool is_taken(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_kernel *kernel;
    size_t workspace;
    assert_ok(ls_kernel_choose(LS_CPU_AUTO, graph, node, &kernel, &workspace));
    return strcmp(kernel->library, "onednn") == 0;
}

// A sum of so many terms, each below 2, in another order; in bf16 then rounded once.
static void expect_near(const struct ls_case *of, const struct ls_trial *plain, const struct ls_trial *other,
                        const struct ls_node *node, ls_dtype type, double terms) {
    for (int64_t i = 0; i < ls_trial_count(plain, node->out[0]); i++) {
        const double expected = ls_trial_get(plain, node->out[0], i);
        const double found = ls_trial_get(other, node->out[0], i);
        const double off = type == LS_BF16 ? 0x1p-8 * fabs(expected) : 0;
        if (!(fabs(found - expected) <= off + 2 * terms * 0x1p-23))
            fail_msg("%s, %s in %s, element %d: plain %.9g, oneDNN's %.9g", of->name, node->op->name,
                     ls_dtype_name(type), (int)i, expected, found);
    }
}

static void expect_taken(const struct ls_case *of, const struct ls_graph *graph, const struct ls_node *node,
                         ls_dtype type, bool taken) {
    if (is_taken(graph, node) != taken)
        fail_msg("%s, %s in %s: oneDNN's is %staken", of->name, node->op->name, ls_dtype_name(type),
                 taken ? "not " : "");
}

static void compare(const struct ls_case *of, ls_dtype type) {
    struct ls_case_trial plain, other;
    assert_ok(ls_case_open(of, type, &plain));
    assert_ok(ls_case_open(of, type, &other));
    const struct ls_graph *graph = &plain.trial.graph;
    const bool overlap = of->attrs[LS_KERNEL_H].i > of->attrs[LS_STRIDE_H].i;
    assert_ok(ls_trial_run(&plain.trial, LS_CPU_PLAIN, 0, graph->n_nodes));
    assert_ok(ls_trial_run(&other.trial, LS_CPU_AUTO, 0, graph->n_nodes));
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct ls_node *node = &graph->nodes[n];
        expect_taken(of, graph, node, type,
                     node->op->id != LS_OP_MAX_POOL &&
                         (type == LS_F32 || node->op->id == LS_OP_AVG_POOL || !overlap));
        expect_near(of, &plain.trial, &other.trial, node, type,
                    (double)(of->attrs[LS_KERNEL_H].i * of->attrs[LS_KERNEL_W].i));
    }
    ls_case_close(&plain);
    ls_case_close(&other);
}

static void test_pools(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        for (int count = 0; count < (pools[i].op == LS_OP_AVG_POOL ? 2 : 1); count++) {
            struct ls_case of = pools[i];
            of.attrs[LS_COUNT_PADDING].i = count;
            compare(&of, LS_F32);
            if (ls_onednn_has_bf16()) compare(&of, LS_BF16);
        }
}

static void test_global_means(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++)
        for (int half = 0; half < 1 + ls_onednn_has_bf16(); half++) {
            const ls_dtype type = half ? LS_BF16 : LS_F32;
            const struct ls_case *of = &means[i];
            struct ls_case_trial plain, other;
            assert_ok(ls_case_open(of, type, &plain));
            assert_ok(ls_case_open(of, type, &other));
            const struct ls_node *node = &plain.trial.graph.nodes[0];
            assert_ok(ls_trial_run(&plain.trial, LS_CPU_PLAIN, 0, 1));
            assert_ok(ls_trial_run(&other.trial, LS_CPU_AUTO, 0, 1));
            expect_taken(of, &plain.trial.graph, node, type, i == 0);
            expect_near(of, &plain.trial, &other.trial, node, type,
                        1); // its terms are divided by their number
            ls_case_close(&plain);
            ls_case_close(&other);
        }
}

static bool is_nan(ls_bf16 x) {
    return (x & 0x7fffu) > 0x7f80u;
}

// Every number of bf16 there is, and a second operand that meets some of them. One NaN stands for all: a
// trial takes that of all ones for what was not written.
static void fill_with_every_number(struct ls_trial *trial) {
    const struct ls_node *node = &trial->graph.nodes[0];
    for (int k = 0; k < node->n_in; k++) {
        ls_bf16 *x = trial->data[node->in[k]];
        for (int64_t i = 0; i < ls_trial_count(trial, node->in[k]); i++) {
            const ls_bf16 number = (ls_bf16)(i * (k ? 40503 : 1));
            x[i] = is_nan(number) ? 0x7fc0 : number;
        }
    }
}

// The plain kernel's bits, or those of a neighbour that is so many away, where the result takes the place of
// in[0] too. Which NaN it is is left open.
static void compare_in_place(const struct ls_case *of, int away) {
    struct ls_case_trial plain;
    assert_ok(ls_case_open(of, LS_BF16, &plain));
    struct ls_trial *trial = &plain.trial;
    const struct ls_node *node = &trial->graph.nodes[0];
    fill_with_every_number(trial);
    assert_ok(ls_trial_run(trial, LS_CPU_PLAIN, 0, 1));
    expect_taken(of, &trial->graph, node, LS_BF16, true);
    const struct ls_kernel_call call = {
        .graph = &trial->graph,
        .node = node,
        .in = {trial->data[node->in[0]], trial->data[node->in[node->n_in - 1]]},
        .out = {trial->data[node->in[0]]},
        .control = &trial->control};
    assert_ok(ls_cpu_run_node(LS_CPU_AUTO, &call));
    const ls_bf16 *expected = trial->data[node->out[0]], *found = call.out[0];
    for (int64_t i = 0; i < ls_trial_count(trial, node->out[0]); i++)
        if (abs((int)expected[i] - (int)found[i]) > away && !(is_nan(expected[i]) && is_nan(found[i])))
            fail_msg("%s, element %d: plain %#x, oneDNN's %#x", of->name, (int)i, expected[i], found[i]);
    ls_case_close(&plain);
}

#define EVERY(op_, n_)                                                                                       \
    {                                                                                                        \
        .name = #op_, .op = LS_OP_##op_, .n_in = (n_),                                                       \
        .in = {{.shape = {2, {512, 128}}}, {.shape = {2, {512, 128}}}},                                      \
    }

static void test_binary(void **state) {
    (void)state;
    if (!ls_onednn_has_bf16()) skip();
    static const struct ls_case sum = EVERY(ADD, 2), product = EVERY(MUL, 2);
    compare_in_place(&sum, 0);
    compare_in_place(&product, 0);
}

static void test_activations(void **state) {
    (void)state;
    if (!ls_onednn_has_bf16()) skip();
    static const double slopes[] = {0.01, 0.2, 0.75, 1};
    struct ls_case leaky = EVERY(LEAKY_RELU, 1);
    for (int i = 0; i < 4; i++) {
        leaky.attrs[LS_LEAKY_RELU_SLOPE].f = slopes[i];
        compare_in_place(&leaky, 0);
    }
    // Version 3 has x / 6 + 1/2 where ours has (x + 3) / 6: off by 6e-6 where digits cancel, so that what is
    // near the middle between two numbers of bf16 may go to the other.
    static const struct ls_case swish = EVERY(HARD_SWISH, 1);
    compare_in_place(&swish, 1);

    struct ls_case_trial flat; // oneDNN's would lose NaN
    leaky.attrs[LS_LEAKY_RELU_SLOPE].f = 0;
    assert_ok(ls_case_open(&leaky, LS_BF16, &flat));
    expect_taken(&leaky, &flat.trial.graph, &flat.trial.graph.nodes[0], LS_BF16, false);
    ls_case_close(&flat);
}
#endif

int main(void) {
#ifdef LOCKSTEP_HAVE_ONEDNN
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pools), cmocka_unit_test(test_global_means),
                                       cmocka_unit_test(test_binary), cmocka_unit_test(test_activations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
#else
    return 0; // there is nothing to compare with
#endif
}
