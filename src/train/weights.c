#include "base/hash.h"
#include "base/philox.h"
#include "train/model.h"

#include <string.h>

static void init_item(const struct ls_item *item, uint64_t seed, float *to) {
    if (item->init.kind == LS_INIT_CONSTANT) {
        for (size_t i = 0; i < item->count; i++) to[i] = item->init.value;
        return;
    }
    uint64_t name = ls_hash_of(item->name, strlen(item->name));
    for (size_t i = 0; i < item->count; i += 4) {
        struct ls_random4 random = ls_philox(seed, LS_RANDOM_WEIGHTS, i / 4, name);
        for (size_t k = 0; k < 4 && i + k < item->count; k++)
            to[i + k] = (2.0f * ls_uniform(random.word[k]) - 1.0f) * item->init.value;
    }
}

void ls_weights_init(const struct ls_layout *layout, uint64_t seed, float *params, float *states) {
    for (int i = 0; i < layout->n_params; i++)
        init_item(&layout->params[i], seed, params + layout->params[i].offset);
    for (int i = 0; i < layout->n_states; i++)
        init_item(&layout->states[i], seed, states + layout->states[i].offset);
}
