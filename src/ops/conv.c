// Convolution (cross-correlation), its gradients by input and by weight, and the transposed convolution.
#include "ops/rule.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

// Sizes of a convolution x [n, c, h, w] * weight [o, cg, kh, kw] -> y [n, o, oh, ow].
struct sizes {
    int64_t n, c, h, w, o, cg, kh, kw, oh, ow;
};

static ls_status check_sizes(const struct ls_node *node, struct sizes *s) {
    const union ls_attr *attr = node->attr;
    int64_t groups = attr[LS_GROUPS].i;
    if (s->c % groups || s->o % groups)
        return LS_FAIL(LS_INPUT,
                       "%" PRId64 " groups do not divide %" PRId64 " input and %" PRId64 " output channels",
                       groups, s->c, s->o);
    if (s->cg != s->c / groups)
        return LS_FAIL(LS_INPUT,
                       "the weight takes %" PRId64 " channels a group; expected %" PRId64 " (x has %" PRId64
                       " channels in %" PRId64 " groups)",
                       s->cg, s->c / groups, s->c, groups);
    LS_TRY(ls_window_places("height", s->h, s->kh, attr[LS_STRIDE_H].i, attr[LS_PAD_H].i,
                            attr[LS_DILATION_H].i, &s->oh));
    return ls_window_places("width", s->w, s->kw, attr[LS_STRIDE_W].i, attr[LS_PAD_W].i,
                            attr[LS_DILATION_W].i, &s->ow);
}

static void take_x(struct sizes *s, const struct ls_shape *x) {
    s->n = x->dim[0], s->c = x->dim[1], s->h = x->dim[2], s->w = x->dim[3];
}

static void take_weight(struct sizes *s, const struct ls_shape *weight) {
    s->o = weight->dim[0], s->cg = weight->dim[1], s->kh = weight->dim[2], s->kw = weight->dim[3];
}

static ls_status conv_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    struct sizes s;
    LS_TRY(ls_expect_activation(graph, node, 0, "x", false));
    LS_TRY(ls_expect_rank(graph, node, 1, "the weight", 4));
    LS_TRY(ls_expect_type(graph, node, 1, "the weight", ls_in(graph, node, 0)->dtype));
    take_x(&s, &ls_in(graph, node, 0)->shape);
    take_weight(&s, &ls_in(graph, node, 1)->shape);
    LS_TRY(check_sizes(node, &s));
    if (node->n_in == 3) LS_TRY(ls_expect_vector(graph, node, 2, "the bias", s.o));
    ls_set(&out[0], LS_SHAPE(s.n, s.o, s.oh, s.ow), ls_in(graph, node, 0)->dtype);
    return LS_OK;
}

// From the side of y to that of x.
static ls_status input_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                  struct ls_value_info *out) {
    const char *what = node->op->id == LS_OP_CONV_TRANSPOSE ? "x" : "dy";
    struct sizes s;
    LS_TRY(ls_expect_activation(graph, node, 0, what, false));
    LS_TRY(ls_expect_rank(graph, node, 1, "the weight", 4));
    LS_TRY(ls_expect_type(graph, node, 1, "the weight", ls_in(graph, node, 0)->dtype));
    take_weight(&s, &ls_in(graph, node, 1)->shape);
    s.n = ls_in(graph, node, 0)->shape.dim[0];
    s.c = s.cg * node->attr[LS_GROUPS].i;
    s.h = node->attr[LS_SIZE_H].i, s.w = node->attr[LS_SIZE_W].i;
    LS_TRY(check_sizes(node, &s));
    LS_TRY(ls_expect_shape(graph, node, 0, what, LS_SHAPE(s.n, s.o, s.oh, s.ow)));
    ls_set(&out[0], LS_SHAPE(s.n, s.c, s.h, s.w), ls_in(graph, node, 0)->dtype);
    return LS_OK;
}

static ls_status bias_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    LS_TRY(ls_infer_same(graph, node, out));
    return ls_expect_vector(graph, node, 1, "the bias", out[0].shape.dim[1]);
}

