// Tensors of different shapes, element by element: which elements of each belong together. Shared by the
// devices' kernels of add, mul and sum_to.
#pragma once

#include "graph/graph.h"

// A walk over a tensor as it lies in memory, and where two others are meanwhile. Axis 0 moves fastest. An
// axis along which one of the two has a single element has stride 0 there; axes that lie alike in all three
// are one axis.
struct ls_walk {
    int axes; // 1 at least
    int64_t size[LS_MAX_RANK];
    int64_t stride[2][LS_MAX_RANK]; // in elements; along axis 0 0 or 1
};

// Dimension of a tensor of that rank which lies `place` places from the fastest.
static inline int ls_walk_dimension(int rank, int place) {
    static const int channels_last[] = {1, 3, 2, 0};
    return rank == 4 ? channels_last[place] : rank - 1 - place;
}

// `first` and `second` broadcast to `full`, as the shape rules of these ops have it.
static inline struct ls_walk ls_walk_of(const struct ls_shape *full, const struct ls_shape *first,
                                        const struct ls_shape *second) {
    struct ls_walk walk = {.axes = 0};
    int64_t step[2] = {1, 1}; // of each of the two, along the next axis
    for (int place = 0; place < full->rank; place++) {
        const int d = ls_walk_dimension(full->rank, place), at = walk.axes;
        const int64_t size = full->dim[d];
        if (size == 1) continue;
        bool goes_on = at > 0;
        for (int k = 0; k < 2; k++) {
            const struct ls_shape *shape = k == 0 ? first : second;
            const int own = d - (full->rank - shape->rank);
            const int64_t has = own < 0 ? 1 : shape->dim[own], stride = has == 1 ? 0 : step[k];
            goes_on = goes_on && stride == walk.stride[k][at - 1] * walk.size[at - 1];
            walk.stride[k][at] = stride;
            step[k] *= has;
        }
        walk.size[at] = size;
        if (goes_on)
            walk.size[at - 1] *= size;
        else
            walk.axes++;
    }
    if (walk.axes == 0) walk = (struct ls_walk){.axes = 1, .size = {1}};
    return walk;
}
