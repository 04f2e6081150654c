// What the ops that only move numbers come to in memory, for every device's kernels. Kernels for CUDA include
// it too: it knows no graph.
#pragma once

#include <stdint.h>

#include "base/begin.h"

struct ls_graph;
struct ls_node;

// Concat, slice, pad and repeat, of one input: `times` times, `count` numbers of y that lie side by side are
// written, from y_first on and y_step further each time. Number i of them is number x_first + i of the
// x_count that lie side by side in x, x_step further each time, or 0 where it is none of these.
struct ls_runs {
    int64_t times, count, y_first, y_step, x_first, x_count, x_step;
};
struct ls_runs ls_runs_of(const struct ls_graph *graph, const struct ls_node *node, int input);

// A transposition: y as it lies, the outermost axis first, and how far apart in x its numbers are along each.
// Axes that stay together are one; axes of size 1 fill the front.
enum { LS_STEPS = 5 }; // LS_MAX_RANK
struct ls_steps {
    int64_t size[LS_STEPS], step[LS_STEPS];
};
struct ls_steps ls_steps_of(const struct ls_graph *graph, const struct ls_node *node);

#include "base/end.h"
