// model.freeze: what of a model is not trained.
#pragma once

#include "graph/graph.h"
#include "train/recipe.h"

// Every name of model.freeze stands for a parameter of the model's training graph, and some parameter is
// trained. LS_INPUT names the key's place and what there is instead.
ls_status ls_freeze_check(const struct ls_recipe *recipe, const struct ls_graph *graph);
