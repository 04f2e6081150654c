#include "train/recipe_parts.h"

#include <string.h>

// Whether the key has a value in this recipe: its option is chosen, and so is it among rivals.
static bool is_set(const struct ls_key *key, const struct ls_recipe *recipe) {
    if (ls_schema_is_idle(key, recipe)) return false;
    if (key->kind == LS_KEY_EPOCHS) return recipe->train.length.unit == LS_SPAN_EPOCHS;
    if (key->kind == LS_KEY_STEPS) return recipe->train.length.unit == LS_SPAN_STEPS;
    return true;
}

static bool has_keys(const struct ls_key *section) {
    const struct ls_key *next = section + 1;
    return next < ls_schema + ls_schema_keys && ls_schema_is_below(next, section->path);
}

static bool is_there(const struct ls_key *key, const struct ls_recipe *recipe) {
    return key->kind == LS_KEY_EXTRA && *((const char *)recipe + key->offset);
}

void ls_recipe_print(const struct ls_recipe *recipe, struct ls_text *out) {
    for (const struct ls_key *key = ls_schema; key < ls_schema + ls_schema_keys; key++) {
        if (!is_set(key, recipe)) continue;
        ls_text_add(out, "%*s%s:", 2 * ls_schema_depth(key), "", ls_schema_name(key));
        bool holds_keys = key->kind == LS_KEY_SECTION || key->kind == LS_KEY_OPTION || is_there(key, recipe);
        if (holds_keys && !has_keys(key)) {
            ls_text_add(out, " {}");
        } else if (!holds_keys && key->kind != LS_KEY_CHOICE) {
            ls_text_add(out, " ");
            ls_recipe_print_value(key, recipe, out);
        }
        ls_text_add(out, "\n");
    }
}

// ---- help

static const char help_head[] =
    "# Every key of a recipe, with its default. What stands behind a # is not chosen, or says what a key "
    "means.\n"
    "#\n"
    "#   lockstep train recipe.yaml train.batch=512 train.optimizer=adamw 'data.train=[a/*.h5, b/*.h5]'\n"
    "#\n"
    "# sets keys from outside; the last word wins, and train.steps=20 replaces train.epochs. An optimizer "
    "(loss,\n"
    "# schedule) that another one replaces takes its settings with it.\n"
    "# Sizes: 512MiB, 20GiB, 8GB. Durations: 500ms, 90s, 5min, 2h, 1d. Spans: 500 steps, 1 epoch, 0.5 "
    "epochs.\n"
    "# Paths are relative to the recipe's folder; in key=value, to the current folder.\n";

enum { HELP_COLUMNS = 110 };

static const char *explain(struct ls_arena *arena, const struct ls_key *key) {
    const char *name = ls_schema_name(key);
    if (key->kind == LS_KEY_SECTION || key->kind == LS_KEY_OPTION)
        return ls_arena_format(arena, "%s: %s.", name, key->help);
    const char *text =
        ls_arena_format(arena, "%s: %s. Expects %s. ", name, key->help, ls_recipe_describe(arena, key));
    if (key->rival) return ls_arena_format(arena, "%sEither this or %s is required.", text, key->rival);
    if (key->preset) return ls_arena_format(arena, "%sDefault: %s.", text, key->preset);
    return ls_arena_format(arena, "%sRequired.", text);
}

// Whether the key is shown as a comment: in an option that is not the default, in an extra section, or the
// second of two rivals.
static bool is_aside(const struct ls_key *key) {
    if (key->kind == LS_KEY_STEPS) return true;
    const struct ls_key *choice = NULL;
    for (const struct ls_key *above = ls_schema; above < key; above++)
        if (above->kind == LS_KEY_EXTRA && ls_schema_is_below(key, above->path)) return true;
    for (const struct ls_key *above = ls_schema; above <= key; above++) {
        if (above->kind == LS_KEY_CHOICE) choice = above;
        if (choice && above->kind == LS_KEY_OPTION && (above == key || ls_schema_is_below(key, above->path)))
            return strcmp(ls_schema_name(above), choice->preset) != 0;
    }
    return false;
}

