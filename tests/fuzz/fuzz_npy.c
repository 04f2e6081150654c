// An NPY file, plain or gzip.
#include "fuzz.h"

#include "data/array.h"

#include <stdbool.h>

enum { MOST_ROWS = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct ls_array array;
    ls_status status = ls_npy_open(fuzz_file(0, data, n), &array);
    if (status == LS_OK) {
        char *row = malloc(array.row_bytes);
        for (int64_t i = 0; row && i < array.dim[0] && i < MOST_ROWS && status == LS_OK; i++)
            status = ls_array_read(&array, i, 1, row);
        free(row);
        ls_array_close(&array);
    }
    fuzz_expect(status);
    return 0;
}
