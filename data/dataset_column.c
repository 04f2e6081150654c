#include "data/dataset_parts.h"

#include <stdlib.h>
#include <string.h>

ls_status ls_column_read(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                         int64_t begin, int64_t n, void *out, struct ls_scratch *scratch) {
    const struct ls_column *column = &file->shard->columns[id];
    if (column->path == LS_PATH_SOURCES) return ls_sources_read(dataset, file, id, begin, n, out, scratch);
    return ls_rows_read(dataset, file, column, begin, n, out, scratch);
}

static ls_status read_all_rows(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                               struct ls_scratch *scratch, void **rows) {
    const struct ls_column *column = &file->shard->columns[id];
    const size_t bytes = (size_t)file->shard->samples * column->row_bytes;
    *rows = malloc(bytes);
    if (!*rows) return LS_FAIL(LS_SYSTEM, "out of memory for %zu bytes of %s", bytes, column->name);
    ls_status status = ls_column_read(dataset, file, id, 0, file->shard->samples, *rows, scratch);
    if (status == LS_OK) return LS_OK;
    free(*rows);
    *rows = NULL;
    return status;
}

// The kept rows of a column, read whole by the first thread that wants one.
static ls_status kept_rows(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                           struct ls_scratch *scratch, const char **rows) {
    struct ls_column *column = &dataset->shards[file->shard - dataset->shards].columns[id];
    void *kept = atomic_load_explicit(&column->rows, memory_order_acquire);
    ls_status status = LS_OK;
    if (!kept) {
        pthread_mutex_lock(&dataset->lock);
        kept = atomic_load_explicit(&column->rows, memory_order_acquire);
        if (!kept) status = read_all_rows(dataset, file, id, scratch, &kept);
        if (kept) atomic_store_explicit(&column->rows, kept, memory_order_release);
        pthread_mutex_unlock(&dataset->lock);
    }
    *rows = kept;
    return status;
}

ls_status ls_column_gather(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                           const struct ls_pick *picks, int64_t n, void *out, struct ls_scratch *scratch) {
    const struct ls_column *column = &file->shard->columns[id];
    if (column->kept) {
        const char *rows;
        LS_TRY(kept_rows(dataset, file, id, scratch, &rows));
        for (int64_t i = 0; i < n; i++)
            memcpy((char *)out + (size_t)picks[i].place * column->row_bytes,
                   rows + (size_t)(picks[i].index - file->shard->first) * column->row_bytes,
                   column->row_bytes);
        return LS_OK;
    }
    if (column->path == LS_PATH_SOURCES) return ls_sources_gather(dataset, file, id, picks, n, out, scratch);
    return ls_rows_gather(dataset, file, column, picks, n, out, scratch);
}