void ls_recipe_help(struct ls_text *out) {
    struct ls_arena arena = {0};
    ls_text_add(out, "%s", help_head);
    for (const struct ls_key *key = ls_schema; key < ls_schema + ls_schema_keys; key++) {
        int depth = ls_schema_depth(key);
        const char *indent = ls_arena_format(&arena, "%*s%s", 2 * depth, "", is_aside(key) ? "# " : "");
        const char *value = key->preset ? key->preset : key->example ? key->example : "";
        bool holds_keys =
            key->kind == LS_KEY_SECTION || key->kind == LS_KEY_OPTION || key->kind == LS_KEY_CHOICE;
        if (holds_keys) value = has_keys(key) ? "" : "{}";
        if (depth == 0) ls_text_add(out, "\n");
        ls_text_add_wrapped(out, ls_arena_format(&arena, "%s# ", indent), explain(&arena, key), HELP_COLUMNS);
        ls_text_add(out, "%s%s:%s%s\n", indent, ls_schema_name(key), *value ? " " : "", value);
    }
    ls_arena_free(&arena);
}

// ---- comparing

static bool rate_depends_on_length(const struct ls_recipe *recipe) {
    return recipe->train.schedule != LS_RECIPE_CONSTANT && recipe->train.schedule != LS_RECIPE_STEP;
}

// How long a run is changes its steps only where the rate depends on it.
static bool matters(const struct ls_key *key, const struct ls_recipe *saved, const struct ls_recipe *now) {
    if (!key->result || (!is_set(key, saved) && !is_set(key, now))) return false;
    bool length = key->kind == LS_KEY_EPOCHS || key->kind == LS_KEY_STEPS;
    return !length || rate_depends_on_length(saved) || rate_depends_on_length(now);
}

static const char *last_part(const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "";
}

// Data may have moved: files go by their names, without the folder. (Whether they still hold the same samples
// the checkpoint's data identity tells.)
static bool same_names(const struct ls_list *a, const struct ls_list *b) {
    bool same = a->n == b->n;
    for (int i = 0; i < a->n && same; i++) same = !strcmp(last_part(a->items[i]), last_part(b->items[i]));
    return same;
}

static bool has(const struct ls_list *list, const char *name) {
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->items[i], name) == 0) return true;
    return false;
}

// Names are a set: neither their order nor one that is there twice says anything.
static bool same_set(const struct ls_list *a, const struct ls_list *b) {
    bool same = true;
    for (int i = 0; i < a->n && same; i++) same = has(b, a->items[i]);
    for (int i = 0; i < b->n && same; i++) same = has(a, b->items[i]);
    return same;
}

// Do the lists say the same, though not in the same words?
static bool same_list(const struct ls_key *key, const struct ls_recipe *saved, const struct ls_recipe *now) {
    const struct ls_list *a = (const void *)((const char *)saved + key->offset),
                         *b = (const void *)((const char *)now + key->offset);
    if (key->kind == LS_KEY_PATTERNS) return same_names(a, b);
    return key->kind == LS_KEY_NAMES && same_set(a, b);
}

static void compare(const struct ls_key *key, const struct ls_recipe *saved, const struct ls_recipe *now,
                    struct ls_text *differences) {
    struct ls_text before = {0}, after = {0};
    if (is_set(key, saved)) ls_recipe_print_value(key, saved, &before);
    if (is_set(key, now)) ls_recipe_print_value(key, now, &after);
    const char *was = before.data ? before.data : "not set", *is = after.data ? after.data : "not set";
    if (strcmp(was, is) != 0 && !same_list(key, saved, now))
        ls_text_add(differences, "%s%s was %s, now is %s", differences->length ? "; " : "", key->path, was,
                    is);
    ls_text_free(&before);
    ls_text_free(&after);
}

ls_status ls_recipe_same_result(const struct ls_recipe *saved, const struct ls_recipe *now) {
    struct ls_text differences = {0};
    for (const struct ls_key *key = ls_schema; key < ls_schema + ls_schema_keys; key++)
        if (matters(key, saved, now)) compare(key, saved, now, &differences);
    ls_status status = LS_OK;
    if (differences.length)
        status = LS_FAIL(LS_INPUT, "this would change the result of the run that is resumed: %s",
                         differences.data);
    ls_text_free(&differences);
    return status;
}

const char *ls_recipe_place(const struct ls_recipe *recipe, const char *key) {
    const struct ls_key *known = ls_schema_find(key);
    const char *place = known && recipe->places ? recipe->places[known - ls_schema] : NULL;
    return place ? place : key;
}
