#include "train/recipe_source.h"

#include "train/recipe.h"

ls_status ls_recipe_load(const struct ls_recipe_source *source, struct ls_recipe *recipe) {
    *recipe = (struct ls_recipe){.path = ""};
    if (!source->path == !source->text)
        return LS_FAIL(LS_INPUT, "a recipe comes from a path or is a text: expected one of them");
    if (source->path) return ls_recipe_read(source->path, source->overrides, source->n_overrides, recipe);
    return ls_recipe_parse(source->text, "recipe", ".", source->overrides, source->n_overrides, recipe);
}

ls_status ls_recipe_resolve(const struct ls_recipe_source *source, struct ls_text *out) {
    struct ls_recipe recipe;
    LS_TRY(ls_recipe_load(source, &recipe));
    ls_recipe_print(&recipe, out);
    ls_recipe_free(&recipe);
    return LS_OK;
}

double ls_recipe_timeout(const struct ls_recipe_source *source) {
    struct ls_recipe recipe;
    double timeout = 300;
    if (ls_recipe_load(source, &recipe) == LS_OK) {
        timeout = recipe.train.timeout;
        ls_recipe_free(&recipe);
    }
    ls_error_clear();
    return timeout;
}
