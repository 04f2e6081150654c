// Sums and products of two tensors, and sums over what was spread.
#include "ops/broadcast.h"

#include "cuda/kernels/broadcast.h"
#include "cuda/ops/node.h"

_Static_assert((int)LS_CUDA_AXES >= (int)LS_MAX_RANK, "a walk fits into a kernel's axes");

static const struct ls_shape *shape_of(const struct ls_graph *graph, ls_value value) {
    return &ls_info(graph, value)->shape;
}

static void add_axis(struct ls_cuda_axes *along, int64_t size, int64_t first, int64_t second) {
    along->size[along->axes] = size;
    along->stride[0][along->axes] = first;
    along->stride[1][along->axes++] = second;
}

static struct ls_cuda_axes axes_of_pair(const struct ls_cuda_call *call) {
    const struct ls_node *node = call->node;
    const struct ls_walk walk =
        ls_walk_of(shape_of(call->graph, node->out[0]), shape_of(call->graph, node->in[0]),
                   shape_of(call->graph, node->in[1]));
    struct ls_cuda_axes along = {0};
    for (int i = 0; i < walk.axes; i++) add_axis(&along, walk.size[i], walk.stride[0][i], walk.stride[1][i]);
    return along;
}

#define PAIRS(name, function)                                                                                \
    static ls_status run_##name(const struct ls_cuda_call *call) {                                           \
        const struct ls_cuda_axes along = axes_of_pair(call);                                                \
        return function(ls_cuda_type(call->graph, call->node->out[0]), &along, call->in[0], call->in[1],     \
                        call->out[0], call->stream);                                                         \
    }                                                                                                        \
    const struct ls_cuda_op ls_cuda_##name##_op = {.signature = "xx:x", .run = run_##name}

PAIRS(add, ls_cuda_sum);
PAIRS(add_relu, ls_cuda_sum_relu);
PAIRS(mul, ls_cuda_product);

// x lies dense along the walk; an axis along which the result stands still is summed.
static struct ls_cuda_terms describe(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape scalar = {.rank = 0};
    const struct ls_walk walk = ls_walk_of(shape_of(graph, node->in[0]), shape_of(graph, node->out[0]),
                                           node->n_in == 2 ? shape_of(graph, node->in[1]) : &scalar);
    struct ls_cuda_terms of = {.type = ls_cuda_type(graph, node->in[0]),
                               .places = 1,
                               .terms = 1,
                               .rows_first = walk.stride[0][0] != 0};
    int64_t step = 1;
    for (int i = 0; i < walk.axes; i++, step *= walk.size[i - 1]) {
        const bool kept = walk.stride[0][i] != 0;
        add_axis(kept ? &of.kept : &of.summed, walk.size[i], step, walk.stride[1][i]);
        *(kept ? &of.places : &of.terms) *= walk.size[i];
    }
    return of;
}

static bool fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                 size_t *workspace) {
    (void)lib;
    const struct ls_cuda_terms of = describe(graph, node);
    *workspace = ls_cuda_sum_to_workspace(&of);
    return true;
}

static ls_status run_sum_to(const struct ls_cuda_call *call) {
    const struct ls_cuda_terms of = describe(call->graph, call->node);
    return ls_cuda_sum_to(&of, call->in[0], call->node->n_in == 2 ? call->in[1] : NULL, call->out[0],
                          call->workspace, call->stream);
}

const struct ls_cuda_op ls_cuda_sum_to_op = {.signature = "xx:w", .fits = fits, .run = run_sum_to};
