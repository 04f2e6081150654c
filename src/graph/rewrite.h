// What the passes that rewrite a graph share. Inside src/graph only.
#pragma once

#include "graph/op.h"

// Makes nodes[order[0]], nodes[order[1]], … the graph's nodes; those not named are dropped. The order must be
// one in which every value is made before it is used.
void ls_graph_reorder(struct ls_graph *graph, const int *order, int n);

// How many inputs read each value, the graph's result counted as one more: [n_values], in `memory`.
int *ls_graph_count_readers(const struct ls_graph *graph, struct ls_arena *memory);
