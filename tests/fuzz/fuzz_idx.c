// An IDX file, plain or gzip, of images or labels.
#include "fuzz.h"

#include "data/array.h"

static ls_status read_all(const struct ls_array *array) {
    char *row = malloc(array->row_bytes);
    ls_status status = row ? LS_OK : LS_SYSTEM;
    for (int64_t i = 0; i < array->dim[0] && status == LS_OK; i++) status = ls_array_read(array, i, 1, row);
    free(row);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 1) return 0;
    // The first byte says which of the two kinds is expected.
    bool labels = data[0] & 1;
    struct ls_array array;
    ls_status status = ls_idx_open(fuzz_file(0, data + 1, n - 1), labels ? 1 : 3, labels ? 1 : 4, &array);
    if (status == LS_OK) {
        status = read_all(&array);
        ls_array_close(&array);
    }
    fuzz_expect(status);
    return 0;
}
