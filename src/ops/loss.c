// Softmax, the losses with their metrics, and the flags of the ranks that travel with them.
//
// Backward starts here: output 0 of a loss is "metric:loss", whose gradient is the LS_INPUT_SEED value.
#include "ops/rule.h"

#include "graph/augment.h"

static ls_status softmax_infer(const struct ls_graph *graph, const struct ls_node *node,
                               struct ls_value_info *out) {
    const struct ls_value_info *x = ls_in(graph, node, 0);
    char text[96];
    LS_TRY(ls_expect_float(graph, node, 0, "x"));
    if (x->shape.rank < 2 || x->shape.rank == 4)
        return LS_FAIL(LS_INPUT,
                       "x is %s; expected rank 2, 3 or 5: of an image, the last axis does not lie closest",
                       ls_shape_text(text, &x->shape));
    if (node->n_in == 2) LS_TRY(ls_expect_same(graph, node, 1, "dy"));
    ls_set(&out[0], x->shape, x->dtype);
    return LS_OK;
}

static ls_status softmax_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const ls_value in[] = {node.out[0], ls_gradient_out(gradient, &node, 0)};
    return ls_emit(gradient, at, LS_OP_SOFTMAX_GRAD, in, 2, NULL, node.in);
}

// Of a loss and its gradient: the latter has the seed as its fourth input, and one output.
static bool is_gradient(const struct ls_node *node) {
    return node->op->n_out == 1;
}

// Prediction or logits [N,C], target of `shape` and `type`, weight [N], and in backward the seed.
static ls_status expect_loss_inputs(const struct ls_graph *graph, const struct ls_node *node,
                                    struct ls_shape target, ls_dtype target_type) {
    int64_t n = ls_in(graph, node, 0)->shape.dim[0];
    LS_TRY(ls_expect_shape(graph, node, 1, "the target", target));
    LS_TRY(ls_expect_type(graph, node, 1, "the target", target_type));
    LS_TRY(ls_expect_shape(graph, node, 2, "the weight", LS_SHAPE(n)));
    LS_TRY(ls_expect_wide(graph, node, 2, "the weight"));
    if (!is_gradient(node)) return LS_OK;
    LS_TRY(ls_expect_rank(graph, node, 3, "the seed", 0));
    return ls_expect_wide(graph, node, 3, "the seed");
}

// Forward: loss, score, weight sum. Backward: the gradient of input 0.
static void set_loss_outputs(const struct ls_graph *graph, const struct ls_node *node,
                             struct ls_value_info *out) {
    const struct ls_value_info *x = ls_in(graph, node, 0);
    if (is_gradient(node)) {
        ls_set(&out[0], x->shape, x->dtype);
        return;
    }
    for (int k = 0; k < 3; k++) ls_set(&out[k], (struct ls_shape){.rank = 0}, x->dtype);
}

static ls_status cross_entropy_infer(const struct ls_graph *graph, const struct ls_node *node,
                                     struct ls_value_info *out) {
    LS_TRY(ls_expect_wide(graph, node, 0, "the logits"));
    LS_TRY(ls_expect_rank(graph, node, 0, "the logits", 2));
    const int64_t samples = ls_in(graph, node, 0)->shape.dim[0];
    LS_TRY(expect_loss_inputs(graph, node, LS_SHAPE(samples), LS_I32));
    const int augment = is_gradient(node) ? 4 : 3;
    if (node->n_in > augment) {
        LS_TRY(ls_expect_shape(graph, node, augment, "augment", LS_SHAPE(samples, LS_AUGMENT_WORDS)));
        LS_TRY(ls_expect_type(graph, node, augment, "augment", LS_I32));
    }
    set_loss_outputs(graph, node, out);
    return LS_OK;
}

// A target of the shape of what is held to it, called `what`.
static ls_status values_infer(const struct ls_graph *graph, const struct ls_node *node, const char *what,
                              struct ls_value_info *out) {
    LS_TRY(ls_expect_wide(graph, node, 0, what));
    LS_TRY(ls_expect_rank(graph, node, 0, what, 2));
    LS_TRY(ls_expect_wide(graph, node, 1, "the target"));
    LS_TRY(expect_loss_inputs(graph, node, ls_in(graph, node, 0)->shape, ls_in(graph, node, 1)->dtype));
    set_loss_outputs(graph, node, out);
    return LS_OK;
}

