// Shapes: counted, compared, printed, checked.
#include "graph/append.h"

#include <inttypes.h>
#include <stdio.h>

// More elements than any device holds; below it no product of a few sizes overflows an int64_t.
#define MAX_ELEMENTS ((int64_t)1 << 40)

int64_t ls_shape_count(const struct ls_shape *shape) {
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= shape->dim[i];
    return count;
}

bool ls_shape_equal(const struct ls_shape *a, const struct ls_shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

char *ls_shape_text(char out[96], const struct ls_shape *shape) {
    int length = 0;
    if (shape->rank == 0) snprintf(out, 96, "scalar");
    for (int i = 0; i < shape->rank && i < LS_MAX_RANK && length < 96; i++)
        length += snprintf(out + length, (size_t)(96 - length), i ? "x%" PRId64 : "%" PRId64, shape->dim[i]);
    return out;
}

ls_status ls_shape_check(const struct ls_shape *shape) {
    if (shape->rank < 0 || shape->rank > LS_MAX_RANK)
        return LS_FAIL(LS_INPUT, "rank %d; expected 0 to %d", shape->rank, LS_MAX_RANK);
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        char text[96];
        if (shape->dim[i] < 1)
            return LS_FAIL(LS_INPUT, "shape %s: every dimension must be at least 1",
                           ls_shape_text(text, shape));
        if (shape->dim[i] > MAX_ELEMENTS / count)
            return LS_FAIL(LS_INPUT, "shape %s: more than 2^40 elements", ls_shape_text(text, shape));
        count *= shape->dim[i];
    }
    return LS_OK;
}
