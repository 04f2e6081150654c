// Runs a plan without its arithmetic: follows who wrote which bytes of the arena last. Knows nothing of how
// the places were chosen.
#pragma once

#include "graph/op.h"
#include "graph/plan.h"
#include "unit/check.h"

#include <stdlib.h>
#include <string.h>

struct range {
    size_t begin, end;
};

static inline struct range range_of(const struct ls_plan *plan, ls_value value) {
    const struct ls_value_info *info = ls_info(plan->graph, value);
    size_t bytes = (size_t)ls_shape_count(&info->shape) * ls_dtype_bytes(info->dtype);
    return (struct range){plan->places[value].offset, plan->places[value].offset + bytes};
}

// A node whose kernel keeps what it makes of its weight does not read that itself.
static inline bool reads(const struct ls_plan *plan, int i, int k) {
    return !(k == 1 && plan->kept_bytes[i] > 0);
}

static inline bool meet(struct range a, struct range b) {
    return a.begin < b.end && b.begin < a.end;
}

static inline bool lies_in_arena(const struct ls_plan *plan, ls_value value) {
    return plan->places[value].region == LS_REGION_ARENA;
}

// Whatever else held these bytes is gone.
static inline void overwrite(const struct ls_plan *plan, bool *holds, struct range range) {
    for (ls_value v = 0; v < plan->graph->n_values; v++)
        if (holds[v] && lies_in_arena(plan, v) && meet(range_of(plan, v), range)) holds[v] = false;
}

static inline void check_node_ranges(const struct ls_plan *plan, int i) {
    const struct ls_node *node = &plan->graph->nodes[i];
    struct range workspace = {plan->workspace[i].offset,
                              plan->workspace[i].offset + plan->workspace_bytes[i]};
    assert_int_equal(plan->workspace[i].region, LS_REGION_ARENA);
    assert_true(workspace.end <= plan->arena_bytes);
    for (int k = 0; k < node->n_in; k++)
        if (reads(plan, i, k) && lies_in_arena(plan, node->in[k]))
            assert_false(meet(range_of(plan, node->in[k]), workspace));
    for (int m = 0; m < node->n_out; m++) {
        if (!lies_in_arena(plan, node->out[m])) continue;
        struct range out = range_of(plan, node->out[m]);
        assert_true(out.end <= plan->arena_bytes);
        assert_false(meet(out, workspace));
        for (int other = 0; other < m; other++)
            if (lies_in_arena(plan, node->out[other]))
                assert_false(meet(out, range_of(plan, node->out[other])));
        for (int k = 0; k < node->n_in; k++) {
            struct range in = range_of(plan, node->in[k]);
            if (!reads(plan, i, k) || !lies_in_arena(plan, node->in[k]) || !meet(in, out)) continue;
            bool same = in.begin == out.begin && in.end == out.end;
            assert_true(same && m == 0 && (node->op->flags & (LS_OP_ELEMENTWISE | LS_OP_VIEW)));
        }
    }
}

static inline void check_plan_memory(const struct ls_plan *plan) {
    const struct ls_graph *graph = plan->graph;
    bool *holds = calloc((size_t)graph->n_values + 1, sizeof *holds);
    for (ls_value v = 0; v < graph->n_values; v++) {
        holds[v] = ls_info(graph, v)->producer < 0 && ls_info(graph, v)->kind != LS_ACTIVATION;
        assert_int_equal(plan->places[v].offset % sizeof(float), 0);
    }
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_in; k++) assert_true(!reads(plan, i, k) || holds[node->in[k]]);
        check_node_ranges(plan, i);
        if (node->op->flags & LS_OP_VIEW) {
            assert_memory_equal(&plan->places[node->in[0]], &plan->places[node->out[0]],
                                sizeof(struct ls_place));
            holds[node->out[0]] = true;
            continue;
        }
        overwrite(
            plan, holds,
            (struct range){plan->workspace[i].offset, plan->workspace[i].offset + plan->workspace_bytes[i]});
        for (int m = 0; m < node->n_out; m++)
            if (lies_in_arena(plan, node->out[m])) overwrite(plan, holds, range_of(plan, node->out[m]));
        for (int m = 0; m < node->n_out; m++) holds[node->out[m]] = true;
    }
    if (graph->result != LS_NONE) assert_true(holds[graph->result]);
    free(holds);
}

static int range_order(const void *left, const void *right) {
    const struct range *a = left, *b = right;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static inline size_t covered(struct range *ranges, int n) {
    size_t bytes = 0, end = 0;
    if (n) qsort(ranges, (size_t)n, sizeof *ranges, range_order);
    for (int i = 0; i < n; i++) {
        if (ranges[i].end <= end) continue;
        bytes += ranges[i].end - (ranges[i].begin > end ? ranges[i].begin : end);
        end = ranges[i].end;
    }
    return bytes;
}

// The most bytes of the arena that hold something at one node: what no placement can go below.
static inline size_t most_live_bytes(const struct ls_plan *plan) {
    const struct ls_graph *graph = plan->graph;
    int *last = calloc((size_t)graph->n_values + 1, sizeof *last);
    struct range *live = calloc((size_t)graph->n_values + 1, sizeof *live);
    for (int i = 0; i < graph->n_nodes; i++) {
        for (int k = 0; k < graph->nodes[i].n_out; k++) last[graph->nodes[i].out[k]] = i;
        for (int k = 0; k < graph->nodes[i].n_in; k++) last[graph->nodes[i].in[k]] = i;
    }
    size_t most = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        int n = 0;
        for (ls_value v = 0; v < graph->n_values; v++) {
            int first = ls_info(graph, v)->producer;
            if (first >= 0 && lies_in_arena(plan, v) && first <= i && i <= last[v])
                live[n++] = range_of(plan, v);
        }
        size_t bytes = covered(live, n) + plan->workspace_bytes[i];
        if (bytes > most) most = bytes;
    }
    free(last);
    free(live);
    return most;
}
