// Batch normalization, with and without what follows it.
#include "cuda/kernels/batchnorm.h"
#include "cuda/ops/node.h"

#include <math.h>

// What follows the sum is taken in before the rest of its gradient.
static bool has_relu(const struct ls_node *node) {
    switch (node->op->id) {
    case LS_OP_BATCHNORM_RELU:
    case LS_OP_BATCHNORM_ADD_RELU:
    case LS_OP_BATCHNORM_EVAL_RELU:
    case LS_OP_BATCHNORM_RELU_GRAD: return true;
    default: return false;
    }
}

static struct ls_cuda_norm describe(const struct ls_graph *graph, const struct ls_node *node) {
    struct ls_cuda_dims x = ls_cuda_dims(graph, node->in[0]);
    const ls_dtype type = ls_cuda_type(graph, node->in[0]);
    const bool bounded = node->op->n_attrs > LS_BATCHNORM_MOST && node->attr[LS_BATCHNORM_MOST].f != 0;
    return (struct ls_cuda_norm){
        .type = type,
        .rows = x.n * x.h * x.w,
        .channels = x.c,
        .epsilon = node->attr[LS_BATCHNORM_EPSILON].f,
        .relu = has_relu(node),
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

// x, scale, shift, [b] -> y, mean, var
static ls_status run(const struct ls_cuda_call *call) {
    struct ls_cuda_norm of = describe(call->graph, call->node);
    const void *b = call->node->n_in > 3 ? call->in[3] : NULL;
    return ls_cuda_batchnorm(&of, call->in[0], call->in[1], call->in[2], b, call->out[0], call->out[1],
                             call->out[2], call->workspace, call->stream);
}

// x, scale, shift, running mean, running var -> y
static ls_status run_eval(const struct ls_cuda_call *call) {
    struct ls_cuda_norm of = describe(call->graph, call->node);
    return ls_cuda_batchnorm_eval(&of, call->in[0], call->in[1], call->in[2], call->in[3], call->in[4],
                                  call->out[0], call->workspace, call->stream);
}

// dy, scale, running var -> dx
static ls_status run_eval_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_norm of = describe(call->graph, call->node);
    return ls_cuda_batchnorm_eval_grad(&of, call->in[0], call->in[1], call->in[2], call->out[0],
                                       call->workspace, call->stream);
}

// x, dy, scale, [shift,] mean, var -> dx, dscale, dshift
static ls_status run_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_norm of = describe(call->graph, call->node);
    const void *const *mean = &call->in[of.relu ? 4 : 3];
    return ls_cuda_batchnorm_grad(&of, call->in[0], call->in[1], call->in[2], of.relu ? call->in[3] : NULL,
                                  mean[0], mean[1], call->out[0], call->out[1], call->out[2], call->workspace,
                                  call->stream);
}

// x, y, dy, scale, mean, var, [second dy] -> dx, dscale, dshift, db
static ls_status run_add_relu_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_norm of = describe(call->graph, call->node);
    const struct ls_cuda_norm_sum sum = {
        .x = call->in[0],
        .y = call->in[1],
        .dy = call->in[2],
        .more = call->node->n_in > 6 ? call->in[6] : NULL,
        .scale = call->in[3],
        .mean = call->in[4],
        .var = call->in[5],
        .dx = call->out[0],
        .db = call->out[3],
        .dscale = call->out[1],
        .dshift = call->out[2],
    };
    return ls_cuda_batchnorm_add_relu_grad(&of, &sum, call->workspace, call->stream);
}

const struct ls_cuda_op ls_cuda_batchnorm_op = {.signature = "xww:xww", .fits = fits, .run = run};
const struct ls_cuda_op ls_cuda_batchnorm_relu_op = {.signature = "xww:xww", .fits = fits, .run = run};
const struct ls_cuda_op ls_cuda_batchnorm_add_relu_op = {.signature = "xwwx:xww", .fits = fits, .run = run};
const struct ls_cuda_op ls_cuda_batchnorm_eval_op = {.signature = "xwwww:x", .fits = fits, .run = run_eval};
const struct ls_cuda_op ls_cuda_batchnorm_eval_relu_op = {
    .signature = "xwwww:x", .fits = fits, .run = run_eval};
const struct ls_cuda_op ls_cuda_batchnorm_eval_grad_op = {
    .signature = "xww:x", .fits = fits, .run = run_eval_grad};
const struct ls_cuda_op ls_cuda_batchnorm_grad_op = {.signature = "xxwww:xww", .fits = fits, .run = run_grad};
const struct ls_cuda_op ls_cuda_batchnorm_relu_grad_op = {
    .signature = "xxwwww:xww", .fits = fits, .run = run_grad};
const struct ls_cuda_op ls_cuda_batchnorm_add_relu_grad_op = {
    .signature = "xxxwwwx:xwwx", .fits = fits, .run = run_add_relu_grad};
