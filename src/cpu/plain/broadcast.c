// Sums and products of two tensors, which may have to be spread over each other, and sums over what was
// spread. Everything goes row by row along the axis that lies closest; ops/broadcast.h says where a row is.
#include "ops/broadcast.h"

#include "cpu/plain/plain.h"

static const struct ls_shape *shape_of(const struct ls_graph *graph, ls_value value) {
    return &ls_info(graph, value)->shape;
}

// The row that follows, as an odometer does.
struct row {
    int64_t index[LS_MAX_RANK];
    int64_t at[2]; // where the two others are, in elements
};

static void next_row(const struct ls_walk *walk, struct row *row) {
    for (int axis = 1; axis < walk->axes; axis++) {
        for (int k = 0; k < 2; k++) row->at[k] += walk->stride[k][axis];
        if (++row->index[axis] < walk->size[axis]) return;
        for (int k = 0; k < 2; k++) row->at[k] -= walk->stride[k][axis] * walk->size[axis];
        row->index[axis] = 0;
    }
}

static int64_t rows_of(const struct ls_walk *walk) {
    int64_t rows = 1;
    for (int axis = 1; axis < walk->axes; axis++) rows *= walk->size[axis];
    return rows;
}

#define PLAIN_FAMILY "cpu/plain/broadcast.inc"
#include "cpu/plain/each_type.h"

static size_t sums_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return (size_t)plain_count(graph, node->out[0]) * sizeof(double);
}

PLAIN_OP(add, "xx:x", NULL);
PLAIN_OP(add_relu, "xx:x", NULL);
PLAIN_OP(mul, "xx:x", NULL);
PLAIN_OP(sum_to, "xx:a", sums_workspace);
