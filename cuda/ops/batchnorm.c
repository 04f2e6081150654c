// Batch normalization, with and without the relu behind it.
#include "cuda/kernels/batchnorm.h"
#include "cuda/ops/node.h"

#include <math.h>

static struct ls_cuda_norm describe(const struct ls_graph *graph, const struct ls_node *node) {
    struct ls_cuda_dims x = ls_cuda_dims(graph, node->in[0]);
    const ls_dtype type = ls_cuda_type(graph, node->in[0]);
    int op = node->op->id;
    const bool relu =
        op == LS_OP_BATCHNORM_RELU || op == LS_OP_BATCHNORM_EVAL_RELU || op == LS_OP_BATCHNORM_RELU_GRAD;
    const bool bounded = relu && node->attr[LS_BATCHNORM_MOST].f != 0;
    return (struct ls_cuda_norm){
        .type = type,
        .rows = x.n * x.h * x.w,
        .channels = x.c,
        .epsilon = node->attr[LS_BATCHNORM_EPSILON].f,
        .relu = relu,
        .most = bounded ? ls_cuda_stored(type, node->attr[LS_BATCHNORM_MOST].f) : NAN,
    };
}

static bool fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                 size_t *workspace) {
    (void)lib;
    struct ls_cuda_norm of = describe(graph, node);
    *workspace = ls_cuda_batchnorm_workspace(&of);
    return true;
}

// x, scale, shift -> y, mean, var
static ls_status run(const struct ls_cuda_call *call) {
    struct ls_cuda_norm of = describe(call->graph, call->node);
    return ls_cuda_batchnorm(&of, call->in[0], call->in[1], call->in[2], call->out[0], call->out[1],
                             call->out[2], call->workspace, call->stream);
}

// x, scale, shift, running mean, running var -> y
static ls_status run_eval(const struct ls_cuda_call *call) {
    struct ls_cuda_norm of = describe(call->graph, call->node);
    return ls_cuda_batchnorm_eval(&of, call->in[0], call->in[1], call->in[2], call->in[3], call->in[4],
                                  call->out[0], call->workspace, call->stream);
}

// x, dy, scale, mean, var -> dx, dscale, dshift; where a relu followed, its y stands before dy
static ls_status run_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_norm of = describe(call->graph, call->node);
    const void *const *dy = of.relu ? &call->in[2] : &call->in[1];
    return ls_cuda_batchnorm_grad(&of, call->in[0], of.relu ? call->in[1] : NULL, dy[0], dy[1], dy[2], dy[3],
                                  call->out[0], call->out[1], call->out[2], call->workspace, call->stream);
}

const struct ls_cuda_op ls_cuda_batchnorm_op = {.signature = "xww:xww", .fits = fits, .run = run};
const struct ls_cuda_op ls_cuda_batchnorm_relu_op = {.signature = "xww:xww", .fits = fits, .run = run};
const struct ls_cuda_op ls_cuda_batchnorm_eval_op = {.signature = "xwwww:x", .fits = fits, .run = run_eval};
const struct ls_cuda_op ls_cuda_batchnorm_eval_relu_op = {
    .signature = "xwwww:x", .fits = fits, .run = run_eval};
const struct ls_cuda_op ls_cuda_batchnorm_grad_op = {.signature = "xxwww:xww", .fits = fits, .run = run_grad};
const struct ls_cuda_op ls_cuda_batchnorm_relu_grad_op = {
    .signature = "xxxwww:xww", .fits = fits, .run = run_grad};
