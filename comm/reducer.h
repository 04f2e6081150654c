// What the algorithms of the all-reduce share; for the files of this folder.
#pragma once

#include "comm/tree.h"
#include "device/device.h"

enum { LS_REDUCE_FEW = 4096 };

struct ls_reducer {
    struct ls_transport *transport;
    struct ls_device *device;
    enum ls_reduce_algorithm algorithm;
    struct ls_tree_node nodes[LS_MAX_NODES]; // this rank's, in the buffers of its fold
    int n_nodes;
    size_t max_count;
    size_t few; // up to so many floats rounds cost more than bytes (LS_REDUCE_ALIGNED, and in shared memory)
    float *scratch; // device memory; NULL where none is needed

    struct ls_merges merges;  // LS_REDUCE_SLICES: of all ranks
    int nearest;              // LS_REDUCE_ALIGNED: the distance of the first partner
    struct ls_shared *shared; // NULL: this rank shares no memory, or `fast`
    bool by_hosts;            // `shared` is of the ranks of this host, and there are others
    struct ls_arena memory;
};

struct ls_span { // floats [begin, end)
    size_t begin, end;
};

static inline size_t ls_span_count(struct ls_span span) {
    return span.end - span.begin;
}

static inline void ls_reducer_exchange(const struct ls_reducer *reducer, int to, const float *send,
                                       size_t n_send, int from, float *receive, size_t n_receive,
                                       struct ls_queue *queue) {
    if (n_send == 0 && n_receive == 0) return;
    reducer->transport->api->exchange(reducer->transport, to, send, n_send, from, receive, n_receive, queue);
}

// to = left + right. Operands stay in this order: where both are NaN, it decides whose bits are kept.
static inline void ls_reducer_add(const struct ls_reducer *reducer, float *to, const float *left,
                                  const float *right, size_t n, struct ls_queue *queue) {
    if (n > 0) reducer->device->api->add(queue, to, left, right, n);
}

// The slice of `count` floats that a rank owns.
static inline struct ls_span ls_slice_of(int owner, int ranks, size_t count) {
    // count * owner / ranks, without overflow
    const size_t n = (size_t)ranks, each = count / n, rest = count % n, p = (size_t)owner;
    return (struct ls_span){each * p + rest * p / n, each * (p + 1) + rest * (p + 1) / n};
}

size_t ls_aligned_scratch(size_t count, size_t few); // floats
void ls_reduce_aligned(const struct ls_reducer *reducer, float *data, size_t count, struct ls_queue *queue);

size_t ls_slices_scratch(int rank, int ranks, int lanes, size_t count); // floats
void ls_reduce_slices(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue);

void ls_shared_prepare(struct ls_reducer *reducer, int lanes);
void ls_reduce_shared(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue);
// Of the ranks of a host: each folds its part of their nodes, into its buffer; and gives it, once it is the
// sum, to all of them. The part of few floats is all of them for the first rank, none for the others.
struct ls_span ls_shared_part(const struct ls_reducer *reducer, size_t count);
void ls_shared_join(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                    struct ls_queue *queue);
void ls_shared_spread(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue);

void ls_reduce_hosts(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                     struct ls_queue *queue);
