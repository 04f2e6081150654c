// Convolutions and linear layers, forward and backward. A linear layer is a convolution: a batch [N, F] is
// one image of N pixels and F channels, and the kernel is 1 x 1.
#include "cpu/plain/panels.h"

#include <string.h>

struct geometry {
    int64_t images, height, width, channels; // of x
    int64_t out_height, out_width, outputs;  // of y
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
    int64_t groups, group_channels, group_outputs;
    int64_t taps, pixels; // places of the kernel; pixels of y in all images
    int64_t patch;        // elements of x, of one group, that an output sees
    int64_t at_once;      // pixels of y whose patches lie in the workspace together
};

enum { WORKING_SET = 65536 };

static bool is_depthwise(const struct geometry *g) {
    return g->group_channels == 1 && g->group_outputs == 1;
}

static void find_values(const struct ls_node *node, ls_value *x, ls_value *w, ls_value *y) {
    switch (node->op->id) {
    case LS_OP_CONV_INPUT_GRAD:
    case LS_OP_CONV_TRANSPOSE:
    case LS_OP_LINEAR_INPUT_GRAD: *y = node->in[0], *w = node->in[1], *x = node->out[0]; break;
    case LS_OP_CONV_WEIGHT_GRAD:
    case LS_OP_LINEAR_WEIGHT_GRAD: *x = node->in[0], *y = node->in[1], *w = node->out[0]; break;
    default: *x = node->in[0], *w = node->in[1], *y = node->out[0]; break;
    }
}

static struct geometry geometry_of(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value x_value, w_value, y_value;
    find_values(node, &x_value, &w_value, &y_value);
    struct plain_dims x = plain_dims(graph, x_value), w = plain_dims(graph, w_value);
    struct plain_dims y = plain_dims(graph, y_value);
    struct geometry g = {.channels = x.c, .outputs = y.c, .kernel_h = w.h, .kernel_w = w.w};
    if (ls_info(graph, w_value)->shape.rank == 2) {
        g.images = g.width = g.out_width = 1;
        g.height = g.out_height = x.n;
        g.stride_h = g.stride_w = g.dilation_h = g.dilation_w = g.groups = 1;
    } else {
        const union ls_attr *attr = node->attr;
        g.images = x.n, g.height = x.h, g.width = x.w, g.out_height = y.h, g.out_width = y.w;
        g.stride_h = attr[LS_STRIDE_H].i, g.stride_w = attr[LS_STRIDE_W].i;
        g.pad_h = attr[LS_PAD_H].i, g.pad_w = attr[LS_PAD_W].i;
        g.dilation_h = attr[LS_DILATION_H].i, g.dilation_w = attr[LS_DILATION_W].i;
        g.groups = attr[LS_GROUPS].i;
    }
    g.group_channels = g.channels / g.groups;
    g.group_outputs = g.outputs / g.groups;
    g.taps = g.kernel_h * g.kernel_w;
    g.pixels = g.images * g.out_height * g.out_width;
    g.patch = g.taps * g.group_channels;
    int64_t fit = plain_max(WORKING_SET / (g.patch + g.group_outputs), 4 * MULTIPLE_OF_ROWS);
    g.at_once = plain_min(fit - fit % MULTIPLE_OF_ROWS, g.pixels);
    return g;
}

#define PLAIN_FAMILY "cpu/plain/conv.inc"
#include "cpu/plain/each_type.h"

static size_t forward_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    struct geometry g = geometry_of(graph, node);
    size_t panels = (size_t)g.groups * panel_count(g.patch, g.group_outputs);
    size_t count = panels + (size_t)(g.at_once * (g.patch + g.group_outputs));
    if (is_depthwise(&g)) count = (size_t)(g.taps * g.channels);
    return count * plain_wide_bytes(graph, node->in[0]);
}

static size_t to_input_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    struct geometry g = geometry_of(graph, node);
    size_t panels = (size_t)g.groups * panel_count(g.group_outputs, g.patch);
    size_t count = panels + (size_t)(g.at_once * (g.patch + g.group_outputs));
    count += (size_t)(g.height * g.width * g.channels);
    if (is_depthwise(&g)) count = (size_t)(g.taps * g.channels);
    return count * plain_wide_bytes(graph, node->in[0]);
}

static size_t to_weight_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    struct geometry g = geometry_of(graph, node);
    size_t count = (size_t)(g.at_once * (g.patch + g.group_outputs)) + panel_count(g.at_once, g.patch);
    if (is_depthwise(&g)) count = 2 * (size_t)(g.taps * g.channels);
    return count * plain_wide_bytes(graph, node->in[0]);
}

PLAIN_OP(conv, "xxa:x", forward_workspace);
PLAIN_OP(conv_relu, "xxa:x", forward_workspace);
PLAIN_OP(conv_input_grad, "xx:x", to_input_workspace);
PLAIN_OP(bias, "xa:x", NULL);
PLAIN_OP(conv_weight_grad, "xx:a", to_weight_workspace);
