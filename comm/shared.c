// Ranks of one host, which share memory (segment.h). Every rank stages its nodes there, and folds those of
// all by the tree. Of few floats each folds all by itself: one wait. Of many, chunk by chunk, a rank owns a
// slice as in slices.c: it folds its slice, and takes the sums of the others' slices. Chunks are as long as
// stays in a processor's cache on the way: in its own buffers a rank reads and writes every float once. It
// takes the sums of a chunk after it has folded the next one, and folds a chunk after it has staged the next
// one, so that it seldom waits.
//
//   4 ranks, a chunk        rank 0        rank 1        rank 2        rank 3
//   stage                   .aaa          b.bb          cc.c          ddd.
//   wait for all, fold      s             .s            ..s           ...s      s = (a + b) + (c + d)
//   wait for each, take     .sss          s.ss          ss.s          sss.
#include "comm/reducer.h"
#include "comm/segment.h"

#include <string.h>

enum {
    BLOCK = 512,   // floats that are folded at a time: what is between two nodes and the root stays in L1
    FEW = 1 << 14, // floats of all nodes together, which each rank folds by itself
};

// ---- additions ----

typedef void add_function(float *to, const float *left, const float *right, size_t n);
typedef float vector __attribute__((vector_size(64), aligned(4), may_alias));
enum { VECTOR = sizeof(vector) / sizeof(float) };

// `to` may be `left` or `right`.
static inline __attribute__((always_inline)) void add_vectors(float *to, const float *left,
                                                              const float *right, size_t n) {
    size_t i = 0;
    for (; i + VECTOR <= n; i += VECTOR)
        *(vector *)(to + i) = *(const vector *)(left + i) + *(const vector *)(right + i);
    for (; i < n; i++) to[i] = left[i] + right[i];
}

