// Batch normalization (Ioffe, Szegedy 2015), forward and backward, with and without what follows it: a relu,
// a clip, a sum and then a relu. These kernels run beside oneDNN's too, and are as fast as memory is: every
// pass reads its tensors once, in the order in which they lie. A second pass goes from the last block to the
// first, so that it begins with what the first pass has left in cache.
#include "cpu/plain/plain.h"

#include <math.h>

enum after { AS_IS, RELU };

// Numbers that are computed before they are stored, where that narrows them: as many rows as these hold, or
// one. A second pass goes through runs of so many rows, on through a stretch of memory, and through stretches
// from the last to the first: short stretches would be over before the processor has begun to read ahead.
enum { ROOM = 2048, STRETCH = 1 << 17 };

struct run {
    int64_t first, rows; // 0: there is no more
};

static struct run run_at(int64_t first, int64_t end, int64_t channels) {
    return (struct run){first, plain_min(plain_max(ROOM / channels, 1), end - first)};
}

static int64_t stretch_of(int64_t channels) {
    return plain_max(STRETCH / channels, 1);
}

static struct run first_run(int64_t rows, int64_t channels) {
    const int64_t stretch = stretch_of(channels);
    return run_at((rows - 1) / stretch * stretch, rows, channels);
}

static struct run next_run(struct run run, int64_t rows, int64_t channels) {
    const int64_t stretch = stretch_of(channels), begin = run.first / stretch * stretch;
    const int64_t end = plain_min(begin + stretch, rows), next = run.first + run.rows;
    if (next < end) return run_at(next, end, channels);
    return begin == 0 ? (struct run){0} : run_at(begin - stretch, begin, channels);
}

// Rows that are summed before a sum in memory is read and written.
enum { GROUP = 4 };

#define PLAIN_FAMILY "cpu/plain/batchnorm.inc"
#include "cpu/plain/each_type.h"

// Two sums in f64 and three rows in the kernel's type, for every channel, and the room behind them.
static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    const ls_value x = node->in[0];
    const int64_t channels = plain_dims(graph, x).c, room = plain_max(ROOM, channels);
    return (size_t)channels * 2 * sizeof(double) + (size_t)(3 * channels + room) * plain_wide_bytes(graph, x);
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
