// What the files of the recipe share among themselves.
#pragma once

#include "train/schema.h"
#include "train/yaml.h"

// ---- recipe_tree.c: the shape of the tree, before any value is read
// Every key is known, sections are sections, a choice names one option, and no two rivals stand together.
ls_status ls_recipe_check_tree(struct ls_arena *arena, const struct ls_yaml *root);
// Puts "train.batch=512" into a tree that passed the check; later ones win. A section's override sets the
// keys that it names; a choice's replaces the choice.
ls_status ls_recipe_override(struct ls_arena *arena, struct ls_yaml *root, const char *override,
                             const char *current_folder);
// What stands at a key's path; NULL where nothing does, or a choice above it is a bare word.
const struct ls_yaml *ls_recipe_at(const struct ls_yaml *root, const char *path);
// The same, or else the section nearest above it, for messages about what is missing.
const struct ls_yaml *ls_recipe_near(const struct ls_yaml *root, const char *path);

// ---- recipe_value.c: one value
ls_status ls_recipe_read_value(const struct ls_key *key, const struct ls_yaml *node, struct ls_arena *scratch,
                               struct ls_recipe *recipe);
void ls_recipe_print_value(const struct ls_key *key, const struct ls_recipe *recipe, struct ls_text *out);
// The type and range in words: "an integer, 1 to 65536".
const char *ls_recipe_describe(struct ls_arena *arena, const struct ls_key *key);

// ---- recipe_groups.c: train.groups
ls_status ls_recipe_read_groups(const struct ls_yaml *list, struct ls_arena *scratch, struct ls_arena *memory,
                                struct ls_groups *groups);
void ls_recipe_print_groups(const struct ls_groups *groups, struct ls_text *out);

// ---- recipe_path.c
// `folder` joined with `path`, absolute; "." and, where no symbolic link is in the way, ".." are resolved.
// A pattern's own part stays a pattern; what the folder adds in front stands for itself.
const char *ls_recipe_join(struct ls_arena *arena, const char *folder, const char *path, bool pattern);
ls_status ls_recipe_current_folder(struct ls_arena *arena, const char **folder);

// ---- recipe_check.c: what no single value can tell
ls_status ls_recipe_check(const struct ls_recipe *recipe, const struct ls_yaml *root);
