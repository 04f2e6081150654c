// The order of nodes. Nodes come in an order that works: forward as the model was written, backward in
// reverse. A node that makes nothing but gradients of parameters (or statistics) moves up to where its inputs
// are first there: its bucket is finished earlier, and what it reads is released earlier, while it keeps no
// activation memory itself. Casts of weights come first of all, as they are run once for all lanes. All else
// stays in place, so the order is a function of the graph alone.
#include "graph/passes.h"
#include "graph/rewrite.h"

struct schedule {
    const struct ls_graph *graph;
    bool *live; // [nodes]: makes something that is wanted
    bool *made; // [values]
    bool *done; // [nodes]
    int *order;
    int n_order;
};

static void find_live(struct schedule *schedule, bool *wanted) {
    const struct ls_graph *graph = schedule->graph;
    for (ls_value v = 0; v < graph->n_values; v++)
        wanted[v] = ls_info(graph, v)->kind == LS_OUTPUT || v == graph->result;
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const struct ls_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_out; k++) schedule->live[i] |= wanted[node->out[k]];
        if (!schedule->live[i]) continue;
        for (int k = 0; k < node->n_in; k++) wanted[node->in[k]] = true;
    }
}

static bool makes_outputs_only(const struct ls_graph *graph, const struct ls_node *node) {
    for (int k = 0; k < node->n_out; k++)
        if (ls_info(graph, node->out[k])->kind != LS_OUTPUT) return false;
    return true;
}

static bool ready(const struct schedule *schedule, const struct ls_node *node) {
    for (int k = 0; k < node->n_in; k++)
        if (!schedule->made[node->in[k]]) return false;
    return true;
}

static void append(struct schedule *schedule, int i) {
    const struct ls_node *node = &schedule->graph->nodes[i];
    schedule->order[schedule->n_order++] = i;
    schedule->done[i] = true;
    for (int k = 0; k < node->n_out; k++) schedule->made[node->out[k]] = true;
}

static bool reads_from(const struct ls_node *reader, const struct ls_node *maker) {
    for (int k = 0; k < reader->n_in; k++)
        for (int m = 0; m < maker->n_out; m++)
            if (reader->in[k] == maker->out[m]) return true;
    return false;
}

// The nodes that make outputs only and waited for node `i` alone.
static void append_finishing(struct schedule *schedule, int i) {
    const struct ls_graph *graph = schedule->graph;
    for (int j = i + 1; j < graph->n_nodes; j++) {
        const struct ls_node *node = &graph->nodes[j];
        if (schedule->live[j] && !schedule->done[j] && makes_outputs_only(graph, node) &&
            reads_from(node, &graph->nodes[i]) && ready(schedule, node))
            append(schedule, j);
    }
}

ls_status ls_pass_schedule(struct ls_graph *graph) {
    struct ls_arena scratch = {0};
    struct schedule schedule = {.graph = graph,
                                .live = LS_ARENA_NEW(&scratch, bool, graph->n_nodes),
                                .made = LS_ARENA_NEW(&scratch, bool, graph->n_values),
                                .done = LS_ARENA_NEW(&scratch, bool, graph->n_nodes),
                                .order = LS_ARENA_NEW(&scratch, int, graph->n_nodes)};
    find_live(&schedule, LS_ARENA_NEW(&scratch, bool, graph->n_values));
    for (ls_value v = 0; v < graph->n_values; v++) schedule.made[v] = ls_info(graph, v)->producer < 0;
    for (int i = 0; i < graph->n_nodes; i++)
        if (schedule.live[i] && ls_graph_casts_weight(graph, &graph->nodes[i])) append(&schedule, i);
    for (int i = 0; i < graph->n_nodes; i++) {
        if (!schedule.live[i] || schedule.done[i]) continue;
        append(&schedule, i);
        append_finishing(&schedule, i);
    }
    ls_graph_reorder(graph, schedule.order, schedule.n_order);
    ls_arena_free(&scratch);
    return LS_OK;
}
