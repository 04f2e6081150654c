#include "train/freeze.h"

#include <string.h>

static bool is_known(const struct ls_graph *graph, const char *prefix) {
    for (ls_value v = 0; v < graph->n_values; v++)
        if (ls_info(graph, v)->kind == LS_PARAM && ls_name_is_below(ls_info(graph, v)->name, prefix))
            return true;
    return false;
}

// The longest part of the name, up to a dot, that something is below; "" where nothing is.
static const char *known_part(struct ls_arena *memory, const struct ls_graph *graph, const char *name) {
    char *part = ls_arena_copy(memory, name);
    for (char *dot = strrchr(part, '.'); dot; dot = strrchr(part, '.')) {
        *dot = 0;
        if (is_known(graph, part)) return part;
    }
    return "";
}

// The names one part longer than `above`, each once, in the model's order: "conv1, bn1, layer1".
static const char *names_below(struct ls_arena *memory, const struct ls_graph *graph, const char *above) {
    struct ls_text names = {0};
    const char *last = "";
    const size_t skipped = *above ? strlen(above) + 1 : 0;
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        if (info->kind != LS_PARAM || (*above && !ls_name_is_below(info->name, above))) continue;
        if (strlen(info->name) < skipped) continue; // `above` itself
        const size_t length = skipped + strcspn(info->name + skipped, ".");
        if (strlen(last) == length && strncmp(last, info->name, length) == 0) continue;
        last = ls_arena_format(memory, "%.*s", (int)length, info->name);
        ls_text_add(&names, "%s%s", names.length ? ", " : "", last);
    }
    const char *text = ls_arena_copy(memory, names.data ? names.data : "none");
    ls_text_free(&names);
    return text;
}

static ls_status check_known(const struct ls_recipe *recipe, const struct ls_graph *graph, const char *name) {
    if (is_known(graph, name)) return LS_OK;
    struct ls_arena memory = {0};
    const char *above = known_part(&memory, graph, name);
    ls_status status = LS_FAIL(LS_INPUT, "%s: no parameter of %s is %s, or below it; there are %.1000s",
                               ls_recipe_place(recipe, "model.freeze"), recipe->model.zoo, name,
                               names_below(&memory, graph, above));
    ls_arena_free(&memory);
    return status;
}

ls_status ls_freeze_check(const struct ls_recipe *recipe, const struct ls_graph *graph) {
    const struct ls_list *freeze = &recipe->model.freeze;
    for (int i = 0; i < freeze->n; i++) LS_TRY(check_known(recipe, graph, freeze->items[i]));
    for (ls_value v = 0; v < graph->n_values; v++)
        if (ls_info(graph, v)->kind == LS_PARAM && !ls_info(graph, v)->frozen) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: nothing of %s is left to be trained",
                   ls_recipe_place(recipe, "model.freeze"), recipe->model.zoo);
}
