#include "data/array_parts.h"
#include "data/dataset_parts.h"

#include <stdio.h>
#include <string.h>

static const int64_t MOST_ROW_BYTES = INT64_C(1) << 30;

ls_status ls_array_head(struct ls_array *array, const char *what, void *out, size_t n) {
    int64_t left = array->bytes.size - array->offset;
    if ((int64_t)n > left)
        return LS_FAIL(LS_INPUT, "%s: is truncated: expected %zu bytes of %s, found %lld", array->bytes.path,
                       n, what, (long long)left);
    LS_TRY(ls_bytes_read(&array->bytes, array->offset, out, n));
    array->offset += (int64_t)n;
    return LS_OK;
}

void ls_array_close(struct ls_array *array) {
    ls_bytes_close(&array->bytes);
}

static char *shape_text(char out[192], const struct ls_array *array) {
    size_t length = (size_t)snprintf(out, 192, "[");
    for (int i = 0; i < array->rank; i++)
        length +=
            (size_t)snprintf(out + length, 192 - length, i ? ", %lld" : "%lld", (long long)array->dim[i]);
    snprintf(out + length, 192 - length, "]");
    return out;
}

static ls_status set_rows(struct ls_array *array) {
    char text[192];
    if (array->rank < 1)
        return LS_FAIL(LS_INPUT, "%s: expected samples, found a single value", array->bytes.path);
    array->row_values = 1;
    for (int i = 1; i < array->rank; i++) {
        int64_t most = MOST_ROW_BYTES / (int64_t)ls_dtype_bytes(array->type) / array->row_values;
        if (array->dim[i] < 1 || array->dim[i] > most)
            return LS_FAIL(LS_INPUT, "%s: expected samples of 1 to %lld bytes, found an array %s of %s",
                           array->bytes.path, (long long)MOST_ROW_BYTES, shape_text(text, array),
                           ls_dtype_name(array->type));
        array->row_values *= array->dim[i];
    }
    array->row_bytes = (size_t)array->row_values * ls_dtype_bytes(array->type);
    if (array->dim[0] == 0) return LS_FAIL(LS_INPUT, "%s: expected samples, found none", array->bytes.path);
    if (array->dim[0] > INT64_MAX / 2 / (int64_t)array->row_bytes)
        return LS_FAIL(LS_INPUT, "%s: no file holds an array %s", array->bytes.path, shape_text(text, array));
    return LS_OK;
}

ls_status ls_array_check(struct ls_array *array) {
    LS_TRY(set_rows(array));
    const char *path = array->bytes.path;
    long long samples = (long long)array->dim[0];
    int64_t expected = array->dim[0] * (int64_t)array->row_bytes, found = array->bytes.size - array->offset;
    if (found < expected)
        return LS_FAIL(LS_INPUT,
                       "%s: is truncated: its header says %lld samples of %zu bytes, found %lld whole ones",
                       path, samples, array->row_bytes, (long long)(found / (int64_t)array->row_bytes));
    if (found > expected)
        return LS_FAIL(LS_INPUT, "%s: expected its end behind %lld samples, found more bytes", path, samples);
    return LS_OK;
}

// Rows [begin, begin + n) of one column, to where they belong among whole rows.
static ls_status read_column(const struct ls_array *array, int64_t column, int64_t begin, int64_t n,
                             char *out) {
    enum { SOME = 512 };
    const size_t bytes = ls_dtype_bytes(array->type);
    char values[SOME * sizeof(uint64_t)];
    for (int64_t i = 0; i < n; i += SOME) {
        const int64_t some = n - i < SOME ? n - i : SOME, at = column * array->dim[0] + begin + i;
        LS_TRY(
            ls_bytes_read(&array->bytes, array->offset + at * (int64_t)bytes, values, (size_t)some * bytes));
        for (int64_t k = 0; k < some; k++)
            memcpy(out + (size_t)(i + k) * array->row_bytes, values + (size_t)k * bytes, bytes);
    }
    return LS_OK;
}

// Value `at` of a row, in C's order, is in this column: of the axes of a row, the first goes round fastest.
static int64_t column_of(const struct ls_array *array, int64_t at) {
    int64_t column = 0, step = array->row_values;
    for (int i = array->rank; i-- > 1; at /= array->dim[i]) {
        step /= array->dim[i];
        column += at % array->dim[i] * step;
    }
    return column;
}

static ls_status read_columns(const struct ls_array *array, int64_t begin, int64_t n, char *out) {
    const size_t bytes = ls_dtype_bytes(array->type);
    for (int64_t at = 0; at < array->row_values; at++)
        LS_TRY(read_column(array, column_of(array, at), begin, n, out + (size_t)at * bytes));
    return LS_OK;
}

static ls_status read_rows(const struct ls_array *array, int64_t begin, int64_t n, char *out) {
    return ls_bytes_read(&array->bytes, array->offset + begin * (int64_t)array->row_bytes, out,
                         (size_t)n * array->row_bytes);
}

ls_status ls_array_read(const struct ls_array *array, int64_t begin, int64_t n, void *out) {
    LS_TRY(array->by_columns ? read_columns(array, begin, n, out) : read_rows(array, begin, n, out));
    if (array->swapped) ls_swap_bytes(array->type, out, n * array->row_values);
    return LS_OK;
}
