// What shape rules and gradient rules have in common. Private to this folder.
#pragma once

#include "ops/ops.h"

// ---- shape rules: expectations of input `k`, called `what` in messages ----
static inline const struct ls_value_info *ls_in(const struct ls_graph *graph, const struct ls_node *node,
                                                int k) {
    return &graph->values[node->in[k]];
}
// What `infer` holds input k to, which `what` names in the error: LS_INPUT, with the node, what was expected
// and what was found.
ls_status ls_expect_rank(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what,
                         int rank);
ls_status ls_expect_shape(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what,
                          struct ls_shape shape);
ls_status ls_expect_type(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what,
                         ls_dtype type);
// An activation: any float type, rank 4 or, where `flat` is allowed, 2.
ls_status ls_expect_activation(const struct ls_graph *graph, const struct ls_node *node, int k,
                               const char *what, bool flat);
// Any float type, any rank.
ls_status ls_expect_float(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what);
// f32 or f64.
ls_status ls_expect_wide(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what);
// A vector [count] of the wide type of input 0: bias, scale, statistic.
ls_status ls_expect_vector(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what,
                           int64_t count);
// Same shape and type as input 0.
ls_status ls_expect_same(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what);

bool ls_is_float(ls_dtype type);
// The type of what is always f32: biases, statistics, gradients of parameters. f64 among f64.
static inline ls_dtype ls_wide(ls_dtype type) {
    return type == LS_F64 ? LS_F64 : LS_F32;
}
static inline void ls_set(struct ls_value_info *out, struct ls_shape shape, ls_dtype type) {
    out->shape = shape;
    out->dtype = type;
}
// Output 0 is like input 0.
ls_status ls_infer_same(const struct ls_graph *graph, const struct ls_node *node, struct ls_value_info *out);

// ---- windows of convolutions and pools ----
// Places of a window of `kernel` along an axis of `size`; an error where it does not fit even once. `axis` is
// "height" or "width".
ls_status ls_window_places(const char *axis, int64_t size, int64_t kernel, int64_t stride, int64_t pad,
                           int64_t dilation, int64_t *places);
enum { LS_WINDOW_ATTRS = LS_COUNT_PADDING + 1 };

// ---- ranges of attributes ----
#define LS_INT(text, preset_, least_, most_)                                                                 \
    { .name = (text), .type = LS_ATTR_INT, .preset.i = (preset_), .least.i = (least_), .most.i = (most_) }
#define LS_FLOAT(text, preset_, least_, most_)                                                               \
    { .name = (text), .type = LS_ATTR_FLOAT, .preset.f = (preset_), .least.f = (least_), .most.f = (most_) }
// A slot that the op shares with its family and does not use.
#define LS_UNUSED(text, value) LS_INT(text, value, value, value)
#define LS_AT_LEAST_1(text)    LS_INT(text, 1, 1, INT32_MAX)
#define LS_STRIDE_PAD_ATTRS                                                                                  \
    LS_AT_LEAST_1("stride_h"), LS_AT_LEAST_1("stride_w"), LS_INT("pad_h", 0, 0, INT32_MAX),                  \
        LS_INT("pad_w", 0, 0, INT32_MAX)

// ---- gradient rules ----
// Appends a node of backward for forward node `at`, named "<node>/<op>", and lets its output k flow into
// forward value to[k] (LS_NONE: nowhere). Emits nothing where no target's gradient is wanted.
ls_status ls_emit(struct ls_gradient *gradient, int at, enum ls_op_id op, const ls_value *in, int n_in,
                  const union ls_attr *attrs, const ls_value *to);

// ---- builders ----
// Can the builder go on? False once something failed; an `x` that is no value fails here.
bool ls_builder_ready(struct ls_graph *graph, ls_value x, const char *name);
// Appends a node named scope + name (NULL: op and number of the node) and returns output 0.
ls_value ls_build(struct ls_graph *graph, enum ls_op_id op, const char *name, const ls_value *in, int n_in,
                  const union ls_attr *attrs);
const char *ls_scoped(struct ls_graph *graph, const char *name);

// ---- the ops, by file ----
extern const struct ls_op ls_input_op, ls_cast_op, ls_flatten_op, ls_unflatten_op, ls_add_op, ls_add_relu_op,
    ls_mul_op, ls_sum_to_op;
extern const struct ls_op ls_conv_op, ls_conv_relu_op, ls_conv_input_grad_op, ls_conv_weight_grad_op,
    ls_conv_transpose_op, ls_bias_op;
extern const struct ls_op ls_resize_op, ls_resize_grad_op;
extern const struct ls_op ls_linear_op, ls_linear_relu_op, ls_linear_input_grad_op, ls_linear_weight_grad_op,
    ls_bias_grad_op;
extern const struct ls_op ls_batchnorm_op, ls_batchnorm_relu_op, ls_batchnorm_grad_op,
    ls_batchnorm_relu_grad_op, ls_batchnorm_eval_op, ls_batchnorm_eval_relu_op, ls_batchnorm_add_relu_op,
    ls_batchnorm_add_relu_grad_op, ls_batchnorm_eval_grad_op;
extern const struct ls_op ls_relu_op, ls_relu_grad_op, ls_clip_op, ls_clip_grad_op, ls_sigmoid_op,
    ls_sigmoid_grad_op, ls_dropout_op;
extern const struct ls_op ls_leaky_relu_op, ls_leaky_relu_grad_op, ls_tanh_op, ls_tanh_grad_op, ls_gelu_op,
    ls_gelu_grad_op, ls_silu_op, ls_silu_grad_op, ls_hard_swish_op, ls_hard_swish_grad_op;
extern const struct ls_op ls_max_pool_op, ls_max_pool_grad_op, ls_avg_pool_op, ls_avg_pool_grad_op,
    ls_global_avg_pool_op, ls_global_avg_pool_grad_op;
extern const struct ls_op ls_softmax_op, ls_softmax_grad_op, ls_cross_entropy_op, ls_cross_entropy_grad_op,
    ls_mse_op, ls_mse_grad_op, ls_binary_cross_entropy_op, ls_binary_cross_entropy_grad_op, ls_rank_flags_op;
extern const struct ls_op ls_reshape_op, ls_transpose_op, ls_concat_op, ls_slice_op, ls_pad_op, ls_repeat_op;
extern const struct ls_op ls_matmul_op, ls_layernorm_op, ls_layernorm_grad_op, ls_groupnorm_op,
    ls_groupnorm_grad_op, ls_embedding_op, ls_embedding_grad_op;
extern const struct ls_op ls_mae_op, ls_mae_grad_op, ls_huber_op, ls_huber_grad_op;
