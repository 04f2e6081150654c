// What happens to a training sample: parameters for the input op (graph/augment.h), drawn from the seed, the
// epoch and the sample's id alone, and where samples are mixed from its position in the stream. Done in this
// order: crop (padded or resized), rotation, flips, colours, normalization, cutout, mixing.
#pragma once

#include "graph/augment.h"

#include <stdbool.h>

#include "base/begin.h"

struct ls_augment_range {
    double least, most;
};

struct ls_augment_spec {
    int height, width, channels;   // of a sample
    int shown_height, shown_width; // of what the model sees; 0: all of it
    int crop_pad;                  // a crop of the shown size, shifted by at most so many pixels
    bool resized_crop;             // instead: a rectangle of the sample, scaled to the shown size,
    struct ls_augment_range area,  // of so much of the sample's area
        ratio;                     // and of this width to height
    double rotate;                 // about the centre, by at most so many degrees either way
    bool flip, flip_vertical;      // with probability 1/2
    // Factors are uniform in 1 ± this, but not below 0. Hue: a turn of the colours about the grey axis, by at
    // most so many whole turns either way. Saturation and hue of three channels alone.
    double brightness, contrast, saturation, hue;
    int cutout; // side of a square whose centre lies anywhere in what is shown
    // Samples are mixed with others of their lane, in parts drawn from Beta(alpha, alpha); 0: they are not.
    // Where both are above 0, each is done to half of the samples.
    double mixup, cutmix;
    int64_t lane_samples;
};

// What the sample `id` gets in `epoch`. Philox(seed, LS_RANDOM_AUGMENT, id, epoch + (draw << 48)).
struct ls_augment ls_augment_of(const struct ls_augment_spec *spec, uint64_t seed, uint64_t id,
                                uint64_t epoch);
// With whom the sample at `position` of the stream is mixed; lanes lie one behind the other in it. Nothing in
// lanes of one sample. Philox(seed, LS_RANDOM_MIX, position, draw).
void ls_augment_mix(const struct ls_augment_spec *spec, uint64_t seed, uint64_t position,
                    struct ls_augment *augment);

#include "base/end.h"
