// The batched matrix product.
#include "ops/matmul.h"

#include "ops/rule.h"

#include <inttypes.h>

// The last two axes are a matrix's. An image has none: its last axis does not lie closest.
static ls_status expect_matrices(const struct ls_graph *graph, const struct ls_node *node, int k,
                                 const char *what) {
    const struct ls_shape *shape = &ls_in(graph, node, k)->shape;
    char text[96];
    LS_TRY(ls_expect_float(graph, node, k, what));
    if (shape->rank >= 2 && shape->rank != 4) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s is %s; expected rank 2, 3 or 5", what, ls_shape_text(text, shape));
}

struct ls_products ls_products_of(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape *a = &ls_in(graph, node, 0)->shape, *b = &ls_in(graph, node, 1)->shape;
    const int row = a->rank - 2, column = a->rank - 1;
    struct ls_products p = {.batch = 1,
                            .transpose_a = node->attr[LS_MATMUL_TRANSPOSE_A].i != 0,
                            .transpose_b = node->attr[LS_MATMUL_TRANSPOSE_B].i != 0,
                            .scale = node->attr[LS_MATMUL_SCALE].f};
    for (int i = 0; i < row; i++) p.batch *= a->dim[i];
    p.m = a->dim[p.transpose_a ? column : row];
    p.k = a->dim[p.transpose_a ? row : column];
    p.n = b->dim[p.transpose_b ? row : column];
    return p;
}

static ls_status matmul_infer(const struct ls_graph *graph, const struct ls_node *node,
                              struct ls_value_info *out) {
    LS_TRY(expect_matrices(graph, node, 0, "a"));
    const struct ls_value_info *a = ls_in(graph, node, 0);
    const int rank = a->shape.rank, row = rank - 2, column = rank - 1;
    LS_TRY(ls_expect_rank(graph, node, 1, "b", rank));
    LS_TRY(ls_expect_type(graph, node, 1, "b", a->dtype));
    const struct ls_products p = ls_products_of(graph, node);
    if ((float)p.scale == 0) return LS_FAIL(LS_INPUT, "scale is 0 as f32; expected any other number");
    struct ls_shape expected = a->shape, y = a->shape;
    expected.dim[row] = p.transpose_b ? p.n : p.k;
    expected.dim[column] = p.transpose_b ? p.k : p.n;
    LS_TRY(ls_expect_shape(graph, node, 1, "b", expected));
    y.dim[row] = p.m;
    y.dim[column] = p.n;
    ls_set(&out[0], y, a->dtype);
    return LS_OK;
}

static ls_status emit_product(struct ls_gradient *gradient, int at, ls_value a, bool transpose_a, ls_value b,
                              bool transpose_b, ls_value to) {
    const union ls_attr attr[] = {
        [LS_MATMUL_TRANSPOSE_A].i = transpose_a,
        [LS_MATMUL_TRANSPOSE_B].i = transpose_b,
        [LS_MATMUL_SCALE] = gradient->graph->nodes[at].attr[LS_MATMUL_SCALE],
    };
    return ls_emit(gradient, at, LS_OP_MATMUL, (ls_value[]){a, b}, 2, attr, &to);
}

// da' = scale * dy b'ᵀ and db' = scale * a'ᵀ dy; of what was transposed, the transposed of that.
static ls_status matmul_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const ls_value a = node.in[0], b = node.in[1], dy = ls_gradient_out(gradient, &node, 0);
    const bool ta = node.attr[LS_MATMUL_TRANSPOSE_A].i, tb = node.attr[LS_MATMUL_TRANSPOSE_B].i;
    if (ta)
        LS_TRY(emit_product(gradient, at, b, tb, dy, true, a));
    else
        LS_TRY(emit_product(gradient, at, dy, false, b, !tb, a));
    if (tb) return emit_product(gradient, at, dy, true, a, ta, b);
    return emit_product(gradient, at, a, !ta, dy, false, b);
}

static double matmul_flops(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_products p = ls_products_of(graph, node);
    return 2 * (double)p.batch * (double)p.m * (double)p.n * (double)p.k;
}

static const struct ls_attr_info matmul_attrs[] = {
    LS_INT("transpose_a", 0, 0, 1), LS_INT("transpose_b", 0, 0, 1), LS_FLOAT("scale", 1, -3e38, 3e38)};

const struct ls_op ls_matmul_op = {
    .id = LS_OP_MATMUL,
    .name = "matmul",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 3,
    .attrs = matmul_attrs,
    .infer = matmul_infer,
    .gradient = matmul_gradient,
    .flops = matmul_flops,
};

ls_value ls_matmul(struct ls_graph *graph, ls_value a, ls_value b, bool transpose_a, bool transpose_b,
                   double scale) {
    const union ls_attr attr[] = {[LS_MATMUL_TRANSPOSE_A].i = transpose_a,
                                  [LS_MATMUL_TRANSPOSE_B].i = transpose_b,
                                  [LS_MATMUL_SCALE].f = scale};
    return ls_build(graph, LS_OP_MATMUL, NULL, (ls_value[]){a, b}, 2, attr);
}
