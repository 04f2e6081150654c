#include "data/dataset_parts.h"

#include "base/pulse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

// Parts of one preadv, and bytes that go through scratch at a time.
enum { MOST_PARTS = 64, SCRATCH_BYTES = 4 << 20 };

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

static size_t stored_row_bytes(const struct ls_column *column) {
    return (size_t)column->row_values * ls_dtype_bytes(column->stored);
}

// Drops the first `bytes` of the parts, which were read.
static int drop_read(struct iovec *parts, int n, size_t bytes) {
    int whole = 0;
    while (whole < n && bytes >= parts[whole].iov_len) bytes -= parts[whole++].iov_len;
    memmove(parts, parts + whole, (size_t)(n - whole) * sizeof *parts);
    if (whole < n) {
        parts[0].iov_base = (char *)parts[0].iov_base + bytes;
        parts[0].iov_len -= bytes;
    }
    return n - whole;
}

// Fills all parts from `offset` on; row is for the message. The parts are used up.
static ls_status read_parts(const struct ls_open_file *file, const struct ls_column *column, int64_t row,
                            int64_t offset, struct iovec *parts, int n) {
    const char *path = file->shard->path;
    while (n > 0) {
        ssize_t got = preadv(file->slot->fd, parts, n, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return LS_FAIL(LS_INPUT, "%s: dataset '%s' cannot be read from row %lld on: %s", path,
                           column->name, (long long)row, strerror(errno));
        if (got == 0)
            return LS_FAIL(LS_INPUT, "%s: is truncated: dataset '%s' goes on, but the file ends at byte %lld",
                           path, column->name, (long long)offset);
        offset += got;
        ls_pulse_tick();
        n = drop_read(parts, n, (size_t)got);
    }
    return LS_OK;
}

ls_status ls_read_at(const struct ls_open_file *file, const struct ls_column *column, int64_t row,
                     int64_t offset, void *out, size_t bytes) {
    struct iovec part = {.iov_base = out, .iov_len = bytes};
    return read_parts(file, column, row, offset, &part, 1);
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

static ls_status refuse_not_finite(const struct ls_shard *shard, const struct ls_column *column,
                                   int64_t begin, int64_t n, const float *values) {
    int64_t count = n * column->row_values;
    int64_t bad = ls_first_not_finite(values, count);
    if (bad == count) return LS_OK;
    // Of FETCHED rows, HDF5 has made what is called stored.
    const ls_dtype in_file = column->chunking ? column->chunking->found.type : column->stored;
    return LS_FAIL(LS_INPUT, "%s: %s[%lld] is not finite: value %lld of %lld is %g%s", shard->path,
                   column->name, (long long)(begin + bad / column->row_values),
                   (long long)(bad % column->row_values), (long long)column->row_values, (double)values[bad],
                   in_file == LS_F64 ? " as f32" : "");
}

static ls_status refuse_class(const struct ls_shard *shard, const struct ls_column *column, int64_t row,
                              ls_dtype type, const void *value) {
    char digits[32];
    if (type == LS_F64) {
        snprintf(digits, sizeof digits, "%.17g", *(const double *)value);
    } else if (!ls_is_integer(type)) {
        float number = 0;
        ls_widen(type, value, 1, &number);
        snprintf(digits, sizeof digits, "%.9g", (double)number);
    } else if (type == LS_U64)
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)*(const uint64_t *)value);
    else if (type == LS_U32)
        snprintf(digits, sizeof digits, "%lu", (unsigned long)*(const uint32_t *)value);
    else
        snprintf(digits, sizeof digits, "%lld", (long long)*(const int64_t *)value);
    return LS_FAIL(LS_INPUT, "%s: %s[%lld] is %s, expected a class (a whole number of 32 bits)", shard->path,
                   column->name, (long long)row, digits);
}

static ls_status refuse_row(const struct ls_shard *shard, const struct ls_column *column, int64_t row,
                            const char *what, int64_t at, double value, const char *expected) {
    return LS_FAIL(LS_INPUT, "%s: %s[%lld] is not %s: value %lld of %lld is %g, expected %s", shard->path,
                   column->name, (long long)row, what, (long long)at, (long long)column->row_values, value,
                   expected);
}

static ls_status refuse_not_labels(const struct ls_shard *shard, const struct ls_column *column,
                                   int64_t begin, int64_t n, const float *values) {
    for (int64_t i = 0; i < n * column->row_values; i++)
        if (values[i] != 0 && values[i] != 1)
            return refuse_row(shard, column, begin + i / column->row_values, "a row of labels",
                              i % column->row_values, (double)values[i], "0 or 1");
    return LS_OK;
}

// What a delivered row must hold.
static ls_status check_rows(const struct ls_shard *shard, const struct ls_column *column, int64_t begin,
                            int64_t n, const void *rows) {
    if (column->delivered != LS_F32) return LS_OK;
    LS_TRY(refuse_not_finite(shard, column, begin, n, rows));
    return column->rows_hold == LS_ROWS_LABELS ? refuse_not_labels(shard, column, begin, n, rows) : LS_OK;
}

