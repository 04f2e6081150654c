#include "train/sampling.h"

#include "base/log.h"

#include <stdlib.h>

static float balanced_weight(const struct ls_class_index *index, int64_t samples, int64_t class) {
    const int64_t count = ls_class_count(index, class);
    return count ? (float)((double)samples / ((double)index->n_present * (double)count)) : 0;
}

static ls_status set_weights(const struct ls_recipe *recipe, const struct ls_class_index *index,
                             int64_t samples, struct ls_sampling *sampling) {
    const struct ls_weights *weights = &recipe->train.class_weights;
    if (weights->kind == LS_WEIGHTS_NONE) return LS_OK;
    sampling->class_weights = calloc((size_t)recipe->model.classes, sizeof(float));
    if (!sampling->class_weights) return LS_FAIL(LS_SYSTEM, "out of memory for weights of classes");
    for (int64_t c = 0; c < recipe->model.classes; c++)
        sampling->class_weights[c] = weights->kind == LS_WEIGHTS_BALANCED ? balanced_weight(index, samples, c)
                                                                          : (float)weights->given.items[c];
    return LS_OK;
}

static void tell(const struct ls_recipe *recipe, const struct ls_class_index *index) {
    int64_t least = INT64_MAX, most = 0;
    for (int64_t i = 0; i < index->n_present; i++) {
        const int64_t count = ls_class_count(index, index->present[i]);
        if (count < least) least = count;
        if (count > most) most = count;
    }
    ls_note("classes: %lld of %lld have samples, %lld to %lld each", (long long)index->n_present,
            (long long)recipe->model.classes, (long long)least, (long long)most);
}

ls_status ls_sampling_open(const struct ls_recipe *recipe, struct ls_dataset *train,
                           struct ls_sampling *sampling) {
    *sampling = (struct ls_sampling){0};
    const bool counted = recipe->data.balanced || recipe->train.class_weights.kind == LS_WEIGHTS_BALANCED;
    struct ls_class_index *index = NULL;
    if (counted) LS_TRY(ls_class_index_make(train, recipe->model.classes, &index));
    if (counted) tell(recipe, index);
    const ls_status status = set_weights(recipe, index, ls_dataset_info(train)->samples, sampling);
    if (status == LS_OK && recipe->data.balanced)
        sampling->balance = index;
    else
        ls_class_index_free(index);
    return status;
}

void ls_sampling_close(struct ls_sampling *sampling) {
    ls_class_index_free(sampling->balance);
    free(sampling->class_weights);
    *sampling = (struct ls_sampling){0};
}

void ls_sampling_apply(const struct ls_sampling *sampling, struct ls_reader_spec *spec) {
    spec->balance = sampling->balance;
    spec->class_weights = sampling->class_weights;
}
