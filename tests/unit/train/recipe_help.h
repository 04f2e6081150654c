// What the tests of recipes share.
#pragma once

#include "train/recipe.h"
#include "unit/check.h"

#include <string.h>

// Enough for a recipe: everything else has a default.
#define LEAST "model: {zoo: lenet, classes: 10}\ndata: {train: a.h5}\ntrain: {epochs: 5}\n"

static inline ls_status parse_with(const char *text, struct ls_recipe *recipe, const char *override) {
    return ls_recipe_parse(text, "r.yaml", "/data/run", &override, override != NULL, recipe);
}

static inline struct ls_recipe must_parse(const char *text, const char *override) {
    struct ls_recipe recipe;
    ls_error_clear();
    if (parse_with(text, &recipe, override) != LS_OK) fail_msg("%s\n%s", ls_error_last()->text, text);
    return recipe;
}

// The recipe is refused as bad input, in words that hold `words`.
static inline void must_refuse(const char *text, const char *override, const char *words) {
    struct ls_recipe recipe;
    ls_error_clear();
    ls_status status = parse_with(text, &recipe, override);
    if (status == LS_OK) {
        ls_recipe_free(&recipe);
        fail_msg("taken: %s\n%s", override ? override : "", text);
    }
    if (!strstr(ls_error_last()->text, words))
        fail_msg("\nexpected: %s\n   found: %s", words, ls_error_last()->text);
    assert_int_equal(status, LS_INPUT);
    assert_int_equal(ls_error_last()->status, LS_INPUT);
    assert_null(recipe.memory_arena.newest);
}

// Overrides on LEAST.
static inline void must_refuse_override(const char *override, const char *words) {
    must_refuse(LEAST, override, words);
}

static inline void assert_same_recipe(const struct ls_recipe *recipe, const char *expected) {
    struct ls_text text = {0};
    ls_recipe_print(recipe, &text);
    assert_string_equal(text.data, expected);
    ls_text_free(&text);
}
