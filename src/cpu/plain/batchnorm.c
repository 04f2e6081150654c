// Batch normalization (Ioffe, Szegedy 2015), forward and backward, with and without what follows it: a relu,
// a clip, a sum and then a relu. These kernels run beside oneDNN's too, and are as fast as memory is: every
// pass reads its tensors once, in the order in which they lie. A second pass goes from the last block to the
// first, so that it begins with what the first pass has left in cache.
#include "cpu/plain/plain.h"

#include <math.h>

enum after { AS_IS, RELU };

#define PLAIN_FAMILY "cpu/plain/batchnorm.inc"
#include "cpu/plain/each_type.h"

// Two sums in f64 and three rows in the kernel's type, for every channel.
static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value x = node->in[0];
    return (size_t)plain_dims(graph, x).c * (2 * sizeof(double) + 3 * plain_wide_bytes(graph, x));
}

PLAIN_OP(batchnorm, "xaa:xaa", workspace);
PLAIN_OP(batchnorm_relu, "xaa:xaa", workspace);
PLAIN_OP(batchnorm_add_relu, "xaax:xaa", workspace);
PLAIN_OP(batchnorm_eval, "xaaaa:x", workspace);
PLAIN_OP(batchnorm_eval_relu, "xaaaa:x", workspace);
PLAIN_OP(batchnorm_eval_grad, "xaa:x", workspace);
PLAIN_OP(batchnorm_grad, "xxaaa:xaa", workspace);
PLAIN_OP(batchnorm_relu_grad, "xxaaaa:xaa", workspace);
PLAIN_OP(batchnorm_add_relu_grad, "xxxaaax:xaax", workspace);
