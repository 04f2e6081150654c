// A device that can run every op and asks for a workspace that is easy to foresee.
#pragma once

#include "device/device.h"
#include "graph/op.h"

#include <string.h>

// The first output's elements, in bytes, for convolutions and their gradients; nothing for others.
static inline ls_status fake_workspace(const struct ls_device *device, const struct ls_graph *graph,
                                       const struct ls_node *node, size_t *workspace) {
    (void)device;
    if (node->op->flags & LS_OP_VIEW) return LS_FAIL(LS_SYSTEM, "a view needs no kernel");
    bool conv = strncmp(node->op->name, "conv", 4) == 0;
    *workspace = conv ? (size_t)ls_shape_count(&ls_info(graph, node->out[0])->shape) : 0;
    return LS_OK;
}

// Of what a convolution's weight is, three bytes for each two.
static inline size_t fake_kept(const struct ls_device *device, const struct ls_graph *graph,
                               const struct ls_node *node) {
    (void)device;
    bool conv = strncmp(node->op->name, "conv", 4) == 0;
    if (!conv || !ls_graph_is_weight(graph, node->in[1])) return 0;
    const struct ls_value_info *w = ls_info(graph, node->in[1]);
    return (size_t)ls_shape_count(&w->shape) * ls_dtype_bytes(w->dtype) * 3 / 2;
}

// Lacks softmax and the gradient of linear layers.
static inline ls_status poor_workspace(const struct ls_device *device, const struct ls_graph *graph,
                                       const struct ls_node *node, size_t *workspace) {
    bool lacks = strcmp(node->op->name, "softmax") == 0 || strcmp(node->op->name, "linear_weight_grad") == 0;
    if (lacks) return LS_FAIL(LS_INPUT, "no kernel for %s", node->op->name);
    return fake_workspace(device, graph, node, workspace);
}

static const struct ls_device_api fake_api = {.kind = "fake", .node_workspace = fake_workspace};
static const struct ls_device_api keeping_api = {
    .kind = "keeping", .node_workspace = fake_workspace, .node_kept = fake_kept};
static const struct ls_device_api poor_api = {.kind = "poor", .node_workspace = poor_workspace};
static const struct ls_device fake_device = {.api = &fake_api, .compute_queues = 1};
static const struct ls_device keeping_device = {.api = &keeping_api, .compute_queues = 1};
static const struct ls_device poor_device = {.api = &poor_api, .compute_queues = 1};
