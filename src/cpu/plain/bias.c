// The gradient of a bias: the sum of dy over everything but the channel.
#include "cpu/plain/plain.h"

#define PLAIN_FAMILY "cpu/plain/bias.inc"
#include "cpu/plain/each_type.h"

static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value dy = node->in[0];
    return (size_t)plain_dims(graph, dy).c * (sizeof(double) + plain_wide_bytes(graph, dy));
}

PLAIN_OP(bias_grad, "x:a", workspace);
