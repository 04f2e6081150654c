#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_task.h"

static bool is_grouped(const struct ls_onednn_conv *conv) {
    return conv->groups > 1;
}

// Weights have a dimension more where there are groups: (groups, out / groups, in / groups, height, width).
static dnnl_status_t add_weights(struct ls_onednn_task *task, const struct ls_onednn_conv *conv, int argument,
                                 bool output, int index, dnnl_data_type_t type) {
    dnnl_dim_t o = conv->out, i = conv->in / conv->groups, g = conv->groups, h = conv->kernel_h,
               w = conv->kernel_w;
    dnnl_dims_t whole = {o, i, h, w}, grouped = {g, o / g, i, h, w};
    return is_grouped(conv) ? ls_onednn_operand_add(task, argument, output, index, type, 5, grouped,
                                                    dnnl_gohwi, dnnl_format_tag_any)
                            : ls_onednn_operand_add(task, argument, output, index, type, 4, whole, dnnl_ohwi,
                                                    dnnl_format_tag_any);
}

static dnnl_status_t add_x(struct ls_onednn_task *task, const struct ls_onednn_conv *conv, int argument,
                           bool output) {
    dnnl_dims_t dims = {conv->batch, conv->in, conv->in_h, conv->in_w};
    return ls_onednn_operand_add(task, argument, output, 0, conv->type, 4, dims, dnnl_nhwc, dnnl_nhwc);
}

static dnnl_status_t add_y(struct ls_onednn_task *task, const struct ls_onednn_conv *conv, int argument,
                           bool output, int index) {
    dnnl_dims_t dims = {conv->batch, conv->out, conv->out_h, conv->out_w};
    return ls_onednn_operand_add(task, argument, output, index, conv->type, 4, dims, dnnl_nhwc, dnnl_nhwc);
}

// oneDNN 3.7's brgemm convolution, of processors with AVX-512, reads other columns than those of the one
// window where there is one and it has a stride.
static bool has_one_wide_strided_window(const struct ls_onednn_conv *conv) {
    return conv->out_w == 1 && conv->kernel_w > 1 && conv->window.stride[1] > 1;
}

static dnnl_status_t describe_forward(struct ls_onednn_task *task, const struct ls_onednn_conv *conv) {
    if (has_one_wide_strided_window(conv)) return dnnl_unimplemented;
    LS_DNNL_TRY(add_x(task, conv, DNNL_ARG_SRC, false));
    LS_DNNL_TRY(add_weights(task, conv, DNNL_ARG_WEIGHTS, false, 1, conv->type));
    dnnl_dims_t channels = {conv->out};
    if (conv->bias)
        LS_DNNL_TRY(
            ls_onednn_operand_add(task, DNNL_ARG_BIAS, false, 2, dnnl_f32, 1, channels, dnnl_a, dnnl_a));
    LS_DNNL_TRY(add_y(task, conv, DNNL_ARG_DST, true, 0));
    return ls_dnnl_conv_forward(&task->desc, ls_onednn_engine(), &conv->window,
                                ls_onednn_asked(task, DNNL_ARG_SRC), ls_onednn_asked(task, DNNL_ARG_WEIGHTS),
                                ls_onednn_asked(task, DNNL_ARG_BIAS), ls_onednn_asked(task, DNNL_ARG_DST),
                                task->attr);
}

static dnnl_status_t describe_input_grad(struct ls_onednn_task *task, const struct ls_onednn_conv *conv) {
    LS_DNNL_TRY(add_y(task, conv, DNNL_ARG_DIFF_DST, false, 0));
    LS_DNNL_TRY(add_weights(task, conv, DNNL_ARG_WEIGHTS, false, 1, conv->type));
    LS_DNNL_TRY(add_x(task, conv, DNNL_ARG_DIFF_SRC, true));
    ls_dnnl_desc x = ls_onednn_asked(task, DNNL_ARG_DIFF_SRC), w = ls_onednn_asked(task, DNNL_ARG_WEIGHTS),
                 y = ls_onednn_asked(task, DNNL_ARG_DIFF_DST);
    LS_DNNL_TRY(
        ls_dnnl_conv_forward(&task->hint, ls_onednn_engine(), &conv->window, x, w, NULL, y, task->attr));
    return ls_dnnl_conv_backward_data(&task->desc, ls_onednn_engine(), &conv->window, x, w, y, task->hint,
                                      task->attr);
}

// Is there a column of the window that only ever lies on padding?
static bool has_blind_column(const struct ls_onednn_conv *conv) {
    for (int64_t k = 0; k < conv->kernel_w; k++) {
        bool sees = false;
        for (int64_t o = 0; o < conv->out_w && !sees; o++) {
            const int64_t x =
                o * conv->window.stride[1] - conv->window.pad[1] + k * (conv->window.dilation[1] + 1);
            sees = x >= 0 && x < conv->in_w;
        }
        if (!sees) return true;
    }
    return false;
}

