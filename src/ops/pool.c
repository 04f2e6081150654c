// Maximum, average and global average pooling.
#include "ops/rule.h"

#include <inttypes.h>
#include <string.h>

// Places of the window in an image of h x w. A window must touch the image: padding is less than the kernel.
static ls_status pool_places(const struct ls_node *node, int64_t h, int64_t w, int64_t *oh, int64_t *ow) {
    const union ls_attr *attr = node->attr;
    if (attr[LS_PAD_H].i >= attr[LS_KERNEL_H].i || attr[LS_PAD_W].i >= attr[LS_KERNEL_W].i)
        return LS_FAIL(LS_INPUT,
                       "padding %" PRId64 "x%" PRId64 "; expected less than the window, which is %" PRId64
                       "x%" PRId64,
                       attr[LS_PAD_H].i, attr[LS_PAD_W].i, attr[LS_KERNEL_H].i, attr[LS_KERNEL_W].i);
    LS_TRY(ls_window_places("height", h, attr[LS_KERNEL_H].i, attr[LS_STRIDE_H].i, attr[LS_PAD_H].i, 1, oh));
    return ls_window_places("width", w, attr[LS_KERNEL_W].i, attr[LS_STRIDE_W].i, attr[LS_PAD_W].i, 1, ow);
}

static ls_status pool_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, "x", false));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    int64_t oh, ow;
    LS_TRY(pool_places(node, x->shape.dim[2], x->shape.dim[3], &oh, &ow));
    ls_set(&out[0], LS_SHAPE(x->shape.dim[0], x->shape.dim[1], oh, ow), x->dtype);
    return LS_OK;
}

static ls_dtype index_type(const struct ls_node *node) {
    return node->attr[LS_KERNEL_H].i * node->attr[LS_KERNEL_W].i <= 255 ? LS_U8 : LS_I32;
}

static ls_status max_pool_infer(const struct ls_graph *graph, const struct ls_node *node,
                                struct ls_value_info *out) {
    LS_TRY(pool_infer(graph, node, out));
    ls_set(&out[1], out[0].shape, index_type(node));
    return LS_OK;
}

static ls_status pool_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                 struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, "dy", false));
    const struct ls_value_info *dy = ls_in(graph, node, 0);
    int64_t h = node->attr[LS_SIZE_H].i, w = node->attr[LS_SIZE_W].i, oh, ow;
    LS_TRY(pool_places(node, h, w, &oh, &ow));
    LS_TRY(ls_expect_shape(graph, node, 0, "dy", LS_SHAPE(dy->shape.dim[0], dy->shape.dim[1], oh, ow)));
    ls_set(&out[0], LS_SHAPE(dy->shape.dim[0], dy->shape.dim[1], h, w), dy->dtype);
    return LS_OK;
}

static ls_status max_pool_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                     struct ls_value_info *out) {
    LS_TRY(pool_grad_infer(graph, node, out));
    LS_TRY(ls_expect_shape(graph, node, 1, "the index", ls_in(graph, node, 0)->shape));
    return ls_expect_type(graph, node, 1, "the index", index_type(node));
}

static ls_status global_infer(const struct ls_graph *graph, const struct ls_node *node,
                              struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, "x", false));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    ls_set(&out[0], LS_SHAPE(x->shape.dim[0], x->shape.dim[1], 1, 1), x->dtype);
    return LS_OK;
}

static ls_status global_grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                                   struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, "dy", false));
    const struct ls_value_info *dy = ls_in(graph, node, 0);
    int64_t n = dy->shape.dim[0], c = dy->shape.dim[1];
    LS_TRY(ls_expect_shape(graph, node, 0, "dy", LS_SHAPE(n, c, 1, 1)));
    ls_set(&out[0], LS_SHAPE(n, c, node->attr[LS_GLOBAL_SIZE_H].i, node->attr[LS_GLOBAL_SIZE_W].i),
           dy->dtype);
    return LS_OK;
}

// The pool's attributes, with the size of its x.
static void sized(const struct ls_graph *graph, const struct ls_node *node,
                  union ls_attr attr[LS_MAX_ATTRS]) {
    const struct ls_shape *x = &ls_info(graph, node->in[0])->shape;
    memcpy(attr, node->attr, sizeof node->attr);
    attr[LS_SIZE_H].i = x->dim[2];
    attr[LS_SIZE_W].i = x->dim[3];
}

