// How layernorm and groupnorm see x, for every device's kernels: the same thing twice. Kernels for CUDA
// include it too: it knows no graph.
#pragma once

#include <stdint.h>

#include "base/begin.h"

struct ls_graph;
struct ls_node;

// x [samples][pixels][channels] as it lies. What is normalized together is channels / groups channels that
// lie side by side, in all pixels of a sample. Of layernorm: a row is a sample, of one pixel and one group.
struct ls_groups {
    int64_t samples, pixels, channels, groups;
    double epsilon;
};
struct ls_groups ls_groups_of(const struct ls_graph *graph, const struct ls_node *node);

#include "base/end.h"
