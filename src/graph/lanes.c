#include "graph/plan.h"

struct ls_lane_range ls_lanes_of(int rank, int ranks, int lanes) {
    struct ls_lane_range range = {
        .begin = (int)((int64_t)rank * lanes / ranks),
        .end = (int)(((int64_t)rank + 1) * lanes / ranks),
    };
    return range;
}
