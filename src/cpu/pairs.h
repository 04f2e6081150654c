// Gradients of a convolution's weights in bf16, by the instruction that adds the products of pairs to an f32
// (AVX-512 BF16): here, pairs of pixels side by side in a row, or where rows are odd, of two images at the
// same place, whose channels are laid out in turn first.
//
//   x   [tap across][panel of 32 channels][segment][phase][row][pair][32][2]
//   dy  [block of 8 channels][segment][row][pair][8][2]
//   dw  [out][row, column of the window][in] += sum over segments, rows, pairs of dyᵀ x
//
// A tap across is the pixels of x that this column of the window meets; rows of the window are rows of x
// further down. With a stride s, rows that are s apart lie together: a phase for each first row below s.
// A segment is a few rows of an image; as many segments as fill the cache are summed at once, in the order in
// which they lie. What lies on padding, and behind the last pixel of an odd row, is zero.
#pragma once

#include "base/dtype.h"

#include <stdbool.h>
#include <stddef.h>

enum { LS_PAIRS_PANEL = 32, LS_PAIRS_BLOCK = 8, LS_PAIRS_GROUP = 64 }; // GROUP: the most segments at once

struct ls_pairs {
    int64_t images, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w, pad_h, pad_w, stride_h,
        stride_w;
    bool joined;         // 1x1 windows of stride 1: all images are one, and its rows pieces of them
    bool two;            // pairs are of two images
    int64_t pixels;      // of all rows of an image; of joined ones the last row may be shorter
    int64_t pairs;       // of a row
    int64_t band, group; // rows of a segment; segments at once
};

#ifdef LS_HAVE_AVX512_BF16
void ls_pairs_weight_grad(const struct ls_pairs *conv, const ls_bf16 *x, const ls_bf16 *dy, float *dw,
                          void *workspace);
#endif

static inline int64_t ls_pairs_phases(const struct ls_pairs *conv) {
    return conv->stride_h < conv->kernel_h ? conv->stride_h : conv->kernel_h;
}

// Rows of x in this phase that so many rows of dy meet.
static inline int64_t ls_pairs_phase_rows(const struct ls_pairs *conv, int64_t phase, int64_t rows) {
    return rows + (conv->kernel_h - 1 - phase) / conv->stride_h;
}

// Where among a segment's rows of x those of this phase begin.
static inline int64_t ls_pairs_phase_begin(const struct ls_pairs *conv, int64_t phase) {
    int64_t begin = 0;
    for (int64_t q = 0; q < phase; q++) begin += ls_pairs_phase_rows(conv, q, conv->band);
    return begin;
}

// Rows of x that a segment reads.
static inline int64_t ls_pairs_rows(const struct ls_pairs *conv) {
    return ls_pairs_phase_begin(conv, ls_pairs_phases(conv));
}

// How far apart panels and blocks lie, in pairs of numbers: a little further than they are long, so that not
// all lie in one set of the cache.
static inline int64_t ls_pairs_panel(const struct ls_pairs *conv) {
    return conv->group * ls_pairs_rows(conv) * conv->pairs * LS_PAIRS_PANEL + 16;
}

static inline int64_t ls_pairs_block(const struct ls_pairs *conv) {
    return conv->group * conv->band * conv->pairs * LS_PAIRS_BLOCK + 16;
}
