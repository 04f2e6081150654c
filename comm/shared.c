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
    struct ls_merges merges; // of its ranks
    ls_add_function *add;
    const float **nodes; // [nodes of all ranks]: where each one's floats are, in this round
    const float **at;    // the same for a block: a node's floats, or what it was merged into
    float **sums;        // [ranks]: where the sum goes in each rank's buffers
    float *partial;      // [nodes][BLOCK]
};

// By hosts, each rank holds one node, which are leaves of the host's.
void ls_shared_prepare(struct ls_reducer *reducer, int lanes) {
    struct ls_shared *shared = LS_ARENA_NEW(&reducer->memory, struct ls_shared, 1);
    shared->segment = reducer->transport->segment;
    const int ranks = shared->segment->group.size;
    shared->merges = ls_merges_make(&reducer->memory, ranks, reducer->by_hosts ? ranks : lanes);
    const int n_nodes = shared->merges.first_node[ranks];
    shared->add = ls_choose_add();
    shared->nodes = LS_ARENA_NEW(&reducer->memory, const float *, n_nodes);
    shared->at = LS_ARENA_NEW(&reducer->memory, const float *, n_nodes);
    shared->sums = LS_ARENA_NEW(&reducer->memory, float *, ranks);
    shared->partial = LS_ARENA_NEW(&reducer->memory, float, (size_t)n_nodes *BLOCK);
    reducer->shared = shared;
    if (!reducer->by_hosts) reducer->few = LS_SEGMENT_STAGED / (size_t)n_nodes;
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
    const struct ls_shared *shared = round->shared;
    const struct ls_merges *merges = &shared->merges;
    for (int node = 0; node < merges->first_node[shared->segment->group.size]; node++)
        shared->at[node] = shared->nodes[node] + begin;
    for (int i = 0; i < merges->n_adds; i++) {
        const struct ls_fold_add *merge = &merges->adds[i];
        const bool is_root = i == merges->n_adds - 1;
        float *sum = is_root ? root : shared->partial + (size_t)merge->to * BLOCK;
        shared->add(sum, shared->at[merge->to], shared->at[merge->from], n);
        shared->at[merge->to] = sum;
    }
}

static size_t block_at(size_t begin, size_t end) {
    return end - begin < BLOCK ? end - begin : BLOCK;
}

static void fold_span(const struct round *round, struct ls_span span) {
    for (size_t begin = span.begin; begin < span.end; begin += BLOCK)
        fold_block(round, own_node(round, 0) + begin, begin, block_at(begin, span.end));
}

// Of few floats, staged.
static void find_staged(const struct round *round) {
    const struct ls_segment *segment = round->shared->segment;
    const int *first_node = round->shared->merges.first_node;
    for (int p = 0; p < segment->group.size; p++) {
        const float *area = ls_segment_area(segment, p, round->number);
        const int first = first_node[p];
        for (int node = first; node < first_node[p + 1]; node++)
            round->shared->nodes[node] = area + (size_t)(node - first) * round->count;
    }
}

static void stage_few(const struct round *round) {
    struct ls_segment *segment = round->shared->segment;
    float *area = ls_segment_area(segment, segment->rank, round->number);
    for (int i = 0; i < round->reducer->n_nodes; i++)
        memcpy(area + (size_t)i * round->count, own_node(round, i), round->count * sizeof(float));
    ls_segment_staged(segment, round->number);
}

static ls_status fold_few(const struct round *round) {
    LS_TRY(ls_segment_await_staged(round->shared->segment, round->number));
    find_staged(round);
    fold_span(round, (struct ls_span){0, round->count});
    return LS_OK;
}

static ls_status reduce_few(const struct round *round) {
    stage_few(round);
    return fold_few(round);
}

// Of many floats, where they are.
static ls_status say_where(const struct round *round, const struct ls_window **window) {
    const struct ls_reducer *reducer = round->reducer;
    const struct ls_segment *segment = round->shared->segment;
    const int rank = segment->rank;
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
    const struct ls_segment *segment = round->shared->segment;
    const int *first_node = round->shared->merges.first_node;
    for (int p = 0; p < segment->group.size; p++) {
        const struct ls_notice *notice = ls_segment_notice(segment, p, round->number);
        const int first = first_node[p];
        for (int node = first; node < first_node[p + 1]; node++)
            round->shared->nodes[node] = (float *)(window->memory[p] + notice->node[node - first]);
        round->shared->sums[p] = (float *)(window->memory[p] + notice->node[0]);
    }
}

