// Making and matching the layout of the flat buffers. Inside src/graph and its tests only.
#pragma once

#include "graph/plan.h"

// The layout of the graph's parameters and running statistics, in `memory`; names are the graph's. In a
// training graph (after all passes) parameters lie in the order in which backward finishes their gradients;
// in an evaluation graph in the order in which they were added.
ls_status ls_layout_make(const struct ls_graph *graph, struct ls_arena *memory,
                         const struct ls_layout **layout);
// Does the layout hold every parameter and statistic of the graph, in the same shape? Of a training graph it
// must hold nothing else. Errors name the first one that differs.
ls_status ls_layout_match(const struct ls_layout *layout, const struct ls_graph *graph);

// The index of the item of that name, or -1.
int ls_layout_param(const struct ls_layout *layout, const char *name);
int ls_layout_state(const struct ls_layout *layout, const char *name);
// Where an output lies in the output buffer, in floats.
ls_status ls_layout_output(const struct ls_layout *layout, const struct ls_graph *graph, ls_value output,
                           size_t *offset);
