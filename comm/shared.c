// Ranks of one host, which share memory (segment.h). Of few floats every rank stages its nodes for all, and
// each folds those of all by itself: one wait. Many floats are reduced where they are, in buffers that all
// ranks see: each rank owns a slice as in slices.c, folds it out of the buffers of all, and writes the sum
// into those of all. Every float is read once and written once, by one rank; none is copied to be sent.
//
//   4 ranks                 rank 0        rank 1        rank 2        rank 3
//   wait for all            aaaa          bbbb          cccc          dddd
//   fold, of all ranks      s             .s            ..s           ...s      s = (a + b) + (c + d)
//   and write, to all       ssss          ssss          ssss          ssss
//   wait for all
#include "comm/add.h"
#include "comm/reducer.h"
#include "comm/segment.h"

#include <string.h>

enum { BLOCK = 512 }; // floats that are folded at a time: what is between nodes and root stays in L1

// ---- rounds ----

struct ls_shared {
    struct ls_segment *segment;
    ls_add_function *add;
    const float **nodes; // [nodes of all ranks]: where each one's floats are, in this round
    const float **at;    // the same for a block: a node's floats, or what it was merged into
    float **sums;        // [ranks]: where the sum goes in each rank's buffers
    float *partial;      // [nodes][BLOCK]
};

void ls_shared_prepare(struct ls_reducer *reducer) {
    const int ranks = reducer->transport->size, n_nodes = reducer->first_node[ranks];
    struct ls_shared *shared = LS_ARENA_NEW(&reducer->memory, struct ls_shared, 1);
    shared->segment = reducer->transport->segment;
    shared->add = ls_choose_add();
    shared->nodes = LS_ARENA_NEW(&reducer->memory, const float *, n_nodes);
    shared->at = LS_ARENA_NEW(&reducer->memory, const float *, n_nodes);
    shared->sums = LS_ARENA_NEW(&reducer->memory, float *, ranks);
    shared->partial = LS_ARENA_NEW(&reducer->memory, float, (size_t)n_nodes *BLOCK);
    reducer->shared = shared;
    reducer->few = LS_SEGMENT_STAGED / (size_t)n_nodes;
}

// One round.
struct round {
    const struct ls_reducer *reducer;
    const struct ls_shared *shared;
    float *const *buffers;
    size_t offset, count; // floats
    uint64_t number;
};

static float *own_node(const struct round *round, int i) {
    return round->buffers[round->reducer->nodes[i].buffer] + round->offset;
}

// The root of floats [begin, begin + n), n at most BLOCK.
static void fold_block(const struct round *round, float *root, size_t begin, size_t n) {
    const struct ls_reducer *reducer = round->reducer;
    const struct ls_shared *shared = round->shared;
    for (int node = 0; node < reducer->first_node[reducer->transport->size]; node++)
        shared->at[node] = shared->nodes[node] + begin;
    for (int i = 0; i < reducer->n_adds; i++) {
        const struct ls_fold_add *merge = &reducer->adds[i];
        const bool is_root = i == reducer->n_adds - 1;
        float *sum = is_root ? root : shared->partial + (size_t)merge->to * BLOCK;
        shared->add(sum, shared->at[merge->to], shared->at[merge->from], n);
        shared->at[merge->to] = sum;
    }
}

// Of few floats, staged.
static void find_staged(const struct round *round) {
    const struct ls_reducer *reducer = round->reducer;
    for (int p = 0; p < reducer->transport->size; p++) {
        const float *area = ls_segment_area(round->shared->segment, p, round->number);
        const int first = reducer->first_node[p];
        for (int node = first; node < reducer->first_node[p + 1]; node++)
            round->shared->nodes[node] = area + (size_t)(node - first) * round->count;
    }
}

