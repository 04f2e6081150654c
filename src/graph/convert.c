// What is made of the weights once after each update, for all lanes: casts, and what kernels keep.
//
//     parameter        cast, first in the order of nodes        kept by the kernels that read it
//     conv1.weight --> conv1.weight.bf16 --------------------> conv1, conv1's gradient of x
//
// A cast whose readers all keep what they make of it is needed no longer than that: it lies at the begin of
// the arena, where nothing else lies while no lane runs.
#include "graph/memory.h"
#include "graph/op.h"

static int count_casts(const struct ls_graph *graph) {
    int n = 0;
    while (n < graph->n_nodes && ls_graph_casts_weight(graph, &graph->nodes[n])) n++;
    return n;
}

static bool keeps(const struct ls_plan *plan, int i, ls_value weight) {
    return plan->kept_bytes[i] > 0 && plan->graph->nodes[i].in[1] == weight;
}

static bool all_readers_keep(const struct ls_plan *plan, ls_value weight) {
    const struct ls_graph *graph = plan->graph;
    if (graph->result == weight) return false;
    for (int i = plan->n_casts; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_in; k++)
            if (graph->nodes[i].in[k] == weight && !(k == 1 && keeps(plan, i, weight))) return false;
    return true;
}

static struct ls_place take(struct ls_plan *plan, size_t bytes) {
    const struct ls_place place = {LS_REGION_CONVERTED, plan->converted_bytes};
    plan->converted_bytes += ls_arena_aligned(bytes);
    return place;
}

// `before`: what was made of the weights in front of this one's parameter.
static void place_kept(struct ls_plan *plan, ls_value weight, size_t before) {
    for (int i = plan->n_casts; i < plan->graph->n_nodes; i++) {
        if (!keeps(plan, i, weight)) continue;
        plan->converted[i] = take(plan, plan->kept_bytes[i]);
        plan->conversions[plan->n_conversions++] = (struct ls_conversion){i, before};
    }
}

static void place_weight(struct ls_plan *plan, ls_value param, size_t *cast_bytes) {
    const size_t before = plan->converted_bytes;
    for (int i = 0; i < plan->n_casts; i++) {
        const struct ls_node *cast = &plan->graph->nodes[i];
        if (cast->in[0] != param) continue;
        const ls_value to = cast->out[0];
        const size_t bytes = ls_value_bytes(plan->graph, to);
        const bool passes = all_readers_keep(plan, to);
        plan->places[to] = passes ? (struct ls_place){LS_REGION_ARENA, 0} : take(plan, bytes);
        if (passes && *cast_bytes < bytes) *cast_bytes = bytes;
        plan->conversions[plan->n_conversions++] = (struct ls_conversion){i, before};
        place_kept(plan, to, before);
    }
    place_kept(plan, param, before);
}

void ls_plan_place_converted(struct ls_plan *plan, size_t *cast_bytes) {
    const struct ls_graph *graph = plan->graph;
    *cast_bytes = 0;
    plan->n_casts = count_casts(graph);
    plan->converted = LS_ARENA_NEW(&plan->memory, struct ls_place, graph->n_nodes);
    plan->conversions = LS_ARENA_NEW(&plan->memory, struct ls_conversion, graph->n_nodes);
    for (ls_value v = 0; v < graph->n_values; v++)
        if (ls_info(graph, v)->kind == LS_PARAM) place_weight(plan, v, cast_bytes);
}
