#include "data/dataset_parts.h"

#include <string.h>
#include <sys/uio.h>

// Parts of one preadv, and bytes that go through scratch at a time.
enum { MOST_PARTS = 64, SCRATCH_BYTES = 4 << 20 };

static size_t stored_row_bytes(const struct ls_column *column) {
    return (size_t)column->row_values * ls_dtype_bytes(column->stored);
}

// Rows that lie in the file as they are stored: a run, or chunks of whole rows.
static ls_status read_extents(struct ls_dataset *dataset, struct ls_open_file *file,
                              const struct ls_column *column, int64_t row, int64_t n, char *out) {
    size_t bytes = stored_row_bytes(column);
    while (n > 0) {
        struct ls_extent extent;
        LS_TRY(ls_extent_at(dataset, file, column, row, &extent));
        int64_t rows = extent.rows < n ? extent.rows : n;
        if (extent.offset < 0)
            ls_chunks_fill(column, out, rows * column->row_values);
        else
            LS_TRY(ls_read_at(file, column, row, extent.offset, out, (size_t)rows * bytes));
        row += rows, n -= rows;
        out += (size_t)rows * bytes;
    }
    return LS_OK;
}

// What HDF5 is asked to convert to: the delivered type, but for whole numbers, which it would make of any
// others: fractions cut off, and what is too large clipped. The numbers may be of another type than the
// column says, that of a virtual dataset's source. f64 has every i32, and takes none for one that is not.
static ls_dtype library_type(const struct ls_column *column) {
    if (column->rows_hold == LS_ROWS_ONE_HOT) return LS_F32;
    return column->delivered == LS_I32 ? LS_F64 : column->delivered;
}

// Rows as they are stored, or as near to it as HDF5 gives them: numbers of type `from`.
static ls_status read_stored(struct ls_dataset *dataset, struct ls_open_file *file,
                             const struct ls_column *column, int64_t begin, int64_t n, ls_dtype from,
                             void *out, struct ls_scratch *scratch) {
    if (column->path == LS_PATH_LIBRARY) {
        struct ls_h5 *h5;
        LS_TRY(ls_files_h5(file, &h5));
        return ls_h5_read_rows(h5, column->name, begin, n, from, out);
    }
    LS_TRY(ls_path_is_by_chunks(column->path) ? ls_chunks_read(dataset, file, column, begin, n, out, scratch)
                                              : read_extents(dataset, file, column, begin, n, out));
    if (column->swapped) ls_swap_bytes(column->stored, out, n * column->row_values);
    return LS_OK;
}

// Rows of which neither the conversion nor the reading goes through more than SCRATCH_BYTES.
static ls_status read_some(struct ls_dataset *dataset, struct ls_open_file *file,
                           const struct ls_column *column, int64_t begin, int64_t n, void *out,
                           struct ls_scratch *scratch) {
    ls_dtype from = column->path == LS_PATH_LIBRARY ? library_type(column) : column->stored;
    const bool converted = from != column->delivered || column->rows_hold == LS_ROWS_ONE_HOT;
    void *raw = out;
    if (converted) {
        LS_TRY(ls_buffer_reserve(&scratch->stored, (size_t)(n * column->row_values) * ls_dtype_bytes(from)));
        raw = scratch->stored.data;
    }
    LS_TRY(read_stored(dataset, file, column, begin, n, from, raw, scratch));
    if (converted) LS_TRY(ls_values_convert(file->shard, column, from, begin, n, raw, out));
    return ls_values_check(file->shard, column, begin, n, out);
}

static int64_t rows_of_scratch(const struct ls_column *column) {
    const bool converted = column->delivered != LS_U8 || column->rows_hold == LS_ROWS_ONE_HOT;
    const size_t widest = converted ? (size_t)column->row_values * 8 : column->row_bytes;
    return widest >= SCRATCH_BYTES ? 1 : (int64_t)(SCRATCH_BYTES / widest);
}

ls_status ls_rows_read(struct ls_dataset *dataset, struct ls_open_file *file, const struct ls_column *column,
                       int64_t begin, int64_t n, void *out, struct ls_scratch *scratch) {
    int64_t most = rows_of_scratch(column);
    for (int64_t i = 0; i < n; i += most)
        LS_TRY(read_some(dataset, file, column, begin + i, n - i < most ? n - i : most,
                         (char *)out + (size_t)i * column->row_bytes, scratch));
    return LS_OK;
}

