// Parameters with settings of their own (train.groups).
#pragma once

#include "graph/plan.h"
#include "train/recipe.h"

// What the update of a parameter is done with.
struct ls_group_setting {
    float weight_decay; // 0 for biases and normalization, unless their group says otherwise
    float lr_scale;
};
struct ls_group_setting ls_groups_setting(const struct ls_recipe *recipe, const struct ls_item *param);

// A group without a parameter that is trained is a mistake: LS_INPUT, with its line.
ls_status ls_groups_check(const struct ls_recipe *recipe, const struct ls_layout *layout);
// Says of a weight_decay that no parameter of its group that is trained heeds.
void ls_groups_warn(const struct ls_recipe *recipe, const struct ls_layout *layout);
