// Batch normalization (Ioffe, Szegedy 2015): with the statistics of the lane in training, with running ones
// in evaluation and where it is frozen.
#include "ops/rule.h"

#include <string.h>

// Inputs [first, end) are vectors with a number for each channel of x.
static ls_status expect_vectors(const struct ls_graph *graph, const struct ls_node *node, int first,
                                int end) {
    static const char *const names[] = {"the scale", "the shift or mean", "the mean or variance",
                                        "the variance"};
    for (int k = first; k < end; k++)
        LS_TRY(ls_expect_vector(graph, node, k, names[k - first], ls_in(graph, node, 0)->shape.dim[1]));
    return LS_OK;
}

static int64_t values_per_channel(const struct ls_shape *x) {
    return ls_shape_count(x) / x->dim[1];
}

enum { FORWARD_B = 3 }; // the input that is added, where there is one

static void set_vectors(const struct ls_value_info *x, struct ls_value_info *out) {
    ls_set(&out[1], LS_SHAPE(x->shape.dim[1]), ls_wide(x->dtype));
    ls_set(&out[2], LS_SHAPE(x->shape.dim[1]), ls_wide(x->dtype));
}

static ls_status batchnorm_infer(const struct ls_graph *graph, const struct ls_node *node,
                                 struct ls_value_info *out) {
    LS_TRY(ls_infer_same(graph, node, out));
    LS_TRY(expect_vectors(graph, node, 1, FORWARD_B));
    if (node->n_in > FORWARD_B) LS_TRY(ls_expect_same(graph, node, FORWARD_B, "b"));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    char text[96];
    if (values_per_channel(&x->shape) < 2)
        return LS_FAIL(
            LS_INPUT,
            "x is %s: the batch statistics of one value a channel say nothing; expected at least 2 "
            "(a larger batch for each lane, or larger samples)",
            ls_shape_text(text, &x->shape));
    set_vectors(x, out);
    return LS_OK;
}

static ls_status eval_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    LS_TRY(ls_infer_same(graph, node, out));
    return expect_vectors(graph, node, 1, node->n_in);
}

// dy, scale, running var -> dx
static ls_status eval_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                 struct ls_value_info *out) {
    LS_TRY(ls_infer_same(graph, node, out));
    LS_TRY(ls_expect_vector(graph, node, 1, "the scale", out[0].shape.dim[1]));
    return ls_expect_vector(graph, node, 2, "the variance", out[0].shape.dim[1]);
}

// x, dy, scale, [shift,] mean, var -> dx, dscale, dshift
static ls_status grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    LS_TRY(ls_infer_same(graph, node, out));
    LS_TRY(ls_expect_same(graph, node, 1, "dy"));
    LS_TRY(expect_vectors(graph, node, 2, node->n_in));
    set_vectors(ls_in(graph, node, 0), out);
    return LS_OK;
}

// x, y, dy, scale, mean, var, [second dy] -> dx, dscale, dshift, db
static ls_status add_relu_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                     struct ls_value_info *out) {
    LS_TRY(ls_infer_same(graph, node, out));
    LS_TRY(ls_expect_same(graph, node, 1, "y"));
    LS_TRY(ls_expect_same(graph, node, 2, "dy"));
    LS_TRY(expect_vectors(graph, node, 3, 6));
    if (node->n_in > 6) LS_TRY(ls_expect_same(graph, node, 6, "the second dy"));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    set_vectors(x, out);
    ls_set(&out[3], x->shape, x->dtype);
    return LS_OK;
}

static ls_status batchnorm_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    for (int k = 1; k < 3; k++)
        if (ls_gradient_out(gradient, &node, k) != LS_NONE)
            return LS_FAIL(LS_INPUT,
                           "the loss depends on the statistics themselves; that has no gradient here");
    const ls_value in[] = {node.in[0], dy, node.in[1], node.out[1], node.out[2]};
    return ls_emit(gradient, at, LS_OP_BATCHNORM_GRAD, in, 5, node.attr, node.in);
}

