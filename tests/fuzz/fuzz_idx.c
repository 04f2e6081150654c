// A pair of IDX files, plain or gzip: the first two bytes say how many of the rest are the images.
#include "fuzz.h"

#include "data/pack_parts.h"

enum { ROOM = 4096 };

static ls_status read_all(struct ls_idx *idx) {
    static uint8_t labels[64];
    uint8_t *samples = malloc(64 * ROOM);
    ls_status status = LS_OK;
    while (status == LS_OK && idx->next < idx->samples) {
        int64_t left = idx->samples - idx->next, n = left < 64 ? left : 64;
        if (idx->sample_bytes > ROOM)
            n = 0; // the packer asks for memory for one sample at least; here is no point
        if (!n) break;
        status = ls_idx_read(idx, n, samples, labels);
    }
    free(samples);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 2) return 0;
    size_t images = (size_t)data[0] | (size_t)data[1] << 8;
    if (images > n - 2) images = n - 2;
    const char *first = fuzz_file(0, data + 2, images),
               *second = fuzz_file(1, data + 2 + images, n - 2 - images);
    struct ls_idx idx;
    ls_status status = ls_idx_open(&idx, first, second);
    if (status == LS_OK) {
        status = read_all(&idx);
        ls_idx_close(&idx);
    }
    fuzz_expect(status);
    return 0;
}
