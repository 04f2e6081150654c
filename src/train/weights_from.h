// model.from: the weights of another run's checkpoint as a start.
#pragma once

#include "graph/plan.h"
#include "train/recipe.h"

// Is there a checkpoint, and is it whole? LS_INPUT names the key's place.
ls_status ls_weights_from_check(const struct ls_recipe *recipe);
// Puts what matches by name and shape into `params` and `states`, which hold initial values, and says in the
// log what was taken over and what was not. LS_INPUT where no parameter fits.
ls_status ls_weights_from(const struct ls_recipe *recipe, const struct ls_layout *layout, float *params,
                          float *states);
