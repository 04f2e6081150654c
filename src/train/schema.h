// The one table of a recipe's keys. Reading, defaults, checks of type and range, overrides, the resolved
// recipe, --help-recipe and the comparison on resume all walk it; to add a key, add a row (and, for a value
// of a new kind, a line in recipe_value.c).
#pragma once

#include "train/recipe.h"

#include <stddef.h>

enum ls_key_kind {
    LS_KEY_SECTION,  // holds the keys whose paths go on behind its own
    LS_KEY_EXTRA,    // bool: a section that is there, `{…}`, or is not, `none`
    LS_KEY_CHOICE,   // an enumeration in the struct: one of the options below it, `sgd` or `sgd: {…}`
    LS_KEY_OPTION,   // one of a choice, worth `value`; holds keys as a section does
    LS_KEY_SEED,     // uint64_t
    LS_KEY_INTEGER,  // int64_t
    LS_KEY_NUMBER,   // double
    LS_KEY_SCALE,    // double, not 0; `auto` is NAN
    LS_KEY_NUMBERS,  // struct ls_numbers, at least one
    LS_KEY_WEIGHTS,  // struct ls_weights: `none`, `balanced`, or a list of numbers
    LS_KEY_GROUPS,   // struct ls_groups
    LS_KEY_FLAG,     // bool
    LS_KEY_TEXT,     // const char *, not empty
    LS_KEY_WORD,     // one of `words`: const char *, or what get and set make of its place in them
    LS_KEY_FILE,     // const char *, absolute; empty is NULL
    LS_KEY_PATTERNS, // struct ls_list, absolute
    LS_KEY_NAMES,    // struct ls_list
    LS_KEY_SIZE,     // int64_t, bytes
    LS_KEY_DURATION, // double, seconds
    LS_KEY_SPAN,     // struct ls_span
    LS_KEY_EPOCHS,   // struct ls_span counted in epochs; of two rivals the other stays unset
    LS_KEY_STEPS,    // struct ls_span counted in steps
    LS_KEY_KINDS,
};

struct ls_key {
    const char *path; // "train.optimizer.sgd.momentum"; a section stands before its keys
    enum ls_key_kind kind;
    bool result;         // changes the result: must be the same when a run is resumed
    size_t offset;       // in struct ls_recipe
    const char *preset;  // the default, as YAML; NULL: required, unless the key has a rival
    const char *example; // of a required key
    double least, most;  // of a number, duration or integer, and of the amount of a span
    bool above, below;   // `least` and `most` themselves are out
    int value;           // of an option
    const char *words;   // "auto cpu cuda"
    int (*get)(const struct ls_recipe *recipe);
    void (*set)(struct ls_recipe *recipe, int word);
    const char *rival; // the key that this one replaces: one of both is required, an override drops the other
    const char *help;
};

extern const struct ls_key ls_schema[];
extern const int ls_schema_keys;

const struct ls_key *ls_schema_find(const char *path); // or NULL
// The part behind the last dot.
const char *ls_schema_name(const struct ls_key *key);
int ls_schema_depth(const struct ls_key *key); // 0 at the top
// Whether `key` lies directly below `path` ("" is the top).
bool ls_schema_is_child(const struct ls_key *key, const char *path);
// Whether it lies anywhere below it.
bool ls_schema_is_below(const struct ls_key *key, const char *path);
// Whether the key lies in an option that the recipe has not chosen, or in an extra section that is not there.
// What stands above it must have been read.
bool ls_schema_is_idle(const struct ls_key *key, const struct ls_recipe *recipe);
// The default as YAML, or NULL. The rate's depends on the optimizer, that of dropout on the model; both must
// have been read.
const char *ls_schema_preset(const struct ls_key *key, const struct ls_recipe *recipe);

// The key that may have been meant by `name`, found directly below `path` or, spelled so, anywhere; or NULL.
const struct ls_key *ls_schema_nearest(const char *path, const char *name);
// The keys or options directly below `path`: "a, b, c".
const char *ls_schema_children(struct ls_arena *arena, const char *path);
