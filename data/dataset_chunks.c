// Chunks: where they lie, how they come out of the file, and rows from them.
#include "data/dataset_parts.h"
#include "data/leftovers.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

// ---- where they lie

struct ls_chunking *ls_chunking_of(struct ls_arena *arena, const struct ls_h5_dataset *found) {
    struct ls_chunking chunking = {.found = *found, .bytes = ls_dtype_bytes(found->type)};
    chunking.chunks = ls_h5_chunk_grid(found, chunking.grid);
    for (int i = 0; i < found->rank; i++) {
        if ((size_t)found->chunking.dim[i] > SIZE_MAX / 2 / chunking.bytes) return NULL;
        chunking.bytes *= (size_t)found->chunking.dim[i];
    }
    if (chunking.chunks < 0) return NULL;
    struct ls_chunking *kept = LS_ARENA_NEW(arena, struct ls_chunking, 1);
    *kept = chunking;
    return kept;
}

static const size_t KEPT_CHUNKS = (size_t)64 << 20;

void ls_column_fetch_chunks(struct ls_arena *arena, const struct ls_h5_dataset *found,
                            struct ls_column *column) {
    struct ls_h5_dataset whole = *found;
    int64_t *rows = &whole.chunking.dim[0];
    if (*rows > found->dim[0]) *rows = found->dim[0];
    if (*rows < 2 || (size_t)*rows > KEPT_CHUNKS / column->row_bytes) return;
    for (int i = 1; i < found->rank; i++) whole.chunking.dim[i] = found->dim[i];
    whole.chunking.n_filters = 0;
    whole.chunking.listed = false;
    struct ls_chunking *chunking = ls_chunking_of(arena, &whole);
    if (!chunking) return;
    chunking->bytes = (size_t)*rows * column->row_bytes;
    column->chunking = chunking;
    column->path = LS_PATH_FETCHED;
    column->stored = column->delivered;
    column->swapped = false;
}

void ls_chunking_free(struct ls_chunking *chunking) {
    if (!chunking) return;
    free(chunking->listed);
    chunking->listed = NULL; // parts of a source share it
}

static ls_status list_chunks(struct ls_open_file *file, const char *name, struct ls_chunking *chunking) {
    struct ls_h5 *h5;
    LS_TRY(ls_files_h5(file, &h5));
    size_t bytes = (size_t)chunking->chunks * sizeof *chunking->listed;
    struct ls_h5_chunk *listed = malloc(bytes + 1);
    if (!listed) return LS_FAIL(LS_SYSTEM, "out of memory for %zu bytes: where the chunks lie", bytes);
    ls_status status = ls_h5_list_chunks(h5, name, &chunking->found, listed);
    if (status == LS_OK)
        chunking->listed = listed;
    else
        free(listed);
    return status;
}

// The table of chunks, made by the first thread that wants it.
static ls_status need_table(struct ls_dataset *dataset, struct ls_open_file *file,
                            const struct ls_column *column) {
    struct ls_chunking *chunking = column->chunking;
    if (atomic_load_explicit(&chunking->is_listed, memory_order_acquire)) return LS_OK;
    pthread_mutex_lock(&dataset->listing);
    ls_status status = LS_OK;
    if (!atomic_load_explicit(&chunking->is_listed, memory_order_relaxed)) {
        status = list_chunks(file, column->name, chunking);
        if (status == LS_OK) atomic_store_explicit(&chunking->is_listed, true, memory_order_release);
    }
    pthread_mutex_unlock(&dataset->listing);
    return status;
}

ls_status ls_extent_at(struct ls_dataset *dataset, struct ls_open_file *file, const struct ls_column *column,
                       int64_t row, struct ls_extent *extent) {
    int64_t row_bytes = column->row_values * (int64_t)ls_dtype_bytes(column->stored);
    if (column->path == LS_PATH_RUN) {
        *extent = (struct ls_extent){column->offset + row * row_bytes, file->shard->samples - row};
        return LS_OK;
    }
    LS_TRY(need_table(dataset, file, column));
    int64_t rows = column->chunking->found.chunking.dim[0];
    const struct ls_h5_chunk *chunk = &column->chunking->listed[row / rows];
    *extent = (struct ls_extent){chunk->offset, rows - row % rows};
    if (chunk->offset >= 0) extent->offset += row % rows * row_bytes;
    return LS_OK;
}