static ls_status weight_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                   struct ls_value_info *out) {
    struct sizes s;
    LS_TRY(ls_expect_activation(graph, node, 0, "x", false));
    LS_TRY(ls_expect_activation(graph, node, 1, "dy", false));
    LS_TRY(ls_expect_type(graph, node, 1, "dy", ls_in(graph, node, 0)->dtype));
    take_x(&s, &ls_in(graph, node, 0)->shape);
    s.o = ls_in(graph, node, 1)->shape.dim[1];
    s.cg = s.c / node->attr[LS_GROUPS].i;
    s.kh = node->attr[LS_KERNEL_H].i, s.kw = node->attr[LS_KERNEL_W].i;
    LS_TRY(check_sizes(node, &s));
    LS_TRY(ls_expect_shape(graph, node, 1, "dy", LS_SHAPE(s.n, s.o, s.oh, s.ow)));
    ls_set(&out[0], LS_SHAPE(s.o, s.cg, s.kh, s.kw), ls_wide(ls_in(graph, node, 0)->dtype));
    return LS_OK;
}

static ls_status conv_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_graph *graph = gradient->graph;
    const struct ls_node node = graph->nodes[at];
    ls_value x = node.in[0], weight = node.in[1], dy = ls_gradient_out(gradient, &node, 0);
    const struct ls_shape x_shape = ls_info(graph, x)->shape, w_shape = ls_info(graph, weight)->shape;

    union ls_attr attr[LS_MAX_ATTRS] = {0};
    memcpy(attr, node.attr, sizeof attr);
    attr[LS_KERNEL_H].i = attr[LS_KERNEL_W].i = 0;
    attr[LS_SIZE_H].i = x_shape.dim[2], attr[LS_SIZE_W].i = x_shape.dim[3];
    LS_TRY(ls_emit(gradient, at, LS_OP_CONV_INPUT_GRAD, (ls_value[]){dy, weight}, 2, attr, &x));
    attr[LS_KERNEL_H].i = w_shape.dim[2], attr[LS_KERNEL_W].i = w_shape.dim[3];
    LS_TRY(ls_emit(gradient, at, LS_OP_CONV_WEIGHT_GRAD, (ls_value[]){x, dy}, 2, attr, &weight));
    if (node.n_in == 3) LS_TRY(ls_emit(gradient, at, LS_OP_BIAS_GRAD, &dy, 1, NULL, &node.in[2]));
    return LS_OK;
}

// y is where a convolution's x is: dx is the convolution of dy, and dw is its gradient at dy and x.
static ls_status transpose_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_graph *graph = gradient->graph;
    const struct ls_node node = graph->nodes[at];
    ls_value x = node.in[0], weight = node.in[1], dy = ls_gradient_out(gradient, &node, 0);
    const struct ls_shape w_shape = ls_info(graph, weight)->shape;
    union ls_attr attr[LS_MAX_ATTRS] = {0};
    memcpy(attr, node.attr, sizeof(union ls_attr) * (LS_GROUPS + 1));
    LS_TRY(ls_emit(gradient, at, LS_OP_CONV, (ls_value[]){dy, weight}, 2, attr, &x));
    attr[LS_KERNEL_H].i = w_shape.dim[2], attr[LS_KERNEL_W].i = w_shape.dim[3];
    return ls_emit(gradient, at, LS_OP_CONV_WEIGHT_GRAD, (ls_value[]){dy, x}, 2, attr, &weight);
}

static ls_status bias_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    LS_TRY(ls_gradient_flow(gradient, node.in[0], dy));
    return ls_emit(gradient, at, LS_OP_BIAS_GRAD, &dy, 1, NULL, &node.in[1]);
}

// One multiplication and one addition for each place of y, input channel and place of the window.
static double multiplications(const struct ls_shape *y, const struct ls_shape *weight) {
    return 2 * (double)ls_shape_count(y) * (double)weight->dim[1] * (double)weight->dim[2] *
           (double)weight->dim[3];
}

