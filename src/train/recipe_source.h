// Where a recipe comes from. What it may say, ls_recipe_help tells.
#pragma once

#include "base/status.h"
#include "base/text.h"

#include "base/begin.h"

struct ls_recipe_source {
    const char *path;             // of a YAML file, whose paths are relative to it; or else
    const char *text;             // the YAML itself, whose paths are relative to the current folder
    const char *const *overrides; // "train.batch=512": read after it, paths relative to the current folder
    int n_overrides;
};

// The recipe as it is understood: YAML, every key with its value, paths absolute. LS_INPUT: "FILE:LINE: key:
// …".
ls_status ls_recipe_resolve(const struct ls_recipe_source *source, struct ls_text *out);
// Every key, its type, default and meaning, as a commented recipe.
void ls_recipe_help(struct ls_text *out);
// Its train.timeout in seconds, for ls_comm_open_within: the ranks open before the recipe is read. The
// default where the recipe is wrong, which whoever uses it says.
double ls_recipe_timeout(const struct ls_recipe_source *source);

#include "base/end.h"
