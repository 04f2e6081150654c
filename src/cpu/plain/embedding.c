// Rows of a table, chosen by index; backward adds in the order of the indices.
#include "cpu/plain/plain.h"

#include <string.h>

static ls_status row_at(const struct ls_kernel_call *call, int64_t i, int64_t rows, int64_t *row) {
    *row = ((const int32_t *)call->in[0])[i];
    if (*row >= 0 && *row < rows) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: index %lld is %lld; expected 0..%lld", call->node->name, (long long)i,
                   (long long)*row, (long long)rows - 1);
}

#define PLAIN_FAMILY "cpu/plain/embedding.inc"
#include "cpu/plain/each_type.h"

PLAIN_OP(embedding, "ix:x", NULL);
PLAIN_OP(embedding_grad, "ix:a", NULL);
