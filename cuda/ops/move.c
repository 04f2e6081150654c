// Values that only move.
#include "cuda/kernels/move.h"
#include "cuda/ops/node.h"
#include "ops/move.h"

static ls_status run_transpose(const struct ls_cuda_call *call) {
    const struct ls_steps steps = ls_steps_of(call->graph, call->node);
    return ls_cuda_transpose(ls_cuda_type(call->graph, call->node->out[0]), &steps, call->in[0], call->out[0],
                             call->stream);
}

static ls_status run_along(const struct ls_cuda_call *call) {
    for (int k = 0; k < call->node->n_in; k++) {
        const struct ls_runs runs = ls_runs_of(call->graph, call->node, k);
        LS_TRY(ls_cuda_move_runs(ls_cuda_type(call->graph, call->node->out[0]), &runs, call->in[k],
                                 call->out[0], call->stream));
    }
    return LS_OK;
}

const struct ls_cuda_op ls_cuda_transpose_op = {.signature = "x:x", .run = run_transpose};
const struct ls_cuda_op ls_cuda_concat_op = {.signature = "xxxxxxxx:x", .run = run_along};
const struct ls_cuda_op ls_cuda_slice_op = {.signature = "x:x", .run = run_along};
const struct ls_cuda_op ls_cuda_pad_op = {.signature = "x:x", .run = run_along};
const struct ls_cuda_op ls_cuda_repeat_op = {.signature = "x:x", .run = run_along};
