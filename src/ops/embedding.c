// Embedding: rows of a table, chosen by index.
#include "ops/rule.h"

#include <inttypes.h>
#include <math.h>

static ls_status expect_index(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape *index = &ls_in(graph, node, 0)->shape;
    char text[96];
    if (ls_in(graph, node, 0)->dtype == LS_F32)
        return LS_FAIL(LS_INPUT, "the index is f32; expected i32. Samples come to a model as f32, whatever "
                                 "numbers a file has, but for one that says that it reads tokens");
    LS_TRY(ls_expect_type(graph, node, 0, "the index", LS_I32));
    // With the row's axis behind, rank 4 would be an image, which lies otherwise.
    if (index->rank == 1 || index->rank == 2) return LS_OK;
    return LS_FAIL(LS_INPUT, "the index is %s; expected rank 1 or 2", ls_shape_text(text, index));
}

// index, table [V,D] -> y [index…,D]
static ls_status embedding_infer(const struct ls_graph *graph, const struct ls_node *node,
                                 struct ls_value_info *out) {
    LS_TRY(expect_index(graph, node));
    LS_TRY(ls_expect_float(graph, node, 1, "the table"));
    LS_TRY(ls_expect_rank(graph, node, 1, "the table", 2));
    const struct ls_value_info *table = ls_in(graph, node, 1);
    struct ls_shape shape = ls_in(graph, node, 0)->shape;
    shape.dim[shape.rank++] = table->shape.dim[1];
    ls_set(&out[0], shape, table->dtype);
    return LS_OK;
}

// index, dy -> dtable
static ls_status grad_infer(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info *out) {
    LS_TRY(expect_index(graph, node));
    LS_TRY(ls_expect_float(graph, node, 1, "dy"));
    const struct ls_value_info *dy = ls_in(graph, node, 1);
    struct ls_shape expected = ls_in(graph, node, 0)->shape;
    LS_TRY(ls_expect_rank(graph, node, 1, "dy", expected.rank + 1));
    const int64_t width = dy->shape.dim[expected.rank];
    expected.dim[expected.rank++] = width;
    LS_TRY(ls_expect_shape(graph, node, 1, "dy", expected));
    ls_set(&out[0], LS_SHAPE(node->attr[LS_EMBEDDING_ROWS].i, width), ls_wide(dy->dtype));
    return LS_OK;
}

static ls_status embedding_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    const ls_value in[] = {node.in[0], ls_gradient_out(gradient, &node, 0)};
    const ls_value to[] = {node.in[1]};
    const union ls_attr attr[] = {[LS_EMBEDDING_ROWS].i = ls_info(gradient->graph, node.in[1])->shape.dim[0]};
    return ls_emit(gradient, at, LS_OP_EMBEDDING_GRAD, in, 2, attr, to);
}

static double nothing(const struct ls_graph *graph, const struct ls_node *node) {
    (void)graph, (void)node;
    return 0;
}

static double grad_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return (double)ls_shape_count(&ls_in(graph, node, 1)->shape);
}

static const struct ls_attr_info grad_attrs[] = {LS_INT("rows", 1, 1, INT32_MAX)};

const struct ls_op ls_embedding_op = {
    .id = LS_OP_EMBEDDING,
    .name = "embedding",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .infer = embedding_infer,
    .gradient = embedding_gradient,
    .flops = nothing,
};

const struct ls_op ls_embedding_grad_op = {
    .id = LS_OP_EMBEDDING_GRAD,
    .name = "embedding_grad",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 1,
    .attrs = grad_attrs,
    .infer = grad_infer,
    .flops = grad_flops,
};

ls_value ls_embedding(struct ls_graph *graph, ls_value index, const char *name, int64_t rows, int64_t width) {
    if (!ls_builder_ready(graph, index, name)) return LS_NONE;
    const struct ls_init init = {LS_INIT_UNIFORM, (float)sqrt(3.0)};
    ls_value table = ls_graph_add_param(graph, ls_arena_format(&graph->arena, "%s.weight", name),
                                        LS_SHAPE(rows, width), init, true);
    return ls_build(graph, LS_OP_EMBEDDING, name, (ls_value[]){index, table}, 2, NULL);
}
