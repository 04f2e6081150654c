// Linear layer y = x wᵀ + bias, its gradients, and the gradient of any bias.
#include "ops/rule.h"

#include <math.h>

static ls_status linear_infer(const struct ls_graph *graph, const struct ls_node *node,
                              struct ls_value_info *out) {
    const struct ls_value_info *x = ls_in(graph, node, 0), *weight = ls_in(graph, node, 1);
    LS_TRY(ls_expect_activation(graph, node, 0, "x", true));
    LS_TRY(ls_expect_rank(graph, node, 0, "x (flatten it first)", 2));
    LS_TRY(ls_expect_rank(graph, node, 1, "the weight", 2));
    LS_TRY(ls_expect_shape(graph, node, 1, "the weight", LS_SHAPE(weight->shape.dim[0], x->shape.dim[1])));
    LS_TRY(ls_expect_type(graph, node, 1, "the weight", x->dtype));
    if (node->n_in == 3) LS_TRY(ls_expect_vector(graph, node, 2, "the bias", weight->shape.dim[0]));
    ls_set(&out[0], LS_SHAPE(x->shape.dim[0], weight->shape.dim[0]), x->dtype);
    return LS_OK;
}

static ls_status input_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                  struct ls_value_info *out) {
    const struct ls_value_info *dy = ls_in(graph, node, 0), *weight = ls_in(graph, node, 1);
    LS_TRY(ls_expect_activation(graph, node, 0, "dy", true));
    LS_TRY(ls_expect_rank(graph, node, 0, "dy", 2));
    LS_TRY(ls_expect_rank(graph, node, 1, "the weight", 2));
    LS_TRY(ls_expect_shape(graph, node, 1, "the weight", LS_SHAPE(dy->shape.dim[1], weight->shape.dim[1])));
    LS_TRY(ls_expect_type(graph, node, 1, "the weight", dy->dtype));
    ls_set(&out[0], LS_SHAPE(dy->shape.dim[0], weight->shape.dim[1]), dy->dtype);
    return LS_OK;
}

static ls_status weight_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                   struct ls_value_info *out) {
    const struct ls_value_info *x = ls_in(graph, node, 0), *dy = ls_in(graph, node, 1);
    LS_TRY(ls_expect_activation(graph, node, 0, "x", true));
    LS_TRY(ls_expect_rank(graph, node, 0, "x", 2));
    LS_TRY(ls_expect_rank(graph, node, 1, "dy", 2));
    LS_TRY(ls_expect_shape(graph, node, 1, "dy", LS_SHAPE(x->shape.dim[0], dy->shape.dim[1])));
    LS_TRY(ls_expect_type(graph, node, 1, "dy", x->dtype));
    ls_set(&out[0], LS_SHAPE(dy->shape.dim[1], x->shape.dim[1]), ls_wide(x->dtype));
    return LS_OK;
}

static ls_status bias_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                 struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, "dy", true));
    const struct ls_value_info *dy = ls_in(graph, node, 0);
    ls_set(&out[0], LS_SHAPE(dy->shape.dim[1]), ls_wide(dy->dtype));
    return LS_OK;
}

static ls_status linear_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value x = node.in[0], weight = node.in[1], dy = ls_gradient_out(gradient, &node, 0);
    LS_TRY(ls_emit(gradient, at, LS_OP_LINEAR_INPUT_GRAD, (ls_value[]){dy, weight}, 2, NULL, &x));
    LS_TRY(ls_emit(gradient, at, LS_OP_LINEAR_WEIGHT_GRAD, (ls_value[]){x, dy}, 2, NULL, &weight));
    if (node.n_in == 3) LS_TRY(ls_emit(gradient, at, LS_OP_BIAS_GRAD, &dy, 1, NULL, &node.in[2]));
    return LS_OK;
}

static double product(double n, const struct ls_shape *weight) {
    return 2 * n * (double)weight->dim[0] * (double)weight->dim[1];
}

static double linear_flops(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape *y = &ls_info(graph, node->out[0])->shape;
    return product((double)y->dim[0], &ls_in(graph, node, 1)->shape) +
           (node->n_in == 3 ? (double)ls_shape_count(y) : 0);
}

static double input_grad_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return product((double)ls_in(graph, node, 0)->shape.dim[0], &ls_in(graph, node, 1)->shape);
}

static double weight_grad_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return product((double)ls_in(graph, node, 0)->shape.dim[0], &ls_info(graph, node->out[0])->shape);
}

static double bias_grad_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

const struct ls_op ls_linear_op = {
    .id = LS_OP_LINEAR,
    .name = "linear",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .infer = linear_infer,
    .gradient = linear_gradient,
    .flops = linear_flops,
};

const struct ls_op ls_linear_relu_op = {
    .id = LS_OP_LINEAR_RELU,
    .name = "linear_relu",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_FUSED,
    .infer = linear_infer,
    .flops = linear_flops,
};

const struct ls_op ls_linear_input_grad_op = {
    .id = LS_OP_LINEAR_INPUT_GRAD,
    .name = "linear_input_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .infer = input_grad_infer,
    .flops = input_grad_flops,
};

const struct ls_op ls_linear_weight_grad_op = {
    .id = LS_OP_LINEAR_WEIGHT_GRAD,
    .name = "linear_weight_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .infer = weight_grad_infer,
    .flops = weight_grad_flops,
};

const struct ls_op ls_bias_grad_op = {
    .id = LS_OP_BIAS_GRAD,
    .name = "bias_grad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .infer = bias_grad_infer,
    .flops = bias_grad_flops,
};

ls_value ls_linear(struct ls_graph *graph, ls_value x, const char *name, int64_t out) {
    if (!ls_builder_ready(graph, x, name)) return LS_NONE;
    const struct ls_shape *shape = &ls_info(graph, x)->shape;
    int64_t features = shape->rank == 2 ? shape->dim[1] : 1; // the shape rule refuses any other rank
    const struct ls_init init = {LS_INIT_UNIFORM, (float)(1 / sqrt((double)features))};
    ls_value weight = ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.weight", name),
                                         LS_SHAPE(out, features), init, true);
    ls_value bias = ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.bias", name), LS_SHAPE(out),
                                       init, false);
    return ls_build(graph, LS_OP_LINEAR, name, (ls_value[]){x, weight, bias}, 3, NULL);
}
