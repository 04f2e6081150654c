// How ranks that run on one host reduce in memory that they share (window.h): what each has done, and what it
// gives.
//
//     share of a rank    its board: what it has done, and where its floats are
//                        its area: few floats, staged for the others; twice, which rounds take in turn
//     buffers            windows of buffers, as a fold fills them: any number
//
// Only its rank writes to a share. All ranks make the same rounds, in the same order, and are in
// two that follow each other at most: no rank stages for round n + 1 before all are done with round n - 1,
// whose place it takes.
#pragma once

#include "comm/reduce.h"
#include "comm/window.h"

#include <stdatomic.h>

enum {
    LS_SEGMENT_PLACES = 2,
    LS_SEGMENT_STAGED = 1 << 14, // floats
};

// What a rank says of its own floats in a round.
struct ls_notice {
    uint64_t count;              // that are reduced
    uint64_t node[LS_MAX_NODES]; // where each of its nodes begins: bytes from the start of its window
};

struct ls_board {
    _Alignas(128) _Atomic uint64_t staged; // the rounds for which the others may read what this rank gives …
    _Atomic uint64_t summed;               // … and for which it has written its slice of the sum
    struct ls_notice notice[LS_SEGMENT_PLACES];
};

struct ls_share { // of a rank
    struct ls_board board;
    float area[LS_SEGMENT_PLACES][LS_SEGMENT_STAGED];
};

struct ls_segment {
    struct ls_comm *comm;
    struct ls_group group;     // its ranks; below, and in shares, they are counted from its first
    int rank;                  // this one
    uint64_t rounds;           // begun so far; the first is number 1
    struct ls_window *shares;  // each rank's struct ls_share
    struct ls_window *buffers; // the one opened last, and those before it
};

// Collective. The ranks of this host, where each host has as many, side by side; else this rank alone.
ls_status ls_segment_group(struct ls_comm *comm, struct ls_group *group);
// Collective. For a group of ranks on one host; all ranks are in groups of one size. NULL where that is 1,
// the ranks of one are in several containers, or the system has no such memory; a rank that has none decides
// for all.
ls_status ls_segment_open(struct ls_comm *comm, struct ls_group group, struct ls_segment **segment);
void ls_segment_close(struct ls_segment *segment); // takes NULL

// Collective. A window for buffers, of so many bytes on this rank; NULL on all ranks where one has none.
ls_status ls_segment_open_buffers(struct ls_segment *segment, size_t bytes, void **memory);
void ls_segment_close_buffers(struct ls_segment *segment, const void *memory);
// The window that this rank's memory lies in, or NULL.
const struct ls_window *ls_segment_find_buffers(const struct ls_segment *segment, const void *memory,
                                                size_t bytes);

static inline struct ls_share *ls_segment_share(const struct ls_segment *segment, int rank) {
    return (struct ls_share *)segment->shares->memory[rank];
}

static inline float *ls_segment_area(const struct ls_segment *segment, int rank, uint64_t round) {
    return ls_segment_share(segment, rank)->area[round % LS_SEGMENT_PLACES];
}

static inline struct ls_notice *ls_segment_notice(const struct ls_segment *segment, int rank,
                                                  uint64_t round) {
    return &ls_segment_share(segment, rank)->board.notice[round % LS_SEGMENT_PLACES];
}

// This rank's notice and floats of a round may be read now.
void ls_segment_staged(struct ls_segment *segment, uint64_t round);
void ls_segment_summed(struct ls_segment *segment, uint64_t round);
// Wait for all. LS_COMM where another rank reduces another count.
ls_status ls_segment_await_staged(struct ls_segment *segment, uint64_t round);
void ls_segment_await_summed(struct ls_segment *segment, uint64_t round);
void ls_segment_await_sum_of(struct ls_segment *segment, int rank, uint64_t round); // for one
