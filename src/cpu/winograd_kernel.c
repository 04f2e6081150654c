// The kernel of convolutions by winograd.h: which nodes it takes, and what they are in numbers.
#include "cpu/internal.h"
#include "cpu/winograd.h"

#ifdef LS_PLAIN_HAVE_V4

static bool is_f32(const struct ls_graph *graph, const struct ls_node *node) {
    for (int i = 0; i < node->n_in + node->n_out; i++) {
        const ls_value value = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
        if (ls_info(graph, value)->dtype != LS_F32) return false;
    }
    return true;
}

static bool fits(const struct ls_graph *graph, const struct ls_node *node, ls_value w) {
    const int64_t *window = ls_info(graph, w)->shape.dim;
    return is_f32(graph, node) && window[2] == 3 && window[3] == 3 && ls_conv_touches_all(node);
}

static ls_value window_of(const struct ls_node *node) {
    return node->op->id == LS_OP_CONV_WEIGHT_GRAD ? node->out[0] : node->in[1];
}

static bool is_turned(const struct ls_node *node) {
    return node->op->id == LS_OP_CONV_INPUT_GRAD || node->op->id == LS_OP_CONV_TRANSPOSE;
}

// Of a gradient of x, dy is what is convolved here, and dx what comes out.
static struct ls_winograd convolution_of(const struct ls_graph *graph, const struct ls_node *node) {
    const bool grad = node->op->id == LS_OP_CONV_WEIGHT_GRAD, turned = is_turned(node);
    const int64_t *x = ls_info(graph, node->in[0])->shape.dim,
                  *y = ls_info(graph, grad ? node->in[1] : node->out[0])->shape.dim;
    const int64_t pad_h = node->attr[LS_PAD_H].i, pad_w = node->attr[LS_PAD_W].i;
    struct ls_winograd conv = {
        .images = x[0],
        .in = x[1],
        .in_h = x[2],
        .in_w = x[3],
        .out = y[1],
        .out_h = y[2],
        .out_w = y[3],
        .pad_h = turned ? 2 - pad_h : pad_h,
        .pad_w = turned ? 2 - pad_w : pad_w,
    };
    ls_winograd_cut(&conv);
    return conv;
}

// Windows that are no weight are transformed at every run, behind the rest of the workspace.
static bool has_own_windows(const struct ls_graph *graph, const struct ls_node *node) {
    return node->op->id != LS_OP_CONV_WEIGHT_GRAD && !ls_graph_is_weight(graph, node->in[1]);
}

static bool supports(const struct ls_graph *graph, const struct ls_node *node, size_t *workspace) {
    if (!fits(graph, node, window_of(node))) return false;
    const struct ls_winograd conv = convolution_of(graph, node);
    if (!ls_winograd_pays(&conv)) return false;
    *workspace = ls_winograd_workspace(&conv);
    if (has_own_windows(graph, node)) *workspace += ls_winograd_windows_bytes(&conv);
    return true;
}

static size_t kept(const struct ls_graph *graph, const struct ls_node *node) {
    if (node->op->id == LS_OP_CONV_WEIGHT_GRAD || has_own_windows(graph, node)) return 0;
    const struct ls_winograd conv = convolution_of(graph, node);
    return ls_winograd_windows_bytes(&conv);
}

static ls_status convert(const struct ls_kernel_call *call) {
    const struct ls_winograd conv = convolution_of(call->graph, call->node);
    ls_winograd_put_windows(&conv, call->in[1], is_turned(call->node), call->kept);
    return LS_OK;
}

static ls_status run(const struct ls_kernel_call *call) {
    const struct ls_node *node = call->node;
    const struct ls_winograd conv = convolution_of(call->graph, node);
    if (node->op->id == LS_OP_CONV_WEIGHT_GRAD) {
        ls_winograd_weight_grad(&conv, call->in[0], call->in[1], call->out[0], call->workspace);
        return LS_OK;
    }
    char *windows = call->kept ? call->kept : (char *)call->workspace + ls_winograd_workspace(&conv);
    if (!call->kept) ls_winograd_put_windows(&conv, call->in[1], is_turned(node), windows);
    ls_winograd_forward(&conv, call->in[0], windows, node->n_in > 2 ? call->in[2] : NULL,
                        node->op->id == LS_OP_CONV_RELU, call->out[0], call->workspace);
    return LS_OK;
}

const struct ls_kernel *ls_winograd_kernel(enum ls_op_id op, const struct ls_plain *level) {
    static const struct ls_kernel kernel = {
        .library = "winograd", .supports = supports, .kept = kept, .convert = convert, .run = run};
    if (level != &ls_plain_v4) return NULL;
    switch (op) {
    case LS_OP_CONV:
    case LS_OP_CONV_RELU:
    case LS_OP_CONV_INPUT_GRAD:
    case LS_OP_CONV_TRANSPOSE:
    case LS_OP_CONV_WEIGHT_GRAD: return &kernel;
    default: return NULL;
    }
}

#else

const struct ls_kernel *ls_winograd_kernel(enum ls_op_id op, const struct ls_plain *level) {
    (void)op, (void)level;
    return NULL;
}

#endif
