// A batched matrix product as a device makes it; matrices lie by rows, one behind the other.
#pragma once

#include "ops/ops.h"

#include "base/begin.h"

// c [m,n] = scale * a' [m,k] b' [k,n], `batch` times; a' is a, or a [k,m] transposed, b' likewise.
struct ls_products {
    int64_t batch, m, n, k;
    bool transpose_a, transpose_b;
    double scale;
};
struct ls_products ls_products_of(const struct ls_graph *graph, const struct ls_node *node);

#include "base/end.h"
