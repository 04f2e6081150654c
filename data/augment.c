#include "base/philox.h"
#include "data/reader.h"
#include "graph/plan.h"

static int32_t shift(uint32_t word, int pad) {
    return (int32_t)ls_below(word, 2 * (uint32_t)pad + 1) - pad;
}

struct ls_augment ls_augment_of(const struct ls_augment_spec *spec, uint64_t seed, uint64_t id,
                                uint64_t epoch) {
    // One word for each parameter, whether it is asked for or not: turning one off leaves the others as they
    // are.
    struct ls_random4 random = ls_philox(seed, LS_RANDOM_AUGMENT, id, epoch);
    return (struct ls_augment){
        .dy = shift(random.word[0], spec->crop_pad),
        .dx = shift(random.word[1], spec->crop_pad),
        .flip = spec->flip ? (int32_t)(random.word[2] >> 31) : 0,
    };
}
