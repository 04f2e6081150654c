// Sums and products of two values, which broadcast, and the sum that undoes it.
//
// Shapes go together as in numpy: axes are aligned at the last one, and are equal or one of them is 1. Two
// things are narrower, for values that differ in shape: a rank is 2 at least, since what has one number a
// channel stays f32 where activations do not; and rank 4 goes with rank 4, since it lies in another order
// than other ranks.
#include "ops/rule.h"

// Can `shape` be spread over `full`, of its rank or more?
static bool spreads_over(const struct ls_shape *shape, const struct ls_shape *full) {
    const int more = full->rank - shape->rank;
    if (more < 0) return false;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] != 1 && shape->dim[i] != full->dim[more + i]) return false;
    return true;
}

static bool ranks_go_together(const struct ls_shape *a, const struct ls_shape *b) {
    return a->rank == b->rank ? a->rank >= 2 : a->rank >= 2 && b->rank >= 2 && a->rank != 4 && b->rank != 4;
}

// The shape over which both spread: along each axis the greater.
static bool broadcast(const struct ls_shape *a, const struct ls_shape *b, struct ls_shape *full) {
    *full = a->rank >= b->rank ? *a : *b;
    if (ls_shape_equal(a, b)) return true;
    const struct ls_shape *other = a->rank >= b->rank ? b : a;
    for (int i = 0, more = full->rank - other->rank; i < other->rank; i++)
        if (full->dim[more + i] == 1) full->dim[more + i] = other->dim[i];
    return ranks_go_together(a, b) && spreads_over(a, full) && spreads_over(b, full);
}

static ls_status pair_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    const struct ls_value_info *a = ls_in(graph, node, 0), *b = ls_in(graph, node, 1);
    struct ls_shape full;
    char found[96], expected[96];
    if (!ls_is_float(a->dtype))
        return LS_FAIL(LS_INPUT, "a is %s; expected a float type", ls_dtype_name(a->dtype));
    LS_TRY(ls_expect_type(graph, node, 1, "b", a->dtype));
    if (!broadcast(&a->shape, &b->shape, &full))
        return LS_FAIL(
            LS_INPUT,
            "b is %s; expected %s, or 1 in place of sizes of either (of rank 2 or more, and rank 4 "
            "with rank 4)",
            ls_shape_text(found, &b->shape), ls_shape_text(expected, &a->shape));
    ls_set(&out[0], full, a->dtype);
    return LS_OK;
}

// ---- sum_to

static struct ls_shape target_of(const struct ls_node *node) {
    struct ls_shape target = {.rank = (int)node->attr[LS_SUM_TO_RANK].i};
    for (int i = 0; i < target.rank; i++) target.dim[i] = node->attr[LS_SUM_TO_DIMS + i].i;
    return target;
}

static ls_status sum_to_infer(const struct ls_graph *graph, const struct ls_node *node,
                              struct ls_value_info *out) {
    const struct ls_value_info *x = ls_in(graph, node, 0);
    const struct ls_shape target = target_of(node);
    char text[96], expected[96];
    if (!ls_is_float(x->dtype))
        return LS_FAIL(LS_INPUT, "x is %s; expected a float type", ls_dtype_name(x->dtype));
    if (!ranks_go_together(&target, &x->shape) || !spreads_over(&target, &x->shape))
        return LS_FAIL(LS_INPUT, "to %s; expected a shape that broadcasts to that of x, %s",
                       ls_shape_text(text, &target), ls_shape_text(expected, &x->shape));
    if (node->n_in == 2) {
        const struct ls_value_info *factor = ls_in(graph, node, 1);
        LS_TRY(ls_expect_type(graph, node, 1, "the factor", x->dtype));
        if (!ranks_go_together(&factor->shape, &x->shape) || !spreads_over(&factor->shape, &x->shape))
            return LS_FAIL(LS_INPUT, "the factor is %s; expected a shape that broadcasts to that of x, %s",
                           ls_shape_text(text, &factor->shape), ls_shape_text(expected, &x->shape));
    }
    ls_set(&out[0], target, ls_wide(x->dtype));
    return LS_OK;
}

static double sum_to_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return node->n_in * (double)ls_shape_count(&ls_in(graph, node, 0)->shape);
}

// Lets dy, times `factor` where there is one, flow into input `k`, summed over what that was spread over.
static ls_status flow_to(struct ls_gradient *gradient, int at, int k, ls_value dy, ls_value factor) {
    const ls_value to = gradient->graph->nodes[at].in[k], in[] = {dy, factor};
    const struct ls_shape shape = ls_info(gradient->graph, to)->shape;
    const int n_in = factor == LS_NONE ? 1 : 2;
    if (ls_shape_equal(&shape, &ls_info(gradient->graph, dy)->shape)) {
        if (factor == LS_NONE) return ls_gradient_flow(gradient, to, dy);
        return ls_emit(gradient, at, LS_OP_MUL, in, 2, NULL, &to);
    }
    union ls_attr attr[LS_SUM_TO_ATTRS] = {[LS_SUM_TO_RANK].i = shape.rank};
    for (int i = 0; i < LS_MAX_RANK; i++) attr[LS_SUM_TO_DIMS + i].i = i < shape.rank ? shape.dim[i] : 1;
    return ls_emit(gradient, at, LS_OP_SUM_TO, in, n_in, attr, &to);
}

static ls_status add_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const ls_value dy = ls_gradient_out(gradient, &node, 0);
    LS_TRY(flow_to(gradient, at, 0, dy, LS_NONE));
    return flow_to(gradient, at, 1, dy, LS_NONE);
}

static ls_status mul_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const ls_value dy = ls_gradient_out(gradient, &node, 0);
    LS_TRY(flow_to(gradient, at, 0, dy, node.in[1]));
    return flow_to(gradient, at, 1, dy, node.in[0]);
}

#define SIZE(text) LS_INT(text, 1, 1, INT64_MAX)
static const struct ls_attr_info sum_to_attrs[LS_SUM_TO_ATTRS] = {
    LS_INT("rank", 2, 0, LS_MAX_RANK), SIZE("d0"), SIZE("d1"), SIZE("d2"), SIZE("d3"), SIZE("d4")};

const struct ls_op ls_add_op = {
    .id = LS_OP_ADD,
    .name = "add",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = pair_infer,
    .gradient = add_gradient,
};

const struct ls_op ls_add_relu_op = {
    .id = LS_OP_ADD_RELU,
    .name = "add_relu",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE | LS_OP_FUSED,
    .infer = pair_infer,
};

const struct ls_op ls_mul_op = {
    .id = LS_OP_MUL,
    .name = "mul",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_ELEMENTWISE,
    .infer = pair_infer,
    .gradient = mul_gradient,
};

const struct ls_op ls_sum_to_op = {
    .id = LS_OP_SUM_TO,
    .name = "sum_to",
    .min_in = 1,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_SUM_TO_ATTRS,
    .attrs = sum_to_attrs,
    .infer = sum_to_infer,
    .flops = sum_to_flops,
};

ls_value ls_add(struct ls_graph *graph, ls_value a, ls_value b) {
    return ls_build(graph, LS_OP_ADD, NULL, (ls_value[]){a, b}, 2, NULL);
}

ls_value ls_mul(struct ls_graph *graph, ls_value a, ls_value b) {
    return ls_build(graph, LS_OP_MUL, NULL, (ls_value[]){a, b}, 2, NULL);
}
