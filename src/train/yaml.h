// YAML into a small tree in which every value knows where it stands. What a recipe has no use for is refused
// in words: anchors, aliases and merge keys, tags, several documents, keys that are not words, keys given
// twice, nesting deeper than LS_YAML_DEPTH.
#pragma once

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>

enum { LS_YAML_DEPTH = 16 };

// Where a text comes from; outlives its tree.
struct ls_yaml_source {
    const char *name;   // "recipe.yaml", or "override train.batch=512"
    const char *folder; // absolute: what paths in it are relative to
    bool lines;         // messages name a line
};

enum ls_yaml_kind { LS_YAML_SCALAR, LS_YAML_LIST, LS_YAML_MAP };

struct ls_yaml {
    enum ls_yaml_kind kind;
    const struct ls_yaml_source *source;
    int line;
    const char *key; // inside a map, else NULL
    int key_line;
    const char *text; // of a scalar
    bool quoted;
    struct ls_yaml *first; // children of a list or map, in order
    struct ls_yaml *next;  // sibling
};

// One document; an empty text gives an LS_INPUT error, as does every syntax error, with its line.
ls_status ls_yaml_read(struct ls_arena *arena, const char *text, size_t bytes,
                       const struct ls_yaml_source *source, struct ls_yaml **root);
// An unquoted scalar that stands on no line of a text.
struct ls_yaml *ls_yaml_plain(struct ls_arena *arena, const char *text, const struct ls_yaml_source *source);
// Valid UTF-8 without characters that YAML could not write back: control characters, line breaks, U+FEFF.
bool ls_yaml_writable(const char *text);

struct ls_yaml *ls_yaml_child(const struct ls_yaml *map, const char *key); // or NULL
bool ls_yaml_is_null(const struct ls_yaml *node); // nothing stands there, or ~, or null
// "a list", "nothing", `abc`: what stands there, for messages.
const char *ls_yaml_found(struct ls_arena *arena, const struct ls_yaml *node);

// "FILE:LINE: key" or "override …", where `line` is one of the node's.
const char *ls_yaml_place(struct ls_arena *arena, const struct ls_yaml *node, int line, const char *key);
// LS_INPUT: "FILE:LINE: key: …" or "override …: …", where `line` is one of the node's; `key` may be NULL.
ls_status ls_yaml_fail(const struct ls_yaml *node, int line, const char *key, const char *format, ...)
    LS_PRINTF(4, 5);