static ls_status max_pool_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    union ls_attr attr[LS_MAX_ATTRS];
    sized(gradient->graph, &node, attr);
    const ls_value in[] = {ls_gradient_out(gradient, &node, 0), node.out[1]};
    return ls_emit(gradient, at, LS_OP_MAX_POOL_GRAD, in, 2, attr, node.in);
}

static ls_status avg_pool_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    union ls_attr attr[LS_MAX_ATTRS];
    sized(gradient->graph, &node, attr);
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    return ls_emit(gradient, at, LS_OP_AVG_POOL_GRAD, &dy, 1, attr, node.in);
}

static ls_status global_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const struct ls_shape *x = &ls_info(gradient->graph, node.in[0])->shape;
    const union ls_attr attr[] = {[LS_GLOBAL_SIZE_H].i = x->dim[2], [LS_GLOBAL_SIZE_W].i = x->dim[3]};
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    return ls_emit(gradient, at, LS_OP_GLOBAL_AVG_POOL_GRAD, &dy, 1, attr, node.in);
}

// One operation for each place of each window, forward and backward.
static double pool_flops(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value windows = node->op->gradient ? node->out[0] : node->in[0];
    return (double)ls_shape_count(&ls_info(graph, windows)->shape) * (double)node->attr[LS_KERNEL_H].i *
           (double)node->attr[LS_KERNEL_W].i;
}

static double global_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

#define POOL_ATTRS                                                                                           \
    LS_STRIDE_PAD_ATTRS, LS_UNUSED("dilation_h", 1), LS_UNUSED("dilation_w", 1), LS_UNUSED("groups", 1),     \
        LS_AT_LEAST_1("kernel_h"), LS_AT_LEAST_1("kernel_w")
#define NO_SIZE LS_UNUSED("size_h", 0), LS_UNUSED("size_w", 0)
#define SIZE    LS_AT_LEAST_1("size_h"), LS_AT_LEAST_1("size_w")
#define COUNT   LS_INT("count_padding", 1, 0, 1)

static const struct ls_attr_info max_pool_attrs[] = {POOL_ATTRS};
static const struct ls_attr_info max_pool_grad_attrs[] = {POOL_ATTRS, SIZE};
static const struct ls_attr_info avg_pool_attrs[] = {POOL_ATTRS, NO_SIZE, COUNT};
static const struct ls_attr_info avg_pool_grad_attrs[] = {POOL_ATTRS, SIZE, COUNT};
static const struct ls_attr_info global_grad_attrs[] = {LS_AT_LEAST_1("size_h"), LS_AT_LEAST_1("size_w")};

const struct ls_op ls_max_pool_op = {
    .id = LS_OP_MAX_POOL,
    .name = "max_pool",
    .min_in = 1,
    .max_in = 1,
    .n_out = 2,
    .flags = LS_OP_HALF,
    .n_attrs = LS_KERNEL_W + 1,
    .attrs = max_pool_attrs,
    .infer = max_pool_infer,
    .gradient = max_pool_gradient,
    .flops = pool_flops,
};

const struct ls_op ls_max_pool_grad_op = {
    .id = LS_OP_MAX_POOL_GRAD,
    .name = "max_pool_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_SIZE_W + 1,
    .attrs = max_pool_grad_attrs,
    .infer = max_pool_grad_infer,
};

const struct ls_op ls_avg_pool_op = {
    .id = LS_OP_AVG_POOL,
    .name = "avg_pool",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_WINDOW_ATTRS,
    .attrs = avg_pool_attrs,
    .infer = pool_infer,
    .gradient = avg_pool_gradient,
    .flops = pool_flops,
};

const struct ls_op ls_avg_pool_grad_op = {
    .id = LS_OP_AVG_POOL_GRAD,
    .name = "avg_pool_grad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_WINDOW_ATTRS,
    .attrs = avg_pool_grad_attrs,
    .infer = pool_grad_infer,
    .flops = pool_flops,
};

const struct ls_op ls_global_avg_pool_op = {
    .id = LS_OP_GLOBAL_AVG_POOL,
    .name = "global_avg_pool",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .infer = global_infer,
    .gradient = global_gradient,
    .flops = global_flops,
};

const struct ls_op ls_global_avg_pool_grad_op = {
    .id = LS_OP_GLOBAL_AVG_POOL_GRAD,
    .name = "global_avg_pool_grad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 2,
    .attrs = global_grad_attrs,
    .infer = global_grad_infer,
};

