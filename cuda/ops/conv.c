// Convolutions and their gradients: those of one channel a group by our own kernels, the rest by lib/.
#include "cuda/kernels/depthwise.h"
#include "cuda/ops/node.h"

static void find_values(const struct ls_node *node, ls_value *x, ls_value *w, ls_value *y) {
    switch (node->op->id) {
    case LS_OP_CONV_TRANSPOSE:
    case LS_OP_CONV_INPUT_GRAD: *y = node->in[0], *w = node->in[1], *x = node->out[0]; break;
    case LS_OP_CONV_WEIGHT_GRAD: *x = node->in[0], *y = node->in[1], *w = node->out[0]; break;
    default: *x = node->in[0], *w = node->in[1], *y = node->out[0]; break;
    }
}

static struct ls_lib_conv describe(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value x_value, w_value, y_value;
    find_values(node, &x_value, &w_value, &y_value);
    struct ls_cuda_dims x = ls_cuda_dims(graph, x_value), w = ls_cuda_dims(graph, w_value);
    const union ls_attr *attr = node->attr;
    const int op = node->op->id;
    return (struct ls_lib_conv){
        .direction = op == LS_OP_CONV_INPUT_GRAD || op == LS_OP_CONV_TRANSPOSE ? LS_LIB_INPUT_GRAD
                     : op == LS_OP_CONV_WEIGHT_GRAD                            ? LS_LIB_WEIGHT_GRAD
                                                                               : LS_LIB_FORWARD,
        .n = x.n,
        .h = x.h,
        .w = x.w,
        .c = x.c,
        .o = ls_cuda_dims(graph, y_value).c,
        .kh = w.h,
        .kw = w.w,
        .stride_h = attr[LS_STRIDE_H].i,
        .stride_w = attr[LS_STRIDE_W].i,
        .pad_h = attr[LS_PAD_H].i,
        .pad_w = attr[LS_PAD_W].i,
        .dilation_h = attr[LS_DILATION_H].i,
        .dilation_w = attr[LS_DILATION_W].i,
        .groups = attr[LS_GROUPS].i,
        .type = ls_cuda_type(graph, node->in[0]),
        .bias = node->n_in == 3,
        .relu = op == LS_OP_CONV_RELU,
    };
}

static bool is_depthwise(const struct ls_lib_conv *conv) {
    const int64_t far = conv->h > conv->w ? conv->h : conv->w,
                  pad = conv->pad_h > conv->pad_w ? conv->pad_h : conv->pad_w;
    return conv->groups > 1 && conv->groups == conv->c && conv->o == conv->c && far + 2 * pad <= INT32_MAX;
}

static ls_status make(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      struct ls_cuda_made *made) {
    struct ls_lib_conv conv = describe(graph, node);
    return is_depthwise(&conv) ? LS_OK : ls_lib_conv_make(lib, &conv, &made->task);
}

static bool fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                 size_t *workspace) {
    struct ls_lib_conv conv = describe(graph, node);
    struct ls_cuda_made made = {0};
    if (!is_depthwise(&conv)) return ls_cuda_task_fits(make(lib, graph, node, &made), &made, workspace);
    *workspace = ls_cuda_depthwise_workspace(&conv);
    return true;
}

static ls_status run(const struct ls_cuda_call *call) {
    struct ls_lib_conv conv = describe(call->graph, call->node);
    const void *bias = call->node->n_in == 3 ? call->in[2] : NULL;
    if (is_depthwise(&conv))
        return ls_cuda_depthwise(&conv, call->in[0], call->in[1], bias, call->out[0], call->workspace,
                                 call->stream);
    return ls_lib_run(call->lib, ls_cuda_made(call)->task, call->in[0], call->in[1], bias, call->out[0],
                      call->workspace, call->stream);
}

const struct ls_cuda_op ls_cuda_conv_op = {"xxw:x", fits, make, run};
const struct ls_cuda_op ls_cuda_conv_relu_op = {"xxw:x", fits, make, run};
const struct ls_cuda_op ls_cuda_conv_input_grad_op = {"xx:x", fits, make, run};
const struct ls_cuda_op ls_cuda_conv_transpose_op = {"xx:x", fits, make, run};
const struct ls_cuda_op ls_cuda_conv_weight_grad_op = {"xx:w", fits, make, run};
