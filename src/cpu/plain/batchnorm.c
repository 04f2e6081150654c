// Batch normalization (Ioffe, Szegedy 2015), forward and backward, with and without the relu behind it. These
// kernels run beside oneDNN's too: every pass reads its tensors once, in the order in which they lie.
#include "cpu/plain/plain.h"

#include <math.h>

#define PLAIN_FAMILY "cpu/plain/batchnorm.inc"
#include "cpu/plain/each_type.h"

// Two sums in f64 and three rows in the kernel's type, for every channel.
static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value x = node->in[0];
    return (size_t)plain_dims(graph, x).c * (2 * sizeof(double) + 3 * plain_wide_bytes(graph, x));
}

PLAIN_OP(batchnorm, "xaa:xaa", workspace);
PLAIN_OP(batchnorm_relu, "xaa:xaa", workspace);
PLAIN_OP(batchnorm_eval, "xaaaa:x", workspace);
PLAIN_OP(batchnorm_eval_relu, "xaaaa:x", workspace);
PLAIN_OP(batchnorm_grad, "xxaaa:xaa", workspace);
PLAIN_OP(batchnorm_relu_grad, "xxxaaa:xaa", workspace);