// How many picks from the first on follow one another in the file.
static int64_t run_length(const struct ls_pick *picks, int64_t n) {
    int64_t length = 1;
    while (length < n && picks[length].index == picks[length - 1].index + 1) length++;
    return length;
}

// Picks that follow one another in the file, from `offset` on, straight to their places: one system call for
// up to MOST_PARTS places that are not side by side.
static ls_status read_straight(const struct ls_open_file *file, const struct ls_column *column,
                               int64_t offset, const struct ls_pick *picks, int64_t n, char *out) {
    size_t bytes = column->row_bytes;
    int64_t read = 0;
    while (read < n) {
        struct iovec parts[MOST_PARTS];
        int n_parts = 0;
        int64_t end = read;
        for (; end < n; end++) {
            char *place = out + (size_t)picks[end].place * bytes;
            struct iovec *last = n_parts ? &parts[n_parts - 1] : NULL;
            if (last && (char *)last->iov_base + last->iov_len == place) {
                last->iov_len += bytes;
            } else if (n_parts < MOST_PARTS) {
                parts[n_parts++] = (struct iovec){.iov_base = place, .iov_len = bytes};
            } else {
                break;
            }
        }
        LS_TRY(ls_read_parts(file, column, picks[read].index - file->shard->first,
                             offset + read * (int64_t)bytes, parts, n_parts));
        read = end;
    }
    return LS_OK;
}

// A run of picks, extent by extent.
static ls_status read_run(struct ls_dataset *dataset, struct ls_open_file *file,
                          const struct ls_column *column, const struct ls_pick *picks, int64_t n, char *out) {
    size_t bytes = column->row_bytes;
    int64_t first = picks[0].index - file->shard->first;
    for (int64_t i = 0, rows; i < n; i += rows) {
        struct ls_extent extent;
        LS_TRY(ls_extent_at(dataset, file, column, first + i, &extent));
        rows = extent.rows < n - i ? extent.rows : n - i;
        if (extent.offset >= 0) LS_TRY(read_straight(file, column, extent.offset, picks + i, rows, out));
        for (int64_t k = i; extent.offset < 0 && k < i + rows; k++)
            ls_chunks_fill(column, out + (size_t)picks[k].place * bytes, column->row_values);
    }
    for (int64_t i = 0; i < n; i++)
        LS_TRY(ls_values_check(file->shard, column, first + i, 1, out + (size_t)picks[i].place * bytes));
    return LS_OK;
}

static bool places_follow(const struct ls_pick *picks, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        if (picks[i].place != picks[i - 1].place + 1) return false;
    return true;
}

// Reads a run: to its places where these follow one another too, else into memory of its own, to copy each
// row from.
static ls_status read_converted(struct ls_dataset *dataset, struct ls_open_file *file,
                                const struct ls_column *column, const struct ls_pick *picks, int64_t n,
                                char *out, struct ls_scratch *scratch) {
    int64_t most = rows_of_scratch(column);
    if (places_follow(picks, n))
        return ls_rows_read(dataset, file, column, picks[0].index - file->shard->first, n,
                            out + (size_t)picks[0].place * column->row_bytes, scratch);
    for (int64_t begin = 0; begin < n; begin += most) {
        int64_t rows = n - begin < most ? n - begin : most;
        LS_TRY(ls_buffer_reserve(&scratch->rows, (size_t)rows * column->row_bytes));
        LS_TRY(ls_rows_read(dataset, file, column, picks[begin].index - file->shard->first, rows,
                            scratch->rows.data, scratch));
        for (int64_t i = 0; i < rows; i++)
            memcpy(out + (size_t)picks[begin + i].place * column->row_bytes,
                   (const char *)scratch->rows.data + (size_t)i * column->row_bytes, column->row_bytes);
    }
    return LS_OK;
}

ls_status ls_rows_gather(struct ls_dataset *dataset, struct ls_open_file *file,
                         const struct ls_column *column, const struct ls_pick *picks, int64_t n, void *out,
                         struct ls_scratch *scratch) {
    bool straight = (column->path == LS_PATH_RUN || column->path == LS_PATH_CHUNKS) && !column->swapped &&
                    column->stored == column->delivered && column->rows_hold != LS_ROWS_ONE_HOT;
    for (int64_t begin = 0, length; begin < n; begin += length) {
        length = run_length(picks + begin, n - begin);
        if (straight)
            LS_TRY(read_run(dataset, file, column, picks + begin, length, out));
        else
            LS_TRY(read_converted(dataset, file, column, picks + begin, length, out, scratch));
    }
    return LS_OK;
}