void ls_chunks_fill(const struct ls_column *column, void *out, int64_t values) {
    size_t bytes = ls_dtype_bytes(column->stored);
    const uint8_t *fill = column->chunking->found.chunking.fill;
    for (int64_t i = 0; i < values; i++) memcpy((char *)out + (size_t)i * bytes, fill, bytes);
}

// ---- out of the file

static void position_of(const struct ls_chunking *chunking, int64_t number,
                        int64_t position[LS_H5_MAX_RANK]) {
    for (int i = chunking->found.rank; i-- > 0;) {
        position[i] = number % chunking->grid[i];
        number /= chunking->grid[i];
    }
}

// The bytes of a chunk as they lie in the file, in scratch->raw. None: it was never written.
static ls_status fetch(struct ls_dataset *dataset, struct ls_open_file *file, const struct ls_column *column,
                       int64_t number, struct ls_scratch *scratch, size_t *bytes, uint32_t *skipped) {
    const struct ls_chunking *chunking = column->chunking;
    int64_t position[LS_H5_MAX_RANK] = {0};
    position_of(chunking, number, position);
    if (chunking->found.chunking.listed) {
        LS_TRY(need_table(dataset, file, column));
        const struct ls_h5_chunk *chunk = &chunking->listed[number];
        *bytes = chunk->offset < 0 ? 0 : chunk->bytes;
        *skipped = chunk->skipped;
        if (!*bytes) return LS_OK;
        if (chunk->offset + (int64_t)chunk->bytes > file->slot->bytes)
            return LS_FAIL(
                LS_INPUT,
                "%s: is truncated: a chunk of dataset '%s' ends at byte %lld, the file at byte %lld",
                file->shard->path, column->name, (long long)(chunk->offset + (int64_t)chunk->bytes),
                (long long)file->slot->bytes);
        LS_TRY(ls_buffer_reserve(&scratch->raw, *bytes));
        return ls_read_at(file, column, position[0] * chunking->found.chunking.dim[0], chunk->offset,
                          scratch->raw.data, *bytes);
    }
    struct ls_h5 *h5;
    LS_TRY(ls_files_h5(file, &h5));
    for (;;) {
        LS_TRY(ls_h5_read_chunk(h5, column->name, &chunking->found, position, scratch->raw.data,
                                scratch->raw.bytes, bytes, skipped));
        if (*bytes <= scratch->raw.bytes) return LS_OK;
        LS_TRY(ls_buffer_reserve(&scratch->raw, *bytes));
    }
}

// Rows of a chunk: those that a column has.
static int64_t rows_of(const struct ls_open_file *file, const struct ls_column *column, int64_t number) {
    const int64_t most = column->chunking->found.chunking.dim[0], left = file->shard->samples - number * most;
    return left < most ? left : most;
}

// The rows of a chunk, as HDF5 gives them.
static ls_status fetch_rows(struct ls_dataset *dataset, struct ls_open_file *file,
                            const struct ls_column *column, int64_t number, void *out) {
    struct ls_h5 *h5;
    LS_TRY(ls_files_h5(file, &h5));
    atomic_fetch_add_explicit(&dataset->cache.decoded, 1, memory_order_relaxed);
    return ls_h5_read_rows(h5, column->name, number * column->chunking->found.chunking.dim[0],
                           rows_of(file, column, number), column->stored, out);
}

