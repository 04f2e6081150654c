// Convolution as a matrix product: a row of `columns` is the window of x that makes one pixel of y, as long
// as a row of weights (out, height, width, in), so neither weights nor gradients are laid out anew.
//
//            columns [rows, K]             weights [out, K]           K = kernel_h * kernel_w * in
//   y  [rows, out] = columns · weightsᵀ      dw [out, K] += dyᵀ [out, rows] · columns
//
// A few rows at a time, so that they stay in cache; gradients sum over the pieces in order.
#pragma once

#include "cpu/kernel.h"
#include "cpu/onednn_conv.h"

// Is this faster than the primitive that oneDNN has for it, whose implementation is called `name`? Measured
// with AVX2, and only there: a choice by rule, so that it is the same every time.
bool ls_onednn_prefers_columns(const struct ls_onednn_conv *conv, const char *name);
// … and is x itself its columns, so that one product makes it all? Measured with AVX-512: the gradients of
// 1x1 convolutions ran at 1.1 to 2 times the primitive's rate.
bool ls_onednn_prefers_product(const struct ls_onednn_conv *conv, const char *name);
size_t ls_onednn_columns_workspace(const struct ls_onednn_conv *conv); // bytes
// Leaves relu to the caller.
dnnl_status_t ls_onednn_columns_run(const struct ls_onednn_conv *conv, const struct ls_kernel_call *call);
