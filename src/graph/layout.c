// The flat buffers of a layout, in floats; every item begins at a multiple of LS_ALIGN_FLOATS:
//
//     parameters  | fc.weight . | fc.bias . | … | layer1.conv1.weight . | frozen: stem.weight . | … |
//     states      | layer1.bn1.running_mean . | … | frozen: … |
//     output      | gradients, as the trained ones lie | statistics, likewise | metrics . |
//                 0                                    trained_floats         metrics output_floats
#include "graph/layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const metric_names[LS_METRICS] = {
    [LS_METRIC_LOSS] = "metric:loss",     [LS_METRIC_SCORE] = "metric:score",
    [LS_METRIC_WEIGHT] = "metric:weight", [LS_METRIC_STOP] = "metric:stop",
    [LS_METRIC_FAULT] = "metric:fault",
};

// The metric that this output is, or LS_METRICS.
static enum ls_metric metric_of(const struct ls_value_info *output) {
    int metric = 0;
    while (metric < LS_METRICS && strcmp(metric_names[metric], output->name) != 0) metric++;
    return (enum ls_metric)metric;
}

// ---- making ----

// A parameter or state of the graph, and the output that is its gradient or statistic.
struct entry {
    ls_value value, output;
    bool frozen;
    int order;
};

static int by_order(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    if (a->frozen != b->frozen) return a->frozen ? 1 : -1;
    if (a->order != b->order) return a->order < b->order ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value;
}

static struct entry *entries_of(const struct ls_graph *graph, enum ls_value_kind kind,
                                struct ls_arena *memory, int *n) {
    struct entry *entries = LS_ARENA_NEW(memory, struct entry, graph->n_values);
    int *entry_of = LS_ARENA_NEW(memory, int, graph->n_values);
    *n = 0;
    for (ls_value v = 0; v < graph->n_values; v++) {
        if (ls_info(graph, v)->kind != kind) continue;
        entry_of[v] = *n;
        entries[(*n)++] = (struct entry){v, LS_NONE, ls_info(graph, v)->frozen, 0};
    }
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        if (info->kind == LS_OUTPUT && info->output_of != LS_NONE &&
            ls_info(graph, info->output_of)->kind == kind)
            entries[entry_of[info->output_of]].output = v;
    }
    return entries;
}

// Every parameter of a training graph has its gradient, every state its statistic, but for frozen ones.
static ls_status require_outputs(const struct ls_graph *graph, const struct entry *entries, int n) {
    for (int i = 0; i < n; i++) {
        const struct ls_value_info *info = ls_info(graph, entries[i].value);
        if (entries[i].output != LS_NONE || entries[i].frozen) continue;
        if (info->kind == LS_PARAM)
            return LS_FAIL(LS_INPUT, "parameter %s has no gradient: the loss does not depend on it",
                           info->name);
        return LS_FAIL(LS_INPUT, "no node makes the statistic that %s is to follow", info->name);
    }
    return LS_OK;
}

static size_t aligned(size_t floats) {
    return (floats + LS_ALIGN_FLOATS - 1) / LS_ALIGN_FLOATS * LS_ALIGN_FLOATS;
}

static int count_unfrozen(const struct entry *entries, int n) {
    int count = 0;
    while (count < n && !entries[count].frozen) count++;
    return count;
}

// Lays entries [begin, end) out in their order behind `offset`; returns where they end. `output_offset`:
// where the outputs of all entries begin.
static size_t lay_out(const struct ls_graph *graph, const struct entry *entries, int begin, int end,
                      size_t offset, size_t output_offset, struct ls_item *items) {
    for (int i = begin; i < end; i++) {
        const struct ls_value_info *info = ls_info(graph, entries[i].value);
        items[i] = (struct ls_item){.name = info->name,
                                    .shape = info->shape,
                                    .offset = offset,
                                    .count = (size_t)ls_shape_count(&info->shape),
                                    .init = info->init,
                                    .decays = info->decays};
        if (!entries[i].frozen) items[i].output_offset = output_offset + offset;
        if (entries[i].output != LS_NONE) {
            items[i].momentum = ls_info(graph, entries[i].output)->momentum;
            items[i].factor = ls_info(graph, entries[i].output)->factor;
        }
        offset = aligned(offset + items[i].count);
    }
    return offset;
}