// A chunk, decoded, in scratch->raw; *written says whether there is one.
static ls_status decode(struct ls_dataset *dataset, struct ls_open_file *file, const struct ls_column *column,
                        int64_t number, struct ls_scratch *scratch, bool *written) {
    const struct ls_chunking *chunking = column->chunking;
    size_t bytes;
    uint32_t skipped = 0;
    if (column->path == LS_PATH_FETCHED) {
        *written = true;
        LS_TRY(ls_buffer_reserve(&scratch->raw, chunking->bytes));
        return fetch_rows(dataset, file, column, number, scratch->raw.data);
    }
    LS_TRY(fetch(dataset, file, column, number, scratch, &bytes, &skipped));
    *written = bytes > 0;
    if (!bytes) return LS_OK;
    atomic_fetch_add_explicit(&dataset->cache.decoded, 1, memory_order_relaxed);
    ls_status status = ls_chunk_decode(&chunking->found.chunking, skipped, ls_dtype_bytes(column->stored),
                                       &scratch->raw, bytes, &scratch->decoded, chunking->bytes);
    if (status == LS_INPUT) {
        int64_t position[LS_H5_MAX_RANK] = {0};
        position_of(chunking, number, position);
        const long long row = (long long)position[0] * chunking->found.chunking.dim[0];
        ls_error_prefix("%s: dataset '%s': the chunk of row %lld is damaged", file->shard->path, column->name,
                        row);
    }
    return status;
}

// ---- which are kept for a while

static bool is_kept(const struct ls_column *column) {
    return column->name && !column->kept && ls_path_is_by_chunks(column->path) &&
           column->chunking->found.chunking.dim[0] > 1;
}

// Shard i, or source i - n_shards.
static const struct ls_shard *part_at(const struct ls_dataset *dataset, int i) {
    return i < dataset->n_shards ? &dataset->shards[i] : &dataset->sources[i - dataset->n_shards];
}

static int parts_of(const struct ls_dataset *dataset) {
    return dataset->n_shards + dataset->n_sources;
}

size_t ls_chunk_cache_bytes(const struct ls_dataset *dataset, size_t *largest, size_t *all) {
    *largest = *all = 0;
    for (int i = 0; i < parts_of(dataset); i++) {
        for (int id = 0; id < LS_COLUMNS; id++) {
            const struct ls_column *column = &part_at(dataset, i)->columns[id];
            if (!is_kept(column)) continue;
            *all += column->chunking->bytes * (size_t)column->chunking->chunks;
            if (column->chunking->bytes > *largest) *largest = column->chunking->bytes;
        }
    }
    size_t kept = *all < KEPT_CHUNKS ? *all : KEPT_CHUNKS;
    return kept < *largest ? *largest : kept;
}

static const size_t LEFT_OVER = (size_t)256 << 20;

// In its chunks one row follows another. A dataset that can grow may have chunks that are wider than it is.
static bool has_whole_rows(const struct ls_column *column) {
    const struct ls_h5_dataset *found = &column->chunking->found;
    for (int i = 1; i < found->rank; i++)
        if (found->chunking.dim[i] != found->dim[i]) return false;
    return true;
}

size_t ls_chunk_leftover_bytes(const struct ls_dataset *dataset) {
    size_t largest, all, bytes = 0;
    if (ls_chunk_cache_bytes(dataset, &largest, &all) >= all) return 0;
    for (int i = 0; i < parts_of(dataset); i++) {
        const struct ls_column *column = ls_samples_of(part_at(dataset, i));
        if (is_kept(column) && has_whole_rows(column))
            bytes += column->chunking->bytes * (size_t)column->chunking->chunks;
    }
    return bytes < LEFT_OVER ? bytes : LEFT_OVER;
}

