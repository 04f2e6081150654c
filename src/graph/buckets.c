// Buckets: slices of the output buffer, each finished by a run of nodes, its segment. While later segments
// compute, the bucket is folded and reduced; so nothing may read from it any more.
//
//     nodes    | forward, loss, first of backward | … | … | last of backward |
//     segments |                0                 | 1 | 2 |        3         |
//     output   |  bucket 0   | bucket 1 | bucket 2 | bucket 3, statistics, metrics |
#include "graph/buckets.h"

#include "graph/layout.h"

// finished[i]: the number of nodes after which the gradients of parameters 0..i are all there.
static void find_finished(const struct ls_plan *plan, int *finished) {
    const struct ls_graph *graph = plan->graph;
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        if (info->kind != LS_OUTPUT || info->output_of == LS_NONE) continue;
        const struct ls_value_info *of = ls_info(graph, info->output_of);
        if (of->kind == LS_PARAM) finished[ls_layout_param(plan->layout, of->name)] = info->producer + 1;
    }
    for (int i = 1; i < plan->layout->n_trained; i++)
        if (finished[i] < finished[i - 1]) finished[i] = finished[i - 1];
}

static void close_bucket(struct ls_plan *plan, size_t end, int segment_end) {
    int n = plan->n_buckets++;
    size_t offset = n ? plan->buckets[n - 1].offset + plan->buckets[n - 1].count : 0;
    plan->buckets[n] = (struct ls_bucket){offset, end - offset};
    plan->segment_end[plan->n_segments++] = segment_end;
}

// Nothing hides the last bucket, and little the one before: so buckets become smaller towards the end of
// backward, each no more than half of what is left, down to a size at which a message costs more than its
// bytes.
enum { SMALLEST_PART = 16 };

static size_t aimed_at(size_t floats, size_t left) {
    const size_t least = floats / SMALLEST_PART, half = left / 2;
    return half > floats ? floats : half > least ? half : least;
}

// A bucket ends where it is large enough and the next parameter is finished by a later node: so no segment is
// empty.
static void cut_buckets(struct ls_plan *plan, size_t floats, const int *finished) {
    const struct ls_layout *layout = plan->layout;
    size_t begin = 0;
    for (int i = 0; i + 1 < layout->n_trained; i++) {
        size_t next = layout->params[i + 1].offset;
        const size_t enough = aimed_at(floats, layout->output_floats - begin);
        if (next - begin < enough || finished[i + 1] == finished[i]) continue;
        close_bucket(plan, next, finished[i]);
        begin = next;
    }
    close_bucket(plan, layout->output_floats, plan->graph->n_nodes);
}

static int bucket_at(const struct ls_plan *plan, size_t offset) {
    int i = 0;
    while (offset >= plan->buckets[i].offset + plan->buckets[i].count) i++;
    return i;
}

static ls_status check_readers(const struct ls_plan *plan, size_t width) {
    const struct ls_graph *graph = plan->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_in; k++) {
            struct ls_place place = plan->places[node->in[k]];
            if (place.region != LS_REGION_OUTPUT) continue;
            int bucket = bucket_at(plan, place.offset / width);
            if (i >= plan->segment_end[bucket])
                return LS_FAIL(LS_SYSTEM,
                               "node %s reads %s, whose bucket %d is finished by node %d and may be "
                               "in reduction by then",
                               node->name, ls_info(graph, node->in[k])->name, bucket,
                               plan->segment_end[bucket] - 1);
        }
    }
    return LS_OK;
}

ls_status ls_plan_make_buckets(struct ls_plan *plan, size_t bucket_bytes, size_t width) {
    int n_params = plan->layout->n_params;
    plan->buckets = LS_ARENA_NEW(&plan->memory, struct ls_bucket, n_params + 1);
    plan->segment_end = LS_ARENA_NEW(&plan->memory, int, n_params + 1);
    if (plan->graph->mode == LS_EVAL) {
        plan->segment_end[plan->n_segments++] = plan->graph->n_nodes;
        return LS_OK;
    }
    int *finished = LS_ARENA_NEW(&plan->memory, int, n_params + 1);
    find_finished(plan, finished);
    cut_buckets(plan, (bucket_bytes + width - 1) / width, finished);
    return check_readers(plan, width);
}
