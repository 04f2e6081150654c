// Layer and group normalization.
#include "cuda/kernels/groupnorm.h"
#include "cuda/ops/node.h"
#include "ops/groupnorm.h"

static bool grad_fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      size_t *workspace) {
    (void)lib;
    const struct ls_groups groups = ls_groups_of(graph, node);
    *workspace = ls_cuda_groupnorm_grad_workspace(ls_cuda_type(graph, node->in[0]), &groups);
    return true;
}

// x, scale, shift -> y
static ls_status run(const struct ls_cuda_call *call) {
    const struct ls_groups groups = ls_groups_of(call->graph, call->node);
    return ls_cuda_groupnorm(ls_cuda_type(call->graph, call->node->in[0]), &groups, call->in[0], call->in[1],
                             call->in[2], call->out[0], call->stream);
}

// x, dy, scale -> dx, dscale, dshift
static ls_status run_grad(const struct ls_cuda_call *call) {
    const struct ls_groups groups = ls_groups_of(call->graph, call->node);
    return ls_cuda_groupnorm_grad(ls_cuda_type(call->graph, call->node->in[0]), &groups, call->in[0],
                                  call->in[1], call->in[2], call->out[0], call->out[1], call->out[2],
                                  call->workspace, call->stream);
}

const struct ls_cuda_op ls_cuda_layernorm_op = {.signature = "xww:x", .run = run};
const struct ls_cuda_op ls_cuda_layernorm_grad_op = {
    .signature = "xxw:xww", .fits = grad_fits, .run = run_grad};
const struct ls_cuda_op ls_cuda_groupnorm_op = {.signature = "xww:x", .run = run};
const struct ls_cuda_op ls_cuda_groupnorm_grad_op = {
    .signature = "xxw:xww", .fits = grad_fits, .run = run_grad};
