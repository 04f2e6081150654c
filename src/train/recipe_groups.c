// train.groups as the recipe has it: [{match: layer1., weight_decay: 0, lr_scale: 0.1}, …]
#include "train/recipe_parts.h"
#include "train/units.h"

#include <math.h>
#include <string.h>

static ls_status wrong(const struct ls_yaml *node, struct ls_arena *scratch, const char *expected) {
    return ls_yaml_fail(node, node->line, ls_arena_format(scratch, "train.groups.%s", node->key),
                        "expected %s, found %s", expected, ls_yaml_found(scratch, node));
}

static ls_status read_amount(const struct ls_yaml *node, struct ls_arena *scratch, double *amount) {
    const bool plain = node->kind == LS_YAML_SCALAR && !node->quoted && !ls_yaml_is_null(node);
    if (plain && !ls_parse_number(node->text, amount) && *amount >= 0 && *amount <= 1e6) return LS_OK;
    return wrong(node, scratch, "a number from 0 to 1000000");
}

static ls_status read_flag(const struct ls_yaml *node, struct ls_arena *scratch, bool *flag) {
    const bool plain = node->kind == LS_YAML_SCALAR && !node->quoted && !ls_yaml_is_null(node);
    *flag = plain && strcmp(node->text, "true") == 0;
    if (*flag || (plain && strcmp(node->text, "false") == 0)) return LS_OK;
    return wrong(node, scratch, "true or false");
}

// An empty text is the beginning of every name.
static ls_status read_match(const struct ls_yaml *node, struct ls_arena *scratch, struct ls_arena *memory,
                            const char **match) {
    const bool text = node->kind == LS_YAML_SCALAR && !ls_yaml_is_null(node) && ls_yaml_writable(node->text);
    if (!text) return wrong(node, scratch, "the beginning of parameters' names");
    *match = ls_arena_copy(memory, node->text);
    return LS_OK;
}

static ls_status read_group(const struct ls_yaml *map, struct ls_arena *scratch, struct ls_arena *memory,
                            struct ls_group *group) {
    *group = (struct ls_group){.weight_decay = NAN, .lr_scale = 1};
    if (map->kind != LS_YAML_MAP)
        return ls_yaml_fail(map, map->line, "train.groups",
                            "expected a group, as {match: fc., lr_scale: 10}, found %s",
                            ls_yaml_found(scratch, map));
    for (const struct ls_yaml *node = map->first; node; node = node->next) {
        if (strcmp(node->key, "match") == 0)
            LS_TRY(read_match(node, scratch, memory, &group->match));
        else if (strcmp(node->key, "weight_decay") == 0)
            LS_TRY(read_amount(node, scratch, &group->weight_decay));
        else if (strcmp(node->key, "lr_scale") == 0)
            LS_TRY(read_amount(node, scratch, &group->lr_scale));
        else if (strcmp(node->key, "decay_all") == 0)
            LS_TRY(read_flag(node, scratch, &group->decay_all));
        else
            return ls_yaml_fail(node, node->key_line, ls_arena_format(scratch, "train.groups.%s", node->key),
                                "unknown key; known here: match, weight_decay, lr_scale, decay_all");
    }
    if (!group->match)
        return ls_yaml_fail(map, map->line, "train.groups",
                            "a group without `match`, the beginning of its parameters' names");
    const struct ls_yaml_source *source = map->source;
    group->where = source->lines ? ls_arena_format(memory, "%s:%d: train.groups", source->name, map->line)
                                 : ls_arena_copy(memory, source->name);
    return LS_OK;
}

ls_status ls_recipe_read_groups(const struct ls_yaml *list, struct ls_arena *scratch, struct ls_arena *memory,
                                struct ls_groups *groups) {
    int n = 0;
    for (const struct ls_yaml *item = list->first; item; item = item->next) n++;
    *groups = (struct ls_groups){.items = LS_ARENA_NEW(memory, struct ls_group, n)};
    for (const struct ls_yaml *item = list->first; item; item = item->next)
        LS_TRY(read_group(item, scratch, memory, &groups->items[groups->n++]));
    return LS_OK;
}

void ls_recipe_print_groups(const struct ls_groups *groups, struct ls_text *out) {
    ls_text_add(out, "[");
    for (int i = 0; i < groups->n; i++) {
        const struct ls_group *group = &groups->items[i];
        ls_text_add(out, "%s{match: ", i ? ", " : "");
        ls_text_add_json(out, group->match);
        if (!isnan(group->weight_decay)) {
            ls_text_add(out, ", weight_decay: ");
            ls_text_add_number(out, group->weight_decay);
        }
        ls_text_add(out, ", lr_scale: ");
        ls_text_add_number(out, group->lr_scale);
        ls_text_add(out, "%s}", group->decay_all ? ", decay_all: true" : "");
    }
    ls_text_add(out, "]");
}
