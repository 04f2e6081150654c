// Memory that all ranks share where they run on one host. It has no name in any file system: it goes with the
// last process that has it, however that ends.
//
//     board of rank 0, 1, …    what each rank has done, a cache line each
//     area of rank 0           staged, sums; three times, which rounds take in turn
//     area of rank 1           …
//
// Only its rank writes to a board or an area. All ranks make the same rounds, in the same order, and are in
// two that follow each other at most: no rank stages for round n + 1 before all are done with round n - 2,
// whose place it takes.
#pragma once

#include "comm/comm.h"

#include <stdatomic.h>

enum {
    LS_SEGMENT_PLACES = 3,
    LS_SEGMENT_STAGED = 1 << 16, // floats
    LS_SEGMENT_SUMS = LS_SEGMENT_STAGED / 2,
};

struct ls_board {
    _Alignas(128) _Atomic uint64_t staged; // the rounds for which this rank has put there what others need …
    _Atomic uint64_t summed;               // … and its slice of the sum
    uint64_t count[LS_SEGMENT_PLACES];     // floats of the call that a round belongs to
};

struct ls_area {
    float staged[LS_SEGMENT_STAGED], sums[LS_SEGMENT_SUMS];
};

struct ls_segment {
    int rank, size;
    const char *host;
    size_t staged;           // floats of an area that are used: all, unless a test wants many rounds
    uint64_t rounds;         // begun so far; the first is number 1
    struct ls_board *boards; // [size]
    struct ls_area *areas;   // [size][LS_SEGMENT_PLACES]
    void *memory;
    size_t bytes;
};

// Collective. NULL where the ranks are on several hosts or in several containers, or the system has no such
// memory; a rank that has none decides for all.
ls_status ls_segment_open(struct ls_comm *comm, struct ls_segment **segment);
void ls_segment_close(struct ls_segment *segment); // takes NULL

static inline struct ls_area *ls_segment_area(const struct ls_segment *segment, int rank, uint64_t round) {
    return &segment->areas[(size_t)rank * LS_SEGMENT_PLACES + round % LS_SEGMENT_PLACES];
}

// What this rank has put into its area for a round of a call that reduces `count` floats may be read now.
void ls_segment_staged(struct ls_segment *segment, uint64_t round, size_t count);
void ls_segment_summed(struct ls_segment *segment, uint64_t round);
// Waits for all; LS_COMM where another rank reduces another count.
ls_status ls_segment_await_staged(struct ls_segment *segment, uint64_t round);
void ls_segment_await_summed(struct ls_segment *segment, int rank, uint64_t round);
