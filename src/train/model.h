// From a recipe and a data set to plans that a device can run.
#pragma once

#include "data/dataset.h"
#include "device/device.h"
#include "graph/plan.h"
#include "train/figures.h"
#include "train/recipe.h"
#include "zoo/zoo.h"

#include "base/begin.h"

// The shape of the samples and targets that a model is built for.
struct ls_sample_shape {
    int64_t height, width, channels;
    bool channels_first;
    ls_dtype type; // u8 or f32; i32: tokens
    bool target_is_class;
    int64_t target_values; // as in struct ls_dataset_info
};
struct ls_sample_shape ls_sample_shape_of(const struct ls_dataset_info *info);

// What the loss of the recipe wants targets to be read as.
enum ls_targets ls_targets_of(const struct ls_recipe *recipe);

// What its outputs are.
enum ls_outputs ls_outputs_of(const struct ls_recipe *recipe);

// What the zoo is asked for. LS_INPUT where model, loss and data do not go together.
ls_status ls_model_spec_of(const struct ls_recipe *recipe, const struct ls_sample_shape *sample,
                           struct ls_model_spec *spec);

struct ls_model {
    struct ls_plan *train, *eval; // eval uses the layout of train
    struct ls_text description;   // the training graph before its passes, as text
};

// Both plans on `device`. The model is freed with ls_model_free.
ls_status ls_model_make(const struct ls_recipe *recipe, const struct ls_sample_shape *sample,
                        const struct ls_device *device, struct ls_model *model);
void ls_model_free(struct ls_model *model);

// Initial parameters and running statistics of the layout: Philox(seed, LS_RANDOM_WEIGHTS, element / 4, XXH64
// of the name).
void ls_weights_init(const struct ls_layout *layout, uint64_t seed, float *params, float *states);

#include "base/end.h"
