// A batch: its indices are sorted, which sorts them by file and offset, and gathered file by file.
#include "base/hash.h"
#include "data/dataset_parts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

// What one call works with. Cursors are kept with the data set and used again, so that in the long run
// reading allocates nothing.
struct ls_cursor {
    struct ls_cursor *next;
    struct ls_pick *picks;
    int64_t capacity;
    struct ls_scratch scratch;
    struct ls_buffer targets; // where the caller wants none and the checksums do
    struct ls_buffer stored_samples, stored_targets;
    struct ls_buffer crcs;
};

struct batch {
    struct ls_dataset *dataset;
    struct ls_cursor *cursor;
    int64_t n;
    char *samples, *targets;
    uint64_t *ids;
    uint32_t *crcs; // NULL: not to be verified
};

static void free_cursor(struct ls_cursor *cursor) {
    ls_scratch_free(&cursor->scratch);
    free(cursor->picks);
    free(cursor->targets.data);
    free(cursor->stored_samples.data);
    free(cursor->stored_targets.data);
    free(cursor->crcs.data);
    free(cursor);
}

void ls_cursors_free(struct ls_cursor *newest) {
    while (newest) {
        struct ls_cursor *next = newest->next;
        free_cursor(newest);
        newest = next;
    }
}

static void give_cursor(struct ls_dataset *dataset, struct ls_cursor *cursor) {
    pthread_mutex_lock(&dataset->lock);
    cursor->next = dataset->cursors;
    dataset->cursors = cursor;
    pthread_mutex_unlock(&dataset->lock);
}

// A cursor with room for n picks; NULL, with the error recorded, where there is no memory.
static struct ls_cursor *take_cursor(struct ls_dataset *dataset, int64_t n) {
    pthread_mutex_lock(&dataset->lock);
    struct ls_cursor *cursor = dataset->cursors;
    if (cursor) dataset->cursors = cursor->next;
    pthread_mutex_unlock(&dataset->lock);
    if (!cursor) cursor = calloc(1, sizeof *cursor);
    if (cursor && cursor->capacity < n) {
        free(cursor->picks);
        cursor->picks = calloc((size_t)n, sizeof *cursor->picks);
        cursor->capacity = n;
        if (!cursor->picks) {
            free_cursor(cursor);
            cursor = NULL;
        }
    }
    if (!cursor) LS_FAIL(LS_SYSTEM, "out of memory to read %lld samples", (long long)n);
    return cursor;
}

static int by_index(const void *a, const void *b) {
    int64_t x = ((const struct ls_pick *)a)->index, y = ((const struct ls_pick *)b)->index;
    return (x > y) - (x < y);
}

static ls_status check_indices(const struct ls_dataset *dataset, const int64_t *indices, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (indices[i] < 0 || indices[i] >= dataset->info.samples)
            return LS_FAIL(LS_INPUT, "%s: sample %lld was asked for, expected 0 to %lld", dataset->what,
                           (long long)indices[i], (long long)dataset->info.samples - 1);
    return LS_OK;
}

static void sort_picks(const int64_t *indices, int64_t n, struct ls_pick *picks) {
    bool sorted = true;
    for (int64_t i = 0; i < n; i++) {
        picks[i] = (struct ls_pick){.index = indices[i], .place = i};
        sorted = sorted && (i == 0 || indices[i - 1] <= indices[i]);
    }
    if (!sorted) qsort(picks, (size_t)n, sizeof *picks, by_index);
}

// Rows of a column, by place, as checksums are of them.
struct rows {
    enum ls_column_id id;
    size_t bytes; // of a row
    char *data;
};

// Rows that are delivered as they are stored go straight to `out`; others wait in memory of the cursor.
static ls_status gather_stored(const struct batch *batch, struct ls_open_file *file,
                               const struct ls_pick *picks, int64_t n, char *out, struct ls_buffer *waiting,
                               enum ls_column_id stored, struct rows *rows) {
    rows->data = out;
    rows->bytes = file->shard->columns[rows->id].row_bytes;
    if (file->shard->columns[stored].name) {
        rows->id = stored;
        rows->bytes = file->shard->columns[stored].row_bytes;
        LS_TRY(ls_buffer_reserve(waiting, (size_t)batch->n * rows->bytes));
        rows->data = waiting->data;
    }
    return ls_column_gather(batch->dataset, file, rows->id, picks, n, rows->data, &batch->cursor->scratch);
}

static ls_status verify(const struct batch *batch, const struct ls_shard *shard, const struct ls_pick *picks,
                        int64_t n, const struct rows *samples, const struct rows *targets) {
    for (int64_t i = 0; i < n; i++) {
        size_t place = (size_t)picks[i].place;
        uint32_t crc = ls_crc32c(0, samples->data + place * samples->bytes, samples->bytes);
        crc = ls_crc32c(crc, targets->data + place * targets->bytes, targets->bytes);
        if (crc != batch->crcs[place])
            return LS_FAIL(
                LS_INPUT, "%s: checksum mismatch at sample %lld of '%s' and '%s': stored %08x, found %08x",
                shard->path, (long long)(picks[i].index - shard->first), shard->columns[LS_COLUMN_INPUT].name,
                shard->columns[LS_COLUMN_TARGET].name, batch->crcs[place], crc);
    }
    return LS_OK;
}