static ls_status reduce_few(const struct round *round) {
    const struct ls_reducer *reducer = round->reducer;
    struct ls_segment *segment = round->shared->segment;
    float *area = ls_segment_area(segment, reducer->transport->rank, round->number);
    for (int i = 0; i < reducer->n_nodes; i++)
        memcpy(area + (size_t)i * round->count, own_node(round, i), round->count * sizeof(float));
    ls_segment_staged(segment, round->number);
    LS_TRY(ls_segment_await_staged(segment, round->number));
    find_staged(round);
    for (size_t begin = 0; begin < round->count; begin += BLOCK)
        fold_block(round, own_node(round, 0) + begin, begin,
                   round->count - begin < BLOCK ? round->count - begin : BLOCK);
    return LS_OK;
}

// Of many floats, where they are.
static ls_status say_where(const struct round *round, const struct ls_window **window) {
    const struct ls_reducer *reducer = round->reducer;
    const struct ls_segment *segment = round->shared->segment;
    const int rank = reducer->transport->rank;
    struct ls_notice *notice = ls_segment_notice(segment, rank, round->number);
    *window = ls_segment_find_buffers(segment, own_node(round, 0), round->count * sizeof(float));
    for (int i = 0; i < reducer->n_nodes; i++) {
        if (!*window ||
            ls_segment_find_buffers(segment, own_node(round, i), round->count * sizeof(float)) != *window)
            return LS_FAIL(LS_SYSTEM, "floats to reduce lie outside of the buffers that ranks share");
        notice->node[i] = (uint64_t)((char *)own_node(round, i) - (*window)->memory[rank]);
    }
    return LS_OK;
}

static void find_everywhere(const struct round *round, const struct ls_window *window) {
    const struct ls_reducer *reducer = round->reducer;
    for (int p = 0; p < reducer->transport->size; p++) {
        const struct ls_notice *notice = ls_segment_notice(round->shared->segment, p, round->number);
        const int first = reducer->first_node[p];
        for (int node = first; node < reducer->first_node[p + 1]; node++)
            round->shared->nodes[node] = (float *)(window->memory[p] + notice->node[node - first]);
        round->shared->sums[p] = (float *)(window->memory[p] + notice->node[0]);
    }
}

static void fold_everywhere(const struct round *round, struct ls_span span) {
    const int rank = round->reducer->transport->rank, ranks = round->reducer->transport->size;
    float *const *sums = round->shared->sums;
    for (size_t begin = span.begin; begin < span.end; begin += BLOCK) {
        const size_t n = span.end - begin < BLOCK ? span.end - begin : BLOCK;
        fold_block(round, sums[rank] + begin, begin, n);
        for (int d = 1; d < ranks; d++)
            memcpy(sums[(rank + d) % ranks] + begin, sums[rank] + begin, n * sizeof(float));
    }
}

static ls_status reduce_many(const struct round *round) {
    const struct ls_transport *transport = round->reducer->transport;
    struct ls_segment *segment = round->shared->segment;
    const struct ls_window *window = NULL;
    LS_TRY(say_where(round, &window));
    ls_segment_staged(segment, round->number);
    LS_TRY(ls_segment_await_staged(segment, round->number));
    find_everywhere(round, window);
    fold_everywhere(round, ls_slice_of(transport->rank, transport->size, round->count));
    ls_segment_summed(segment, round->number);
    ls_segment_await_summed(segment, round->number);
    return LS_OK;
}

struct call {
    const struct ls_reducer *reducer;
    float *const *buffers;
    size_t offset, count;
};
_Static_assert(sizeof(struct call) <= LS_CALL_BYTES, "a queue copies the argument");

static ls_status reduce_now(void *argument) {
    const struct call *call = argument;
    const struct ls_reducer *reducer = call->reducer;
    struct ls_segment *segment = reducer->shared->segment;
    const struct round round = {reducer,      reducer->shared, call->buffers,
                                call->offset, call->count,     ++segment->rounds};
    ls_segment_notice(segment, segment->comm->rank, round.number)->count = call->count;
    return call->count <= reducer->few ? reduce_few(&round) : reduce_many(&round);
}

void ls_reduce_shared(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue) {
    const struct call call = {reducer, buffers, offset, count};
    if (count > 0) reducer->device->api->call(queue, reduce_now, &call, sizeof call);
}