ls_status ls_dataset_make_leftovers(const struct ls_dataset *dataset, uint64_t seed, int64_t stride,
                                    int64_t width, struct ls_leftovers **leftovers) {
    struct ls_leftovers_spec spec = {.seed = seed,
                                     .samples = dataset->info.samples,
                                     .stride = stride,
                                     .width = width,
                                     .bytes = dataset->info.leftover_bytes};
    *leftovers = NULL;
    for (int i = 0; spec.bytes && i < parts_of(dataset); i++) {
        const struct ls_column *column = ls_samples_of(part_at(dataset, i));
        const size_t row_bytes = (size_t)column->row_values * ls_dtype_bytes(column->stored);
        if (!column->chunking) continue;
        spec.chunks += column->chunking->chunks;
        if (row_bytes > spec.row_bytes) spec.row_bytes = row_bytes;
    }
    return spec.row_bytes ? ls_leftovers_open(&spec, leftovers) : LS_OK;
}

// ---- rows from chunks

// What is wanted of a chunk: rows [begin, end) of the dataset, to `out`, which begins with row `begin`.
struct box {
    const struct ls_column *column;
    int64_t first[LS_H5_MAX_RANK];                            // of the chunk, in numbers
    size_t in_chunk[LS_H5_MAX_RANK], in_rows[LS_H5_MAX_RANK]; // bytes from one to the next along each axis
    bool together[LS_H5_MAX_RANK];                            // whole in all axes that follow
    int64_t begin, end;
};

static struct box box_of(const struct ls_column *column, int64_t number, int64_t begin, int64_t end) {
    const struct ls_chunking *chunking = column->chunking;
    const struct ls_h5_dataset *found = &chunking->found;
    struct box box = {.column = column, .begin = begin, .end = end};
    position_of(chunking, number, box.first);
    size_t in_chunk = ls_dtype_bytes(column->stored), in_rows = in_chunk;
    bool together = true;
    for (int i = found->rank; i-- > 0;) {
        int64_t length = found->chunking.dim[i];
        box.first[i] *= length;
        box.in_chunk[i] = in_chunk;
        box.in_rows[i] = in_rows;
        box.together[i] = together;
        in_chunk *= (size_t)length;
        in_rows *= (size_t)found->dim[i];
        together = together && length == found->dim[i];
    }
    return box;
}

// Copies along `axis` and those behind it; a chunk of NULL was never written.
static void copy_box(const struct box *box, int axis, const char *chunk, char *out) {
    const struct ls_h5_dataset *found = &box->column->chunking->found;
    int64_t begin = box->first[axis], end = begin + found->chunking.dim[axis], origin = 0;
    if (end > found->dim[axis]) end = found->dim[axis];
    if (axis == 0) {
        origin = box->begin;
        if (begin < box->begin) begin = box->begin;
        if (end > box->end) end = box->end;
    }
    size_t length = box->together[axis] ? (size_t)(end - begin) : 1;
    for (int64_t i = begin; i < end; i += (int64_t)length) {
        const char *from = chunk ? chunk + (size_t)(i - box->first[axis]) * box->in_chunk[axis] : NULL;
        char *to = out + (size_t)(i - origin) * box->in_rows[axis];
        size_t bytes = length * box->in_rows[axis];
        if (!box->together[axis])
            copy_box(box, axis + 1, from, to);
        else if (from)
            memcpy(to, from, bytes);
        else
            ls_chunks_fill(box->column, to, (int64_t)(bytes / ls_dtype_bytes(box->column->stored)));
    }
}

// ---- what is left over

static bool leaves_rows(const struct ls_open_file *file, const struct ls_column *column,
                        const struct ls_scratch *scratch) {
    return scratch->leftovers && column == ls_samples_of(file->shard) && has_whole_rows(column);
}

// Rows [begin, end) without their chunk, where each of them was left over from an earlier decoding.
static bool take_rows(const struct ls_open_file *file, const struct ls_column *column, int64_t begin,
                      int64_t end, char *out, const struct ls_scratch *scratch) {
    const size_t bytes = (size_t)column->row_values * ls_dtype_bytes(column->stored);
    for (int64_t row = begin; row < end; row++, out += bytes)
        if (!ls_leftovers_take(scratch->leftovers, scratch->position, file->shard->first + row, out, bytes))
            return false;
    return true;
}

