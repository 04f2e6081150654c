// Layer normalization (Ba, Kiros, Hinton 2016) and group normalization (Wu, He 2018). Backward computes the
// statistics again: x is read anyway.
#include "ops/groupnorm.h"

#include "ops/rule.h"

#include <inttypes.h>

static bool is_layernorm(const struct ls_node *node) {
    return node->op->id == LS_OP_LAYERNORM || node->op->id == LS_OP_LAYERNORM_GRAD;
}

struct ls_groups ls_groups_of(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape *x = &ls_in(graph, node, 0)->shape;
    struct ls_groups g = {.epsilon = node->attr[LS_GROUPNORM_EPSILON].f};
    const int64_t count = ls_shape_count(x);
    if (is_layernorm(node)) {
        g.channels = x->dim[ls_axis_lying_at(x->rank, x->rank - 1)];
        g.samples = count / g.channels;
        g.pixels = g.groups = 1;
    } else {
        g.channels = x->dim[1];
        g.samples = x->dim[0];
        g.pixels = count / g.channels / g.samples;
        g.groups = node->attr[LS_GROUPNORM_GROUPS].i;
    }
    return g;
}

static ls_status expect_rows(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape *x = &ls_in(graph, node, 0)->shape;
    char text[96];
    LS_TRY(ls_expect_float(graph, node, 0, "x"));
    if (x->rank >= 2) return LS_OK;
    return LS_FAIL(LS_INPUT, "x is %s; expected rank 2 or more", ls_shape_text(text, x));
}

static ls_status expect_groups(const struct ls_graph *graph, const struct ls_node *node) {
    LS_TRY(ls_expect_activation(graph, node, 0, "x", true));
    const int64_t channels = ls_in(graph, node, 0)->shape.dim[1], groups = node->attr[LS_GROUPNORM_GROUPS].i;
    if (channels % groups == 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "%" PRId64 " groups do not divide %" PRId64 " channels", groups, channels);
}

static ls_status expect_input(const struct ls_graph *graph, const struct ls_node *node) {
    char text[96];
    LS_TRY(is_layernorm(node) ? expect_rows(graph, node) : expect_groups(graph, node));
    const struct ls_groups g = ls_groups_of(graph, node);
    if (g.pixels * (g.channels / g.groups) > 1) return LS_OK;
    return LS_FAIL(LS_INPUT, "x is %s: the statistics of one value say nothing; expected at least 2 together",
                   ls_shape_text(text, &ls_in(graph, node, 0)->shape));
}

// x, scale, shift -> y
static ls_status norm_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    LS_TRY(expect_input(graph, node));
    const struct ls_groups g = ls_groups_of(graph, node);
    LS_TRY(ls_expect_vector(graph, node, 1, "the scale", g.channels));
    LS_TRY(ls_expect_vector(graph, node, 2, "the shift", g.channels));
    ls_set(&out[0], ls_in(graph, node, 0)->shape, ls_in(graph, node, 0)->dtype);
    return LS_OK;
}

// x, dy, scale -> dx, dscale, dshift
static ls_status grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    LS_TRY(expect_input(graph, node));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    const struct ls_groups g = ls_groups_of(graph, node);
    LS_TRY(ls_expect_same(graph, node, 1, "dy"));
    LS_TRY(ls_expect_vector(graph, node, 2, "the scale", g.channels));
    ls_set(&out[0], x->shape, x->dtype);
    ls_set(&out[1], LS_SHAPE(g.channels), ls_wide(x->dtype));
    ls_set(&out[2], LS_SHAPE(g.channels), ls_wide(x->dtype));
    return LS_OK;
}

static ls_status norm_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const ls_value in[] = {node.in[0], ls_gradient_out(gradient, &node, 0), node.in[1]};
    const enum ls_op_id op = is_layernorm(&node) ? LS_OP_LAYERNORM_GRAD : LS_OP_GROUPNORM_GRAD;
    return ls_emit(gradient, at, op, in, 3, node.attr, node.in);
}

// Operations for each element: mean 1, variance 3, the rest 4; backward: statistics 4, two sums and those of
// scale and shift 9, dx 6.
static double norm_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return 8 * (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

static double grad_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return 19 * (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

static const struct ls_attr_info layernorm_attrs[] = {LS_UNUSED("groups", 1),
                                                      LS_FLOAT("epsilon", 1e-5, 1e-12, 1)};
static const struct ls_attr_info groupnorm_attrs[] = {LS_INT("groups", 1, 1, INT32_MAX),
                                                      LS_FLOAT("epsilon", 1e-5, 1e-12, 1)};

const struct ls_op ls_layernorm_op = {
    .id = LS_OP_LAYERNORM,
    .name = "layernorm",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 2,
    .attrs = layernorm_attrs,
    .infer = norm_infer,
    .gradient = norm_gradient,
    .flops = norm_flops,
};

const struct ls_op ls_layernorm_grad_op = {
    .id = LS_OP_LAYERNORM_GRAD,
    .name = "layernorm_grad",
    .min_in = 3,
    .max_in = 3,
    .n_out = 3,
    .flags = LS_OP_HALF,
    .n_attrs = 2,
    .attrs = layernorm_attrs,
    .infer = grad_infer,
    .flops = grad_flops,
};

const struct ls_op ls_groupnorm_op = {
    .id = LS_OP_GROUPNORM,
    .name = "groupnorm",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 2,
    .attrs = groupnorm_attrs,
    .infer = norm_infer,
    .gradient = norm_gradient,
    .flops = norm_flops,
};

const struct ls_op ls_groupnorm_grad_op = {
    .id = LS_OP_GROUPNORM_GRAD,
    .name = "groupnorm_grad",
    .min_in = 3,
    .max_in = 3,
    .n_out = 3,
    .flags = LS_OP_HALF,
    .n_attrs = 2,
    .attrs = groupnorm_attrs,
    .infer = grad_infer,
    .flops = grad_flops,
};

static ls_value build_norm(struct ls_graph *graph, enum ls_op_id op, ls_value x, const char *name,
                           int64_t channels, int64_t groups, double epsilon) {
    const ls_value in[] = {
        x,
        ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.weight", name), LS_SHAPE(channels),
                           (struct ls_init){LS_INIT_CONSTANT, 1}, false),
        ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.bias", name), LS_SHAPE(channels),
                           (struct ls_init){LS_INIT_CONSTANT, 0}, false),
    };
    const union ls_attr attr[] = {[LS_GROUPNORM_GROUPS].i = groups, [LS_GROUPNORM_EPSILON].f = epsilon};
    return ls_build(graph, op, name, in, 3, attr);
}

ls_value ls_layernorm(struct ls_graph *graph, ls_value x, const char *name, double epsilon) {
    if (!ls_builder_ready(graph, x, name)) return LS_NONE;
    const struct ls_shape *shape = &ls_info(graph, x)->shape;
    int64_t channels = 1; // the shape rule refuses a scalar
    if (shape->rank > 0) channels = shape->dim[ls_axis_lying_at(shape->rank, shape->rank - 1)];
    return build_norm(graph, LS_OP_LAYERNORM, x, name, channels, 1, epsilon);
}

ls_value ls_groupnorm(struct ls_graph *graph, ls_value x, const char *name, int64_t groups, double epsilon) {
    if (!ls_builder_ready(graph, x, name)) return LS_NONE;
    const struct ls_shape *shape = &ls_info(graph, x)->shape;
    int64_t channels = shape->rank >= 2 ? shape->dim[1] : 1; // the shape rule refuses any other rank
    return build_norm(graph, LS_OP_GROUPNORM, x, name, channels, groups, epsilon);
}
