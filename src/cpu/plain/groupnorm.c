// Group normalization, forward and backward. The numbers of a group lie apart, its channels in every pixel:
// everything goes through all channels side by side, and channels are put together last.
#include "ops/groupnorm.h"
#include "cpu/plain/plain.h"

#include <math.h>

#define PLAIN_FAMILY "cpu/plain/groupnorm.inc"
#include "cpu/plain/each_type.h"

// Per channel: numbers in f64, and in the kernel's type.
static size_t rows_of(const struct ls_graph *graph, const struct ls_node *node, size_t doubles, size_t wide) {
    const size_t channels = (size_t)ls_groups_of(graph, node).channels;
    return channels * (doubles * sizeof(double) + wide * plain_wide_bytes(graph, node->in[0]));
}

static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return rows_of(graph, node, 1, 2);
}

static size_t grad_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return rows_of(graph, node, 4, 6);
}

PLAIN_OP(groupnorm, "xaa:x", workspace);
PLAIN_OP(groupnorm_grad, "xxa:xaa", grad_workspace);
