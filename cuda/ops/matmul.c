// Batched matrix products.
#include "ops/matmul.h"
#include "cuda/ops/node.h"

static ls_status make(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      struct ls_cuda_made *made) {
    const struct ls_products p = ls_products_of(graph, node);
    if (p.batch > INT32_MAX) return LS_FAIL(LS_INPUT, "more than 2^31 - 1 products in a batch");
    const struct ls_lib_product product = {
        .m = p.m,
        .n = p.n,
        .k = p.k,
        .transpose_a = p.transpose_a,
        .transpose_b = p.transpose_b,
        .input = ls_cuda_type(graph, node->in[0]),
        .output = ls_cuda_type(graph, node->out[0]),
        .batch = p.batch,
        .scale = (float)p.scale,
    };
    return ls_lib_product_make(lib, &product, &made->task);
}

static bool fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                 size_t *workspace) {
    struct ls_cuda_made made = {0};
    return ls_cuda_task_fits(make(lib, graph, node, &made), &made, workspace);
}

static ls_status run(const struct ls_cuda_call *call) {
    return ls_lib_run(call->lib, ls_cuda_made(call)->task, call->in[0], call->in[1], NULL, call->out[0],
                      call->workspace, call->stream);
}

const struct ls_cuda_op ls_cuda_matmul_op = {"xx:x", fits, make, run};
