// Element by element: relu, clip, dropout. The result may take the place of the first input.
#include "base/philox.h"
#include "cpu/plain/plain.h"

#include <math.h>

enum { BLOCKS = 64, WORDS = 4 * BLOCKS };

// The random words of elements e to e + WORDS - 1 of the lane's sample n: a block for each four.
static void draw_words(const struct ls_kernel_call *call, int64_t n, int64_t e, uint32_t *restrict word) {
    const uint64_t seed = call->control->seed, position = call->control->first_position + (uint64_t)n;
    const uint64_t first = ((uint64_t)call->node->attr[LS_DROPOUT_SITE].i << 40) + (uint64_t)e / 4;
    for (uint64_t b = 0; b < BLOCKS; b++) {
        const struct ls_random4 random = ls_philox(seed, LS_RANDOM_DROPOUT, first + b, position);
        for (int i = 0; i < 4; i++) word[4 * b + (uint64_t)i] = random.word[i];
    }
}

// The least word >> 8 of which ls_uniform is the rate or more: the product is exact.
static uint32_t least_kept(float rate) {
    return (uint32_t)ceilf(rate * 16777216.0f);
}

#define PLAIN_FAMILY "cpu/plain/elementwise.inc"
#include "cpu/plain/each_type.h"

PLAIN_OP(relu, "x:x", NULL);
PLAIN_OP(relu_grad, "xx:x", NULL);
PLAIN_OP(clip, "x:x", NULL);
PLAIN_OP(clip_grad, "xx:x", NULL);
PLAIN_OP(dropout, "x:x", NULL);
