#include "train/recipe_parts.h"

#include <string.h>

static const char *join(struct ls_arena *arena, const char *path, const char *name) {
    return ls_arena_format(arena, "%s%s%s", path, *path ? "." : "", name);
}

// ---- checking

// What to say of a name that the schema does not have below `path`.
static const char *unknown(struct ls_arena *arena, const char *path, const char *name, const char *what) {
    const struct ls_key *nearest = ls_schema_nearest(path, name);
    if (nearest) return ls_arena_format(arena, "unknown %s; did you mean %s?", what, nearest->path);
    return ls_arena_format(arena, "unknown %s; known here: %s", what, ls_schema_children(arena, path));
}

static ls_status check_node(struct ls_arena *arena, const struct ls_yaml *node, const struct ls_key *key);

// The keys of a section or option, or of the whole recipe.
static ls_status check_keys(struct ls_arena *arena, const struct ls_yaml *map, const char *path) {
    for (const struct ls_yaml *node = map->first; node; node = node->next) {
        const char *child = join(arena, path, node->key);
        const struct ls_key *key = strchr(node->key, '.') ? NULL : ls_schema_find(child);
        if (!key) {
            const char *text = unknown(arena, path, node->key, "key");
            return ls_yaml_fail(node, node->key_line, child, "%s", text);
        }
        if (key->rival && ls_yaml_child(map, strrchr(key->rival, '.') + 1))
            return ls_yaml_fail(node, node->key_line, child, "either this or %s, not both", key->rival);
        LS_TRY(check_node(arena, node, key));
    }
    return LS_OK;
}

static ls_status check_choice(struct ls_arena *arena, const struct ls_yaml *node, const struct ls_key *key) {
    const char *options = ls_schema_children(arena, key->path);
    const struct ls_yaml *option = node->first;
    bool bare = node->kind == LS_YAML_SCALAR && !ls_yaml_is_null(node);
    if (!bare && (node->kind != LS_YAML_MAP || !option))
        return ls_yaml_fail(node, node->line, key->path, "expected one of %s, found %s", options,
                            ls_yaml_found(arena, node));
    if (!bare && option->next)
        return ls_yaml_fail(option->next, option->next->key_line, key->path,
                            "expected one of %s, found both %s and %s", options, option->key,
                            option->next->key);
    const char *name = bare ? node->text : option->key;
    int line = bare ? node->line : option->key_line;
    const struct ls_key *known = strchr(name, '.') ? NULL : ls_schema_find(join(arena, key->path, name));
    if (known) return bare ? LS_OK : check_node(arena, option, known);
    const struct ls_key *nearest = ls_schema_nearest(key->path, name);
    if (nearest && ls_schema_is_child(nearest, key->path))
        return ls_yaml_fail(node, line, key->path, "expected one of %s, found %s; did you mean %s?", options,
                            name, ls_schema_name(nearest));
    return ls_yaml_fail(node, line, key->path, "expected one of %s, found %s", options, name);
}

static ls_status check_extra(struct ls_arena *arena, const struct ls_yaml *node, const struct ls_key *key) {
    if (node->kind == LS_YAML_MAP) return check_keys(arena, node, key->path);
    if (node->kind == LS_YAML_SCALAR && node->text && !strcmp(node->text, "none")) return LS_OK;
    return ls_yaml_fail(node, node->line, key->path, "expected %s, found %s", ls_recipe_describe(arena, key),
                        ls_yaml_found(arena, node));
}

static ls_status check_node(struct ls_arena *arena, const struct ls_yaml *node, const struct ls_key *key) {
    if (key->kind == LS_KEY_EXTRA) return check_extra(arena, node, key);
    if (key->kind == LS_KEY_CHOICE) return check_choice(arena, node, key);
    if (key->kind != LS_KEY_SECTION && key->kind != LS_KEY_OPTION) return LS_OK;
    if (node->kind == LS_YAML_MAP) return check_keys(arena, node, key->path);
    if (ls_yaml_is_null(node)) return LS_OK;
    return ls_yaml_fail(node, node->line, key->path, "expected a section of keys, found %s",
                        ls_yaml_found(arena, node));
}

ls_status ls_recipe_check_tree(struct ls_arena *arena, const struct ls_yaml *root) {
    if (root->kind != LS_YAML_MAP)
        return ls_yaml_fail(root, root->line, NULL, "expected a recipe, which is a section of keys, found %s",
                            ls_yaml_found(arena, root));
    return check_keys(arena, root, "");
}

// ---- overrides

static struct ls_yaml **link_to(struct ls_yaml *map, const char *key) {
    struct ls_yaml **link = &map->first;
    while (*link && strcmp((*link)->key, key) != 0) link = &(*link)->next;
    return link;
}

static void drop(struct ls_yaml *map, const char *key) {
    struct ls_yaml **link = link_to(map, key);
    if (*link) *link = (*link)->next;
}

// Puts a copy of `value` under `key`, in the place of what stood there.
static struct ls_yaml *put(struct ls_arena *arena, struct ls_yaml *map, const char *key,
                           const struct ls_yaml *value) {
    struct ls_yaml **link = link_to(map, key), *after = *link ? (*link)->next : NULL;
    struct ls_yaml *copy = LS_ARENA_NEW(arena, struct ls_yaml, 1);
    *copy = *value;
    copy->key = key;
    copy->key_line = value->line;
    copy->next = after;
    return *link = copy;
}

