// Pools over windows and over whole images, a bias, and its gradient, which is a sum over rows as well.
#include "cuda/kernels/pool.h"
#include "cuda/kernels/sums.h"
#include "cuda/ops/node.h"

// `x` is the value that has the windows, `y` the one with an element for each.
static struct ls_cuda_pool describe(const struct ls_graph *graph, const struct ls_node *node, ls_value x,
                                    ls_value y) {
    struct ls_cuda_dims in = ls_cuda_dims(graph, x), out = ls_cuda_dims(graph, y);
    const union ls_attr *attr = node->attr;
    return (struct ls_cuda_pool){
        .type = ls_cuda_type(graph, x),
        .images = in.n,
        .channels = in.c,
        .height = (int32_t)in.h,
        .width = (int32_t)in.w,
        .out_height = (int32_t)out.h,
        .out_width = (int32_t)out.w,
        .kernel_h = (int32_t)attr[LS_KERNEL_H].i,
        .kernel_w = (int32_t)attr[LS_KERNEL_W].i,
        .stride_h = (int32_t)attr[LS_STRIDE_H].i,
        .stride_w = (int32_t)attr[LS_STRIDE_W].i,
        .pad_h = (int32_t)attr[LS_PAD_H].i,
        .pad_w = (int32_t)attr[LS_PAD_W].i,
        .count_padding = attr[LS_COUNT_PADDING].i != 0,
    };
}

// Kernels count places in 32 bits.
static bool fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                 size_t *workspace) {
    (void)lib, (void)workspace;
    for (int k = 0; k < 2; k++) {
        struct ls_cuda_dims d = ls_cuda_dims(graph, k == 0 ? node->in[0] : node->out[0]);
        if (d.h + 2 * node->attr[LS_PAD_H].i > INT32_MAX || d.w + 2 * node->attr[LS_PAD_W].i > INT32_MAX)
            return false;
    }
    return true;
}

// x -> y, index
static ls_status run_max_pool(const struct ls_cuda_call *call) {
    struct ls_cuda_pool pool = describe(call->graph, call->node, call->node->in[0], call->node->out[0]);
    pool.index = ls_cuda_type(call->graph, call->node->out[1]);
    return ls_cuda_max_pool(&pool, call->in[0], call->out[0], call->out[1], call->stream);
}

// dy, index -> dx
static ls_status run_max_pool_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_pool pool = describe(call->graph, call->node, call->node->out[0], call->node->in[0]);
    pool.index = ls_cuda_type(call->graph, call->node->in[1]);
    return ls_cuda_max_pool_grad(&pool, call->in[0], call->in[1], call->out[0], call->stream);
}

static ls_status run_avg_pool(const struct ls_cuda_call *call) {
    struct ls_cuda_pool pool = describe(call->graph, call->node, call->node->in[0], call->node->out[0]);
    return ls_cuda_avg_pool(&pool, call->in[0], call->out[0], call->stream);
}

static ls_status run_avg_pool_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_pool pool = describe(call->graph, call->node, call->node->out[0], call->node->in[0]);
    return ls_cuda_avg_pool_grad(&pool, call->in[0], call->out[0], call->stream);
}

// ---- sums over rows

static bool global_fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                        size_t *workspace) {
    (void)lib;
    struct ls_cuda_dims x = ls_cuda_dims(graph, node->in[0]);
    *workspace = ls_cuda_sums_workspace(ls_cuda_type(graph, node->in[0]), x.n, x.h * x.w, x.c);
    return true;
}

static ls_status run_global_avg_pool(const struct ls_cuda_call *call) {
    struct ls_cuda_dims x = ls_cuda_dims(call->graph, call->node->in[0]);
    return ls_cuda_global_avg_pool(ls_cuda_type(call->graph, call->node->in[0]), call->in[0], call->out[0],
                                   x.n, x.h * x.w, x.c, call->workspace, call->stream);
}

static ls_status run_global_avg_pool_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_dims x = ls_cuda_dims(call->graph, call->node->out[0]);
    return ls_cuda_global_avg_pool_grad(ls_cuda_type(call->graph, call->node->in[0]), call->in[0],
                                        call->out[0], x.n, x.h * x.w, x.c, call->stream);
}

static ls_status run_bias(const struct ls_cuda_call *call) {
    struct ls_cuda_dims x = ls_cuda_dims(call->graph, call->node->in[0]);
    return ls_cuda_bias(ls_cuda_type(call->graph, call->node->in[0]), call->in[0], call->in[1], call->out[0],
                        x.n * x.h * x.w, x.c, call->stream);
}

static bool bias_fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      size_t *workspace) {
    (void)lib;
    struct ls_cuda_dims dy = ls_cuda_dims(graph, node->in[0]);
    *workspace = ls_cuda_sums_workspace(ls_cuda_type(graph, node->in[0]), 1, dy.n * dy.h * dy.w, dy.c);
    return true;
}

static ls_status run_bias_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_dims dy = ls_cuda_dims(call->graph, call->node->in[0]);
    return ls_cuda_bias_grad(ls_cuda_type(call->graph, call->node->in[0]), call->in[0], call->out[0],
                             dy.n * dy.h * dy.w, dy.c, call->workspace, call->stream);
}

const struct ls_cuda_op ls_cuda_max_pool_op = {.signature = "x:xn", .fits = fits, .run = run_max_pool};
const struct ls_cuda_op ls_cuda_max_pool_grad_op = {
    .signature = "xn:x", .fits = fits, .run = run_max_pool_grad};
const struct ls_cuda_op ls_cuda_avg_pool_op = {.signature = "x:x", .fits = fits, .run = run_avg_pool};
const struct ls_cuda_op ls_cuda_avg_pool_grad_op = {
    .signature = "x:x", .fits = fits, .run = run_avg_pool_grad};
const struct ls_cuda_op ls_cuda_global_avg_pool_op = {
    .signature = "x:x", .fits = global_fits, .run = run_global_avg_pool};
const struct ls_cuda_op ls_cuda_global_avg_pool_grad_op = {.signature = "x:x",
                                                           .run = run_global_avg_pool_grad};
const struct ls_cuda_op ls_cuda_bias_op = {.signature = "xw:x", .run = run_bias};
const struct ls_cuda_op ls_cuda_bias_grad_op = {.signature = "x:w", .fits = bias_fits, .run = run_bias_grad};
