// What a data set holds, in one number, at a cost that does not grow with it.
#include "base/hash.h"
#include "data/dataset_parts.h"
#include "data/order.h"

#include <stdlib.h>

// Columns of up to so many bytes are taken whole; of samples, a keyed choice.
enum { SAMPLES = 256, PIECE_BYTES = 8 << 20 };
static const int64_t WHOLE_BYTES = INT64_C(64) << 20;
static const uint64_t KEY = 0x6c6f636b73746570; // any; the same in every run

static ls_status add_column(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                            void *rows, struct ls_scratch *scratch, struct ls_hash *hash) {
    const struct ls_column *column = &file->shard->columns[id];
    int64_t most = PIECE_BYTES / (int64_t)column->row_bytes;
    if (most < 1) most = 1;
    for (int64_t begin = 0, n; begin < file->shard->samples; begin += n) {
        n = file->shard->samples - begin < most ? file->shard->samples - begin : most;
        LS_TRY(ls_column_read(dataset, file, id, begin, n, rows, scratch));
        ls_hash_add(hash, rows, (size_t)n * column->row_bytes);
    }
    return LS_OK;
}

static bool is_whole(const struct ls_dataset *dataset, const struct ls_column *column) {
    return column->name && column->row_bytes &&
           dataset->info.samples <= WHOLE_BYTES / (int64_t)column->row_bytes;
}

// Checksums of shards of Lockstep's own cover samples and labels; of other files, the targets.
static ls_status add_columns(struct ls_dataset *dataset, void *rows, struct ls_scratch *scratch,
                             struct ls_hash *hash) {
    for (int i = 0; i < dataset->n_shards; i++) {
        const struct ls_shard *shard = &dataset->shards[i];
        enum ls_column_id id = shard->columns[LS_COLUMN_CRC].name ? LS_COLUMN_CRC : LS_COLUMN_TARGET;
        if (shard->samples == 0 || !is_whole(dataset, &shard->columns[id])) continue;
        struct ls_open_file file;
        LS_TRY(ls_files_pin(&dataset->files, shard, &file));
        ls_status status = add_column(dataset, &file, id, rows, scratch, hash);
        ls_files_unpin(&file);
        LS_TRY(status);
    }
    return LS_OK;
}

static ls_status add_samples(struct ls_dataset *dataset, char *rows, struct ls_hash *hash) {
    const struct ls_dataset_info *info = &dataset->info;
    size_t row = info->sample_bytes + info->target_bytes;
    int64_t all = info->samples < SAMPLES ? info->samples : SAMPLES, most = PIECE_BYTES / (int64_t)row,
            indices[SAMPLES];
    if (most < 1) most = 1;
    for (int64_t begin = 0, n; begin < all; begin += n) {
        n = all - begin < most ? all - begin : most;
        for (int64_t i = 0; i < n; i++) indices[i] = ls_order_at(KEY, info->samples, (uint64_t)(begin + i));
        char *targets = rows + (size_t)n * info->sample_bytes;
        LS_TRY(ls_dataset_read(dataset, indices, n, rows, info->has_target ? targets : NULL, NULL, true));
        ls_hash_add(hash, rows, (size_t)n * (info->has_target ? row : info->sample_bytes));
    }
    return LS_OK;
}

ls_status ls_dataset_content(struct ls_dataset *dataset, uint64_t *content) {
    const struct ls_dataset_info *info = &dataset->info;
    size_t row = info->sample_bytes + info->target_bytes, bytes = row > PIECE_BYTES ? row : PIECE_BYTES;
    struct ls_scratch scratch = {0};
    char *rows = malloc(bytes);
    if (!rows) return LS_FAIL(LS_SYSTEM, "out of memory for %zu bytes of samples", bytes);
    struct ls_hash *hash = ls_hash_open();
    ls_status status = add_columns(dataset, rows, &scratch, hash);
    if (status == LS_OK) status = add_samples(dataset, rows, hash);
    *content = ls_hash_value(hash);
    ls_hash_close(hash);
    ls_scratch_free(&scratch);
    free(rows);
    return status;
}