// In a training graph scale and shift are frozen; then x is not kept for backward.
static ls_status eval_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    for (int k = 1; k < node.n_in; k++)
        if (ls_gradient_wanted(gradient, node.in[k]))
            return LS_FAIL(LS_INPUT,
                           "\"%s\" has no gradient where running statistics are used; expected frozen",
                           ls_info(gradient->graph, node.in[k])->name);
    const ls_value in[] = {ls_gradient_out(gradient, &node, 0), node.in[1], node.in[4]};
    return ls_emit(gradient, at, LS_OP_BATCHNORM_EVAL_GRAD, in, 3, node.attr, node.in);
}

// Operations for each element: mean 1, variance 3, normalization 4; backward: two sums 5, dx 6.
static double batchnorm_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return 8 * (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

static double eval_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return 2 * (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

static double grad_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return 11 * (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

#define EPSILON LS_FLOAT("epsilon", 1e-5, 1e-12, 1)
static const struct ls_attr_info batchnorm_attrs[] = {EPSILON};
static const struct ls_attr_info fused_attrs[] = {EPSILON, LS_FLOAT("most", 0, 0, 3e38)};

const struct ls_op ls_batchnorm_op = {
    .id = LS_OP_BATCHNORM,
    .name = "batchnorm",
    .min_in = 3,
    .max_in = 3,
    .n_out = 3,
    .flags = LS_OP_HALF,
    .n_attrs = 1,
    .attrs = batchnorm_attrs,
    .infer = batchnorm_infer,
    .gradient = batchnorm_gradient,
    .flops = batchnorm_flops,
};

const struct ls_op ls_batchnorm_relu_op = {
    .id = LS_OP_BATCHNORM_RELU,
    .name = "batchnorm_relu",
    .min_in = 3,
    .max_in = 3,
    .n_out = 3,
    .flags = LS_OP_HALF | LS_OP_FUSED,
    .n_attrs = 2,
    .attrs = fused_attrs,
    .infer = batchnorm_infer,
    .flops = batchnorm_flops,
};

const struct ls_op ls_batchnorm_grad_op = {
    .id = LS_OP_BATCHNORM_GRAD,
    .name = "batchnorm_grad",
    .min_in = 5,
    .max_in = 5,
    .n_out = 3,
    .flags = LS_OP_HALF,
    .n_attrs = 1,
    .attrs = batchnorm_attrs,
    .infer = grad_infer,
    .flops = grad_flops,
};

const struct ls_op ls_batchnorm_relu_grad_op = {
    .id = LS_OP_BATCHNORM_RELU_GRAD,
    .name = "batchnorm_relu_grad",
    .min_in = 6,
    .max_in = 6,
    .n_out = 3,
    .flags = LS_OP_HALF | LS_OP_FUSED,
    .n_attrs = 2,
    .attrs = fused_attrs,
    .infer = grad_infer,
    .flops = grad_flops,
};

const struct ls_op ls_batchnorm_eval_op = {
    .id = LS_OP_BATCHNORM_EVAL,
    .name = "batchnorm_eval",
    .min_in = 5,
    .max_in = 5,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 1,
    .attrs = batchnorm_attrs,
    .infer = eval_infer,
    .gradient = eval_gradient,
    .flops = eval_flops,
};

const struct ls_op ls_batchnorm_eval_grad_op = {
    .id = LS_OP_BATCHNORM_EVAL_GRAD,
    .name = "batchnorm_eval_grad",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .n_attrs = 1,
    .attrs = batchnorm_attrs,
    .infer = eval_grad_infer,
};

const struct ls_op ls_batchnorm_eval_relu_op = {
    .id = LS_OP_BATCHNORM_EVAL_RELU,
    .name = "batchnorm_eval_relu",
    .min_in = 5,
    .max_in = 5,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_FUSED,
    .n_attrs = 2,
    .attrs = fused_attrs,
    .infer = eval_infer,
    .flops = eval_flops,
};

const struct ls_op ls_batchnorm_add_relu_op = {
    .id = LS_OP_BATCHNORM_ADD_RELU,
    .name = "batchnorm_add_relu",
    .min_in = 4,
    .max_in = 4,
    .n_out = 3,
    .flags = LS_OP_HALF | LS_OP_FUSED,
    .n_attrs = 1,
    .attrs = batchnorm_attrs,
    .infer = batchnorm_infer,
    .flops = batchnorm_flops,
};

const struct ls_op ls_batchnorm_add_relu_grad_op = {
    .id = LS_OP_BATCHNORM_ADD_RELU_GRAD,
    .name = "batchnorm_add_relu_grad",
    .min_in = 6,
    .max_in = 7,
    .n_out = 4,
    .flags = LS_OP_HALF | LS_OP_FUSED,
    .n_attrs = 1,
    .attrs = batchnorm_attrs,
    .infer = add_relu_grad_infer,
    .flops = grad_flops,
};

static ls_value add_state(struct ls_graph *graph, const char *norm, const char *name, int64_t channels,
                          float initial, bool frozen) {
    ls_value state = ls_graph_add_value(graph, LS_STATE,
                                        ls_scoped(graph, ls_arena_format(&graph->arena, "%s.%s", norm, name)),
                                        LS_F32, LS_SHAPE(channels));
    if (state == LS_NONE) return LS_NONE;
    ls_info(graph, state)->init = (struct ls_init){LS_INIT_CONSTANT, initial};
    ls_info(graph, state)->frozen = frozen;
    return state;
}

// The lane's statistic, an output that moves the running one.
static void make_statistic(struct ls_graph *graph, ls_value statistic, ls_value state, float factor) {
    struct ls_value_info *info = ls_info(graph, statistic);
    info->kind = LS_OUTPUT;
    info->name = ls_arena_format(&graph->arena, "stat:%s", ls_info(graph, state)->name);
    info->output_of = state;
    info->momentum = 0.1f;
    info->factor = factor;
}

ls_value ls_batchnorm(struct ls_graph *graph, ls_value x, const char *name, float initial_scale) {
    if (!ls_builder_ready(graph, x, name)) return LS_NONE;
    const struct ls_shape shape = ls_info(graph, x)->shape;
    int64_t channels = shape.rank >= 2 ? shape.dim[1] : 1; // the shape rule refuses any other rank
    ls_value scale =
        ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.weight", name), LS_SHAPE(channels),
                           (struct ls_init){LS_INIT_CONSTANT, initial_scale}, false);
    ls_value shift = ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.bias", name),
                                        LS_SHAPE(channels), (struct ls_init){LS_INIT_CONSTANT, 0}, false);
    if (shift == LS_NONE) return LS_NONE;
    const bool frozen = ls_info(graph, scale)->frozen && ls_info(graph, shift)->frozen;
    ls_value mean = add_state(graph, name, "running_mean", channels, 0, frozen);
    ls_value var = add_state(graph, name, "running_var", channels, 1, frozen);
    const ls_value in[] = {x, scale, shift, mean, var};
    if (graph->mode == LS_EVAL || frozen) return ls_build(graph, LS_OP_BATCHNORM_EVAL, name, in, 5, NULL);

    ls_value y = ls_build(graph, LS_OP_BATCHNORM, name, in, 3, NULL);
    if (y == LS_NONE) return LS_NONE;
    const struct ls_node *node = &graph->nodes[ls_info(graph, y)->producer];
    double n = (double)values_per_channel(&shape);
    make_statistic(graph, node->out[1], mean, 1);
    make_statistic(graph, node->out[2], var, (float)(n / (n - 1)));
    return y;
}