static double conv_flops(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape *y = &ls_info(graph, node->out[0])->shape;
    return multiplications(y, &ls_in(graph, node, 1)->shape) +
           (node->n_in == 3 ? (double)ls_shape_count(y) : 0);
}

static double input_grad_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return multiplications(&ls_in(graph, node, 0)->shape, &ls_in(graph, node, 1)->shape);
}

static double weight_grad_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return multiplications(&ls_in(graph, node, 1)->shape, &ls_info(graph, node->out[0])->shape);
}

#define CONV_ATTRS                                                                                           \
    LS_STRIDE_PAD_ATTRS, LS_AT_LEAST_1("dilation_h"), LS_AT_LEAST_1("dilation_w"), LS_AT_LEAST_1("groups")

static const struct ls_attr_info conv_attrs[] = {CONV_ATTRS};
static const struct ls_attr_info input_grad_attrs[] = {
    CONV_ATTRS,
    LS_UNUSED("kernel_h", 0),
    LS_UNUSED("kernel_w", 0),
    LS_AT_LEAST_1("size_h"),
    LS_AT_LEAST_1("size_w"),
};
static const struct ls_attr_info weight_grad_attrs[] = {CONV_ATTRS, LS_AT_LEAST_1("kernel_h"),
                                                        LS_AT_LEAST_1("kernel_w")};

const struct ls_op ls_conv_op = {
    .id = LS_OP_CONV,
    .name = "conv",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_GROUPS + 1,
    .attrs = conv_attrs,
    .infer = conv_infer,
    .gradient = conv_gradient,
    .flops = conv_flops,
};

const struct ls_op ls_conv_relu_op = {
    .id = LS_OP_CONV_RELU,
    .name = "conv_relu",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_FUSED,
    .n_attrs = LS_GROUPS + 1,
    .attrs = conv_attrs,
    .infer = conv_infer,
    .flops = conv_flops,
};

const struct ls_op ls_conv_input_grad_op = {
    .id = LS_OP_CONV_INPUT_GRAD,
    .name = "conv_input_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_SIZE_W + 1,
    .attrs = input_grad_attrs,
    .infer = input_grad_infer,
    .flops = input_grad_flops,
};

const struct ls_op ls_conv_transpose_op = {
    .id = LS_OP_CONV_TRANSPOSE,
    .name = "conv_transpose",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_SIZE_W + 1,
    .attrs = input_grad_attrs,
    .infer = input_grad_infer,
    .gradient = transpose_gradient,
    .flops = input_grad_flops,
};

const struct ls_op ls_bias_op = {
    .id = LS_OP_BIAS,
    .name = "bias",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = bias_infer,
    .gradient = bias_gradient,
};

const struct ls_op ls_conv_weight_grad_op = {
    .id = LS_OP_CONV_WEIGHT_GRAD,
    .name = "conv_weight_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_KERNEL_W + 1,
    .attrs = weight_grad_attrs,
    .infer = weight_grad_infer,
    .flops = weight_grad_flops,
};

// Along one axis, the window is one pixel high and what is said of it holds of the width.
static ls_value build_conv(struct ls_graph *graph, ls_value x, const char *name,
                           const struct ls_conv_spec *spec, bool one_axis) {
    if (!ls_builder_ready(graph, x, name)) return LS_NONE;
    const struct ls_shape *shape = &ls_info(graph, x)->shape;
    int64_t groups = spec->groups ? spec->groups : 1, dilation = spec->dilation ? spec->dilation : 1;
    // A shape that is no image, or channels that groups do not divide, are left to the shape rule.
    int64_t channels = shape->rank == 4 && groups > 0 && shape->dim[1] >= groups ? shape->dim[1] / groups : 1;
    const int64_t height = one_axis ? 1 : spec->kernel;
    double fan_in = (double)channels * (double)height * (double)spec->kernel;
    ls_value in[3] = {x};
    in[1] = ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.weight", name),
                               LS_SHAPE(spec->out, channels, height, spec->kernel),
                               (struct ls_init){LS_INIT_UNIFORM, (float)sqrt(6 / fan_in)}, true);
    if (spec->bias)
        in[2] =
            ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.bias", name), LS_SHAPE(spec->out),
                               (struct ls_init){LS_INIT_UNIFORM, (float)(1 / sqrt(fan_in))}, false);
    union ls_attr attr[LS_GROUPS + 1] = {
        [LS_STRIDE_H].i = one_axis ? 1 : spec->stride,
        [LS_STRIDE_W].i = spec->stride,
        [LS_PAD_H].i = one_axis ? 0 : spec->pad,
        [LS_PAD_W].i = spec->pad,
        [LS_DILATION_H].i = one_axis ? 1 : dilation,
        [LS_DILATION_W].i = dilation,
        [LS_GROUPS].i = groups,
    };
    return ls_build(graph, LS_OP_CONV, name, in, spec->bias ? 3 : 2, attr);
}

