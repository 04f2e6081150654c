// Any number of ranks: rank p owns slice p of the floats. Every rank sends every owner that slice of each of
// its nodes; the owner folds the nodes of all ranks by the tree, and sends the root's slice to every rank.
//
//   5 lanes, 3 ranks          node of rank   slice 0   slice 1   slice 2
//   rank 0: lane 0            0   0             |  each column is sent to its owner, who folds
//   rank 1: lanes 1, 2        1   1             |  ((0 + 1) + (2 + 3)) + 4
//                             2   1             |
//   rank 2: lanes 3, 4        3   2             |
//                             4   2             v
#include "comm/reducer.h"

static size_t longest_slice(int ranks, size_t count) {
    return count / (size_t)ranks + (count % (size_t)ranks != 0);
}

size_t ls_slices_scratch(int rank, int ranks, int lanes, size_t count) {
    struct ls_tree_node nodes[LS_MAX_NODES];
    size_t others = 0;
    for (int p = 0; p < ranks; p++)
        if (p != rank) others += (size_t)ls_tree_nodes_of(p, ranks, lanes, nodes);
    return others * longest_slice(ranks, count);
}

// Where one call's floats lie.
struct call {
    const struct ls_reducer *reducer;
    float *const *buffers;
    size_t offset, count;
    struct ls_span mine; // this rank's slice
};

// Slice `span` of this rank's node i.
static float *own_node(const struct call *call, int i, struct ls_span span) {
    return call->buffers[call->reducer->nodes[i].buffer] + call->offset + span.begin;
}

// This rank's slice of any node: where it was folded, or where it was received.
static float *node_slice(const struct call *call, int node) {
    const struct ls_reducer *reducer = call->reducer;
    const int rank = reducer->transport->rank;
    const int own_begin = reducer->merges.first_node[rank], own_end = reducer->merges.first_node[rank + 1];
    if (node >= own_begin && node < own_end) return own_node(call, node - own_begin, call->mine);
    const int received = node < own_begin ? node : node - (own_end - own_begin);
    return reducer->scratch + (size_t)received * ls_span_count(call->mine);
}

static void exchange_nodes(const struct call *call, int to, int from, struct ls_queue *queue) {
    const struct ls_reducer *reducer = call->reducer;
    const struct ls_span theirs = ls_slice_of(to, reducer->transport->size, call->count);
    const int first = reducer->merges.first_node[from],
              n_receive = reducer->merges.first_node[from + 1] - first;
    const int n_send = reducer->n_nodes;
    for (int i = 0; i < n_send || i < n_receive; i++) {
        const bool sends = i < n_send, receives = i < n_receive;
        ls_reducer_exchange(
            reducer, to, sends ? own_node(call, i, theirs) : NULL, sends ? ls_span_count(theirs) : 0, from,
            receives ? node_slice(call, first + i) : NULL, receives ? ls_span_count(call->mine) : 0, queue);
    }
}

static void fold_nodes(const struct call *call, struct ls_queue *queue) {
    const struct ls_reducer *reducer = call->reducer;
    for (int i = 0; i < reducer->merges.n_adds; i++) {
        float *left = node_slice(call, reducer->merges.adds[i].to),
              *right = node_slice(call, reducer->merges.adds[i].from);
        const bool is_root = i == reducer->merges.n_adds - 1;
        ls_reducer_add(reducer, is_root ? own_node(call, 0, call->mine) : left, left, right,
                       ls_span_count(call->mine), queue);
    }
}

void ls_reduce_slices(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue) {
    const int rank = reducer->transport->rank, ranks = reducer->transport->size;
    const struct call call = {reducer, buffers, offset, count, ls_slice_of(rank, ranks, count)};
    for (int d = 1; d < ranks; d++)
        exchange_nodes(&call, (rank + d) % ranks, (rank + ranks - d) % ranks, queue);
    fold_nodes(&call, queue);
    for (int d = 1; d < ranks; d++) {
        const int to = (rank + d) % ranks, from = (rank + ranks - d) % ranks;
        const struct ls_span theirs = ls_slice_of(from, ranks, count);
        ls_reducer_exchange(reducer, to, own_node(&call, 0, call.mine), ls_span_count(call.mine), from,
                            own_node(&call, 0, theirs), ls_span_count(theirs), queue);
    }
}
