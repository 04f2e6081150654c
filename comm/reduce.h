// The ordered all-reduce: lanes 0..V-1 are the leaves of a binary tree; node (level k, index i) covers lanes
// [i 2^k, (i+1) 2^k), its value is left + right, or left where the right is empty. The sum has one value
// however the lanes are spread over ranks, queues and time.
#pragma once

#include "base/arena.h"
#include "base/lanes.h" // a rank holds a block of lanes
#include "comm/transport.h"

#include <stdbool.h>

#include "base/begin.h"

enum { LS_MAX_LANES = 4096, LS_MAX_NODES = 32 };

// ---- the fold of one rank's lanes ----
// Made once: which buffer each lane writes its output into, and which additions follow, so that after the
// last lane the rank holds the largest tree nodes inside its block of lanes, in as few buffers as the tree
// allows. A wave's additions are elementwise: they can be applied in order to any slice of the buffers, as
// soon as that slice of every lane is there.
struct ls_fold_add {
    int to, from; // buffers: to = to + from, `to` the left operand; `from` is free afterwards
};

struct ls_fold_wave { // `width` lanes run side by side, then the additions
    int first_lane, width;
    int *buffer;              // [width]: where lane first_lane + q writes its output
    struct ls_fold_add *adds; // in order
    int n_adds;
};

struct ls_tree_node {
    int level, index; // covers lanes [index << level, (index + 1) << level), cut at V
    int buffer;
};

struct ls_fold {
    int n_buffers; // output buffers that the rank needs
    struct ls_fold_wave *waves;
    int n_waves;
    struct ls_tree_node nodes[LS_MAX_NODES]; // left to right
    int n_nodes;
    struct ls_arena memory; // holds all of it
};

// For lanes [begin_lane, end_lane) of `lanes`, run `width` at a time.
ls_status ls_fold_make(int begin_lane, int end_lane, int lanes, int width, struct ls_fold **fold);
void ls_fold_free(struct ls_fold *fold);

// ---- over ranks ----
enum ls_reduce_algorithm {
    LS_REDUCE_ALIGNED, // recursive halving and doubling: ring traffic
    LS_REDUCE_SLICES,  // every rank owns a slice: any number of ranks
    LS_REDUCE_FAST,    // the library's own: not one value, no promise
};

struct ls_reducer;

// `fold` is of this rank's block of lanes, and is not kept; `max_count`: floats of the largest slice that
// will be reduced. LS_INPUT where there are more ranks than lanes. The lanes' sum, on every rank, ends in the
// buffer of `fold->nodes[0]`; the fold's other buffers hold nothing afterwards.
ls_status ls_reducer_open(struct ls_transport *transport, struct ls_device *device,
                          const struct ls_fold *fold, int lanes, bool fast, size_t max_count,
                          struct ls_reducer **reducer);
void ls_reducer_close(struct ls_reducer *reducer);
// What ls_reducer_open will allocate on the device for this rank, at most: nothing where all ranks share
// memory. Needs no device or transport: for `plan`.
size_t ls_reducer_scratch_bytes(int rank, int ranks, int lanes, bool fast, size_t max_count);
// Of `count` floats that are reduced in memory that the ranks share: what this rank reads and writes of the
// others' buffers. The system counts it as this rank's too, as it does what one process alone has.
size_t ls_reducer_seen_bytes(int rank, int ranks, int lanes, size_t count);
enum ls_reduce_algorithm ls_reduce_choose(int ranks, int lanes, bool fast);
// Floats that a rank sends for a slice of `count` floats, at most: that is where each rank is alone on its
// host. In memory that ranks share they send none, and what leaves a host is sent once for all of its ranks.
double ls_reduce_traffic(int rank, int ranks, int lanes, bool fast, size_t count);

// Enqueues the all-reduce of floats [offset, offset + count) of the fold's buffers, which `queue` sees
// folded. All ranks call with the same slices in the same order, on one queue. `buffers` is there until the
// queue has come past the call.
void ls_reduce(struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
               struct ls_queue *queue);

#include "base/end.h"
