// What the kernels of the input op read from its node.
#pragma once

#include "ops/augment_pixel.h"
#include "ops/ops.h"

#include "base/begin.h"

// How the raw samples lie, and how much of them is shown.
struct ls_raw ls_input_raw(const struct ls_graph *graph, const struct ls_node *node);
// The line of each channel, x = raw * a + b: a and b [channels].
void ls_input_lines(const struct ls_node *node, int64_t channels, float *a, float *b);

#include "base/end.h"
