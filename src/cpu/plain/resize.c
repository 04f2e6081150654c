// Images of another size, forward and backward; channels are the innermost loop.
#include "cpu/plain/plain.h"
#include "ops/resample.h"

enum { PIECE = 256 }; // numbers that are rounded at once

static void axes_of(const struct plain_dims *x, const struct plain_dims *y, bool bilinear,
                    struct ls_axis *rows, struct ls_axis *columns) {
    *rows = (struct ls_axis){x->h, y->h, bilinear};
    *columns = (struct ls_axis){x->w, y->w, bilinear};
}

#define PLAIN_FAMILY "cpu/plain/resize.inc"
#include "cpu/plain/each_type.h"

// The taps of each column; of bilinear also two rows as wide as y, in the kernel's type.
static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    const struct plain_dims y = plain_dims(graph, node->out[0]);
    const bool bilinear = node->attr[LS_RESIZE_BILINEAR].i != 0;
    return (size_t)y.w * sizeof(struct ls_taps) +
           (bilinear ? 2 * (size_t)(y.w * y.c) * plain_wide_bytes(graph, node->in[0]) : 0);
}

// Of the gradient: the taps of each column; a row of dy, and one of dx, in the kernel's type.
static size_t grad_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    const struct plain_dims y = plain_dims(graph, node->in[0]), x = plain_dims(graph, node->out[0]);
    return (size_t)y.w * sizeof(struct ls_taps) +
           (size_t)((y.w + x.w) * x.c) * plain_wide_bytes(graph, node->in[0]);
}

PLAIN_OP(resize, "x:x", workspace);
PLAIN_OP(resize_grad, "x:x", grad_workspace);
