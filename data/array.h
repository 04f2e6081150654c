// A file of one array, its rows along the first axis: IDX, NPY, plain or gzip.
#pragma once

#include "base/dtype.h"
#include "base/status.h"
#include "data/bytes.h"

#include <stdbool.h>

enum { LS_ARRAY_MOST_RANK = 8 };

struct ls_array {
    struct ls_bytes bytes;
    int64_t offset; // of the first row
    ls_dtype type;
    bool swapped;    // the bytes of its numbers lie in the other order than this machine's
    bool by_columns; // Fortran's order: the first value of each row, then the second of each, …
    int rank;
    int64_t dim[LS_ARRAY_MOST_RANK];
    int64_t row_values;
    size_t row_bytes; // as stored
};

// LS_INPUT names the file, what was expected and what was found: another kind of file, a type that holds no
// numbers, no rows, rows of nothing, a file that is shorter or longer than its head says.
ls_status ls_idx_open(const char *path, int least_axes, int most_axes, struct ls_array *array);
ls_status ls_npy_open(const char *path, struct ls_array *array);
void ls_array_close(struct ls_array *array);
// Rows [begin, begin + n), of this machine's byte order, each in C's order. Any thread. Of an array by
// columns each value of a row is a read of its own: few rows at a time cost much.
ls_status ls_array_read(const struct ls_array *array, int64_t begin, int64_t n, void *out);
