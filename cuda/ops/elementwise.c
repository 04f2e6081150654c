// Element by element: activations, casts, dropout.
#include "cuda/kernels/elementwise.h"
#include "cuda/kernels/dropout.h"
#include "cuda/ops/node.h"

static ls_dtype type_of(const struct ls_cuda_call *call) {
    return ls_cuda_type(call->graph, call->node->out[0]);
}

static int64_t count_of(const struct ls_cuda_call *call) {
    return ls_cuda_count(call->graph, call->node->out[0]);
}

#define ONE_INPUT(name, function)                                                                            \
    static ls_status run_##name(const struct ls_cuda_call *call) {                                           \
        return function(type_of(call), call->in[0], call->out[0], count_of(call), call->stream);             \
    }                                                                                                        \
    const struct ls_cuda_op ls_cuda_##name##_op = {.signature = "x:x", .run = run_##name}

#define TWO_INPUTS(name, function)                                                                           \
    static ls_status run_##name(const struct ls_cuda_call *call) {                                           \
        return function(type_of(call), call->in[0], call->in[1], call->out[0], count_of(call),               \
                        call->stream);                                                                       \
    }                                                                                                        \
    const struct ls_cuda_op ls_cuda_##name##_op = {.signature = "xx:x", .run = run_##name}

ONE_INPUT(relu, ls_cuda_relu);
ONE_INPUT(sigmoid, ls_cuda_sigmoid);
ONE_INPUT(tanh, ls_cuda_tanh);
ONE_INPUT(silu, ls_cuda_silu);
ONE_INPUT(hard_swish, ls_cuda_hard_swish);
TWO_INPUTS(relu_grad, ls_cuda_relu_grad);
TWO_INPUTS(sigmoid_grad, ls_cuda_sigmoid_grad);
TWO_INPUTS(tanh_grad, ls_cuda_tanh_grad);
TWO_INPUTS(silu_grad, ls_cuda_silu_grad);
TWO_INPUTS(hard_swish_grad, ls_cuda_hard_swish_grad);

static ls_status run_clip(const struct ls_cuda_call *call) {
    const union ls_attr *attr = call->node->attr;
    return ls_cuda_clip(type_of(call), call->in[0], call->out[0], count_of(call), (float)attr[LS_CLIP_LOW].f,
                        (float)attr[LS_CLIP_HIGH].f, call->stream);
}

static ls_status run_clip_grad(const struct ls_cuda_call *call) {
    const union ls_attr *attr = call->node->attr;
    return ls_cuda_clip_grad(type_of(call), call->in[0], call->in[1], call->out[0], count_of(call),
                             ls_cuda_stored(type_of(call), attr[LS_CLIP_LOW].f),
                             ls_cuda_stored(type_of(call), attr[LS_CLIP_HIGH].f), call->stream);
}

static ls_status run_leaky_relu(const struct ls_cuda_call *call) {
    return ls_cuda_leaky_relu(type_of(call), call->in[0], call->out[0], count_of(call),
                              (float)call->node->attr[LS_LEAKY_RELU_SLOPE].f, call->stream);
}

static ls_status run_leaky_relu_grad(const struct ls_cuda_call *call) {
    return ls_cuda_leaky_relu_grad(type_of(call), call->in[0], call->in[1], call->out[0], count_of(call),
                                   (float)call->node->attr[LS_LEAKY_RELU_SLOPE].f, call->stream);
}

static ls_status run_gelu(const struct ls_cuda_call *call) {
    return ls_cuda_gelu(type_of(call), call->in[0], call->out[0], count_of(call),
                        call->node->attr[LS_GELU_TANH].i != 0, call->stream);
}

static ls_status run_gelu_grad(const struct ls_cuda_call *call) {
    return ls_cuda_gelu_grad(type_of(call), call->in[0], call->in[1], call->out[0], count_of(call),
                             call->node->attr[LS_GELU_TANH].i != 0, call->stream);
}

static ls_status run_cast(const struct ls_cuda_call *call) {
    return ls_cuda_cast(ls_cuda_type(call->graph, call->node->in[0]), call->in[0], type_of(call),
                        call->out[0], count_of(call), call->stream);
}

static ls_status run_dropout(const struct ls_cuda_call *call) {
    const union ls_attr *attr = call->node->attr;
    int64_t samples = ls_cuda_dims(call->graph, call->node->out[0]).n;
    return ls_cuda_dropout(type_of(call), call->in[0], call->out[0], samples, count_of(call) / samples,
                           attr[LS_DROPOUT_RATE].f, attr[LS_DROPOUT_SITE].i, call->control, call->stream);
}

const struct ls_cuda_op ls_cuda_clip_op = {.signature = "x:x", .run = run_clip};
const struct ls_cuda_op ls_cuda_clip_grad_op = {.signature = "xx:x", .run = run_clip_grad};
const struct ls_cuda_op ls_cuda_leaky_relu_op = {.signature = "x:x", .run = run_leaky_relu};
const struct ls_cuda_op ls_cuda_leaky_relu_grad_op = {.signature = "xx:x", .run = run_leaky_relu_grad};
const struct ls_cuda_op ls_cuda_gelu_op = {.signature = "x:x", .run = run_gelu};
const struct ls_cuda_op ls_cuda_gelu_grad_op = {.signature = "xx:x", .run = run_gelu_grad};
const struct ls_cuda_op ls_cuda_cast_op = {.signature = "f:f", .run = run_cast};
const struct ls_cuda_op ls_cuda_dropout_op = {.signature = "x:x", .run = run_dropout};
