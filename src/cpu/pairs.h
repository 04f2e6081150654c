// Gradients of a convolution's weights in bf16, of stride 1, by the instruction that adds the products of
// pairs to an f32 (AVX-512 BF16): here, pairs of pixels side by side in a row, whose channels are laid out in
// turn first.
//
//   x   [tap across][panel of 32 channels][segment][row][pair][32][2]
//   dy  [block of 8 channels][segment][row][pair][8][2]
//   dw  [out][row, column of the window][in] += sum over segments, rows, pairs of dyᵀ x
//
// A tap across is x moved by its column of the window; rows of the window are rows of x further down.
// A segment is a few rows of an image; as many segments as fill the cache are summed at once, in the order in
// which they lie. What lies on padding, and behind the last pixel of an odd row, is zero.
#pragma once

#include "base/dtype.h"

#include <stdbool.h>
#include <stddef.h>

enum { LS_PAIRS_PANEL = 32, LS_PAIRS_BLOCK = 8, LS_PAIRS_GROUP = 64 }; // GROUP: the most segments at once

struct ls_pairs {
    int64_t images, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w, pad_h, pad_w;
    int64_t pixels; // of all rows; with a 1x1 window rows are pieces of all images, the last maybe shorter
    int64_t pairs;  // of a row
    int64_t band, group; // rows of a segment; segments at once
};

#ifdef LS_HAVE_AVX512_BF16
void ls_pairs_weight_grad(const struct ls_pairs *conv, const ls_bf16 *x, const ls_bf16 *dy, float *dw,
                          void *workspace);
#endif

// Rows of x that a segment reads; panels and blocks lie a little further apart than they are long, so that
// not all lie in one set of the cache. In pairs of numbers.
static inline int64_t ls_pairs_rows(const struct ls_pairs *conv) {
    return conv->band + conv->kernel_h - 1;
}

static inline int64_t ls_pairs_panel(const struct ls_pairs *conv) {
    return conv->group * ls_pairs_rows(conv) * conv->pairs * LS_PAIRS_PANEL + 16;
}

static inline int64_t ls_pairs_block(const struct ls_pairs *conv) {
    return conv->group * conv->band * conv->pairs * LS_PAIRS_BLOCK + 16;
}
