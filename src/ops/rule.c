#include "ops/rule.h"

#include <inttypes.h>

bool ls_is_float(ls_dtype type) {
    return type == LS_F32 || type == LS_F64 || type == LS_F16 || type == LS_BF16;
}

ls_status ls_expect_rank(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what,
                         int rank) {
    const struct ls_shape *shape = &ls_in(graph, node, k)->shape;
    char text[96];
    if (shape->rank == rank) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s is %s; expected rank %d", what, ls_shape_text(text, shape), rank);
}

ls_status ls_expect_shape(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what,
                          struct ls_shape shape) {
    const struct ls_shape *found = &ls_in(graph, node, k)->shape;
    char text[96], expected[96];
    if (ls_shape_equal(found, &shape)) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s is %s; expected %s", what, ls_shape_text(text, found),
                   ls_shape_text(expected, &shape));
}

ls_status ls_expect_type(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what,
                         ls_dtype type) {
    ls_dtype found = ls_in(graph, node, k)->dtype;
    if (found == type) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s is %s; expected %s", what, ls_dtype_name(found), ls_dtype_name(type));
}

ls_status ls_expect_float(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what) {
    ls_dtype found = ls_in(graph, node, k)->dtype;
    if (ls_is_float(found)) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s is %s; expected a float type", what, ls_dtype_name(found));
}

ls_status ls_expect_activation(const struct ls_graph *graph, const struct ls_node *node, int k,
                               const char *what, bool flat) {
    const struct ls_value_info *in = ls_in(graph, node, k);
    char text[96];
    LS_TRY(ls_expect_float(graph, node, k, what));
    if (in->shape.rank != 4 && !(flat && in->shape.rank == 2))
        return LS_FAIL(LS_INPUT, "%s is %s; expected rank 4%s", what, ls_shape_text(text, &in->shape),
                       flat ? " or 2" : "");
    return LS_OK;
}

ls_status ls_expect_wide(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what) {
    ls_dtype found = ls_in(graph, node, k)->dtype;
    if (found == LS_F32 || found == LS_F64) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s is %s; expected f32 or f64", what, ls_dtype_name(found));
}

ls_status ls_expect_vector(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what,
                           int64_t count) {
    LS_TRY(ls_expect_shape(graph, node, k, what, LS_SHAPE(count)));
    return ls_expect_type(graph, node, k, what, ls_wide(ls_in(graph, node, 0)->dtype));
}

ls_status ls_expect_same(const struct ls_graph *graph, const struct ls_node *node, int k, const char *what) {
    const struct ls_value_info *first = ls_in(graph, node, 0);
    LS_TRY(ls_expect_shape(graph, node, k, what, first->shape));
    return ls_expect_type(graph, node, k, what, first->dtype);
}

ls_status ls_infer_same(const struct ls_graph *graph, const struct ls_node *node, struct ls_value_info *out) {
    LS_TRY(ls_expect_activation(graph, node, 0, "x", true));
    ls_set(&out[0], ls_in(graph, node, 0)->shape, ls_in(graph, node, 0)->dtype);
    return LS_OK;
}

ls_status ls_window_places(const char *axis, int64_t size, int64_t kernel, int64_t stride, int64_t pad,
                           int64_t dilation, int64_t *places) {
    // Attributes are below 2^31; sizes come from shapes of any text. So no product here leaves 64 bits.
    if (size > INT32_MAX || kernel > INT32_MAX)
        return LS_FAIL(LS_INPUT, "a window of %s %" PRId64 " over %s %" PRId64 ": expected below 2^31", axis,
                       kernel, axis, size);
    int64_t reach = dilation * (kernel - 1) + 1;
    if (size + 2 * pad < reach)
        return LS_FAIL(LS_INPUT,
                       "a window of %s %" PRId64 " (dilation %" PRId64 ") does not fit into %s %" PRId64
                       " with padding %" PRId64 " on both sides",
                       axis, kernel, dilation, axis, size, pad);
    *places = (size + 2 * pad - reach) / stride + 1;
    return LS_OK;
}

ls_status ls_emit(struct ls_gradient *gradient, int at, enum ls_op_id op, const ls_value *in, int n_in,
                  const union ls_attr *attrs, const ls_value *to) {
    struct ls_graph *graph = gradient->graph;
    int n_out = ls_op_table[op]->n_out;
    bool wanted = false;
    for (int k = 0; k < n_out; k++) wanted |= to[k] != LS_NONE && ls_gradient_wanted(gradient, to[k]);
    if (!wanted) return LS_OK;

    const char *name = ls_arena_format(&graph->arena, "%s/%s", graph->nodes[at].name, ls_op_table[op]->name);
    const struct ls_node *made = ls_graph_add_node(graph, ls_op_table[op], name, in, n_in, attrs);
    if (!made) return graph->status;
    const struct ls_node node = *made; // the flow below may append nodes
    for (int k = 0; k < n_out; k++)
        if (to[k] != LS_NONE) LS_TRY(ls_gradient_flow(gradient, to[k], node.out[k]));
    return LS_OK;
}

bool ls_builder_ready(struct ls_graph *graph, ls_value x, const char *name) {
    if (graph->status) return false;
    if (x >= 0 && x < graph->n_values) return true;
    graph->status =
        LS_FAIL(LS_INPUT, "node \"%s%s\": its input %d is no value of the graph", graph->scope, name, x);
    return false;
}

const char *ls_scoped(struct ls_graph *graph, const char *name) {
    return ls_arena_format(&graph->arena, "%s%s", graph->scope, name);
}

ls_value ls_build(struct ls_graph *graph, enum ls_op_id op, const char *name, const ls_value *in, int n_in,
                  const union ls_attr *attrs) {
    const struct ls_op *kind = ls_op_table[op];
    for (int k = 0; k < n_in; k++)
        if (!ls_builder_ready(graph, in[k], name ? name : kind->name)) return LS_NONE;
    if (graph->status) return LS_NONE;
    const char *scoped =
        name ? ls_scoped(graph, name)
             : ls_arena_format(&graph->arena, "%s%s%d", graph->scope, kind->name, graph->n_nodes);
    const struct ls_node *node = ls_graph_add_node(graph, kind, scoped, in, n_in, attrs);
    return node ? node->out[0] : LS_NONE;
}
