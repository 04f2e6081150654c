// A chunk through its filters:
//
//   u8      number of filters
//   u8[4]   which: gzip, szip, shuffle, fletcher32
//   u8      bits: the filters that were skipped
//   u24     bits 0 to 17: bytes when all are undone; 22 and 23: bytes of a number, 1 to 8
//   u8      szip: bits 0, 1: bits of a number, 8 to 64; 2: big-endian; 3: differences; 4 to 7: block
//   u16     szip: numbers of a line
//   …       the chunk
#include "fuzz.h"

#include "base/hash.h"
#include "data/dataset_parts.h"

enum { HEAD = 12 };

static struct ls_h5_szip szip_of(const uint8_t *data) {
    return (struct ls_h5_szip){.bits = 8u << (data[0] & 3),
                               .big_endian = data[0] & 4,
                               .differences = data[0] & 8,
                               .block = 2u + 2u * (data[0] >> 4),
                               .line = data[1] | (unsigned)data[2] << 8};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < HEAD) return 0;
    struct ls_h5_chunking chunking = {.n_filters = data[0] % (LS_H5_MAX_FILTERS + 1),
                                      .szip = szip_of(data + 9)};
    for (int i = 0; i < chunking.n_filters; i++) chunking.filters[i] = (enum ls_h5_filter)(data[1 + i] % 4);
    const size_t decoded = (size_t)data[6] | (size_t)data[7] << 8 | (size_t)(data[8] & 3) << 16;
    const size_t value_bytes = (size_t)1 << (data[8] >> 6), bytes = n - HEAD;
    struct ls_buffer chunk = {0}, other = {0};
    if (ls_buffer_reserve(&chunk, bytes + !bytes) != LS_OK) return 0;
    memcpy(chunk.data, data + HEAD, bytes);
    ls_status status = ls_chunk_decode(&chunking, data[5], value_bytes, &chunk, bytes, &other, decoded);
    if (status == LS_OK && decoded) (void)ls_hash_of(chunk.data, decoded); // all of it is there
    fuzz_expect(status);
    free(chunk.data);
    free(other.data);
    return 0;
}