// All rows of a chunk that was decoded for those of the box.
static void leave_rows(const struct ls_open_file *file, const struct box *box, const char *chunk,
                       const struct ls_scratch *scratch) {
    const struct ls_column *column = box->column;
    const int64_t first = box->first[0], length = column->chunking->found.chunking.dim[0];
    const int64_t end = first + length < file->shard->samples ? first + length : file->shard->samples;
    const size_t bytes = (size_t)column->row_values * ls_dtype_bytes(column->stored);
    for (int64_t row = first; row < end; row++, chunk += bytes)
        if (row >= file->shard->begin && (row < box->begin || row >= box->end))
            ls_leftovers_keep(scratch->leftovers, scratch->position, file->shard->first + row, chunk, bytes);
}

static ls_status read_chunk(struct ls_dataset *dataset, struct ls_open_file *file,
                            const struct ls_column *column, int64_t number, const struct box *box, char *out,
                            struct ls_scratch *scratch) {
    bool to_fill, written = false;
    struct ls_chunk_place *place = NULL;
    if (is_kept(column))
        place = ls_chunk_cache_find(&dataset->cache, column->chunking, number, &to_fill);
    else
        to_fill = true;
    if (to_fill) {
        ls_status status = decode(dataset, file, column, number, scratch, &written);
        if (place) ls_chunk_cache_settle(&dataset->cache, place, &scratch->raw, written, status);
        LS_TRY(status);
    }
    if (place) written = place->written;
    const char *decoded = place ? place->decoded.data : scratch->raw.data;
    copy_box(box, 0, written ? decoded : NULL, out);
    if (to_fill && written && leaves_rows(file, column, scratch)) leave_rows(file, box, decoded, scratch);
    if (place) ls_chunk_cache_unpin(&dataset->cache, place);
    return LS_OK;
}

// Whole chunks that the library undoes go straight to their places, and are not kept: so reading in order
// costs what H5Dread does.
ls_status ls_chunks_read(struct ls_dataset *dataset, struct ls_open_file *file,
                         const struct ls_column *column, int64_t begin, int64_t n, void *out,
                         struct ls_scratch *scratch) {
    const struct ls_chunking *chunking = column->chunking;
    int64_t rows = chunking->found.chunking.dim[0], across = chunking->chunks / chunking->grid[0];
    for (int64_t row = begin, end; row < begin + n; row = end) {
        end = (row / rows + 1) * rows < begin + n ? (row / rows + 1) * rows : begin + n;
        if (leaves_rows(file, column, scratch) &&
            take_rows(file, column, row, end,
                      (char *)out +
                          (size_t)((row - begin) * column->row_values) * ls_dtype_bytes(column->stored),
                      scratch))
            continue;
        if (column->path == LS_PATH_FETCHED && end - row == rows_of(file, column, row / rows)) {
            LS_TRY(fetch_rows(dataset, file, column, row / rows,
                              (char *)out + (size_t)(row - begin) * column->row_bytes));
            continue;
        }
        for (int64_t i = 0; i < across; i++) {
            int64_t number = row / rows * across + i;
            struct box box = box_of(column, number, begin, begin + n);
            LS_TRY(read_chunk(dataset, file, column, number, &box, out, scratch));
        }
    }
    return LS_OK;
}

void ls_chunks_announce(const struct ls_open_file *file, const struct ls_column *column, int64_t begin,
                        int64_t n) {
    const struct ls_chunking *chunking = column->chunking;
    if (!atomic_load_explicit(&column->chunking->is_listed, memory_order_acquire)) return;
    int64_t rows = chunking->found.chunking.dim[0], across = chunking->chunks / chunking->grid[0];
    for (int64_t i = begin / rows * across; i < ((begin + n - 1) / rows + 1) * across; i++)
        if (chunking->listed[i].offset >= 0)
            posix_fadvise(file->slot->fd, chunking->listed[i].offset, chunking->listed[i].bytes,
                          POSIX_FADV_WILLNEED);
}
