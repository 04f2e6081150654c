// A chunk through its filters: number of filters, which, what was skipped, size of a number, and the chunk's
// bytes.
#include "fuzz.h"

#include "data/dataset_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 9) return 0;
    struct ls_h5_chunking chunking = {.n_filters = data[0] % (LS_H5_MAX_FILTERS + 1)};
    for (int i = 0; i < chunking.n_filters; i++) chunking.filters[i] = (enum ls_h5_filter)(data[1 + i] % 3);
    static const size_t sizes[] = {1, 2, 4, 8};
    size_t decoded = (size_t)data[6] | (size_t)data[7] << 8 | (size_t)(data[8] & 3) << 16;
    struct ls_buffer chunk = {0}, other = {0};
    if (ls_buffer_reserve(&chunk, n - 9 + !(n - 9)) != LS_OK) return 0;
    memcpy(chunk.data, data + 9, n - 9);
    ls_status status =
        ls_chunk_decode(&chunking, data[5] & 15, sizes[data[8] >> 6], &chunk, n - 9, &other, decoded);
    if (status == LS_OK && decoded) (void)ls_hash_of(chunk.data, decoded); // all of it is there
    fuzz_expect(status);
    free(chunk.data);
    free(other.data);
    return 0;
}
