// Layer normalization, forward and backward, row by row.
#include "cpu/plain/plain.h"
#include "ops/groupnorm.h"

#include <math.h>

// Sums go through so many at a time, each for every LANES-th number: vectors of any length give the same
// bits. After PIECE numbers f64 takes over.
enum { LANES = 16, PIECE = 4096 };

#define PLAIN_FAMILY "cpu/plain/layernorm.inc"
#include "cpu/plain/each_type.h"

// A row in the kernel's type, and of the gradient two, behind the sums for scale and shift.
static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return (size_t)ls_groups_of(graph, node).channels * plain_wide_bytes(graph, node->in[0]);
}

static size_t grad_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    const size_t channels = (size_t)ls_groups_of(graph, node).channels;
    return 2 * channels * (sizeof(double) + plain_wide_bytes(graph, node->in[0]));
}

PLAIN_OP(layernorm, "xaa:x", workspace);
PLAIN_OP(layernorm_grad, "xxa:xaa", grad_workspace);
