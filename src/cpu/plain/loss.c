// Softmax and the losses. All sums are f64: they are short beside the layers before them.
#include "cpu/plain/plain.h"

#include <math.h>

// Of a row x: its first maximum and the sum of exp(x - maximum).
struct row_sum {
    double greatest, sum;
    int64_t where;
};

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

// A target between 0 and 1, smoothed.
static double smoothed(double target, double smoothing) {
    return (1 - smoothing) * target + smoothing / 2;
}

#define PLAIN_FAMILY "cpu/plain/loss.inc"
#include "cpu/plain/each_type.h"

static ls_status rank_flags(const struct ls_kernel_call *call) {
    write_wide(call, 0, (double)call->control->stop);
    write_wide(call, 1, (double)call->control->fault);
    return LS_OK;
}

PLAIN_OP(softmax, "x:x", NULL);
PLAIN_OP(softmax_grad, "xx:x", NULL);
PLAIN_OP(cross_entropy, "xiw:www", NULL);
PLAIN_OP(cross_entropy_grad, "xiww:x", NULL);
PLAIN_OP(mse, "xww:www", NULL);
PLAIN_OP(mse_grad, "xwww:x", NULL);
PLAIN_OP(binary_cross_entropy, "xww:www", NULL);
PLAIN_OP(binary_cross_entropy_grad, "xwww:x", NULL);
const struct plain_op LS_LEVEL(plain_rank_flags) = {":ww", {rank_flags, rank_flags, rank_flags}, NULL};
