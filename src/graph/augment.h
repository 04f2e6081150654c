// What is done to a sample before a model sees it: drawn on the host (data/augment.c), done by the input op,
// and where samples are mixed read by the loss. Its exact meaning stands at LS_OP_INPUT in ops/ops.h. Plain C
// and C++: kernels of any device include it.
#pragma once

#include <stdint.h>

enum { LS_AUGMENT_WORDS = 32 };

enum ls_augment_flags {
    LS_AUGMENT_FLIP = 1,          // left and right exchanged
    LS_AUGMENT_FLIP_VERTICAL = 2, // top and bottom exchanged
    LS_AUGMENT_AFFINE = 4,        // places by the map below, instead of dy, dx and the flips
    LS_AUGMENT_COLOR = 8,         // values through `color` and `contrast`
    LS_AUGMENT_CUT = 16,          // 0 inside `cut`
    LS_AUGMENT_MIXUP = 32,        // factor * this sample + (1 - factor) * the partner
    LS_AUGMENT_CUTMIX = 64,       // the partner inside `mix`
};

// Rows [top, bottom) and columns [left, right) of the output.
struct ls_augment_box {
    int32_t top, left, bottom, right;
};

// i32 [LS_AUGMENT_WORDS] on the device, numbers of f32 by their bits. All 0: the centre of the sample, as it
// is.
struct ls_augment {
    int32_t dy, dx; // of the shown window from the centre, in pixels
    int32_t flags;  // of enum ls_augment_flags
    // The place in the sample that output (0, 0) shows, and what a row and a column further on add to it; in
    // 1/65536 pixel, from the outer corner of the first pixel.
    int32_t y, x, y_a_row, y_a_column, x_a_row, x_a_column;
    float color[9]; // [to][from] of three channels; of any other number, each is multiplied with color[0]
    float contrast; // this times the sample's mean grey is added
    struct ls_augment_box cut, mix;
    int32_t partner; // index of a sample in the same lane
    float factor;    // this sample's part of the loss; the rest is the partner's
    int32_t unused[3];
};
