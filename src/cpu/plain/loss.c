// The losses. All sums are f64.
#include "cpu/plain/functions.h"
#include "cpu/plain/narrow.h"
#include "cpu/plain/plain.h"
#include "graph/augment.h"

#include <math.h>
#include <string.h>

// What the kernels of a type take: of bf16 functions of f32, as a loss is f32.
#define EXP_f32      plain_exp_f32
#define EXP_f64      plain_exp
#define EXP_bf16     plain_exp_f32
#define SIGMOID_f32  plain_sigmoid_f32
#define SIGMOID_f64  plain_sigmoid
#define SIGMOID_bf16 plain_sigmoid_f32
#define LOG1P_f32    plain_log1p_f32
#define LOG1P_f64    plain_log1p
#define LOG1P_bf16   plain_log1p_f32

// Numbers at a time where they are computed before they are summed, and of which f32 adds powers.
enum { PIECE = 256, MOST = 4096 };

// Element i of an input that is f32 or f64.
static double wide_input(const struct ls_kernel_call *call, int input, int64_t i) {
    if (ls_info(call->graph, call->node->in[input])->dtype == LS_F64)
        return ((const double *)call->in[input])[i];
    return (double)((const float *)call->in[input])[i];
}

static void write_wide(const struct ls_kernel_call *call, int output, double value) {
    if (ls_info(call->graph, call->node->out[output])->dtype == LS_F64)
        *(double *)call->out[output] = value;
    else
        *(float *)call->out[output] = (float)value;
}

static ls_status target_of(const struct ls_kernel_call *call, int64_t sample, int64_t classes,
                           int32_t *target) {
    *target = ((const int32_t *)call->in[1])[sample];
    if (*target >= 0 && *target < classes) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: target %d of the lane's sample %lld is not in 0..%lld", call->node->name,
                   (int)*target, (long long)sample, (long long)classes - 1);
}

// A sample's targets and what each counts: one, or two where it is mixed, the larger share first.
struct shares {
    int n;
    int32_t target[2];
    double weight[2];
};

static ls_status add_share(const struct ls_kernel_call *call, int64_t sample, int64_t classes, double part,
                           struct shares *shares) {
    const double weight = wide_input(call, 2, sample);
    if (part * weight == 0) return LS_OK;
    LS_TRY(target_of(call, sample, classes, &shares->target[shares->n]));
    shares->weight[shares->n++] = part * weight;
    return LS_OK;
}

// `augment` is the place of that input, where the node has it.
static ls_status shares_of(const struct ls_kernel_call *call, int augment, int64_t sample, int64_t classes,
                           struct shares *shares) {
    shares->n = 0;
    const struct ls_augment *mixed =
        call->node->n_in > augment ? (const struct ls_augment *)call->in[augment] + sample : NULL;
    if (!mixed || !(mixed->flags & (LS_AUGMENT_MIXUP | LS_AUGMENT_CUTMIX)))
        return add_share(call, sample, classes, 1, shares);
    const int64_t samples = plain_dims(call->graph, call->node->in[0]).n;
    if (mixed->partner < 0 || mixed->partner >= samples)
        return LS_FAIL(LS_SYSTEM, "%s: the partner of the lane's sample %lld is %d; expected 0..%lld",
                       call->node->name, (long long)sample, mixed->partner, (long long)samples - 1);
    const double factor = (double)mixed->factor;
    const bool own_first = factor >= 0.5;
    LS_TRY(add_share(call, own_first ? sample : mixed->partner, classes, own_first ? factor : 1 - factor,
                     shares));
    return add_share(call, own_first ? mixed->partner : sample, classes, own_first ? 1 - factor : factor,
                     shares);
}

// exp of a sample's logits.
static size_t row_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return (size_t)plain_round_up(plain_dims(graph, node->in[0]).c, PLAIN_VECTOR) *
           plain_wide_bytes(graph, node->in[0]);
}

// The losses of predictions: what a value counts that is `apart` from its target, and by what it changes with
// it.
enum distance { SQUARE, SIZE, HUBER };

static inline double counted(enum distance distance, double apart, double delta) {
    const double size = fabs(apart);
    if (distance == SQUARE) return apart * apart;
    if (distance == SIZE) return size;
    return size > delta ? delta * (size - delta / 2) : apart * apart / 2;
}

static inline double slope_at(enum distance distance, double apart, double delta) {
    if (distance == SQUARE) return 2 * apart;
    const double most = distance == SIZE ? 0 : delta, size = distance == SIZE ? 1 : delta;
    return apart > most ? size : apart < -most ? -size : apart;
}

// Of the node, where it has one.
static double delta_of(const struct ls_kernel_call *call, enum distance distance) {
    return distance == HUBER ? call->node->attr[LS_HUBER_DELTA].f : 0;
}

#define PLAIN_FAMILY "cpu/plain/loss.inc"
#include "cpu/plain/each_type.h"

static ls_status rank_flags(const struct ls_kernel_call *call) {
    write_wide(call, 0, (double)call->control->stop);
    write_wide(call, 1, (double)call->control->fault);
    return LS_OK;
}

PLAIN_OP(cross_entropy, "xiwi:www", row_workspace);
PLAIN_OP(cross_entropy_grad, "xiwwi:x", row_workspace);
PLAIN_OP(mse, "xww:www", NULL);
PLAIN_OP(mse_grad, "xwww:x", NULL);
PLAIN_OP(mae, "xww:www", NULL);
PLAIN_OP(mae_grad, "xwww:x", NULL);
PLAIN_OP(huber, "xww:www", NULL);
PLAIN_OP(huber_grad, "xwww:x", NULL);
PLAIN_OP(binary_cross_entropy, "xww:www", NULL);
PLAIN_OP(binary_cross_entropy_grad, "xwww:x", NULL);
const struct plain_op LS_LEVEL(plain_rank_flags) = {":ww", {rank_flags, rank_flags, rank_flags}, NULL};
