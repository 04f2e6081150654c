// Softmax, the losses, and the flags of the rank.
#include "cuda/kernels/loss.h"
#include "cuda/ops/node.h"

static struct ls_cuda_dims dims_of(const struct ls_cuda_call *call) {
    return ls_cuda_dims(call->graph, call->node->in[0]);
}

static double smoothing_of(const struct ls_cuda_call *call) {
    return call->node->attr[LS_LOSS_SMOOTHING].f;
}

// The input of augmentation parameters, at that place where the node has it.
static const struct ls_augment *mixing_of(const struct ls_cuda_call *call, int input) {
    return call->node->n_in > input ? call->in[input] : NULL;
}

static bool loss_fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      size_t *workspace) {
    (void)lib;
    *workspace = ls_cuda_loss_workspace(ls_cuda_dims(graph, node->in[0]).n);
    return true;
}

// Of softmax: the last axis.
static int64_t each_of(const struct ls_cuda_call *call) {
    const struct ls_shape *x = &ls_info(call->graph, call->node->in[0])->shape;
    return x->dim[x->rank - 1];
}

static ls_status run_softmax(const struct ls_cuda_call *call) {
    const int64_t each = each_of(call), rows = ls_cuda_count(call->graph, call->node->in[0]) / each;
    return ls_cuda_softmax(ls_cuda_type(call->graph, call->node->in[0]), call->in[0], call->out[0], rows,
                           each, call->stream);
}

// y, dy -> dx
static ls_status run_softmax_grad(const struct ls_cuda_call *call) {
    const int64_t each = each_of(call), rows = ls_cuda_count(call->graph, call->node->in[0]) / each;
    return ls_cuda_softmax_grad(ls_cuda_type(call->graph, call->node->in[0]), call->in[0], call->in[1],
                                call->out[0], rows, each, call->stream);
}

// Losses: logits or prediction, target, weight -> loss, score, weight sum. Their gradients: …, seed ->
// dlogits.
static ls_status run_cross_entropy(const struct ls_cuda_call *call) {
    float *const out[3] = {call->out[0], call->out[1], call->out[2]};
    return ls_cuda_cross_entropy(call->in[0], call->in[1], call->in[2], mixing_of(call, 3), dims_of(call).n,
                                 dims_of(call).c, smoothing_of(call), out, call->workspace, call->stream);
}

static ls_status run_cross_entropy_grad(const struct ls_cuda_call *call) {
    return ls_cuda_cross_entropy_grad(call->in[0], call->in[1], call->in[2], call->in[3], mixing_of(call, 4),
                                      call->out[0], dims_of(call).n, dims_of(call).c, smoothing_of(call),
                                      call->stream);
}

static struct ls_cuda_predictions predictions_of(const struct ls_cuda_call *call) {
    struct ls_cuda_predictions of = {.prediction = call->in[0],
                                     .target = call->in[1],
                                     .weight = call->in[2],
                                     .samples = dims_of(call).n,
                                     .each = dims_of(call).c};
    switch (call->node->op->id) {
    case LS_OP_MAE:
    case LS_OP_MAE_GRAD: of.distance = LS_CUDA_SIZE; break;
    case LS_OP_HUBER:
    case LS_OP_HUBER_GRAD: of.distance = LS_CUDA_HUBER, of.delta = call->node->attr[LS_HUBER_DELTA].f; break;
    default: of.distance = LS_CUDA_SQUARE;
    }
    return of;
}

static ls_status run_prediction_loss(const struct ls_cuda_call *call) {
    float *const out[3] = {call->out[0], call->out[1], call->out[2]};
    const struct ls_cuda_predictions of = predictions_of(call);
    return ls_cuda_prediction_loss(&of, out, call->workspace, call->stream);
}

static ls_status run_prediction_loss_grad(const struct ls_cuda_call *call) {
    const struct ls_cuda_predictions of = predictions_of(call);
    return ls_cuda_prediction_loss_grad(&of, call->in[3], call->out[0], call->stream);
}

static ls_status run_binary_cross_entropy(const struct ls_cuda_call *call) {
    float *const out[3] = {call->out[0], call->out[1], call->out[2]};
    return ls_cuda_binary_cross_entropy(call->in[0], call->in[1], call->in[2], dims_of(call).n,
                                        dims_of(call).c, smoothing_of(call), out, call->workspace,
                                        call->stream);
}

static ls_status run_binary_cross_entropy_grad(const struct ls_cuda_call *call) {
    return ls_cuda_binary_cross_entropy_grad(call->in[0], call->in[1], call->in[2], call->in[3], call->out[0],
                                             dims_of(call).n, dims_of(call).c, smoothing_of(call),
                                             call->stream);
}

static ls_status run_rank_flags(const struct ls_cuda_call *call) {
    return ls_cuda_rank_flags(call->control, call->out[0], call->out[1], call->stream);
}

const struct ls_cuda_op ls_cuda_softmax_op = {.signature = "x:x", .run = run_softmax};
const struct ls_cuda_op ls_cuda_softmax_grad_op = {.signature = "xx:x", .run = run_softmax_grad};
const struct ls_cuda_op ls_cuda_cross_entropy_op = {
    .signature = "wiwi:www", .fits = loss_fits, .run = run_cross_entropy};
const struct ls_cuda_op ls_cuda_cross_entropy_grad_op = {.signature = "wiwwi:w",
                                                         .run = run_cross_entropy_grad};
const struct ls_cuda_op ls_cuda_mse_op = {
    .signature = "www:www", .fits = loss_fits, .run = run_prediction_loss};
const struct ls_cuda_op ls_cuda_mse_grad_op = {.signature = "wwww:w", .run = run_prediction_loss_grad};
const struct ls_cuda_op ls_cuda_mae_op = {
    .signature = "www:www", .fits = loss_fits, .run = run_prediction_loss};
const struct ls_cuda_op ls_cuda_mae_grad_op = {.signature = "wwww:w", .run = run_prediction_loss_grad};
const struct ls_cuda_op ls_cuda_huber_op = {
    .signature = "www:www", .fits = loss_fits, .run = run_prediction_loss};
const struct ls_cuda_op ls_cuda_huber_grad_op = {.signature = "wwww:w", .run = run_prediction_loss_grad};
const struct ls_cuda_op ls_cuda_binary_cross_entropy_op = {
    .signature = "www:www", .fits = loss_fits, .run = run_binary_cross_entropy};
const struct ls_cuda_op ls_cuda_binary_cross_entropy_grad_op = {.signature = "wwww:w",
                                                                .run = run_binary_cross_entropy_grad};
const struct ls_cuda_op ls_cuda_rank_flags_op = {.signature = ":ww", .run = run_rank_flags};