// Makes of verified rows what is delivered, at the same places in `out`.
static ls_status deliver(const struct ls_shard *shard, enum ls_column_id id, const struct rows *rows,
                         const struct ls_pick *picks, int64_t n, char *out) {
    const struct ls_column *column = &shard->columns[id], *stored = &shard->columns[rows->id];
    for (int64_t i = 0; i < n && stored != column; i++) {
        const size_t place = (size_t)picks[i].place;
        const int64_t row = picks[i].index - shard->first;
        char *to = out + place * column->row_bytes;
        LS_TRY(ls_values_convert(shard, column, stored->delivered, row, 1, rows->data + place * rows->bytes,
                                 to));
        LS_TRY(ls_values_check(shard, column, row, 1, to));
    }
    return LS_OK;
}

static ls_status gather_verified(const struct batch *batch, struct ls_open_file *file,
                                 const struct ls_pick *picks, int64_t n) {
    struct ls_cursor *cursor = batch->cursor;
    const struct ls_shard *shard = file->shard;
    struct rows samples = {.id = LS_COLUMN_INPUT}, targets = {.id = LS_COLUMN_TARGET};
    LS_TRY(gather_stored(batch, file, picks, n, batch->samples, &cursor->stored_samples,
                         LS_COLUMN_STORED_INPUT, &samples));
    LS_TRY(gather_stored(batch, file, picks, n, batch->targets, &cursor->stored_targets,
                         LS_COLUMN_STORED_TARGET, &targets));
    LS_TRY(ls_column_gather(batch->dataset, file, LS_COLUMN_CRC, picks, n, batch->crcs, &cursor->scratch));
    LS_TRY(verify(batch, shard, picks, n, &samples, &targets));
    LS_TRY(deliver(shard, LS_COLUMN_INPUT, &samples, picks, n, batch->samples));
    return deliver(shard, LS_COLUMN_TARGET, &targets, picks, n, batch->targets);
}

static ls_status gather_unverified(const struct batch *batch, struct ls_open_file *file,
                                   const struct ls_pick *picks, int64_t n) {
    struct ls_scratch *scratch = &batch->cursor->scratch;
    if (batch->samples)
        LS_TRY(ls_column_gather(batch->dataset, file, LS_COLUMN_INPUT, picks, n, batch->samples, scratch));
    if (!batch->targets) return LS_OK;
    return ls_column_gather(batch->dataset, file, LS_COLUMN_TARGET, picks, n, batch->targets, scratch);
}

static ls_status gather(const struct batch *batch, struct ls_open_file *file, const struct ls_pick *picks,
                        int64_t n) {
    struct ls_dataset *dataset = batch->dataset;
    const struct ls_shard *shard = file->shard;
    const bool verified = batch->crcs && shard->columns[LS_COLUMN_CRC].name;
    LS_TRY(verified ? gather_verified(batch, file, picks, n) : gather_unverified(batch, file, picks, n));
    if (batch->ids && shard->columns[LS_COLUMN_IDS].name)
        return ls_column_gather(dataset, file, LS_COLUMN_IDS, picks, n, batch->ids, &batch->cursor->scratch);
    for (int64_t i = 0; batch->ids && i < n; i++) batch->ids[picks[i].place] = (uint64_t)picks[i].index;
    return LS_OK;
}

static ls_status read_picks(const struct batch *batch, const struct ls_pick *picks, int64_t n) {
    for (int64_t begin = 0, length; begin < n; begin += length) {
        const struct ls_shard *shard = ls_shard_of(batch->dataset, picks[begin].index);
        length = ls_picks_in(shard, picks + begin, n - begin);
        struct ls_open_file file;
        LS_TRY(ls_files_pin(&batch->dataset->files, shard, &file));
        ls_status status = gather(batch, &file, picks + begin, length);
        ls_files_unpin(&file);
        LS_TRY(status);
    }
    return LS_OK;
}

// Room for what the checksums need and the caller does not.
static ls_status prepare_crcs(struct batch *batch, int64_t n) {
    struct ls_cursor *cursor = batch->cursor;
    if (!batch->targets) {
        LS_TRY(ls_buffer_reserve(&cursor->targets, (size_t)n * batch->dataset->info.target_bytes));
        batch->targets = cursor->targets.data;
    }
    LS_TRY(ls_buffer_reserve(&cursor->crcs, (size_t)n * sizeof *batch->crcs));
    batch->crcs = cursor->crcs.data;
    return LS_OK;
}