static void add_anywhere(float *to, const float *left, const float *right, size_t n) {
    add_vectors(to, left, right, n);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void add_avx2(float *to, const float *left, const float *right,
                                                     size_t n) {
    add_vectors(to, left, right, n);
}

__attribute__((target("avx512f"))) static void add_avx512(float *to, const float *left, const float *right,
                                                          size_t n) {
    add_vectors(to, left, right, n);
}
#endif

// The same bits; longer vectors.
static add_function *choose_add(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return add_avx512;
    if (__builtin_cpu_supports("avx2")) return add_avx2;
#endif
    return add_anywhere;
}

// ---- rounds ----

struct ls_shared {
    struct ls_segment *segment;
    size_t chunk; // floats
    add_function *add;
    const float **nodes; // [nodes of all ranks]: where each one's slice is, in this round
    const float **at;    // the same for a block: a node's floats, or what it was merged into
    float *partial;      // [nodes][BLOCK]
};

void ls_shared_prepare(struct ls_reducer *reducer) {
    const int ranks = reducer->transport->size, n_nodes = reducer->first_node[ranks];
    int most = 1;
    for (int p = 0; p < ranks; p++) {
        const int n = reducer->first_node[p + 1] - reducer->first_node[p];
        if (n > most) most = n;
    }
    struct ls_shared *shared = LS_ARENA_NEW(&reducer->memory, struct ls_shared, 1);
    shared->segment = reducer->transport->segment;
    shared->chunk = shared->segment->staged / (size_t)most;
    shared->add = choose_add();
    shared->nodes = LS_ARENA_NEW(&reducer->memory, const float *, n_nodes);
    shared->at = LS_ARENA_NEW(&reducer->memory, const float *, n_nodes);
    shared->partial = LS_ARENA_NEW(&reducer->memory, float, (size_t)n_nodes *BLOCK);
    reducer->shared = shared;
}

// One round: `count` floats from `offset` on.
struct round {
    const struct ls_reducer *reducer;
    const struct ls_shared *shared;
    float *const *buffers;
    size_t offset, count;
    uint64_t number;
};

static float *own_node(const struct round *round, int i) {
    return round->buffers[round->reducer->nodes[i].buffer] + round->offset;
}

static void copy(float *to, const float *from, size_t n) {
    if (n > 0) memcpy(to, from, n * sizeof *to);
}

// All but `kept`, which no other rank needs.
static void stage(const struct round *round, struct ls_span kept) {
    const struct ls_segment *segment = round->shared->segment;
    for (int i = 0; i < round->reducer->n_nodes; i++) {
        float *staged =
            ls_segment_area(segment, segment->rank, round->number)->staged + (size_t)i * round->count;
        copy(staged, own_node(round, i), kept.begin);
        copy(staged + kept.end, own_node(round, i) + kept.end, round->count - kept.end);
    }
}

static void find_nodes(const struct round *round) {
    const struct ls_reducer *reducer = round->reducer;
    const struct ls_segment *segment = round->shared->segment;
    for (int p = 0; p < segment->size; p++) {
        const float *staged = ls_segment_area(segment, p, round->number)->staged;
        const int first = reducer->first_node[p];
        for (int node = first; node < reducer->first_node[p + 1]; node++) {
            const size_t i = (size_t)(node - first);
            round->shared->nodes[node] =
                p == segment->rank ? own_node(round, (int)i) : staged + i * round->count;
        }
    }
}

// The root of floats [begin, begin + n), n at most BLOCK, goes into this rank's first node.
static void fold_block(const struct round *round, size_t begin, size_t n) {
    const struct ls_reducer *reducer = round->reducer;
    const struct ls_shared *shared = round->shared;
    for (int node = 0; node < reducer->first_node[reducer->transport->size]; node++)
        shared->at[node] = shared->nodes[node] + begin;
    for (int i = 0; i < reducer->n_adds; i++) {
        const struct ls_fold_add *merge = &reducer->adds[i];
        const bool is_root = i == reducer->n_adds - 1;
        float *sum = is_root ? own_node(round, 0) + begin : shared->partial + (size_t)merge->to * BLOCK;
        shared->add(sum, shared->at[merge->to], shared->at[merge->from], n);
        shared->at[merge->to] = sum;
    }
}

static void fold(const struct round *round, struct ls_span span) {
    find_nodes(round);
    for (size_t begin = span.begin; begin < span.end; begin += BLOCK)
        fold_block(round, begin, span.end - begin < BLOCK ? span.end - begin : BLOCK);
}

static ls_status reduce_few(const struct round *round) {
    struct ls_segment *segment = round->shared->segment;
    segment->rounds++;
    stage(round, (struct ls_span){0, 0});
    ls_segment_staged(segment, round->number, round->count);
    LS_TRY(ls_segment_await_staged(segment, round->number));
    fold(round, (struct ls_span){0, round->count});
    return LS_OK;
}

static struct ls_span mine(const struct round *round) {
    return ls_slice_of(round->shared->segment->rank, round->shared->segment->size, round->count);
}

static ls_status fold_mine(const struct round *round) {
    struct ls_segment *segment = round->shared->segment;
    LS_TRY(ls_segment_await_staged(segment, round->number));
    const struct ls_span slice = mine(round);
    fold(round, slice);
    // In one piece: memcpy then writes whole lines, without fetching from others what they have read of them.
    copy(ls_segment_area(segment, segment->rank, round->number)->sums, own_node(round, 0) + slice.begin,
         ls_span_count(slice));
    ls_segment_summed(segment, round->number);
    return LS_OK;
}

static void take_others(const struct round *round) {
    struct ls_segment *segment = round->shared->segment;
    for (int d = 1; d < segment->size; d++) {
        const int p = (segment->rank + d) % segment->size;
        const struct ls_span theirs = ls_slice_of(p, segment->size, round->count);
        ls_segment_await_summed(segment, p, round->number);
        copy(own_node(round, 0) + theirs.begin, ls_segment_area(segment, p, round->number)->sums,
             ls_span_count(theirs));
    }
}

// Chunk i of a call, whose number is its first round's.
static struct round chunk_of(const struct round *call, size_t i) {
    const size_t begin = i * call->shared->chunk, left = call->count - begin;
    struct round chunk = *call;
    chunk.offset += begin;
    chunk.count = left < call->shared->chunk ? left : call->shared->chunk;
    chunk.number += i;
    return chunk;
}

static ls_status reduce_many(const struct round *call) {
    struct ls_segment *segment = call->shared->segment;
    const size_t chunks = (call->count - 1) / call->shared->chunk + 1;
    segment->rounds += chunks;
    for (size_t i = 0; i < chunks + 2; i++) {
        if (i < chunks) {
            const struct round staged = chunk_of(call, i);
            stage(&staged, mine(&staged));
            ls_segment_staged(segment, staged.number, call->count);
        }
        if (i >= 1 && i - 1 < chunks) {
            const struct round folded = chunk_of(call, i - 1);
            LS_TRY(fold_mine(&folded));
        }
        if (i >= 2) {
            const struct round taken = chunk_of(call, i - 2);
            take_others(&taken);
        }
    }
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
    const struct ls_shared *shared = reducer->shared;
    const size_t n_nodes = (size_t)reducer->first_node[shared->segment->size];
    const struct round round = {reducer,      shared,      call->buffers,
                                call->offset, call->count, shared->segment->rounds + 1};
    return call->count <= FEW / n_nodes ? reduce_few(&round) : reduce_many(&round);
}

void ls_reduce_shared(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue) {
    const struct call call = {reducer, buffers, offset, count};
    if (count > 0) reducer->device->api->call(queue, reduce_now, &call, sizeof call);
}
