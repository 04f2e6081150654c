#include "data/dataset_parts.h"

#include <stdlib.h>

ls_status ls_buffer_reserve(struct ls_buffer *buffer, size_t bytes) {
    if (buffer->bytes >= bytes) return LS_OK;
    void *data = realloc(buffer->data, bytes);
    if (!data) return LS_FAIL(LS_SYSTEM, "out of memory for %zu bytes to read samples with", bytes);
    *buffer = (struct ls_buffer){.data = data, .bytes = bytes};
    return LS_OK;
}

void ls_scratch_free(struct ls_scratch *scratch) {
    free(scratch->stored.data);
    free(scratch->rows.data);
    free(scratch->raw.data);
    free(scratch->decoded.data);
    *scratch = (struct ls_scratch){0};
}
