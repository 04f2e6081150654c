// Elementwise: relu and the activations like it, clip, dropout.
#include "ops/rule.h"

#include <inttypes.h>

static ls_status pair_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    LS_TRY(ls_infer_same(graph, node, out));
    return ls_expect_same(graph, node, 1, "dy");
}

static ls_status clip_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    double low = node->attr[LS_CLIP_LOW].f, high = node->attr[LS_CLIP_HIGH].f;
    if (low > high) return LS_FAIL(LS_INPUT, "low is %g; expected at most high, which is %g", low, high);
    return node->n_in == 2 ? pair_infer(graph, node, out) : ls_infer_same(graph, node, out);
}

// The gradient by what came out, of an op whose attributes its gradient shares.
static ls_status gradient_by_y(struct ls_gradient *gradient, int at, enum ls_op_id op) {
    const struct ls_node node = gradient->graph->nodes[at];
    const ls_value in[] = {node.out[0], ls_gradient_out(gradient, &node, 0)};
    return ls_emit(gradient, at, op, in, 2, node.attr, node.in);
}

// … by what went in.
static ls_status gradient_by_x(struct ls_gradient *gradient, int at, enum ls_op_id op) {
    const struct ls_node node = gradient->graph->nodes[at];
    const ls_value in[] = {node.in[0], ls_gradient_out(gradient, &node, 0)};
    return ls_emit(gradient, at, op, in, 2, node.attr, node.in);
}

static ls_status relu_gradient(struct ls_gradient *gradient, int at) {
    return gradient_by_y(gradient, at, LS_OP_RELU_GRAD);
}

static ls_status clip_gradient(struct ls_gradient *gradient, int at) {
    return gradient_by_y(gradient, at, LS_OP_CLIP_GRAD);
}

static ls_status sigmoid_gradient(struct ls_gradient *gradient, int at) {
    return gradient_by_y(gradient, at, LS_OP_SIGMOID_GRAD);
}

static ls_status leaky_relu_gradient(struct ls_gradient *gradient, int at) {
    return gradient_by_y(gradient, at, LS_OP_LEAKY_RELU_GRAD);
}

static ls_status tanh_gradient(struct ls_gradient *gradient, int at) {
    return gradient_by_y(gradient, at, LS_OP_TANH_GRAD);
}

static ls_status gelu_gradient(struct ls_gradient *gradient, int at) {
    return gradient_by_x(gradient, at, LS_OP_GELU_GRAD);
}

static ls_status silu_gradient(struct ls_gradient *gradient, int at) {
    return gradient_by_x(gradient, at, LS_OP_SILU_GRAD);
}

static ls_status hard_swish_gradient(struct ls_gradient *gradient, int at) {
    return gradient_by_x(gradient, at, LS_OP_HARD_SWISH_GRAD);
}

static ls_status dropout_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    return ls_emit(gradient, at, LS_OP_DROPOUT, &dy, 1, node.attr, node.in);
}

static const struct ls_attr_info clip_attrs[] = {
    LS_FLOAT("low", 0, -3e38, 3e38),
    LS_FLOAT("high", 6, -3e38, 3e38),
};
// Not below 0: y has the sign of x then, which is what the gradient goes by.
static const struct ls_attr_info leaky_relu_attrs[] = {LS_FLOAT("slope", 0.01, 0, 1)};
static const struct ls_attr_info gelu_attrs[] = {LS_INT("tanh", 0, 0, 1)};
static const struct ls_attr_info dropout_attrs[] = {
    LS_FLOAT("rate", 0.5, 0, 0.999),
    LS_INT("site", 0, 0, (1 << 24) - 1), // above the 40 bits of the element in the counter
};

const struct ls_op ls_relu_op = {
    .id = LS_OP_RELU,
    .name = "relu",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = ls_infer_same,
    .gradient = relu_gradient,
};

const struct ls_op ls_relu_grad_op = {
    .id = LS_OP_RELU_GRAD,
    .name = "relu_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = pair_infer,
};

const struct ls_op ls_clip_op = {
    .id = LS_OP_CLIP,
    .name = "clip",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .n_attrs = 2,
    .attrs = clip_attrs,
    .infer = clip_infer,
    .gradient = clip_gradient,
};

const struct ls_op ls_clip_grad_op = {
    .id = LS_OP_CLIP_GRAD,
    .name = "clip_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .n_attrs = 2,
    .attrs = clip_attrs,
    .infer = clip_infer,
};

const struct ls_op ls_sigmoid_op = {
    .id = LS_OP_SIGMOID,
    .name = "sigmoid",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = ls_infer_same,
    .gradient = sigmoid_gradient,
};

const struct ls_op ls_sigmoid_grad_op = {
    .id = LS_OP_SIGMOID_GRAD,
    .name = "sigmoid_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = pair_infer,
};

const struct ls_op ls_leaky_relu_op = {
    .id = LS_OP_LEAKY_RELU,
    .name = "leaky_relu",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .n_attrs = 1,
    .attrs = leaky_relu_attrs,
    .infer = ls_infer_same,
    .gradient = leaky_relu_gradient,
};

