// Values seen in another shape or type.
#include "ops/rule.h"

static ls_status cast_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    const struct ls_value_info *x = ls_in(graph, node, 0);
    ls_dtype to = (ls_dtype)node->attr[LS_CAST_TO].i;
    if (!ls_is_float(x->dtype) || !ls_is_float(to))
        return LS_FAIL(LS_INPUT, "from %s to %s; expected two float types", ls_dtype_name(x->dtype),
                       ls_dtype_name(to));
    ls_set(&out[0], x->shape, to);
    return LS_OK;
}

static ls_status cast_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    const union ls_attr to = {.i = ls_info(gradient->graph, node.in[0])->dtype};
    return ls_emit(gradient, at, LS_OP_CAST, &dy, 1, &to, node.in);
}

static ls_status flatten_infer(const struct ls_graph *graph, const struct ls_node *node,
                               struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, "x", false));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    ls_set(&out[0], LS_SHAPE(x->shape.dim[0], ls_shape_count(&x->shape) / x->shape.dim[0]), x->dtype);
    return LS_OK;
}

static ls_status flatten_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const struct ls_shape *x = &ls_info(gradient->graph, node.in[0])->shape;
    const union ls_attr attr[] = {
        [LS_UNFLATTEN_C].i = x->dim[1], [LS_UNFLATTEN_H].i = x->dim[2], [LS_UNFLATTEN_W].i = x->dim[3]};
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    return ls_emit(gradient, at, LS_OP_UNFLATTEN, &dy, 1, attr, node.in);
}

static ls_status unflatten_infer(const struct ls_graph *graph, const struct ls_node *node,
                                 struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, "x", true));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    struct ls_shape shape = LS_SHAPE(x->shape.dim[0], node->attr[LS_UNFLATTEN_C].i,
                                     node->attr[LS_UNFLATTEN_H].i, node->attr[LS_UNFLATTEN_W].i);
    LS_TRY(ls_expect_shape(graph, node, 0, "x",
                           LS_SHAPE(shape.dim[0], shape.dim[1] * shape.dim[2] * shape.dim[3])));
    ls_set(&out[0], shape, x->dtype);
    return LS_OK;
}

static ls_status unflatten_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    return ls_emit(gradient, at, LS_OP_FLATTEN, &dy, 1, NULL, node.in);
}

static const struct ls_attr_info cast_attrs[] = {
    {.name = "to", .type = LS_ATTR_TYPE, .preset.i = LS_F32, .least.i = 0, .most.i = LS_DTYPES - 1}};
// A feature count below 2^40 for any three of them that a shape rule lets pass; see flatten.
static const struct ls_attr_info unflatten_attrs[] = {
    LS_INT("channels", 1, 1, 1 << 20), LS_INT("height", 1, 1, 1 << 20), LS_INT("width", 1, 1, 1 << 20)};

const struct ls_op ls_cast_op = {
    .id = LS_OP_CAST,
    .name = "cast",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_RETYPE,
    .n_attrs = 1,
    .attrs = cast_attrs,
    .infer = cast_infer,
    .gradient = cast_gradient,
};

const struct ls_op ls_flatten_op = {
    .id = LS_OP_FLATTEN,
    .name = "flatten",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_VIEW,
    .infer = flatten_infer,
    .gradient = flatten_gradient,
};

const struct ls_op ls_unflatten_op = {
    .id = LS_OP_UNFLATTEN,
    .name = "unflatten",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_VIEW,
    .n_attrs = 3,
    .attrs = unflatten_attrs,
    .infer = unflatten_infer,
    .gradient = unflatten_gradient,
};

ls_value ls_flatten(struct ls_graph *graph, ls_value x) {
    if (!ls_builder_ready(graph, x, "flatten")) return LS_NONE;
    if (ls_info(graph, x)->shape.rank == 2) return x;
    return ls_build(graph, LS_OP_FLATTEN, NULL, &x, 1, NULL);
}
