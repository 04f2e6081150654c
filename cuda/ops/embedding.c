// Rows of a table, chosen by index.
#include "cuda/kernels/embedding.h"
#include "cuda/ops/node.h"

// index, table -> y
static ls_status run(const struct ls_cuda_call *call) {
    const struct ls_cuda_dims table = ls_cuda_dims(call->graph, call->node->in[1]);
    return ls_cuda_embedding(ls_cuda_type(call->graph, call->node->in[1]), call->in[0],
                             ls_cuda_count(call->graph, call->node->in[0]), call->in[1], table.n, table.c,
                             call->out[0], call->stream);
}

// index, dy -> dtable
static ls_status run_grad(const struct ls_cuda_call *call) {
    const struct ls_cuda_dims table = ls_cuda_dims(call->graph, call->node->out[0]);
    return ls_cuda_embedding_grad(ls_cuda_type(call->graph, call->node->in[1]), call->in[0],
                                  ls_cuda_count(call->graph, call->node->in[0]), call->in[1], table.n,
                                  table.c, call->out[0], call->stream);
}

const struct ls_cuda_op ls_cuda_embedding_op = {.signature = "ix:x", .run = run};
const struct ls_cuda_op ls_cuda_embedding_grad_op = {.signature = "ix:w", .run = run_grad};
