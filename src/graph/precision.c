// Mixed precision: ops that allow it compute on half-width activations and weights.
//
//     input -> cast -> conv -> batchnorm -> relu -> … -> linear -> cast -> loss
//               weight -> cast ^       ^ scale, shift: f32
//
// One rule says which inputs of such an op are narrow: those of rank 2 and more, which are activations,
// their gradients, and weights. What has one number a channel (bias, scale, shift, statistic) stays f32.
// Types of outputs follow by the ops' own rules, which keep gradients of parameters f32.
#include "graph/passes.h"
#include "graph/rewrite.h"

struct precision {
    struct ls_graph *graph;
    ls_dtype half;
    const struct ls_op *cast;
    ls_value *twin; // [values of the graph as it came]: the same value in the other type, once there is one
    int *order;     // nodes so far: old ones and casts
    int n_order;
};

// `value` in type `type`, by a cast where it is of another; each value is cast once.
static ls_status in_type(struct precision *pass, ls_value value, ls_dtype type, ls_value *result) {
    struct ls_graph *graph = pass->graph;
    *result = value;
    ls_dtype now = ls_info(graph, value)->dtype;
    if (now == type || (now != LS_F32 && now != pass->half)) return LS_OK;
    if (pass->twin[value] == LS_NONE) {
        const char *name =
            ls_arena_format(&graph->arena, "%s.%s", ls_info(graph, value)->name, ls_dtype_name(type));
        const union ls_attr to = {.i = type};
        const struct ls_node *cast = ls_graph_add_node(graph, pass->cast, name, &value, 1, &to);
        if (!cast) return graph->status;
        pass->twin[value] = cast->out[0];
        pass->order[pass->n_order++] = graph->n_nodes - 1;
    }
    *result = pass->twin[value];
    return LS_OK;
}

static ls_dtype input_type(const struct precision *pass, ls_value value) {
    return ls_info(pass->graph, value)->shape.rank >= 2 ? pass->half : LS_F32;
}

// By its own rule, on narrow inputs: would the op make a narrow output of the graph?
static bool makes_narrow_output(const struct precision *pass, const struct ls_node *node) {
    struct ls_value_info *values = pass->graph->values, out[LS_MAX_OUT];
    ls_dtype before[LS_MAX_IN] = {0};
    for (int k = 0; k < node->n_in; k++) {
        before[k] = values[node->in[k]].dtype;
        bool is_float = before[k] == LS_F32 || before[k] == pass->half;
        if (is_float) values[node->in[k]].dtype = input_type(pass, node->in[k]);
    }
    bool narrow = ls_node_infer(pass->graph, node, out) != LS_OK;
    for (int k = node->n_in - 1; k >= 0; k--) values[node->in[k]].dtype = before[k];
    for (int k = 0; k < node->n_out; k++)
        narrow |= values[node->out[k]].kind == LS_OUTPUT && out[k].dtype == pass->half;
    return narrow;
}

// Outputs and the result are f32. An op that would make an output of the type of its inputs (the sum of a
// shared weight's gradients, the gradient of a part of one) stays f32 itself; so does an elementwise op that
// makes the result (probabilities).
static bool stays_f32(const struct precision *pass, const struct ls_node *node) {
    if (!(node->op->flags & LS_OP_HALF)) return true;
    if ((node->op->flags & LS_OP_ELEMENTWISE) && node->out[0] == pass->graph->result) return true;
    bool makes_output = false;
    for (int k = 0; k < node->n_out; k++)
        makes_output |= ls_info(pass->graph, node->out[k])->kind == LS_OUTPUT;
    return makes_output && makes_narrow_output(pass, node);
}

static ls_status retype(struct precision *pass, int i) {
    struct ls_graph *graph = pass->graph;
    struct ls_node node = graph->nodes[i]; // a copy: a cast may move the array
    bool wide = stays_f32(pass, &node);
    for (int k = 0; k < node.n_in; k++)
        LS_TRY(in_type(pass, node.in[k], wide ? LS_F32 : input_type(pass, node.in[k]), &node.in[k]));
    graph->nodes[i] = node;

    struct ls_value_info out[LS_MAX_OUT];
    LS_TRY(ls_node_infer(graph, &node, out));
    for (int k = 0; k < node.n_out; k++) ls_info(graph, node.out[k])->dtype = out[k].dtype;
    return LS_OK;
}

static ls_status retype_all(struct precision *pass) {
    struct ls_graph *graph = pass->graph;
    int n_nodes = graph->n_nodes;
    for (int i = 0; i < n_nodes; i++) {
        if (graph->nodes[i].op != pass->cast) LS_TRY(retype(pass, i));
        pass->order[pass->n_order++] = i;
    }
    if (graph->result != LS_NONE) LS_TRY(in_type(pass, graph->result, LS_F32, &graph->result));
    return LS_OK;
}

ls_status ls_pass_precision(struct ls_graph *graph, ls_dtype half) {
    struct ls_arena scratch = {0};
    struct precision pass = {.graph = graph, .half = half, .cast = ls_op_named("cast")};
    if (!pass.cast) return LS_FAIL(LS_SYSTEM, "there is no op \"cast\"");
    pass.twin = LS_ARENA_NEW(&scratch, ls_value, graph->n_values);
    for (ls_value v = 0; v < graph->n_values; v++) pass.twin[v] = LS_NONE;
    pass.order = LS_ARENA_NEW(&scratch, int, graph->n_nodes + graph->n_values); // at most one cast a value

    ls_status status = retype_all(&pass);
    if (status == LS_OK) ls_graph_reorder(graph, pass.order, pass.n_order);
    ls_arena_free(&scratch);
    return status;
}
