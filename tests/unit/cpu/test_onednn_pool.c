// oneDNN's pooling beside the plain kernels: where it is taken, that it is near, and that it reads our
// places.
#include "conform/cases.h"
#include "unit/check.h"

#include <math.h>
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

static bool is_taken(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_kernel *kernel;
    size_t workspace;
    assert_ok(ls_kernel_choose(LS_CPU_AUTO, graph, node, &kernel, &workspace));
    return strcmp(kernel->library, "onednn") == 0;
}

// Forward by the plain kernels, so that both gradients read the same places.
static void compare(const struct ls_case *of, ls_dtype type) {
    struct ls_case_trial plain, other;
    assert_ok(ls_case_open(of, type, &plain));
    assert_ok(ls_case_open(of, type, &other));
    const struct ls_graph *graph = &plain.trial.graph;
    const bool overlap = of->attrs[LS_KERNEL_H].i > of->attrs[LS_STRIDE_H].i;
    assert_ok(ls_trial_run(&plain.trial, LS_CPU_PLAIN, 0, graph->n_nodes));
    assert_ok(ls_trial_run(&other.trial, LS_CPU_AUTO, 0, graph->n_nodes));
    // A sum of as many terms as a window has, each below 2, in another order; in bf16 then rounded once.
    const double terms = (double)(of->attrs[LS_KERNEL_H].i * of->attrs[LS_KERNEL_W].i);
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct ls_node *node = &graph->nodes[n];
        const bool taken =
            node->op->id != LS_OP_MAX_POOL && (type == LS_F32 || node->op->id == LS_OP_AVG_POOL || !overlap);
        if (is_taken(graph, node) != taken)
            fail_msg("%s, %s in %s: oneDNN's is %staken", of->name, node->op->name, ls_dtype_name(type),
                     taken ? "not " : "");
        for (int64_t i = 0; i < ls_trial_count(&plain.trial, node->out[0]); i++) {
            const double expected = ls_trial_get(&plain.trial, node->out[0], i);
            const double found = ls_trial_get(&other.trial, node->out[0], i);
            const double off = type == LS_BF16 ? 0x1p-8 * fabs(expected) : 0;
            if (!(fabs(found - expected) <= off + 2 * terms * 0x1p-23))
                fail_msg("%s, %s in %s, element %d: plain %.9g, oneDNN's %.9g", of->name, node->op->name,
                         ls_dtype_name(type), (int)i, expected, found);
        }
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
#else
static void test_pools(void **state) {
    (void)state;
    skip();
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pools)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
