// The arithmetic of the stand-in's products and convolutions: f32, sums from the first term to the last.
// Arguments are as in cuda/lib/lib.h; every number of `out` is written.
#pragma once

#include "cuda/lib/lib.h"

static inline int64_t ls_plain_out_h(const struct ls_lib_conv *c) {
    return (c->h + 2 * c->pad_h - c->dilation_h * (c->kh - 1) - 1) / c->stride_h + 1;
}

static inline int64_t ls_plain_out_w(const struct ls_lib_conv *c) {
    return (c->w + 2 * c->pad_w - c->dilation_w * (c->kw - 1) - 1) / c->stride_w + 1;
}

// `scratch` has room for as many numbers as `b`, and as `out`.
void ls_plain_product(const struct ls_lib_product *product, const float *a, const float *b, float *out,
                      float *scratch);
void ls_plain_conv(const struct ls_lib_conv *conv, const float *a, const float *b, float *out,
                   float *scratch);
