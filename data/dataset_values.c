#include "data/dataset_parts.h"

#include <stdio.h>

static ls_status refuse_not_finite(const struct ls_shard *shard, const struct ls_column *column,
                                   int64_t begin, int64_t n, const float *values) {
    int64_t count = n * column->row_values;
    int64_t bad = ls_first_not_finite(values, count);
    if (bad == count) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: %s[%lld] is not finite: value %lld of %lld is %g%s", shard->path,
                   column->name, (long long)(begin + bad / column->row_values),
                   (long long)(bad % column->row_values), (long long)column->row_values, (double)values[bad],
                   ls_column_type_on_disk(column) == LS_F64 ? " as f32" : "");
}

// The number at `value` is no class, or no token: number `bad` of rows that begin with `begin`.
static ls_status refuse_number(const struct ls_shard *shard, const struct ls_column *column, int64_t begin,
                               int64_t bad, ls_dtype type, const void *value) {
    const long long row = begin + bad / column->row_values, at = bad % column->row_values;
    char digits[32];
    if (type == LS_F64) {
        snprintf(digits, sizeof digits, "%.17g", *(const double *)value);
    } else if (!ls_dtype_is_integer(type)) {
        float number = 0;
        ls_widen(type, value, 1, &number);
        snprintf(digits, sizeof digits, "%.9g", (double)number);
    } else if (type == LS_U64) {
        snprintf(digits, sizeof digits, "%llu", (unsigned long long)*(const uint64_t *)value);
    } else if (type == LS_U32) {
        snprintf(digits, sizeof digits, "%lu", (unsigned long)*(const uint32_t *)value);
    } else {
        snprintf(digits, sizeof digits, "%lld", (long long)*(const int64_t *)value);
    }
    if (column->rows_hold == LS_ROWS_TOKENS)
        return LS_FAIL(LS_INPUT,
                       "%s: %s[%lld] is not of tokens: value %lld of %lld is %s, expected 0 to %lld",
                       shard->path, column->name, row, at, (long long)column->row_values, digits,
                       (long long)column->tokens - 1);
    return LS_FAIL(LS_INPUT, "%s: %s[%lld] is %s, expected a class (a whole number of 32 bits)", shard->path,
                   column->name, row, digits);
}

static ls_status refuse_row(const struct ls_shard *shard, const struct ls_column *column, int64_t row,
                            const char *what, int64_t at, double value, const char *expected) {
    return LS_FAIL(LS_INPUT, "%s: %s[%lld] is not %s: value %lld of %lld is %g, expected %s", shard->path,
                   column->name, (long long)row, what, (long long)at, (long long)column->row_values, value,
                   expected);
}

// Without a branch in the first loop, as ls_first_not_finite.
static ls_status refuse_not_tokens(const struct ls_shard *shard, const struct ls_column *column,
                                   int64_t begin, int64_t n, const int32_t *values) {
    const int64_t count = n * column->row_values;
    const uint32_t most = (uint32_t)column->tokens - 1;
    uint32_t found = 0;
    for (int64_t i = 0; i < count; i++) found |= (uint32_t)values[i] > most;
    if (!found) return LS_OK;
    int64_t bad = 0;
    while ((uint32_t)values[bad] <= most) bad++;
    const int64_t value = values[bad];
    return refuse_number(shard, column, begin, bad, LS_I64, &value);
}

static ls_status refuse_not_labels(const struct ls_shard *shard, const struct ls_column *column,
                                   int64_t begin, int64_t n, const float *values) {
    for (int64_t i = 0; i < n * column->row_values; i++)
        if (values[i] != 0 && values[i] != 1)
            return refuse_row(shard, column, begin + i / column->row_values, "a row of labels",
                              i % column->row_values, (double)values[i], "0 or 1");
    return LS_OK;
}

ls_status ls_values_check(const struct ls_shard *shard, const struct ls_column *column, int64_t begin,
                          int64_t n, const void *rows) {
    if (column->rows_hold == LS_ROWS_TOKENS) return refuse_not_tokens(shard, column, begin, n, rows);
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

ls_status ls_values_convert(const struct ls_shard *shard, const struct ls_column *column, ls_dtype from,
                            int64_t begin, int64_t n, const void *in, void *out) {
    int64_t count = n * column->row_values;
    if (column->rows_hold == LS_ROWS_ONE_HOT) return find_classes(shard, column, from, begin, n, in, out);
    if (column->delivered == LS_F32) {
        ls_widen(from, in, count, out);
        return LS_OK;
    }
    int64_t bad = ls_narrow(from, in, count, out);
    if (bad == count) return LS_OK;
    return refuse_number(shard, column, begin, bad, from,
                         (const char *)in + (size_t)bad * ls_dtype_bytes(from));
}
