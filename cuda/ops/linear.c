// Linear layers: three products.
#include "cuda/ops/node.h"

// y [N,O] = x [N,F] wᵀ, w [O,F]; dx = dy w; dw = dyᵀ x.
static struct ls_lib_product describe(const struct ls_graph *graph, const struct ls_node *node) {
    ls_dtype input = ls_cuda_type(graph, node->in[0]), output = ls_cuda_type(graph, node->out[0]);
    struct ls_cuda_dims c = ls_cuda_dims(graph, node->out[0]), first = ls_cuda_dims(graph, node->in[0]);
    struct ls_lib_product product = {.m = c.n, .n = c.c, .input = input, .output = output};
    switch (node->op->id) {
    case LS_OP_LINEAR_INPUT_GRAD: product.k = first.c; break;
    case LS_OP_LINEAR_WEIGHT_GRAD: product.k = first.n, product.transpose_a = true; break;
    default:
        product.k = first.c;
        product.transpose_b = true;
        product.bias = node->n_in == 3;
        product.relu = node->op->id == LS_OP_LINEAR_RELU;
        break;
    }
    return product;
}

static ls_status make(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      struct ls_cuda_made *made) {
    struct ls_lib_product product = describe(graph, node);
    return ls_lib_product_make(lib, &product, &made->task);
}

static bool fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                 size_t *workspace) {
    struct ls_cuda_made made = {0};
    return ls_cuda_task_fits(make(lib, graph, node, &made), &made, workspace);
}

static ls_status run(const struct ls_cuda_call *call) {
    return ls_lib_run(call->lib, ls_cuda_made(call)->task, call->in[0], call->in[1],
                      call->node->n_in == 3 ? call->in[2] : NULL, call->out[0], call->workspace,
                      call->stream);
}

// x, dy -> dw = dyᵀ x
static ls_status run_weight_grad(const struct ls_cuda_call *call) {
    return ls_lib_run(call->lib, ls_cuda_made(call)->task, call->in[1], call->in[0], NULL, call->out[0],
                      call->workspace, call->stream);
}

const struct ls_cuda_op ls_cuda_linear_op = {"xxw:x", fits, make, run};
const struct ls_cuda_op ls_cuda_linear_relu_op = {"xxw:x", fits, make, run};
const struct ls_cuda_op ls_cuda_linear_input_grad_op = {"xx:x", fits, make, run};
const struct ls_cuda_op ls_cuda_linear_weight_grad_op = {"xx:w", fits, make, run_weight_grad};