// The window along the width alone.
static void fill_width(union ls_attr attr[LS_MAX_ATTRS], int64_t kernel, int64_t stride, int64_t pad) {
    attr[LS_STRIDE_H].i = attr[LS_KERNEL_H].i = 1;
    attr[LS_STRIDE_W].i = stride;
    attr[LS_PAD_W].i = pad;
    attr[LS_DILATION_H].i = attr[LS_DILATION_W].i = attr[LS_GROUPS].i = 1;
    attr[LS_KERNEL_W].i = kernel;
}

static void fill(union ls_attr attr[LS_MAX_ATTRS], int64_t kernel, int64_t stride, int64_t pad) {
    fill_width(attr, kernel, stride, pad);
    attr[LS_STRIDE_H].i = stride;
    attr[LS_PAD_H].i = pad;
    attr[LS_KERNEL_H].i = kernel;
}

ls_value ls_max_pool(struct ls_graph *graph, ls_value x, int64_t kernel, int64_t stride, int64_t pad) {
    union ls_attr attr[LS_MAX_ATTRS] = {0};
    fill(attr, kernel, stride, pad);
    return ls_build(graph, LS_OP_MAX_POOL, NULL, &x, 1, attr);
}

ls_value ls_avg_pool(struct ls_graph *graph, ls_value x, int64_t kernel, int64_t stride, int64_t pad,
                     bool count_padding) {
    union ls_attr attr[LS_MAX_ATTRS] = {0};
    fill(attr, kernel, stride, pad);
    attr[LS_COUNT_PADDING].i = count_padding;
    return ls_build(graph, LS_OP_AVG_POOL, NULL, &x, 1, attr);
}

ls_value ls_max_pool1d(struct ls_graph *graph, ls_value x, int64_t kernel, int64_t stride, int64_t pad) {
    union ls_attr attr[LS_MAX_ATTRS] = {0};
    fill_width(attr, kernel, stride, pad);
    return ls_build(graph, LS_OP_MAX_POOL, NULL, &x, 1, attr);
}

ls_value ls_avg_pool1d(struct ls_graph *graph, ls_value x, int64_t kernel, int64_t stride, int64_t pad,
                       bool count_padding) {
    union ls_attr attr[LS_MAX_ATTRS] = {0};
    fill_width(attr, kernel, stride, pad);
    attr[LS_COUNT_PADDING].i = count_padding;
    return ls_build(graph, LS_OP_AVG_POOL, NULL, &x, 1, attr);
}

ls_value ls_avg_pool_to(struct ls_graph *graph, ls_value x, int64_t height, int64_t width) {
    if (!ls_builder_ready(graph, x, "avg_pool")) return LS_NONE;
    const struct ls_shape *shape = &ls_info(graph, x)->shape;
    if (shape->rank == 4 && shape->dim[2] == height && shape->dim[3] == width) return x;
    if (height < 1 || width < 1) {
        graph->status =
            LS_FAIL(LS_INPUT, "node \"%savg_pool\": expected at least 1x1 places, found %" PRId64 "x%" PRId64,
                    graph->scope, height, width);
        return LS_NONE;
    }
    if (shape->rank != 4 || shape->dim[2] < height || shape->dim[3] < width) {
        char text[96];
        graph->status = LS_FAIL(
            LS_INPUT, "node \"%savg_pool\": x is %s; expected an image of at least %" PRId64 "x%" PRId64,
            graph->scope, ls_shape_text(text, shape), height, width);
        return LS_NONE;
    }
    union ls_attr attr[LS_MAX_ATTRS] = {0};
    fill(attr, 1, 1, 0);
    attr[LS_STRIDE_H].i = shape->dim[2] / height;
    attr[LS_STRIDE_W].i = shape->dim[3] / width;
    attr[LS_KERNEL_H].i = shape->dim[2] - (height - 1) * attr[LS_STRIDE_H].i;
    attr[LS_KERNEL_W].i = shape->dim[3] - (width - 1) * attr[LS_STRIDE_W].i;
    attr[LS_COUNT_PADDING].i = 1;
    return ls_build(graph, LS_OP_AVG_POOL, NULL, &x, 1, attr);
}

ls_value ls_global_avg_pool(struct ls_graph *graph, ls_value x) {
    return ls_build(graph, LS_OP_GLOBAL_AVG_POOL, NULL, &x, 1, NULL);
}
