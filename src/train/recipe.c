#include "train/recipe.h"

#include "base/file.h"
#include "train/recipe_parts.h"

#include <stdlib.h>
#include <string.h>

enum { RECIPE_BYTES = 1024 * 1024 };

static const struct ls_yaml_source preset_source = {.name = "default", .folder = "/"};

// The value of `key` out of the tree, or its default.
static ls_status read_key(const struct ls_key *key, const struct ls_yaml *root, struct ls_arena *scratch,
                          struct ls_recipe *recipe) {
    const struct ls_yaml *node = ls_recipe_at(root, key->path);
    if (node) {
        recipe->places[key - ls_schema] = ls_yaml_place(&recipe->memory_arena, node, node->line, key->path);
        return ls_recipe_read_value(key, node, scratch, recipe);
    }
    const char *preset = ls_schema_preset(key, recipe);
    if (preset) {
        struct ls_yaml *value;
        LS_TRY(ls_yaml_read(scratch, preset, strlen(preset), &preset_source, &value));
        return ls_recipe_read_value(key, value, scratch, recipe);
    }
    bool required = key->kind != LS_KEY_SECTION && key->kind != LS_KEY_OPTION && !key->rival;
    if (!required) return LS_OK;
    const struct ls_yaml *near = ls_recipe_near(root, key->path);
    return ls_yaml_fail(near, near->key ? near->key_line : near->line, key->path, "missing; expected %s",
                        ls_recipe_describe(scratch, key));
}

static ls_status read_tree(struct ls_yaml *root, const char *const *overrides, int n_overrides,
                           struct ls_arena *scratch, struct ls_recipe *recipe) {
    const char *current;
    LS_TRY(ls_recipe_current_folder(scratch, &current));
    LS_TRY(ls_recipe_check_tree(scratch, root));
    for (int i = 0; i < n_overrides; i++) LS_TRY(ls_recipe_override(scratch, root, overrides[i], current));
    recipe->places = LS_ARENA_NEW(&recipe->memory_arena, const char *, ls_schema_keys);
    for (const struct ls_key *key = ls_schema; key < ls_schema + ls_schema_keys; key++)
        if (!ls_schema_is_idle(key, recipe)) LS_TRY(read_key(key, root, scratch, recipe));
    return ls_recipe_check(recipe, root);
}

static ls_status parse(const char *text, const char *name, const char *folder, const char *const *overrides,
                       int n_overrides, struct ls_arena *scratch, struct ls_recipe *recipe) {
    const char *current;
    LS_TRY(ls_recipe_current_folder(scratch, &current));
    struct ls_yaml_source source = {.name = name, .lines = true};
    source.folder = ls_recipe_join(scratch, current, folder, false);
    struct ls_yaml *root;
    LS_TRY(ls_yaml_read(scratch, text, strlen(text), &source, &root));
    recipe->path = ls_arena_copy(&recipe->memory_arena, name);
    return read_tree(root, overrides, n_overrides, scratch, recipe);
}

ls_status ls_recipe_parse(const char *text, const char *name, const char *folder,
                          const char *const *overrides, int n_overrides, struct ls_recipe *recipe) {
    struct ls_arena scratch = {0};
    *recipe = (struct ls_recipe){.path = ""};
    ls_status status = parse(text, name, folder, overrides, n_overrides, &scratch, recipe);
    ls_arena_free(&scratch);
    if (status != LS_OK) ls_recipe_free(recipe);
    return status;
}

ls_status ls_recipe_read(const char *path, const char *const *overrides, int n_overrides,
                         struct ls_recipe *recipe) {
    *recipe = (struct ls_recipe){.path = ""};
    char *text;
    size_t bytes;
    LS_TRY(ls_file_read(path, RECIPE_BYTES, &text, &bytes));
    ls_status status = LS_OK;
    struct ls_arena scratch = {0};
    const char *slash = strrchr(path, '/');
    const char *folder =
        !slash ? "." : ls_arena_format(&scratch, "%.*s", (int)(slash - path) + (slash == path), path);
    if (strlen(text) != bytes) {
        status = LS_FAIL(LS_INPUT, "%s: not a recipe: it has zero bytes", path);
    } else {
        status = ls_recipe_parse(text, path, folder, overrides, n_overrides, recipe);
    }
    ls_arena_free(&scratch);
    free(text);
    return status;
}

void ls_recipe_free(struct ls_recipe *recipe) {
    ls_arena_free(&recipe->memory_arena);
    *recipe = (struct ls_recipe){.path = ""};
}