static ls_status fill_layout(const struct ls_graph *graph, struct ls_arena *memory, struct ls_arena *scratch,
                             struct ls_layout *layout) {
    struct entry *params = entries_of(graph, LS_PARAM, scratch, &layout->n_params);
    struct entry *states = entries_of(graph, LS_STATE, scratch, &layout->n_states);
    if (graph->mode == LS_TRAIN) {
        LS_TRY(require_outputs(graph, params, layout->n_params));
        LS_TRY(require_outputs(graph, states, layout->n_states));
        for (int i = 0; i < layout->n_params; i++)
            params[i].order =
                params[i].frozen ? -params[i].value : ls_info(graph, params[i].output)->producer;
        if (layout->n_params) qsort(params, (size_t)layout->n_params, sizeof *params, by_order);
        if (layout->n_states) qsort(states, (size_t)layout->n_states, sizeof *states, by_order);
    }
    const int n_params = layout->n_params, n_states = layout->n_states;
    const int trained = layout->n_trained = count_unfrozen(params, n_params);
    const int followed = layout->n_followed = count_unfrozen(states, n_states);
    layout->params = LS_ARENA_NEW(memory, struct ls_item, n_params);
    layout->states = LS_ARENA_NEW(memory, struct ls_item, n_states);
    const size_t trained_floats = lay_out(graph, params, 0, trained, 0, 0, layout->params);
    const size_t followed_floats = lay_out(graph, states, 0, followed, 0, trained_floats, layout->states);
    layout->trained_floats = trained_floats;
    layout->param_floats = lay_out(graph, params, trained, n_params, trained_floats, 0, layout->params);
    layout->state_floats = lay_out(graph, states, followed, n_states, followed_floats, 0, layout->states);
    layout->metrics = trained_floats + followed_floats;
    layout->output_floats = layout->metrics + aligned(LS_METRICS);
    for (int i = 0; i < layout->n_params; i++) layout->parameters += (int64_t)layout->params[i].count;
    for (int i = trained; i < n_params; i++) layout->frozen += (int64_t)layout->params[i].count;
    return LS_OK;
}

ls_status ls_layout_make(const struct ls_graph *graph, struct ls_arena *memory,
                         const struct ls_layout **layout) {
    struct ls_arena scratch = {0};
    struct ls_layout *made = LS_ARENA_NEW(memory, struct ls_layout, 1);
    ls_status status = fill_layout(graph, memory, &scratch, made);
    ls_arena_free(&scratch);
    *layout = made;
    return status;
}

// ---- finding ----

static int find(const struct ls_item *items, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(items[i].name, name) == 0) return i;
    return -1;
}

int ls_layout_param(const struct ls_layout *layout, const char *name) {
    return find(layout->params, layout->n_params, name);
}

int ls_layout_state(const struct ls_layout *layout, const char *name) {
    return find(layout->states, layout->n_states, name);
}

ls_status ls_layout_output(const struct ls_layout *layout, const struct ls_graph *graph, ls_value output,
                           size_t *offset) {
    const struct ls_value_info *info = ls_info(graph, output);
    if (info->output_of == LS_NONE) {
        enum ls_metric metric = metric_of(info);
        if (metric == LS_METRICS) return LS_FAIL(LS_SYSTEM, "output %s is no metric", info->name);
        *offset = layout->metrics + metric;
        return LS_OK;
    }
    const struct ls_value_info *of = ls_info(graph, info->output_of);
    bool param = of->kind == LS_PARAM;
    int i = param ? ls_layout_param(layout, of->name) : ls_layout_state(layout, of->name);
    if (i < 0)
        return LS_FAIL(LS_SYSTEM, "output %s belongs to %s, which the layout lacks", info->name, of->name);
    *offset = (param ? layout->params : layout->states)[i].output_offset;
    return LS_OK;
}

// ---- matching ----

static ls_status match_value(const struct ls_layout *layout, const struct ls_value_info *info) {
    bool param = info->kind == LS_PARAM;
    const char *what = param ? "parameter" : "running statistic";
    int i = param ? ls_layout_param(layout, info->name) : ls_layout_state(layout, info->name);
    if (i < 0) return LS_FAIL(LS_INPUT, "%s %s is not in the layout of the training plan", what, info->name);
    const struct ls_item *item = param ? &layout->params[i] : &layout->states[i];
    char found[96], expected[96];
    if (ls_shape_equal(&item->shape, &info->shape)) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s %s has shape %s; the layout of the training plan has %s", what, info->name,
                   ls_shape_text(found, &info->shape), ls_shape_text(expected, &item->shape));
}

static ls_status require_in_graph(const struct ls_item *items, int n, const struct ls_graph *graph) {
    for (int i = 0; i < n; i++)
        if (ls_graph_find(graph, items[i].name) == LS_NONE)
            return LS_FAIL(LS_INPUT, "%s is in the given layout, but not in this training graph",
                           items[i].name);
    return LS_OK;
}

static ls_status match_outputs(const struct ls_graph *graph) {
    struct ls_arena scratch = {0};
    int n_params, n_states;
    struct entry *params = entries_of(graph, LS_PARAM, &scratch, &n_params);
    struct entry *states = entries_of(graph, LS_STATE, &scratch, &n_states);
    ls_status status = require_outputs(graph, params, n_params);
    if (status == LS_OK) status = require_outputs(graph, states, n_states);
    ls_arena_free(&scratch);
    return status;
}

ls_status ls_layout_match(const struct ls_layout *layout, const struct ls_graph *graph) {
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        if (info->kind == LS_PARAM || info->kind == LS_STATE) LS_TRY(match_value(layout, info));
    }
    if (graph->mode != LS_TRAIN) return LS_OK;
    LS_TRY(match_outputs(graph));
    LS_TRY(require_in_graph(layout->params, layout->n_params, graph));
    return require_in_graph(layout->states, layout->n_states, graph);
}