// The place of the single 1 among the numbers of a row.
static ls_status find_hot(const struct ls_shard *shard, const struct ls_column *column, ls_dtype from,
                          int64_t row, const char *in, int32_t *hot) {
    enum { SOME = 256 };
    float values[SOME];
    *hot = -1;
    for (int64_t at = 0; at < column->row_values; at += SOME) {
        const int64_t n = column->row_values - at < SOME ? column->row_values - at : SOME;
        ls_widen(from, in + (size_t)at * ls_dtype_bytes(from), n, values);
        for (int64_t i = 0; i < n; i++) {
            if (values[i] == 0) continue;
            if (values[i] != 1 || *hot >= 0)
                return refuse_row(shard, column, row, "one-hot", at + i, (double)values[i],
                                  *hot >= 0 ? "0 behind a 1" : "0, or 1 once");
            *hot = (int32_t)(at + i);
        }
    }
    if (*hot >= 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: %s[%lld] is not one-hot: all of its %lld values are 0, expected 1 once",
                   shard->path, column->name, (long long)row, (long long)column->row_values);
}

static ls_status find_classes(const struct ls_shard *shard, const struct ls_column *column, ls_dtype from,
                              int64_t begin, int64_t n, const char *in, int32_t *classes) {
    const size_t bytes = (size_t)column->row_values * ls_dtype_bytes(from);
    for (int64_t i = 0; i < n; i++)
        LS_TRY(find_hot(shard, column, from, begin + i, in + (size_t)i * bytes, &classes[i]));
    return LS_OK;
}

static ls_status convert(const struct ls_shard *shard, const struct ls_column *column, ls_dtype from,
                         int64_t begin, int64_t n, const void *in, void *out) {
    int64_t count = n * column->row_values;
    if (column->rows_hold == LS_ROWS_ONE_HOT) return find_classes(shard, column, from, begin, n, in, out);
    if (column->delivered == LS_F32) {
        ls_widen(from, in, count, out);
        return LS_OK;
    }
    int64_t bad = ls_narrow(from, in, count, out);
    if (bad == count) return LS_OK;
    return refuse_class(shard, column, begin + bad, from,
                        (const char *)in + (size_t)bad * ls_dtype_bytes(from));
}

// What HDF5 is asked to convert to: the delivered type, except for numbers that may be no class.
static ls_dtype library_type(const struct ls_column *column) {
    bool wide = column->stored == LS_U32 || column->stored == LS_U64 || column->stored == LS_I64;
    if (column->rows_hold == LS_ROWS_ONE_HOT) return LS_F32;
    if (column->delivered == LS_I32 && wide) return column->stored;
    if (column->delivered == LS_I32 && !ls_is_integer(column->stored))
        return column->stored == LS_F64 ? LS_F64 : LS_F32;
    return column->delivered;
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
    if (converted) LS_TRY(convert(file->shard, column, from, begin, n, raw, out));
    return check_rows(file->shard, column, begin, n, out);
}

static int64_t rows_of_scratch(const struct ls_column *column) {
    const bool converted = column->delivered != LS_U8 || column->rows_hold == LS_ROWS_ONE_HOT;
    const size_t widest = converted ? (size_t)column->row_values * 8 : column->row_bytes;
    return widest >= SCRATCH_BYTES ? 1 : (int64_t)(SCRATCH_BYTES / widest);
}

ls_status ls_column_read(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                         int64_t begin, int64_t n, void *out, struct ls_scratch *scratch) {
    const struct ls_column *column = &file->shard->columns[id];
    if (column->path == LS_PATH_SOURCES) return ls_sources_read(dataset, file, id, begin, n, out, scratch);
    int64_t most = rows_of_scratch(column);
    for (int64_t i = 0; i < n; i += most)
        LS_TRY(read_some(dataset, file, column, begin + i, n - i < most ? n - i : most,
                         (char *)out + (size_t)i * column->row_bytes, scratch));
    return LS_OK;
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
        LS_TRY(read_parts(file, column, picks[read].index - file->shard->first,
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
        LS_TRY(check_rows(file->shard, column, first + i, 1, out + (size_t)picks[i].place * bytes));
    return LS_OK;
}

static bool places_follow(const struct ls_pick *picks, int64_t n) {
    for (int64_t i = 1; i < n; i++)
        if (picks[i].place != picks[i - 1].place + 1) return false;
    return true;
}

// Reads a run: to its places where these follow one another too, else into memory of its own, to copy each
// row from.
static ls_status read_converted(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                                const struct ls_pick *picks, int64_t n, char *out,
                                struct ls_scratch *scratch) {
    const struct ls_column *column = &file->shard->columns[id];
    int64_t most = rows_of_scratch(column);
    if (places_follow(picks, n))
        return ls_column_read(dataset, file, id, picks[0].index - file->shard->first, n,
                              out + (size_t)picks[0].place * column->row_bytes, scratch);
    for (int64_t begin = 0; begin < n; begin += most) {
        int64_t rows = n - begin < most ? n - begin : most;
        LS_TRY(ls_buffer_reserve(&scratch->rows, (size_t)rows * column->row_bytes));
        LS_TRY(ls_column_read(dataset, file, id, picks[begin].index - file->shard->first, rows,
                              scratch->rows.data, scratch));
        for (int64_t i = 0; i < rows; i++)
            memcpy(out + (size_t)picks[begin + i].place * column->row_bytes,
                   (const char *)scratch->rows.data + (size_t)i * column->row_bytes, column->row_bytes);
    }
    return LS_OK;
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
    bool straight = (column->path == LS_PATH_RUN || column->path == LS_PATH_CHUNKS) && !column->swapped &&
                    column->stored == column->delivered && column->rows_hold != LS_ROWS_ONE_HOT;
    for (int64_t begin = 0, length; begin < n; begin += length) {
        length = run_length(picks + begin, n - begin);
        if (straight)
            LS_TRY(read_run(dataset, file, column, picks + begin, length, out));
        else
            LS_TRY(read_converted(dataset, file, id, picks + begin, length, out, scratch));
    }
    return LS_OK;
}
