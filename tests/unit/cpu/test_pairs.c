// Gradients of weights by pairs of pixels against the plain ones in f64, on the same bf16 numbers. Those lie
// in [-1, 1], so an f32 sum of n products, whatever its order, is off by at most (n + 2) · 2^-24 · n (Higham,
// "Accuracy and stability of numerical algorithms", 3.1).
#include "base/philox.h"
#include "cpu/kernel.h"
#include "unit/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct conv {
    int64_t batch, in, height, width, out, kernel, pad_h, pad_w, stride_h, stride_w;
};

struct problem {
    struct ls_graph graph;
    struct ls_op op;
    struct ls_node node;
};

static ls_value add(struct problem *problem, ls_dtype type, struct ls_shape shape) {
    static const char *const names[] = {"x", "dy", "dw"};
    return ls_graph_add_value(&problem->graph, LS_ACTIVATION, names[problem->graph.n_values], type, shape);
}

static void open(struct problem *problem, ls_dtype type, const struct conv *c) {
    *problem = (struct problem){.op = {.id = LS_OP_CONV_WEIGHT_GRAD, .name = "conv_weight_grad"}};
    ls_graph_init(&problem->graph, LS_TRAIN);
    struct ls_node *node = &problem->node;
    node->name = "conv", node->op = &problem->op;
    const int64_t out_h = (c->height + 2 * c->pad_h - c->kernel) / c->stride_h + 1,
                  out_w = (c->width + 2 * c->pad_w - c->kernel) / c->stride_w + 1;
    node->in[node->n_in++] = add(problem, type, LS_SHAPE(c->batch, c->in, c->height, c->width));
    node->in[node->n_in++] = add(problem, type, LS_SHAPE(c->batch, c->out, out_h, out_w));
    node->out[node->n_out++] =
        add(problem, type == LS_BF16 ? LS_F32 : type, LS_SHAPE(c->out, c->in, c->kernel, c->kernel));
    union ls_attr *attr = node->attr;
    attr[LS_STRIDE_H].i = c->stride_h, attr[LS_STRIDE_W].i = c->stride_w;
    attr[LS_DILATION_H].i = attr[LS_DILATION_W].i = attr[LS_GROUPS].i = 1;
    attr[LS_PAD_H].i = c->pad_h, attr[LS_PAD_W].i = c->pad_w;
    attr[LS_KERNEL_H].i = attr[LS_KERNEL_W].i = c->kernel;
}

static bool is_chosen(const struct problem *problem, enum ls_cpu_kernels choice) {
    const struct ls_kernel *kernel;
    size_t workspace;
    assert_int_equal(ls_kernel_choose(choice, &problem->graph, &problem->node, &kernel, &workspace), LS_OK);
    return strcmp(kernel->library, "pairs") == 0;
}

static int64_t count(const struct problem *problem, ls_value value) {
    return ls_shape_count(&ls_info(&problem->graph, value)->shape);
}

static void *fresh(size_t bytes) {
    void *memory = aligned_alloc(LS_ALIGN, (bytes + LS_ALIGN - 1) / LS_ALIGN * LS_ALIGN);
    assert_non_null(memory);
    memset(memory, 0xff, bytes); // NaN
    return memory;
}

static ls_bf16 *draw(int64_t n) {
    static uint64_t draws;
    ls_bf16 *numbers = fresh((size_t)n * sizeof *numbers);
    for (int64_t i = 0; i < n; i++)
        numbers[i] =
            ls_bf16_from_f32((float)(2 * ls_uniform(ls_philox(22, LS_RANDOM_TEST, draws++, 0).word[0]) - 1));
    return numbers;
}

static double *widen(const ls_bf16 *from, int64_t n) {
    double *wide = fresh((size_t)n * sizeof *wide);
    for (int64_t i = 0; i < n; i++) wide[i] = ls_bf16_to_f32(from[i]);
    return wide;
}

static void run(const struct problem *problem, enum ls_cpu_kernels choice, const void *x, const void *dy,
                void *dw) {
    const struct ls_kernel_call call = {
        .graph = &problem->graph, .node = &problem->node, .in = {x, dy}, .out = {dw}};
    assert_int_equal(ls_cpu_run_node(choice, &call), LS_OK);
}

