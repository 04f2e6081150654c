// Softmax over the last axis, forward and backward.
#include "cpu/plain/functions.h"
#include "cpu/plain/narrow.h"
#include "cpu/plain/plain.h"

#include <math.h>
#include <string.h>

// What the kernels of a type take.
#define EXP_f32  plain_exp_f32
#define EXP_f64  plain_exp
#define EXP_bf16 plain_exp_bf16

// Rows that go through each step together: what a step waits for is then there before it is needed. Numbers
// that are computed before they are narrowed, and that are summed before f64 takes over.
enum { GROUP = 4, PIECE = 256, MOST = 4096 };

// Numbers of a row, and rows.
static int64_t row_size(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape *x = &ls_info(graph, node->in[0])->shape;
    return x->dim[x->rank - 1];
}

static int64_t row_count(const struct ls_graph *graph, const struct ls_node *node) {
    return plain_count(graph, node->in[0]) / row_size(graph, node);
}

#define PLAIN_FAMILY "cpu/plain/softmax.inc"
#include "cpu/plain/each_type.h"

static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return (size_t)(GROUP * plain_round_up(row_size(graph, node), PLAIN_VECTOR)) *
           plain_wide_bytes(graph, node->in[0]);
}

PLAIN_OP(softmax, "x:x", workspace);
PLAIN_OP(softmax_grad, "xx:x", NULL);
