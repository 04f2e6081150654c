// Images of another size: nearest and bilinear.
#include "ops/rule.h"

#include <inttypes.h>

static ls_status resize_infer(const struct ls_graph *graph, const struct ls_node *node,
                              struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, node->op->gradient ? "x" : "dy", false));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    if (x->shape.dim[2] > INT32_MAX || x->shape.dim[3] > INT32_MAX)
        return LS_FAIL(LS_INPUT, "an image of %" PRId64 "x%" PRId64 "; expected below 2^31", x->shape.dim[2],
                       x->shape.dim[3]);
    ls_set(&out[0],
           LS_SHAPE(x->shape.dim[0], x->shape.dim[1], node->attr[LS_RESIZE_HEIGHT].i,
                    node->attr[LS_RESIZE_WIDTH].i),
           x->dtype);
    return LS_OK;
}

static ls_status resize_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const struct ls_shape *x = &ls_info(gradient->graph, node.in[0])->shape;
    const union ls_attr attr[] = {[LS_RESIZE_HEIGHT].i = x->dim[2],
                                  [LS_RESIZE_WIDTH].i = x->dim[3],
                                  [LS_RESIZE_BILINEAR].i = node.attr[LS_RESIZE_BILINEAR].i};
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    return ls_emit(gradient, at, LS_OP_RESIZE_GRAD, &dy, 1, attr, node.in);
}

// Bilinear: a product and a sum for each of the four pixels that a place sees, forward and backward.
static double resize_flops(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value places = node->op->gradient ? node->out[0] : node->in[0];
    return (node->attr[LS_RESIZE_BILINEAR].i ? 8 : 1) *
           (double)ls_shape_count(&ls_info(graph, places)->shape);
}

static const struct ls_attr_info resize_attrs[] = {LS_AT_LEAST_1("height"), LS_AT_LEAST_1("width"),
                                                   LS_INT("bilinear", 0, 0, 1)};
static const struct ls_attr_info resize_grad_attrs[] = {LS_AT_LEAST_1("size_h"), LS_AT_LEAST_1("size_w"),
                                                        LS_INT("bilinear", 0, 0, 1)};

const struct ls_op ls_resize_op = {
    .id = LS_OP_RESIZE,
    .name = "resize",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 3,
    .attrs = resize_attrs,
    .infer = resize_infer,
    .gradient = resize_gradient,
    .flops = resize_flops,
};

const struct ls_op ls_resize_grad_op = {
    .id = LS_OP_RESIZE_GRAD,
    .name = "resize_grad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 3,
    .attrs = resize_grad_attrs,
    .infer = resize_infer,
    .flops = resize_flops,
};

ls_value ls_resize(struct ls_graph *graph, ls_value x, int64_t height, int64_t width, bool bilinear) {
    if (!ls_builder_ready(graph, x, "resize")) return LS_NONE;
    const struct ls_shape *shape = &ls_info(graph, x)->shape;
    if (shape->rank == 4 && shape->dim[2] == height && shape->dim[3] == width) return x;
    const union ls_attr attr[] = {
        [LS_RESIZE_HEIGHT].i = height, [LS_RESIZE_WIDTH].i = width, [LS_RESIZE_BILINEAR].i = bilinear};
    return ls_build(graph, LS_OP_RESIZE, NULL, &x, 1, attr);
}

ls_value ls_upsample(struct ls_graph *graph, ls_value x, int64_t factor, bool bilinear) {
    if (!ls_builder_ready(graph, x, "resize")) return LS_NONE;
    const struct ls_shape *shape = &ls_info(graph, x)->shape;
    const bool image = shape->rank == 4; // the shape rule refuses any other
    return ls_resize(graph, x, image ? factor * shape->dim[2] : 1, image ? factor * shape->dim[3] : 1,
                     bilinear);
}