static ls_status meet(const struct round *round) {
    struct ls_segment *segment = round->shared->segment;
    const struct ls_window *window = NULL;
    LS_TRY(say_where(round, &window));
    ls_segment_staged(segment, round->number);
    LS_TRY(ls_segment_await_staged(segment, round->number));
    find_everywhere(round, window);
    return LS_OK;
}

// Floats of this rank's sum, to the others.
static void write_others(const struct round *round, size_t begin, size_t n) {
    const int rank = round->shared->segment->rank, ranks = round->shared->segment->group.size;
    float *const *sums = round->shared->sums;
    for (int d = 1; d < ranks; d++)
        memcpy(sums[(rank + d) % ranks] + begin, sums[rank] + begin, n * sizeof(float));
}

static ls_status reduce_many(const struct round *round) {
    struct ls_segment *segment = round->shared->segment;
    LS_TRY(meet(round));
    const struct ls_span mine = ls_slice_of(segment->rank, segment->group.size, round->count);
    for (size_t begin = mine.begin; begin < mine.end; begin += BLOCK) {
        const size_t n = block_at(begin, mine.end);
        fold_block(round, own_node(round, 0) + begin, begin, n);
        write_others(round, begin, n);
    }
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

static struct round round_of(const struct call *call, uint64_t number) {
    return (struct round){.reducer = call->reducer,
                          .shared = call->reducer->shared,
                          .buffers = call->buffers,
                          .offset = call->offset,
                          .count = call->count,
                          .number = number};
}

static struct round begin_round(const struct call *call) {
    struct ls_segment *segment = call->reducer->shared->segment;
    const struct round round = round_of(call, ++segment->rounds);
    ls_segment_notice(segment, segment->rank, round.number)->count = call->count;
    return round;
}

static ls_status reduce_now(void *argument) {
    const struct call *call = argument;
    const struct round round = begin_round(call);
    return call->count <= call->reducer->few ? reduce_few(&round) : reduce_many(&round);
}

void ls_reduce_shared(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue) {
    const struct call call = {reducer, buffers, offset, count};
    if (count > 0) reducer->device->api->call(queue, reduce_now, &call, sizeof call);
}

// ---- of one host among several ----

enum { LEADER = 0 };

struct ls_span ls_shared_part(const struct ls_reducer *reducer, size_t count) {
    const struct ls_segment *segment = reducer->shared->segment;
    if (count > reducer->few) return ls_slice_of(segment->rank, segment->group.size, count);
    return (struct ls_span){0, segment->rank == LEADER ? count : 0};
}

static ls_status join_now(void *argument) {
    const struct call *call = argument;
    const struct round round = begin_round(call);
    if (call->count > call->reducer->few) {
        LS_TRY(meet(&round));
        fold_span(&round, ls_shared_part(call->reducer, call->count));
        return LS_OK;
    }
    stage_few(&round);
    return round.shared->segment->rank == LEADER ? fold_few(&round) : LS_OK;
}

// The leader's place for what it stages holds the sum; who looks there has been through the round before.
static void spread_few(const struct round *round) {
    struct ls_segment *segment = round->shared->segment;
    float *area = ls_segment_area(segment, LEADER, round->number), *mine = own_node(round, 0);
    const size_t bytes = round->count * sizeof(float);
    if (segment->rank == LEADER) {
        memcpy(area, mine, bytes);
        ls_segment_summed(segment, round->number);
    } else {
        ls_segment_await_sum_of(segment, LEADER, round->number);
        memcpy(mine, area, bytes);
    }
}

static ls_status spread_now(void *argument) {
    const struct call *call = argument;
    struct ls_segment *segment = call->reducer->shared->segment;
    const struct round round = round_of(call, segment->rounds);
    if (call->count <= call->reducer->few) {
        spread_few(&round);
        return LS_OK;
    }
    const struct ls_span mine = ls_shared_part(call->reducer, call->count);
    write_others(&round, mine.begin, ls_span_count(mine));
    ls_segment_summed(segment, round.number);
    ls_segment_await_summed(segment, round.number);
    return LS_OK;
}

void ls_shared_join(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                    struct ls_queue *queue) {
    const struct call call = {reducer, buffers, offset, count};
    reducer->device->api->call(queue, join_now, &call, sizeof call);
}

void ls_shared_spread(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue) {
    const struct call call = {reducer, buffers, offset, count};
    reducer->device->api->call(queue, spread_now, &call, sizeof call);
}