// oneDNN 2.6 takes the gradient of a blind column from what its scratchpad held before.
static dnnl_status_t describe_weight_grad(struct ls_onednn_task *task, const struct ls_onednn_conv *conv) {
    if (conv->type == dnnl_bf16 && has_blind_column(conv)) return dnnl_unimplemented;
    LS_DNNL_TRY(add_x(task, conv, DNNL_ARG_SRC, false));
    LS_DNNL_TRY(add_y(task, conv, DNNL_ARG_DIFF_DST, false, 1));
    LS_DNNL_TRY(add_weights(task, conv, DNNL_ARG_DIFF_WEIGHTS, true, 0, dnnl_f32));
    ls_dnnl_desc x = ls_onednn_asked(task, DNNL_ARG_SRC), dw = ls_onednn_asked(task, DNNL_ARG_DIFF_WEIGHTS),
                 y = ls_onednn_asked(task, DNNL_ARG_DIFF_DST);
    // The hint must be a convolution that exists: of the activations' type throughout, unlike dw.
    struct ls_onednn_task forward = {.attr = task->attr};
    dnnl_status_t status = add_weights(&forward, conv, DNNL_ARG_WEIGHTS, false, 0, conv->type);
    if (status == dnnl_success)
        status = ls_dnnl_conv_forward(&task->hint, ls_onednn_engine(), &conv->window, x,
                                      ls_onednn_asked(&forward, DNNL_ARG_WEIGHTS), NULL, y, task->attr);
    forward.attr = NULL;
    ls_onednn_task_clear(&forward);
    LS_DNNL_TRY(status);
    return ls_dnnl_conv_backward_weights(&task->desc, ls_onednn_engine(), &conv->window, x, dw, y, task->hint,
                                         task->attr);
}

dnnl_status_t ls_onednn_describe_conv_of(struct ls_onednn_task *task, const struct ls_onednn_conv *conv) {
    switch (conv->kind) {
    case LS_ONEDNN_CONV_INPUT_GRAD: return describe_input_grad(task, conv);
    case LS_ONEDNN_CONV_WEIGHT_GRAD: return describe_weight_grad(task, conv);
    default: return describe_forward(task, conv);
    }
}

static void set_window(struct ls_dnnl_window *window, const union ls_attr *attr) {
    window->stride[0] = attr[LS_STRIDE_H].i;
    window->stride[1] = attr[LS_STRIDE_W].i;
    window->pad[0] = attr[LS_PAD_H].i;
    window->pad[1] = attr[LS_PAD_W].i;
    window->dilation[0] = attr[LS_DILATION_H].i - 1;
    window->dilation[1] = attr[LS_DILATION_W].i - 1;
}

dnnl_status_t ls_onednn_describe_conv(struct ls_onednn_task *task, const struct ls_graph *graph,
                                      const struct ls_node *node) {
    const struct ls_value_info *in0 = ls_info(graph, node->in[0]), *in1 = ls_info(graph, node->in[1]),
                               *out = ls_info(graph, node->out[0]);
    const struct ls_value_info *x = in0, *w = in1, *y = out;
    struct ls_onednn_conv conv = {.kind = LS_ONEDNN_CONV_FORWARD};
    if (node->op->id == LS_OP_CONV_INPUT_GRAD || node->op->id == LS_OP_CONV_TRANSPOSE) {
        conv.kind = LS_ONEDNN_CONV_INPUT_GRAD;
        y = in0, x = out;
    } else if (node->op->id == LS_OP_CONV_WEIGHT_GRAD) {
        conv.kind = LS_ONEDNN_CONV_WEIGHT_GRAD;
        y = in1, w = out;
    } else {
        conv.bias = node->n_in > 2;
        task->relu = node->op->id == LS_OP_CONV_RELU;
    }
    conv.type = ls_onednn_type(x->dtype);
    conv.groups = node->attr[LS_GROUPS].i;
    conv.batch = x->shape.dim[0];
    conv.in = x->shape.dim[1], conv.in_h = x->shape.dim[2], conv.in_w = x->shape.dim[3];
    conv.out = y->shape.dim[1], conv.out_h = y->shape.dim[2], conv.out_w = y->shape.dim[3];
    conv.kernel_h = w->shape.dim[2], conv.kernel_w = w->shape.dim[3];
    set_window(&conv.window, node->attr);
    LS_DNNL_TRY(ls_onednn_describe_conv_of(task, &conv));
    const char *name = ls_onednn_implementation(task->desc);
    conv.direct = ls_onednn_prefers_product(&conv, name);
    task->columns = conv.direct || ls_onednn_prefers_columns(&conv, name);
    task->conv = conv;
    return dnnl_success;
}

#endif
