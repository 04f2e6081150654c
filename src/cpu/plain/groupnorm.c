// Layer and group normalization, forward and backward.
#include "ops/groupnorm.h"
#include "cpu/plain/plain.h"

#include <math.h>

// Sums go through so many at a time, each for every LANES-th number: vectors of any length give the same
// bits. After PIECE numbers f64 takes over.
enum { LANES = 16, PIECE = 4096 };

#define PLAIN_FAMILY "cpu/plain/groupnorm.inc"
#include "cpu/plain/each_type.h"

// The sums for scale and shift.
static size_t grad_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return 2 * (size_t)ls_groups_of(graph, node).channels * sizeof(double);
}

PLAIN_OP(layernorm, "xaa:x", NULL);
PLAIN_OP(layernorm_grad, "xxa:xaa", grad_workspace);
PLAIN_OP(groupnorm, "xaa:x", NULL);
PLAIN_OP(groupnorm_grad, "xxa:xaa", grad_workspace);
