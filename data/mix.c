// Which samples of a lane are mixed: mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019), each sample with
// a partner and a part of its own.
#include "data/augment.h"

#include "base/philox.h"
#include "data/elementary.h"

#include <math.h>

enum { BETA_TRIES = 64 };

// Uniform in (0, 1), exact.
static double inside(uint32_t word) {
    return (word + 0.5) * 0x1p-32;
}

// Of Beta(a, a), by rejection (Cheng 1978, algorithm BA, both parameters equal): W / (a + W) with W = a
// exp(V) is exp(V) / (1 + exp(V)), and ln(2 a / (a + W)) is ln 2 - ln(1 + exp(V)). At least a quarter is
// taken, so that one in 10^8 at most ends as 1/2 for want of tries.
static double beta(double a, uint64_t seed, uint64_t position) {
    const double spread = a <= 1 ? 1 / a : 1 / sqrt(a), gamma = a + 1 / spread;
    for (uint64_t i = 1; i <= BETA_TRIES; i++) {
        const struct ls_random4 random = ls_philox(seed, LS_RANDOM_MIX, position, i);
        const double u = inside(random.word[0]), other = inside(random.word[1]);
        const double v = spread * ls_log(u / (1 - u)), size = fabs(v);
        const double small = size < 700 ? ls_exp(-size) : 0; // exp(-|v|)
        const double log_sum = (v > 0 ? v : 0) + ls_log(1 + small);
        if (2 * a * (ls_log(2) - log_sum) + gamma * v - ls_log(4) < ls_log(u * u * other)) continue;
        return v > 0 ? 1 / (1 + small) : small / (1 + small);
    }
    return 0.5;
}

static int32_t held(int64_t place, int64_t most) {
    return (int32_t)(place < 0 ? 0 : place > most ? most : place);
}

// A rectangle of the picture's shape and a part 1 - `kept` of its area, its centre anywhere in it; what lies
// inside counts.
static void set_box(const struct ls_augment_spec *spec, const struct ls_random4 *random, double kept,
                    struct ls_augment *augment) {
    const int64_t height = spec->shown_height, width = spec->shown_width;
    const int64_t tall = (int64_t)((double)height * sqrt(1 - kept)),
                  wide = (int64_t)((double)width * sqrt(1 - kept));
    const int64_t top = (int64_t)ls_below(random->word[2], (uint32_t)height) - tall / 2;
    const int64_t left = (int64_t)ls_below(random->word[3], (uint32_t)width) - wide / 2;
    augment->mix.top = held(top, height);
    augment->mix.left = held(left, width);
    augment->mix.bottom = held(top + tall, height);
    augment->mix.right = held(left + wide, width);
    const double area =
        (double)(augment->mix.bottom - augment->mix.top) * (double)(augment->mix.right - augment->mix.left);
    augment->factor = (float)(1 - area / ((double)height * (double)width));
}

void ls_augment_mix(const struct ls_augment_spec *spec, uint64_t seed, uint64_t position,
                    struct ls_augment *augment) {
    const uint64_t lane = (uint64_t)spec->lane_samples;
    if (lane < 2 || (spec->mixup == 0 && spec->cutmix == 0)) return;
    // Words: partner, which of the two, row and column of the rectangle.
    const struct ls_random4 random = ls_philox(seed, LS_RANDOM_MIX, position, 0);
    const bool cut = spec->cutmix > 0 && (spec->mixup == 0 || random.word[1] >> 31);
    const double kept = beta(cut ? spec->cutmix : spec->mixup, seed, position);
    augment->partner = (int32_t)((position % lane + 1 + ls_below(random.word[0], (uint32_t)lane - 1)) % lane);
    augment->flags |= cut ? LS_AUGMENT_CUTMIX : LS_AUGMENT_MIXUP;
    augment->factor = (float)kept;
    if (cut) set_box(spec, &random, kept, augment);
}
