#include "data/array_parts.h"
#include "data/dataset_parts.h"

#include <stdio.h>

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

ls_status ls_array_read(const struct ls_array *array, int64_t begin, int64_t n, void *out) {
    LS_TRY(ls_bytes_read(&array->bytes, array->offset + begin * (int64_t)array->row_bytes, out,
                         (size_t)n * array->row_bytes));
    if (array->swapped) ls_swap_bytes(array->type, out, n * array->row_values);
    return LS_OK;
}