const struct ls_op ls_leaky_relu_grad_op = {
    .id = LS_OP_LEAKY_RELU_GRAD,
    .name = "leaky_relu_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .n_attrs = 1,
    .attrs = leaky_relu_attrs,
    .infer = pair_infer,
};

const struct ls_op ls_tanh_op = {
    .id = LS_OP_TANH,
    .name = "tanh",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = ls_infer_same,
    .gradient = tanh_gradient,
};

const struct ls_op ls_tanh_grad_op = {
    .id = LS_OP_TANH_GRAD,
    .name = "tanh_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = pair_infer,
};

const struct ls_op ls_gelu_op = {
    .id = LS_OP_GELU,
    .name = "gelu",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .n_attrs = 1,
    .attrs = gelu_attrs,
    .infer = ls_infer_same,
    .gradient = gelu_gradient,
};

const struct ls_op ls_gelu_grad_op = {
    .id = LS_OP_GELU_GRAD,
    .name = "gelu_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .n_attrs = 1,
    .attrs = gelu_attrs,
    .infer = pair_infer,
};

const struct ls_op ls_silu_op = {
    .id = LS_OP_SILU,
    .name = "silu",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = ls_infer_same,
    .gradient = silu_gradient,
};

const struct ls_op ls_silu_grad_op = {
    .id = LS_OP_SILU_GRAD,
    .name = "silu_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = pair_infer,
};

const struct ls_op ls_hard_swish_op = {
    .id = LS_OP_HARD_SWISH,
    .name = "hard_swish",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = ls_infer_same,
    .gradient = hard_swish_gradient,
};

const struct ls_op ls_hard_swish_grad_op = {
    .id = LS_OP_HARD_SWISH_GRAD,
    .name = "hard_swish_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = pair_infer,
};

// Masks are keyed by the sample, and samples lie along axis 0: of anything else there, masks would come again
// in other lanes and steps.
static ls_status dropout_infer(const struct ls_graph *graph, const struct ls_node *node,
                               struct ls_value_info *out) {
    LS_TRY(ls_infer_same(graph, node, out));
    const int64_t samples = ls_graph_samples(graph), there = out[0].shape.dim[0];
    if (samples == 0 || there == samples) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "x has %" PRId64 " places along axis 0; expected the %" PRId64 " samples of a lane", there,
                   samples);
}

const struct ls_op ls_dropout_op = {
    .id = LS_OP_DROPOUT,
    .name = "dropout",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .n_attrs = 2,
    .attrs = dropout_attrs,
    .infer = dropout_infer,
    .gradient = dropout_gradient,
};

ls_value ls_relu(struct ls_graph *graph, ls_value x) {
    return ls_build(graph, LS_OP_RELU, NULL, &x, 1, NULL);
}

ls_value ls_sigmoid(struct ls_graph *graph, ls_value x) {
    return ls_build(graph, LS_OP_SIGMOID, NULL, &x, 1, NULL);
}

ls_value ls_leaky_relu(struct ls_graph *graph, ls_value x, double slope) {
    const union ls_attr attr[] = {[LS_LEAKY_RELU_SLOPE].f = slope};
    return ls_build(graph, LS_OP_LEAKY_RELU, NULL, &x, 1, attr);
}

ls_value ls_tanh(struct ls_graph *graph, ls_value x) {
    return ls_build(graph, LS_OP_TANH, NULL, &x, 1, NULL);
}

ls_value ls_gelu(struct ls_graph *graph, ls_value x, bool tanh) {
    const union ls_attr attr[] = {[LS_GELU_TANH].i = tanh};
    return ls_build(graph, LS_OP_GELU, NULL, &x, 1, attr);
}

ls_value ls_silu(struct ls_graph *graph, ls_value x) {
    return ls_build(graph, LS_OP_SILU, NULL, &x, 1, NULL);
}

ls_value ls_hard_swish(struct ls_graph *graph, ls_value x) {
    return ls_build(graph, LS_OP_HARD_SWISH, NULL, &x, 1, NULL);
}

ls_value ls_clip(struct ls_graph *graph, ls_value x, double low, double high) {
    const union ls_attr attr[] = {[LS_CLIP_LOW].f = low, [LS_CLIP_HIGH].f = high};
    return ls_build(graph, LS_OP_CLIP, NULL, &x, 1, attr);
}

ls_value ls_dropout(struct ls_graph *graph, ls_value x, double rate) {
    if (graph->mode == LS_EVAL || rate == 0) return x;
    int64_t sites = 0; // dropout layers so far
    for (int i = 0; i < graph->n_nodes; i++) sites += graph->nodes[i].op->id == LS_OP_DROPOUT;
    const union ls_attr attr[] = {[LS_DROPOUT_RATE].f = rate, [LS_DROPOUT_SITE].i = sites};
    return ls_build(graph, LS_OP_DROPOUT, NULL, &x, 1, attr);
}