static ls_status prediction_infer(const struct ls_graph *graph, const struct ls_node *node,
                                  struct ls_value_info *out) {
    return values_infer(graph, node, "the prediction", out);
}

static ls_status binary_cross_entropy_infer(const struct ls_graph *graph, const struct ls_node *node,
                                            struct ls_value_info *out) {
    return values_infer(graph, node, "the logits", out);
}

// Of every loss: its gradient's id comes right behind its own.
static ls_status loss_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value seed = ls_gradient_out(gradient, &node, 0);
    if (seed == LS_NONE) return LS_OK; // the other metrics are counts
    const ls_value in[] = {node.in[0], node.in[1], node.in[2], seed, node.n_in > 3 ? node.in[3] : LS_NONE};
    return ls_emit(gradient, at, (enum ls_op_id)(node.op->id + 1), in, node.n_in + 1, node.attr, node.in);
}

static ls_status flags_infer(const struct ls_graph *graph, const struct ls_node *node,
                             struct ls_value_info *out) {
    (void)graph, (void)node;
    ls_set(&out[0], (struct ls_shape){.rank = 0}, LS_F32);
    ls_set(&out[1], (struct ls_shape){.rank = 0}, LS_F32);
    return LS_OK;
}

// Operations for each element: the maximum, a difference, an exponential, a sum, a quotient.
static double softmax_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return 5 * (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

static const struct ls_attr_info loss_attrs[] = {LS_FLOAT("smoothing", 0, 0, 0.999)};
static const struct ls_attr_info huber_attrs[] = {LS_FLOAT("delta", 1, 1e-30, 1e30)};

const struct ls_op ls_softmax_op = {
    .id = LS_OP_SOFTMAX,
    .name = "softmax",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE, // row by row: a row is read before it is written
    .infer = softmax_infer,
    .gradient = softmax_gradient,
    .flops = softmax_flops,
};

const struct ls_op ls_softmax_grad_op = {
    .id = LS_OP_SOFTMAX_GRAD,
    .name = "softmax_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = softmax_infer,
    .flops = softmax_flops,
};

#define LOSS(its_name, its_id, its_most_in, ...)                                                             \
    const struct ls_op ls_##its_name##_op = {                                                                \
        .id = LS_OP_##its_id,                                                                                \
        .name = #its_name,                                                                                   \
        .min_in = 3,                                                                                         \
        .max_in = (its_most_in),                                                                             \
        .n_out = 3,                                                                                          \
        .gradient = loss_gradient,                                                                           \
        __VA_ARGS__,                                                                                         \
    };                                                                                                       \
    const struct ls_op ls_##its_name##_grad_op = {                                                           \
        .id = LS_OP_##its_id##_GRAD,                                                                         \
        .name = #its_name "_grad",                                                                           \
        .min_in = 4,                                                                                         \
        .max_in = (its_most_in) + 1,                                                                         \
        .n_out = 1,                                                                                          \
        __VA_ARGS__,                                                                                         \
    }
#define SMOOTHED .n_attrs = 1, .attrs = loss_attrs, .flops = softmax_flops

LOSS(cross_entropy, CROSS_ENTROPY, 4, SMOOTHED, .infer = cross_entropy_infer);
LOSS(binary_cross_entropy, BINARY_CROSS_ENTROPY, 3, SMOOTHED, .infer = binary_cross_entropy_infer);
LOSS(mse, MSE, 3, .infer = prediction_infer);
LOSS(mae, MAE, 3, .infer = prediction_infer);
LOSS(huber, HUBER, 3, .n_attrs = 1, .attrs = huber_attrs, .infer = prediction_infer);

const struct ls_op ls_rank_flags_op = {
    .id = LS_OP_RANK_FLAGS,
    .name = "rank_flags",
    .min_in = 0,
    .max_in = 0,
    .n_out = 2,
    .infer = flags_infer,
};

