// An op alone: what its own rules make of it, outside a model. For tests and measurements of kernels.
#include "graph/op.h"

#include <string.h>

ls_status ls_alone_backward(struct ls_graph *graph, const bool *wanted, struct ls_alone *alone) {
    const struct ls_node *node = &graph->nodes[0];
    const struct ls_op *op = node->op;
    *alone = (struct ls_alone){.n_in = node->n_in, .dy = LS_NONE};
    memcpy(alone->in, node->in, sizeof alone->in);
    for (int k = 0; k < LS_MAX_IN; k++) alone->gradient[k] = LS_NONE;
    if (!op->gradient) return LS_OK;
    const ls_value y = node->out[0];
    const struct ls_value_info info = *ls_info(graph, y);
    alone->dy = ls_graph_add_value(graph, LS_ACTIVATION, "dy", info.dtype, info.shape);
    ls_value *of = LS_ARENA_NEW(&graph->arena, ls_value, graph->n_values);
    bool *wants = LS_ARENA_NEW(&graph->arena, bool, graph->n_values);
    for (ls_value v = 0; v < graph->n_values; v++) of[v] = LS_NONE;
    for (int k = 0; k < alone->n_in; k++) wants[alone->in[k]] = wanted[k];
    of[y] = alone->dy;
    wants[y] = true;
    struct ls_gradient gradient = {graph, of, wants, alone->dy};
    LS_TRY(op->gradient(&gradient, 0));
    for (int k = 0; k < alone->n_in; k++) alone->gradient[k] = of[alone->in[k]];
    return LS_OK;
}

ls_status ls_alone_narrow(struct ls_graph *graph, ls_dtype half, const bool *narrow,
                          const struct ls_alone *alone) {
    for (int k = 0; k < alone->n_in; k++)
        if (narrow[k]) ls_info(graph, alone->in[k])->dtype = half;
    for (int i = 0; i < graph->n_nodes; i++) {
        struct ls_value_info out[LS_MAX_OUT] = {0};
        LS_TRY(ls_node_infer(graph, &graph->nodes[i], out));
        for (int k = 0; k < graph->nodes[i].n_out; k++)
            ls_info(graph, graph->nodes[i].out[k])->dtype = out[k].dtype;
        if (i == 0 && alone->dy != LS_NONE) ls_info(graph, alone->dy)->dtype = out[0].dtype;
    }
    return LS_OK;
}