static void check(const struct conv *conv) {
    struct problem narrow, wide;
    open(&narrow, LS_BF16, conv);
    open(&wide, LS_F64, conv);
    assert_true(is_chosen(&narrow, LS_CPU_AUTO));
    const int64_t n_x = count(&narrow, narrow.node.in[0]), n_dy = count(&narrow, narrow.node.in[1]),
                  n_dw = count(&narrow, narrow.node.out[0]);
    ls_bf16 *x = draw(n_x), *dy = draw(n_dy);
    double *wide_x = widen(x, n_x), *wide_dy = widen(dy, n_dy),
           *expected = fresh((size_t)n_dw * sizeof *expected);
    float *found = fresh((size_t)n_dw * sizeof *found), *again = fresh((size_t)n_dw * sizeof *again);
    run(&narrow, LS_CPU_AUTO, x, dy, found);
    run(&narrow, LS_CPU_AUTO, x, dy, again);
    run(&wide, LS_CPU_PLAIN, wide_x, wide_dy, expected);
    assert_memory_equal(found, again, (size_t)n_dw * sizeof *found);
    const double terms = (double)(n_dy / conv->out), bound = (terms + 2) * 0x1p-24 * terms;
    for (int64_t i = 0; i < n_dw; i++)
        if (!(fabs(found[i] - expected[i]) <= bound))
            fail_msg("element %lld is %.9g, expected %.9g within %.3g", (long long)i, found[i], expected[i],
                     bound);
    free(x), free(dy), free(wide_x), free(wide_dy), free(expected), free(found), free(again);
    ls_graph_free(&narrow.graph), ls_graph_free(&wide.graph);
}

// Odd rows, of one image and of an even and an odd number, all paddings, images in bands whose last is
// shorter, groups of images whose last is smaller, one pixel; pieces of all images that end within one;
// strides, also beyond the window, that leave pixels over.
static void test_against_plain(void **state) {
    (void)state;
    const struct conv shapes[] = {
        {2, 64, 33, 37, 32, 3, 1, 1, 1, 1}, {7, 32, 9, 7, 96, 3, 0, 2, 1, 1},
        {150, 32, 2, 3, 32, 3, 1, 1, 1, 1}, {1, 96, 1, 1, 64, 3, 1, 1, 1, 1},
        {3, 64, 19, 23, 96, 1, 0, 0, 1, 1}, {1, 32, 1, 1, 32, 1, 0, 0, 1, 1},
        {5, 32, 1, 700, 64, 3, 1, 0, 1, 1}, {2, 32, 16, 24, 64, 1, 0, 0, 1, 1},
        {8, 64, 14, 14, 32, 3, 1, 1, 2, 2}, {3, 32, 65, 70, 64, 3, 1, 1, 2, 2},
        {2, 32, 21, 40, 32, 3, 0, 1, 3, 4}, {4, 32, 28, 28, 64, 1, 0, 0, 2, 2},
        {1, 96, 15, 13, 32, 1, 0, 0, 2, 3}, {5, 32, 9, 37, 32, 1, 0, 0, 1, 2},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check(&shapes[i]);
}

static void test_what_is_chosen(void **state) {
    (void)state;
    const struct conv taken = {8, 64, 8, 8, 64, 3, 1, 1, 1, 1}, narrow = {8, 48, 8, 8, 64, 3, 1, 1, 1, 1},
                      padded_point = {8, 64, 8, 8, 64, 1, 1, 1, 1, 1},
                      wide = {8, 64, 8, 8, 64, 5, 2, 2, 1, 1};
    struct problem problem;
    open(&problem, LS_BF16, &taken);
    assert_true(is_chosen(&problem, LS_CPU_AUTO));
    assert_false(is_chosen(&problem, LS_CPU_PLAIN));
    if (ls_cpu_library()) assert_false(is_chosen(&problem, LS_CPU_ONEDNN));
    problem.node.attr[LS_DILATION_H].i = 2;
    assert_false(is_chosen(&problem, LS_CPU_AUTO));
    problem.node.attr[LS_DILATION_H].i = 1, problem.node.attr[LS_GROUPS].i = 2;
    assert_false(is_chosen(&problem, LS_CPU_AUTO));
    ls_graph_free(&problem.graph);
    const struct conv *refused[] = {&narrow, &padded_point, &wide};
    for (int i = 0; i < 3; i++) {
        open(&problem, LS_BF16, refused[i]);
        assert_false(is_chosen(&problem, LS_CPU_AUTO));
        ls_graph_free(&problem.graph);
    }
    open(&problem, LS_F32, &taken);
    assert_false(is_chosen(&problem, LS_CPU_AUTO));
    ls_graph_free(&problem.graph);
}

int main(void) {
    if (!ls_pairs_kernel(LS_OP_CONV_WEIGHT_GRAD)) {
        printf("skipped: this processor has no instructions for pairs of bf16\n");
        return 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_plain),
                                       cmocka_unit_test(test_what_is_chosen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
