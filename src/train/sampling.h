// What the classes of the training samples decide: whose turn it is (data.sampler: balanced), and what a
// sample counts in the loss (train.class_weights). Both are functions of the recipe and all targets, the same
// on every rank.
#pragma once

#include "data/class_index.h"
#include "data/reader.h"
#include "train/recipe.h"

#include "base/begin.h"

struct ls_sampling {
    struct ls_class_index *balance; // NULL: plain order
    float *class_weights;           // [classes]; NULL: all count 1
};

// Reads all targets where the recipe asks for it. Weights that are `balanced` are N / (K * n_c), with n_c of
// the N samples in class c and K classes that have samples: their mean over the set is 1 (a class without
// any: 0).
ls_status ls_sampling_open(const struct ls_recipe *recipe, struct ls_dataset *train,
                           struct ls_sampling *sampling);
void ls_sampling_close(struct ls_sampling *sampling);
// Has the reader of training samples go by it.
void ls_sampling_apply(const struct ls_sampling *sampling, struct ls_reader_spec *spec);

#include "base/end.h"