ls_value ls_softmax(struct ls_graph *graph, ls_value x) {
    return ls_build(graph, LS_OP_SOFTMAX, NULL, &x, 1, NULL);
}

static void make_metric(struct ls_graph *graph, ls_value value, const char *name) {
    ls_info(graph, value)->kind = LS_OUTPUT;
    ls_info(graph, value)->name = name;
}

static ls_status add_rank_flags(struct ls_graph *graph) {
    ls_value stop = ls_build(graph, LS_OP_RANK_FLAGS, NULL, NULL, 0, NULL);
    if (stop == LS_NONE) return graph->status;
    const struct ls_node *node = &graph->nodes[ls_info(graph, stop)->producer];
    make_metric(graph, node->out[0], "metric:stop");
    make_metric(graph, node->out[1], "metric:fault");
    return LS_OK;
}

static ls_status add_loss(struct ls_graph *graph, enum ls_op_id op, ls_value x, ls_dtype target_type,
                          struct ls_shape target_shape, ls_value augment, const union ls_attr *attrs) {
    const struct ls_shape one_each = LS_SHAPE(ls_info(graph, x)->shape.dim[0]), scalar = {.rank = 0};
    ls_value target = ls_graph_add_value(graph, LS_INPUT_TARGET, "target", target_type, target_shape);
    ls_value weight = ls_graph_add_value(graph, LS_INPUT_WEIGHT, "weight", LS_F32, one_each);
    if (graph->mode == LS_TRAIN) ls_graph_add_value(graph, LS_INPUT_SEED, "seed", LS_F32, scalar);
    const ls_value in[] = {x, target, weight, augment};
    ls_value loss = ls_build(graph, op, "loss", in, augment == LS_NONE ? 3 : 4, attrs);
    if (loss == LS_NONE) return graph->status;
    const struct ls_node *node = &graph->nodes[ls_info(graph, loss)->producer];
    make_metric(graph, node->out[0], "metric:loss");
    make_metric(graph, node->out[1], "metric:score");
    make_metric(graph, node->out[2], "metric:weight");
    return graph->mode == LS_TRAIN ? add_rank_flags(graph) : LS_OK;
}

ls_status ls_cross_entropy(struct ls_graph *graph, ls_value logits, double smoothing, ls_value augment) {
    if (!ls_builder_ready(graph, logits, "loss")) return graph->status;
    const union ls_attr attr[] = {[LS_LOSS_SMOOTHING].f = smoothing};
    int64_t n = ls_info(graph, logits)->shape.dim[0];
    return add_loss(graph, LS_OP_CROSS_ENTROPY, logits, LS_I32, LS_SHAPE(n), augment, attr);
}

static ls_status add_prediction_loss(struct ls_graph *graph, enum ls_op_id op, ls_value prediction,
                                     const union ls_attr *attrs) {
    if (!ls_builder_ready(graph, prediction, "loss")) return graph->status;
    return add_loss(graph, op, prediction, LS_F32, ls_info(graph, prediction)->shape, LS_NONE, attrs);
}

ls_status ls_mse(struct ls_graph *graph, ls_value prediction) {
    return add_prediction_loss(graph, LS_OP_MSE, prediction, NULL);
}

ls_status ls_mae(struct ls_graph *graph, ls_value prediction) {
    return add_prediction_loss(graph, LS_OP_MAE, prediction, NULL);
}

ls_status ls_huber(struct ls_graph *graph, ls_value prediction, double delta) {
    const union ls_attr attr[] = {[LS_HUBER_DELTA].f = delta};
    return add_prediction_loss(graph, LS_OP_HUBER, prediction, attr);
}

ls_status ls_binary_cross_entropy(struct ls_graph *graph, ls_value logits, double smoothing) {
    const union ls_attr attr[] = {[LS_LOSS_SMOOTHING].f = smoothing};
    return add_prediction_loss(graph, LS_OP_BINARY_CROSS_ENTROPY, logits, attr);
}
