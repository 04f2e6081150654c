#include "data/dataset_parts.h"

#include <stdlib.h>

// What is read at a time: enough to be fast, little beside the training's own memory.
enum { SCAN_ROWS = 1 << 20, SCAN_BYTES = 8 << 20 };

struct scan {
    struct ls_dataset *dataset;
    int64_t classes;
    struct ls_scratch scratch;
    struct ls_buffer rows;
};

static ls_status check_classes(const struct scan *scan, const struct ls_shard *shard, int64_t begin,
                               int64_t n) {
    const int32_t *labels = scan->rows.data;
    for (int64_t i = 0; i < n; i++)
        if (labels[i] < 0 || labels[i] >= scan->classes)
            return LS_FAIL(LS_INPUT, "%s: %s[%lld] is %d, expected a class from 0 to %lld", shard->path,
                           shard->columns[LS_COLUMN_TARGET].name, (long long)(begin + i), (int)labels[i],
                           (long long)scan->classes - 1);
    return LS_OK;
}

// Rows [begin, end) of one file. Reading them refuses what is not finite, or not a class.
static ls_status scan_column(struct scan *scan, struct ls_open_file *file, enum ls_column_id id,
                             int64_t begin, int64_t end) {
    const struct ls_column *column = &file->shard->columns[id];
    int64_t rows = SCAN_BYTES / (int64_t)column->row_bytes;
    rows = rows < 1 ? 1 : rows > SCAN_ROWS ? SCAN_ROWS : rows;
    LS_TRY(ls_buffer_reserve(&scan->rows, (size_t)rows * column->row_bytes));
    for (; begin < end; begin += rows) {
        int64_t n = end - begin < rows ? end - begin : rows;
        LS_TRY(ls_column_read(scan->dataset, file, id, begin, n, scan->rows.data, &scan->scratch));
        if (id == LS_COLUMN_TARGET && scan->dataset->info.target_is_class && scan->classes > 0)
            LS_TRY(check_classes(scan, file->shard, begin, n));
    }
    return LS_OK;
}

static ls_status scan_shard(struct scan *scan, const struct ls_shard *shard, int64_t begin, int64_t end,
                            bool samples) {
    struct ls_open_file file;
    LS_TRY(ls_files_pin(&scan->dataset->files, shard, &file));
    ls_status status = LS_OK;
    if (scan->dataset->info.has_target) status = scan_column(scan, &file, LS_COLUMN_TARGET, begin, end);
    if (status == LS_OK && samples && scan->dataset->info.type != LS_U8)
        status = scan_column(scan, &file, LS_COLUMN_INPUT, begin, end);
    ls_files_unpin(&file);
    return status;
}

ls_status ls_dataset_scan(struct ls_dataset *dataset, int64_t begin, int64_t end, int64_t classes,
                          bool samples) {
    struct scan scan = {.dataset = dataset, .classes = classes};
    if (begin < 0) begin = 0;
    if (end > dataset->info.samples) end = dataset->info.samples;
    ls_status status = LS_OK;
    while (begin < end && status == LS_OK) {
        const struct ls_shard *shard = ls_shard_of(dataset, begin);
        int64_t shard_end = shard->first + shard->samples;
        if (shard_end > end) shard_end = end;
        status = scan_shard(&scan, shard, begin - shard->first, shard_end - shard->first, samples);
        begin = shard_end;
    }
    ls_scratch_free(&scan.scratch);
    free(scan.rows.data);
    return status;
}
