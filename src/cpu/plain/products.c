// Batched matrix products: some rows of a' at a time, against b' in panels.
#include "cpu/plain/panels.h"
#include "ops/matmul.h"

#include <string.h>

static int64_t rows_at_once(const struct ls_products *p) {
    return plain_min(p->m, 16 * MULTIPLE_OF_ROWS);
}

#define PLAIN_FAMILY "cpu/plain/products.inc"
#include "cpu/plain/each_type.h"

static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    struct ls_products p = ls_products_of(graph, node);
    size_t count = panel_count(p.k, p.n) + (size_t)(rows_at_once(&p) * (p.k + p.n));
    return count * plain_wide_bytes(graph, node->in[0]);
}

PLAIN_OP(matmul, "xx:x", workspace);
