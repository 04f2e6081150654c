// How ranks share lanes, the one place that says it: rank r of R has lanes [rV/R, (r+1)V/R) of V, rounded
// down. Blocks lie in the order of ranks, without gaps, and differ by one lane at most.
#pragma once

#include <stdint.h>

struct ls_lane_range {
    int begin, end;
};

// For rank = ranks: the number of lanes.
static inline int ls_lane_begin(int rank, int ranks, int lanes) {
    return (int)((int64_t)rank * lanes / ranks);
}

static inline struct ls_lane_range ls_lanes_of(int rank, int ranks, int lanes) {
    const struct ls_lane_range range = {ls_lane_begin(rank, ranks, lanes),
                                        ls_lane_begin(rank + 1, ranks, lanes)};
    return range;
}
