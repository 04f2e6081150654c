// Liveness, and the arena: which values share memory, from when to when it is needed, and where it lies.
#include "graph/memory.h"

#include "graph/op.h"

// Values that share memory have one root, the first of them to be made; `last` counts for roots alone.
struct liveness {
    const struct ls_plan *plan;
    ls_value *root;
    int *last; // the last node that reads the memory; n_nodes for the result, which is copied out at the end
};

size_t ls_value_bytes(const struct ls_graph *graph, ls_value value) {
    const struct ls_value_info *info = ls_info(graph, value);
    return (size_t)ls_shape_count(&info->shape) * ls_dtype_bytes(info->dtype);
}

// The root of what lies in the arena is an activation; of anything else, a parameter, a weight's cast, an
// input, an output.
static bool in_arena(const struct ls_plan *plan, ls_value root) {
    const struct ls_value_info *info = ls_info(plan->graph, root);
    return info->kind == LS_ACTIVATION && info->producer >= plan->n_casts;
}

static ls_status share_views(struct liveness *live) {
    const struct ls_graph *graph = live->plan->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        if (!(node->op->flags & LS_OP_VIEW)) continue;
        if (ls_info(graph, node->out[0])->kind != LS_ACTIVATION)
            return LS_FAIL(LS_SYSTEM, "node %s: output %s is a view and can't lie in the output buffer",
                           node->name, ls_info(graph, node->out[0])->name);
        live->root[node->out[0]] = live->root[node->in[0]];
    }
    return LS_OK;
}

static void find_last_uses(struct liveness *live) {
    const struct ls_graph *graph = live->plan->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_out; k++)
            if (live->root[node->out[k]] == node->out[k]) live->last[node->out[k]] = i;
        for (int k = 0; k < node->n_in; k++) live->last[live->root[node->in[k]]] = i;
    }
    if (graph->result != LS_NONE) live->last[live->root[graph->result]] = graph->n_nodes;
}

static bool may_overwrite(const struct liveness *live, int i) {
    const struct ls_graph *graph = live->plan->graph;
    const struct ls_node *node = &graph->nodes[i];
    if (!(node->op->flags & LS_OP_ELEMENTWISE) || (node->op->flags & LS_OP_VIEW)) return false;
    ls_value from = live->root[node->in[0]], to = node->out[0];
    return in_arena(live->plan, from) && in_arena(live->plan, to) && live->last[from] == i &&
           ls_value_bytes(graph, from) == ls_value_bytes(graph, to);
}

static void share_in_place(struct liveness *live) {
    const struct ls_graph *graph = live->plan->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (!may_overwrite(live, i)) continue;
        ls_value from = live->root[graph->nodes[i].in[0]], to = graph->nodes[i].out[0];
        live->last[from] = live->last[to];
        for (ls_value v = 0; v < graph->n_values; v++)
            if (live->root[v] == to) live->root[v] = from;
    }
}

// One block for each root in the arena, then one for each workspace. Returns their number; `n_values` of them
// are values'.
static int make_blocks(const struct liveness *live, struct ls_block *blocks, int *block_of, int *n_values) {
    const struct ls_plan *plan = live->plan;
    const struct ls_graph *graph = plan->graph;
    int n = 0;
    for (ls_value v = 0; v < graph->n_values; v++) {
        if (!in_arena(plan, v) || live->root[v] != v) continue;
        block_of[v] = n;
        blocks[n++] = (struct ls_block){
            .bytes = ls_value_bytes(graph, v), .first = ls_info(graph, v)->producer, .last = live->last[v]};
    }
    *n_values = n;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (plan->workspace_bytes[i] == 0) continue;
        blocks[n++] = (struct ls_block){.bytes = plan->workspace_bytes[i], .first = i, .last = i};
    }
    return n;
}

static void take_places(struct ls_plan *plan, const struct liveness *live, const struct ls_block *blocks,
                        const int *block_of, int n_values) {
    const struct ls_graph *graph = plan->graph;
    for (ls_value v = 0; v < graph->n_values; v++) {
        ls_value root = live->root[v];
        if (in_arena(plan, root))
            plan->places[v] = (struct ls_place){LS_REGION_ARENA, blocks[block_of[root]].offset};
        else
            plan->places[v] = plan->places[root];
    }
    int workspace = n_values;
    for (int i = 0; i < graph->n_nodes; i++) {
        size_t offset = plan->workspace_bytes[i] ? blocks[workspace++].offset : 0;
        plan->workspace[i] = (struct ls_place){LS_REGION_ARENA, offset};
    }
}

ls_status ls_plan_place_arena(struct ls_plan *plan) {
    const struct ls_graph *graph = plan->graph;
    struct ls_arena scratch = {0};
    struct liveness live = {.plan = plan,
                            .root = LS_ARENA_NEW(&scratch, ls_value, graph->n_values),
                            .last = LS_ARENA_NEW(&scratch, int, graph->n_values)};
    for (ls_value v = 0; v < graph->n_values; v++) live.root[v] = v;
    ls_status status = LS_OK;
    LS_TRY_GOTO(done, share_views(&live));
    find_last_uses(&live);
    share_in_place(&live);

    struct ls_block *blocks = LS_ARENA_NEW(&scratch, struct ls_block, graph->n_values + graph->n_nodes);
    int *block_of = LS_ARENA_NEW(&scratch, int, graph->n_values), n_values;
    int n = make_blocks(&live, blocks, block_of, &n_values);
    plan->arena_bytes = ls_blocks_place(blocks, n);
    plan->activation_bytes = ls_blocks_bound(blocks, n_values);
    take_places(plan, &live, blocks, block_of, n_values);
done:
    ls_arena_free(&scratch);
    return status;
}
