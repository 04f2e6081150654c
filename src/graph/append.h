// Beneath the builders of a graph. Private to this folder.
#pragma once

#include "graph/graph.h"

// A rank that there is, no dimension below 1, at most 2^40 elements; else LS_INPUT, which names the shape.
ls_status ls_shape_check(const struct ls_shape *shape);
// Appending without a rule being run: for those who have the value or the node whole.
ls_value ls_append_value(struct ls_graph *graph, struct ls_value_info info);
struct ls_node *ls_append_node(struct ls_graph *graph, const struct ls_node *node);
// Names of a node's values: the first has the node's, the others a number behind it.
const char *ls_output_name(struct ls_graph *graph, const char *node, int k);