ls_value ls_conv(struct ls_graph *graph, ls_value x, const char *name, const struct ls_conv_spec *spec) {
    return build_conv(graph, x, name, spec, false);
}

ls_value ls_conv1d(struct ls_graph *graph, ls_value x, const char *name, const struct ls_conv_spec *spec) {
    return build_conv(graph, x, name, spec, true);
}

ls_value ls_conv_transpose(struct ls_graph *graph, ls_value x, const char *name,
                           const struct ls_conv_transpose_spec *spec) {
    if (!ls_builder_ready(graph, x, name)) return LS_NONE;
    const struct ls_shape *shape = &ls_info(graph, x)->shape;
    const int64_t groups = spec->groups ? spec->groups : 1, dilation = spec->dilation ? spec->dilation : 1;
    if (groups > 0 && spec->out % groups != 0) {
        graph->status = LS_FAIL(
            LS_INPUT, "node \"%s%s\": %" PRId64 " channels out; expected a multiple of %" PRId64 " groups",
            graph->scope, name, (int64_t)spec->out, groups);
        return LS_NONE;
    }
    // What is no image is left to the shape rule.
    const int64_t channels = shape->rank == 4 ? shape->dim[1] : 1,
                  height = shape->rank == 4 ? shape->dim[2] : 1, width = shape->rank == 4 ? shape->dim[3] : 1;
    const int64_t out = groups > 0 && spec->out >= groups ? spec->out / groups : 1;
    const double steps = (double)spec->kernel / (double)(spec->stride > 0 ? spec->stride : 1);
    const double fan_in = fmax(1, (double)channels / (double)(groups > 0 ? groups : 1) * steps * steps);
    const ls_value weight =
        ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.weight", name),
                           LS_SHAPE(channels, out, spec->kernel, spec->kernel),
                           (struct ls_init){LS_INIT_UNIFORM, (float)sqrt(6 / fan_in)}, true);
    const int64_t more = dilation * (spec->kernel - 1) + 1 + spec->output_pad - 2 * spec->pad;
    union ls_attr attr[LS_SIZE_W + 1] = {
        [LS_STRIDE_H].i = spec->stride,
        [LS_STRIDE_W].i = spec->stride,
        [LS_PAD_H].i = spec->pad,
        [LS_PAD_W].i = spec->pad,
        [LS_DILATION_H].i = dilation,
        [LS_DILATION_W].i = dilation,
        [LS_GROUPS].i = groups,
        [LS_SIZE_H].i = (height - 1) * spec->stride + more,
        [LS_SIZE_W].i = (width - 1) * spec->stride + more,
    };
    ls_value y = ls_build(graph, LS_OP_CONV_TRANSPOSE, name, (ls_value[]){x, weight}, 2, attr);
    if (!spec->bias || y == LS_NONE) return y;
    const char *bias_name = ls_arena_format(&graph->arena, "%s.bias", name);
    const ls_value bias =
        ls_graph_add_param(graph, bias_name, LS_SHAPE(spec->out),
                           (struct ls_init){LS_INIT_UNIFORM, (float)(1 / sqrt(fan_in))}, false);
    return ls_build(graph, LS_OP_BIAS, ls_arena_format(&graph->arena, "%s+bias", name), (ls_value[]){y, bias},
                    2, NULL);
}
