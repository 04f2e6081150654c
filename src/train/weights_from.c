#include "train/weights_from.h"

#include "base/log.h"
#include "train/checkpoint.h"

#include <stdlib.h>
#include <string.h>

// A layer, by the first part of its parameters' names, and how much of it was taken.
struct layer {
    const char *name;
    int taken;
};

struct report {
    struct ls_arena memory;
    struct layer *layers;
    int n_layers, most_layers;
    int params, states;             // taken
    bool averaged;                  // some of them moving averages
    const char *not_taken;          // a parameter that was not, for when there is no other
    struct ls_text rest, untrained; // lines of what was not; names of what is frozen at initial values
};

static struct layer *layer_of(struct report *report, const char *name) {
    const size_t length = strcspn(name, ".");
    for (int i = 0; i < report->n_layers; i++) {
        const char *known = report->layers[i].name;
        if (strlen(known) == length && strncmp(known, name, length) == 0) return &report->layers[i];
    }
    if (report->n_layers == report->most_layers) {
        struct layer *more = LS_ARENA_NEW(&report->memory, struct layer, 2 * report->most_layers + 16);
        if (report->n_layers) memcpy(more, report->layers, sizeof *more * (size_t)report->n_layers);
        report->layers = more;
        report->most_layers = 2 * report->most_layers + 16;
    }
    struct layer *added = &report->layers[report->n_layers++];
    *added = (struct layer){ls_arena_format(&report->memory, "%.*s", (int)length, name), 0};
    return added;
}

static const char *difference(struct ls_arena *memory, const struct ls_match *match) {
    const char *there = match->there ? match->shape_there : "not",
               *here = match->here ? match->shape_here : "not";
    return ls_arena_format(memory, "%s: %s there, %s here", match->name, there, here);
}

static void add(void *context, const struct ls_match *match) {
    struct report *report = context;
    if (match->taken) {
        layer_of(report, match->name)->taken++;
        *(match->param ? &report->params : &report->states) += 1;
        report->averaged = report->averaged || match->averaged;
        return;
    }
    const char *what = difference(&report->memory, match);
    ls_text_add(&report->rest, "%s%s\n", what, match->here ? ": starts anew" : "");
    if (match->param && !report->not_taken) report->not_taken = what;
    if (match->frozen)
        ls_text_add(&report->untrained, "%s%s", report->untrained.length ? ", " : "", match->name);
}

static ls_status expect_some(const struct ls_recipe *recipe, const struct report *report) {
    if (report->params > 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: %s: no parameter of %s has a name and shape that match; %s",
                   ls_recipe_place(recipe, "model.from"), recipe->model.from, recipe->model.zoo,
                   report->not_taken);
}

// A line for each that was not taken over, and one for all that were.
static void print(const struct ls_recipe *recipe, struct report *report) {
    struct ls_text taken = {0};
    for (int i = 0; i < report->n_layers; i++)
        ls_text_add(&taken, "%s%s %d", i ? ", " : "", report->layers[i].name, report->layers[i].taken);
    ls_note("model.from: %d parameters and %d statistics taken from %s%s, with their shapes: %s",
            report->params, report->states, recipe->model.from,
            report->averaged ? ", its moving averages" : "", taken.data);
    ls_text_free(&taken);
    char *rest = NULL;
    for (char *line = report->rest.data ? strtok_r(report->rest.data, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        ls_note("model.from: not taken: %s", line);
    if (report->untrained.length)
        ls_warn("model.freeze: at initial values, and not trained: %s", report->untrained.data);
}

ls_status ls_weights_from_check(const struct ls_recipe *recipe) {
    ls_status status = ls_checkpoint_verify(recipe->model.from);
    if (status != LS_OK) ls_error_prefix("%s", ls_recipe_place(recipe, "model.from"));
    return status;
}

ls_status ls_weights_from(const struct ls_recipe *recipe, const struct ls_layout *layout, float *params,
                          float *states) {
    struct report report = {0};
    ls_status status = ls_checkpoint_read_matching(recipe->model.from, layout, params, states, add, &report);
    if (status != LS_OK) ls_error_prefix("%s", ls_recipe_place(recipe, "model.from"));
    if (status == LS_OK) status = expect_some(recipe, &report);
    if (status == LS_OK) print(recipe, &report);
    ls_text_free(&report.rest);
    ls_text_free(&report.untrained);
    ls_arena_free(&report.memory);
    return status;
}
