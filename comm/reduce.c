// The all-reduce over ranks: which algorithm, what it needs, and the call.
#include "comm/reducer.h"
#include "comm/segment.h"

#include <math.h>
#include <string.h>

static bool is_power_of_two(int n) {
    return (n & (n - 1)) == 0;
}

enum ls_reduce_algorithm ls_reduce_choose(int ranks, int lanes, bool fast) {
    if (fast) return LS_REDUCE_FAST;
    // Every rank holds exactly one node: there is one rank, or the lanes are a power of two as well.
    const bool one_node_each = ranks == 1 || is_power_of_two(lanes);
    return is_power_of_two(ranks) && one_node_each ? LS_REDUCE_ALIGNED : LS_REDUCE_SLICES;
}

static size_t scratch_floats(int rank, int ranks, int lanes, bool fast, size_t max_count) {
    if (ranks == 1) return 0;
    switch (ls_reduce_choose(ranks, lanes, fast)) {
    case LS_REDUCE_ALIGNED: return ls_aligned_scratch(max_count, LS_REDUCE_FEW);
    case LS_REDUCE_SLICES: return ls_slices_scratch(rank, ranks, lanes, max_count);
    case LS_REDUCE_FAST: break;
    }
    return 0;
}

size_t ls_reducer_scratch_bytes(int rank, int ranks, int lanes, bool fast, size_t max_count) {
    return scratch_floats(rank, ranks, lanes, fast, max_count) * sizeof(float);
}

// Its slice of each node of the others.
size_t ls_reducer_seen_bytes(int rank, int ranks, int lanes, size_t count) {
    return ls_slices_scratch(rank, ranks, lanes, count) * sizeof(float);
}

double ls_reduce_traffic(int rank, int ranks, int lanes, bool fast, size_t count) {
    const double all = (double)count, share = all / ranks, of_others = all - share;
    const enum ls_reduce_algorithm algorithm = ls_reduce_choose(ranks, lanes, fast);
    if (algorithm == LS_REDUCE_ALIGNED && count <= LS_REDUCE_FEW) return log2(ranks) * all;
    if (algorithm != LS_REDUCE_SLICES) return 2 * of_others; // a ring's
    struct ls_tree_node nodes[LS_MAX_NODES];
    return ls_tree_nodes_of(rank, ranks, lanes, nodes) * of_others + (ranks - 1) * share;
}

// The fold must be of this rank's block, or ranks would send each other what does not fit.
static ls_status check_fold(const struct ls_fold *fold, int rank, int ranks, int lanes) {
    struct ls_tree_node expected[LS_MAX_NODES];
    const int n = ls_tree_nodes_of(rank, ranks, lanes, expected);
    bool same = fold->n_nodes == n;
    for (int i = 0; same && i < n; i++)
        same = fold->nodes[i].level == expected[i].level && fold->nodes[i].index == expected[i].index;
    if (same) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "the fold is not of lanes %d up to %d of %d, which rank %d of %d has",
                   ls_lane_begin(rank, ranks, lanes), ls_lane_begin(rank + 1, ranks, lanes), lanes, rank,
                   ranks);
}

ls_status ls_reducer_open(struct ls_transport *transport, struct ls_device *device,
                          const struct ls_fold *fold, int lanes, bool fast, size_t max_count,
                          struct ls_reducer **reducer_opened) {
    const int rank = transport->rank, ranks = transport->size;
    if (lanes < 1 || lanes > LS_MAX_LANES)
        return LS_FAIL(LS_INPUT, "%d lanes: expected 1 to %d", lanes, LS_MAX_LANES);
    if (ranks > lanes)
        return LS_FAIL(LS_INPUT, "%d ranks share %d lane%s: at most as many ranks as lanes", ranks, lanes,
                       lanes == 1 ? "" : "s");
    LS_TRY(check_fold(fold, rank, ranks, lanes));

    const enum ls_reduce_algorithm algorithm = ls_reduce_choose(ranks, lanes, fast);
    const int sharing = transport->segment && !fast ? transport->segment->group.size : 1;
    const bool whole = ranks > 1 && sharing == ranks;
    const bool by_hosts = !whole && sharing > 1 && algorithm == LS_REDUCE_ALIGNED;
    float *scratch = NULL;
    const size_t bytes = whole ? 0 : ls_reducer_scratch_bytes(rank, ranks, lanes, fast, max_count);
    if (bytes > 0) LS_TRY(device->api->alloc(device, bytes, (void **)&scratch));

    struct ls_arena memory = {0};
    struct ls_reducer *reducer = LS_ARENA_NEW(&memory, struct ls_reducer, 1);
    reducer->memory = memory;
    reducer->transport = transport;
    reducer->device = device;
    reducer->algorithm = algorithm;
    memcpy(reducer->nodes, fold->nodes, sizeof reducer->nodes);
    reducer->n_nodes = fold->n_nodes;
    reducer->max_count = max_count;
    reducer->few = LS_REDUCE_FEW;
    reducer->scratch = scratch;
    reducer->by_hosts = by_hosts;
    reducer->nearest = by_hosts ? sharing : 1;
    if (algorithm == LS_REDUCE_SLICES) reducer->merges = ls_merges_make(&reducer->memory, ranks, lanes);
    if (whole || by_hosts) ls_shared_prepare(reducer, lanes);
    *reducer_opened = reducer;
    return LS_OK;
}

void ls_reducer_close(struct ls_reducer *reducer) {
    if (!reducer) return;
    if (reducer->scratch) reducer->device->api->free(reducer->device, reducer->scratch);
    struct ls_arena memory = reducer->memory; // `reducer` itself lies in it
    ls_arena_free(&memory);
}

static void reduce_fast(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                        struct ls_queue *queue) {
    float *sum = buffers[reducer->nodes[0].buffer] + offset;
    for (int i = 1; i < reducer->n_nodes; i++)
        ls_reducer_add(reducer, sum, sum, buffers[reducer->nodes[i].buffer] + offset, count, queue);
    if (count > 0) reducer->transport->api->all_reduce(reducer->transport, sum, count, queue);
}

struct too_long {
    size_t count, max_count;
};

static ls_status refuse(void *argument) {
    const struct too_long *refused = argument;
    return LS_FAIL(LS_SYSTEM, "a slice of %zu floats to reduce, where at most %zu were announced",
                   refused->count, refused->max_count);
}

void ls_reduce(struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
               struct ls_queue *queue) {
    if (count > reducer->max_count) {
        const struct too_long refused = {count, reducer->max_count};
        reducer->device->api->call(queue, refuse, &refused, sizeof refused);
        return;
    }
    if (reducer->transport->size == 1) return; // the fold's one node is the root
    if (reducer->shared) {
        (reducer->by_hosts ? ls_reduce_hosts : ls_reduce_shared)(reducer, buffers, offset, count, queue);
        return;
    }
    switch (reducer->algorithm) {
    case LS_REDUCE_ALIGNED:
        ls_reduce_aligned(reducer, buffers[reducer->nodes[0].buffer] + offset, count, queue);
        break;
    case LS_REDUCE_SLICES: ls_reduce_slices(reducer, buffers, offset, count, queue); break;
    case LS_REDUCE_FAST: reduce_fast(reducer, buffers, offset, count, queue); break;
    }
    const struct ls_transport_api *api = reducer->transport->api;
    if (api->settle) api->settle(reducer->transport, queue);
}