static void make_empty_map(struct ls_yaml *node) {
    node->kind = LS_YAML_MAP;
    node->first = NULL;
}

// The map of the section, choice or option of `key`, made where it is not there yet. Below a choice only one
// option stays: the one on the way.
static struct ls_yaml *map_of(struct ls_arena *arena, struct ls_yaml *root, const struct ls_key *key,
                              const struct ls_yaml *value) {
    struct ls_yaml *map = root;
    for (const struct ls_key *above = ls_schema; above <= key; above++) {
        if (above != key && !ls_schema_is_below(key, above->path)) continue;
        const char *name = ls_schema_name(above);
        struct ls_yaml *next = ls_yaml_child(map, name);
        if (above->kind == LS_KEY_OPTION && !next) map->first = NULL;
        if (!next) {
            struct ls_yaml empty = {.kind = LS_YAML_MAP, .source = value->source, .line = value->line};
            next = put(arena, map, name, &empty);
        }
        if (next->kind == LS_YAML_SCALAR && above->kind == LS_KEY_CHOICE && !ls_yaml_is_null(next)) {
            struct ls_yaml chosen = {.kind = LS_YAML_MAP, .source = next->source, .line = next->line};
            const char *word = next->text;
            make_empty_map(next);
            put(arena, next, word, &chosen);
        } else if (next->kind != LS_YAML_MAP) {
            make_empty_map(next);
        }
        map = next;
    }
    return map;
}

// The section, choice or option that holds `key`; NULL at the top.
static const struct ls_key *parent_of(const struct ls_key *key) {
    for (const struct ls_key *above = key - 1; above >= ls_schema; above--)
        if (ls_schema_is_child(key, above->path)) return above;
    return NULL;
}

static ls_status set(struct ls_arena *arena, struct ls_yaml *root, const struct ls_key *key,
                     const struct ls_yaml *value) {
    if (key->kind != LS_KEY_SECTION && key->kind != LS_KEY_OPTION) {
        const struct ls_key *parent = parent_of(key);
        struct ls_yaml *map = parent ? map_of(arena, root, parent, value) : root;
        if (key->rival) drop(map, strrchr(key->rival, '.') + 1);
        put(arena, map, ls_schema_name(key), value);
        return LS_OK;
    }
    map_of(arena, root, key, value);
    for (const struct ls_yaml *child = value->first; child; child = child->next)
        LS_TRY(set(arena, root, ls_schema_find(join(arena, key->path, child->key)), child));
    return LS_OK;
}

// An unquoted value is taken as it stands, so that globs, colons and # need no quotes; YAML starts with one
// of [ { " '.
static ls_status read_override_value(struct ls_arena *arena, const char *text,
                                     const struct ls_yaml_source *source, struct ls_yaml **value) {
    text += strspn(text, " \t");
    if (*text && strchr("[{\"'", *text)) return ls_yaml_read(arena, text, strlen(text), source, value);
    *value = ls_yaml_plain(arena, text, source);
    return LS_OK;
}

ls_status ls_recipe_override(struct ls_arena *arena, struct ls_yaml *root, const char *override,
                             const char *current_folder) {
    enum { MOST_SHOWN = 200 };
    const char *equals = strchr(override, '=');
    if (!equals || equals == override)
        return LS_FAIL(LS_INPUT, "override %.*s: expected key=value, as in train.batch=512", MOST_SHOWN,
                       override);
    struct ls_yaml_source *source = LS_ARENA_NEW(arena, struct ls_yaml_source, 1);
    source->name = ls_arena_format(arena, "override %.*s", MOST_SHOWN, override);
    source->folder = current_folder;
    const char *path = ls_arena_format(arena, "%.*s", (int)(equals - override), override);
    const struct ls_key *key = ls_schema_find(path);
    if (!key) {
        const char *dot = strrchr(path, '.');
        const char *above = dot ? ls_arena_format(arena, "%.*s", (int)(dot - path), path) : "";
        return LS_FAIL(LS_INPUT, "%s: %s", source->name, unknown(arena, above, dot ? dot + 1 : path, "key"));
    }
    struct ls_yaml *value;
    LS_TRY(read_override_value(arena, equals + 1, source, &value));
    LS_TRY(check_node(arena, value, key));
    return set(arena, root, key, value);
}

// Goes down the tree as far as there is something; *path is left at what there is not.
static const struct ls_yaml *descend(const struct ls_yaml *node, const char **path) {
    char name[64];
    while (**path) {
        size_t n = strcspn(*path, ".");
        memcpy(name, *path, n);
        name[n] = 0;
        const struct ls_yaml *child = ls_yaml_child(node, name);
        if (!child) break;
        node = child;
        *path += n + ((*path)[n] == '.');
    }
    return node;
}

const struct ls_yaml *ls_recipe_near(const struct ls_yaml *root, const char *path) {
    return descend(root, &path);
}

const struct ls_yaml *ls_recipe_at(const struct ls_yaml *root, const char *path) {
    const struct ls_yaml *node = descend(root, &path);
    return *path ? NULL : node;
}
