// Convolutions of 3x3 windows with fewer products: F(2x2, 3x3) of Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks" (2015), after Winograd. f32, one group, stride 1, no dilation.
//
// y is cut into tiles of 2x2 pixels. Each sees 4x4 pixels d of x, and for a window g
//
//   y  = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A                      16 products, where the window itself has 36
//   dg = Gᵀ [ sum over tiles of (Bᵀ d B) ⊙ (A dy Aᵀ) ] G
//
//   Bᵀ = 1  0 -1  0      G = 1    0    0       Aᵀ = 1  1  1  0
//        0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
//        0 -1  1  0          1/2 -1/2  1/2
//        0  1  0 -1          0    0    1
//
// ⊙ goes over the 16 places of a transformed tile; with the sum over channels it is a matrix product at each
// place. V, M, W and U are x, y, dy and the windows, transformed:
//
//   M[tile][out]  = V[tile][in] · U[in][out]     y. The gradient of x is this of dy, with every window turned
//                                                and its channels exchanged
//   dU[out][in]   = Wᵀ[out][tile] · V[tile][in]  the gradient of the windows
//
// Tiles outside of x see zeros; what a tile has outside of y is dropped.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A convolution in numbers, and how its work is cut.
struct ls_winograd {
    int64_t images, in, in_h, in_w, out, out_h, out_w, pad_h, pad_w;
    int64_t tiles_h, tiles_w, tiles; // of an image; of all
    int64_t block;                   // tiles that are transformed and multiplied together
};

// Sets tiles and block; the rest is given.
void ls_winograd_cut(struct ls_winograd *conv);
// Is it worth it? A matter of channels and the image's size; the number of images does not count.
bool ls_winograd_pays(const struct ls_winograd *conv);

// All windows, transformed. w is [out][3][3][in]; or, where `turned`, [in][3][3][out] with its windows turned
// by half: for the gradient of x, where x is dy and pads are 2 - pad. At a multiple of 64 bytes.
size_t ls_winograd_windows_bytes(const struct ls_winograd *conv);
void ls_winograd_put_windows(const struct ls_winograd *conv, const float *w, bool turned, void *windows);
// Bytes of workspace, at a multiple of 64 bytes, for either of the two below.
size_t ls_winograd_workspace(const struct ls_winograd *conv);
// y [images][out_h][out_w][out] = x * w + bias, then relu. bias: NULL for none.
void ls_winograd_forward(const struct ls_winograd *conv, const float *x, const void *windows,
                         const float *bias, bool relu, float *y, void *workspace);
// dw [out][3][3][in]
void ls_winograd_weight_grad(const struct ls_winograd *conv, const float *x, const float *dy, float *dw,
                             void *workspace);
