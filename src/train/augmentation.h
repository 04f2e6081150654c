// From a recipe's data.augment to what the reader draws.
#pragma once

#include "data/augment.h"
#include "train/model.h"

// Of one that is read and checked; it points to nothing of the recipe's.
struct ls_augment_spec ls_augmentation_of(const struct ls_recipe *recipe);
// Is anything done to training samples?
bool ls_augmentation_wanted(const struct ls_recipe *recipe);
// Are samples mixed, and so their classes in the loss?
bool ls_augmentation_mixes(const struct ls_recipe *recipe);
// LS_INPUT where it cannot be done to samples of this shape.
ls_status ls_augmentation_check(const struct ls_recipe *recipe, const struct ls_sample_shape *sample);
