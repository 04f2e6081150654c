// Layer normalization, forward and backward, row by row.
#include "cpu/plain/narrow.h"
#include "cpu/plain/plain.h"
#include "ops/groupnorm.h"

#include <math.h>

// Sums of rows: as lanes.inc has them, in pieces of PIECE numbers, whose sums are added in f64. GROUP rows go
// through each step together. What they give to the sums for scale and shift is added in f64 after BLOCK
// rows, a multiple of those.
enum { PIECE = 4096, GROUP = 4, BLOCK = 64 };

// Numbers that hold a group's rows, each up to a whole vector.
static size_t room_of(int64_t channels) {
    return (size_t)(GROUP * plain_round_up(channels, PLAIN_VECTOR));
}

#define PLAIN_FAMILY "cpu/plain/layernorm.inc"
#include "cpu/plain/each_type.h"

// Of the gradient two groups, behind the sums for scale and shift in f64 and in the kernel's type.
static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return room_of(ls_groups_of(graph, node).channels) * plain_wide_bytes(graph, node->in[0]);
}

static size_t grad_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    const int64_t channels = ls_groups_of(graph, node).channels;
    const size_t wide = plain_wide_bytes(graph, node->in[0]), sums = 2 * (size_t)channels;
    return sums * (sizeof(double) + wide) + 2 * room_of(channels) * wide;
}

PLAIN_OP(layernorm, "xaa:x", workspace);
PLAIN_OP(layernorm_grad, "xxa:xaa", grad_workspace);
