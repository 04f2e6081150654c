// Images of another size, and back.
#include "cuda/kernels/resize.h"
#include "cuda/ops/node.h"

// `x` is the original, `y` what is made of it.
static struct ls_cuda_sizes describe(const struct ls_graph *graph, const struct ls_node *node, ls_value x,
                                     ls_value y) {
    struct ls_cuda_dims in = ls_cuda_dims(graph, x), out = ls_cuda_dims(graph, y);
    return (struct ls_cuda_sizes){
        .type = ls_cuda_type(graph, x),
        .images = in.n,
        .channels = in.c,
        .height = (int32_t)in.h,
        .width = (int32_t)in.w,
        .out_height = (int32_t)out.h,
        .out_width = (int32_t)out.w,
        .bilinear = node->attr[LS_RESIZE_BILINEAR].i != 0,
    };
}

static ls_status run_resize(const struct ls_cuda_call *call) {
    struct ls_cuda_sizes of = describe(call->graph, call->node, call->node->in[0], call->node->out[0]);
    return ls_cuda_resize(&of, call->in[0], call->out[0], call->stream);
}

// dy -> dx
static ls_status run_resize_grad(const struct ls_cuda_call *call) {
    struct ls_cuda_sizes of = describe(call->graph, call->node, call->node->out[0], call->node->in[0]);
    return ls_cuda_resize_grad(&of, call->in[0], call->out[0], call->stream);
}

const struct ls_cuda_op ls_cuda_resize_op = {.signature = "x:x", .run = run_resize};
const struct ls_cuda_op ls_cuda_resize_grad_op = {.signature = "x:x", .run = run_resize_grad};