static ls_status read_batch(struct ls_dataset *dataset, const int64_t *indices, int64_t n, void *samples,
                            void *targets, uint64_t *ids, bool verify_crc, struct ls_leftovers *leftovers,
                            uint64_t position) {
    if (n <= 0) return LS_OK;
    LS_TRY(check_indices(dataset, indices, n));
    struct batch batch = {.dataset = dataset, .n = n, .samples = samples, .cursor = take_cursor(dataset, n)};
    if (!batch.cursor) return LS_SYSTEM;
    if (dataset->info.has_target) batch.targets = targets;
    batch.ids = ids;
    batch.cursor->scratch.leftovers = leftovers;
    batch.cursor->scratch.position = position;
    sort_picks(indices, n, batch.cursor->picks);
    ls_status status = LS_OK;
    if (verify_crc && samples && dataset->info.checksums) status = prepare_crcs(&batch, n);
    if (status == LS_OK) status = read_picks(&batch, batch.cursor->picks, n);
    give_cursor(dataset, batch.cursor);
    return status;
}

ls_status ls_dataset_read(struct ls_dataset *dataset, const int64_t *indices, int64_t n, void *samples,
                          void *targets, uint64_t *ids, bool verify_crc) {
    return read_batch(dataset, indices, n, samples, targets, ids, verify_crc, NULL, 0);
}

ls_status ls_dataset_read_shuffled(struct ls_dataset *dataset, const int64_t *indices, int64_t n,
                                   void *samples, void *targets, uint64_t *ids,
                                   struct ls_leftovers *leftovers, uint64_t position) {
    return read_batch(dataset, indices, n, samples, targets, ids, true, leftovers, position);
}

// ---- announcing

// Chunks that are decoded here are announced once it is known where they lie; the library reads as it likes.
static void announce_run(struct ls_dataset *dataset, struct ls_open_file *file, int64_t row, int64_t n) {
    const struct ls_column *input = ls_samples_of(file->shard);
    int64_t row_bytes = input->row_values * (int64_t)ls_dtype_bytes(input->stored);
    if (input->path == LS_PATH_DECODED) ls_chunks_announce(file, input, row, n);
    for (struct ls_extent extent; n > 0 && input->path <= LS_PATH_CHUNKS;
         row += extent.rows, n -= extent.rows) {
        if (ls_extent_at(dataset, file, input, row, &extent) != LS_OK) return;
        if (extent.rows > n) extent.rows = n;
        if (extent.offset >= 0)
            posix_fadvise(file->slot->fd, extent.offset, extent.rows * row_bytes, POSIX_FADV_WILLNEED);
    }
}

static void announce_file(struct ls_dataset *dataset, struct ls_open_file *file, const struct ls_pick *picks,
                          int64_t n) {
    for (int64_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && picks[end].index == picks[end - 1].index + 1;) end++;
        announce_run(dataset, file, picks[begin].index - file->shard->first, end - begin);
    }
}

// Picks of one file, which may lie in several sources.
static void announce_shard(struct ls_dataset *dataset, const struct ls_shard *shard,
                           const struct ls_pick *picks, int64_t n) {
    const struct ls_column *input = &shard->columns[LS_COLUMN_INPUT];
    const bool virtual = input->path == LS_PATH_SOURCES;
    for (int64_t begin = 0, length; begin < n; begin += length) {
        if (virtual) shard = ls_source_of(dataset, input, picks[begin].index);
        length = ls_picks_in(shard, picks + begin, n - begin);
        struct ls_open_file file;
        if (ls_files_pin(virtual ? &dataset->source_files : &dataset->files, shard, &file) != LS_OK) return;
        announce_file(dataset, &file, picks + begin, length);
        ls_files_unpin(&file);
    }
}

static void announce_picks(struct ls_dataset *dataset, const struct ls_pick *picks, int64_t n) {
    for (int64_t begin = 0, length; begin < n; begin += length) {
        const struct ls_shard *shard = ls_shard_of(dataset, picks[begin].index);
        length = ls_picks_in(shard, picks + begin, n - begin);
        announce_shard(dataset, shard, picks + begin, length);
    }
}

void ls_dataset_announce(struct ls_dataset *dataset, const int64_t *indices, int64_t n) {
    struct ls_cursor *cursor = n > 0 ? take_cursor(dataset, n) : NULL;
    if (cursor && check_indices(dataset, indices, n) == LS_OK) {
        sort_picks(indices, n, cursor->picks);
        announce_picks(dataset, cursor->picks, n);
    }
    if (cursor) give_cursor(dataset, cursor);
    ls_error_clear();
}

static void forget_pages(struct ls_files *files, const struct ls_shard *shards, int n) {
    for (int i = 0; i < n; i++) {
        struct ls_open_file file;
        if (i > 0 && shards[i].file == shards[i - 1].file) continue;
        if (ls_files_pin(files, &shards[i], &file) != LS_OK) continue;
        fdatasync(file.slot->fd);
        posix_fadvise(file.slot->fd, 0, 0, POSIX_FADV_DONTNEED);
        ls_files_unpin(&file);
    }
}

void ls_dataset_forget(struct ls_dataset *dataset, bool pages) {
    ls_chunk_cache_forget(&dataset->cache);
    if (pages) forget_pages(&dataset->files, dataset->shards, dataset->n_shards);
    if (pages) forget_pages(&dataset->source_files, dataset->sources, dataset->n_sources);
    ls_error_clear();
}
