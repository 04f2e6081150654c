#include "graph/rewrite.h"

#include <string.h>

void ls_graph_reorder(struct ls_graph *graph, const int *order, int n) {
    struct ls_arena scratch = {0};
    struct ls_node *nodes = LS_ARENA_NEW(&scratch, struct ls_node, n);
    for (int i = 0; i < n; i++) nodes[i] = graph->nodes[order[i]];
    if (n) memcpy(graph->nodes, nodes, sizeof *nodes * (size_t)n);
    graph->n_nodes = n;
    ls_graph_set_producers(graph);
    ls_arena_free(&scratch);
}

int *ls_graph_count_readers(const struct ls_graph *graph, struct ls_arena *memory) {
    int *readers = LS_ARENA_NEW(memory, int, graph->n_values);
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_in; k++) readers[graph->nodes[i].in[k]]++;
    if (graph->result != LS_NONE) readers[graph->result]++;
    return readers;
}
