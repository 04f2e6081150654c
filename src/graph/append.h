// Appending without a rule being run: for those who have the value or the node whole. Private to this folder.
#pragma once

#include "graph/graph.h"

ls_value ls_append_value(struct ls_graph *graph, struct ls_value_info info);
struct ls_node *ls_append_node(struct ls_graph *graph, const struct ls_node *node);
// Names of a node's values: the first has the node's, the others a number behind it.
const char *ls_output_name(struct ls_graph *graph, const char *node, int k);
