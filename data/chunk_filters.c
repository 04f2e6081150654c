// What was done to a chunk when it was written, undone from the last filter to the first.
#include "data/dataset_parts.h"

#include <string.h>
#include <zlib.h>

// Deflate never makes less than 1/1032 of anything.
enum { MOST_RATIO = 1040, CHECKSUM_BYTES = 4 };

static ls_status undo_gzip(const uint8_t *in, size_t bytes, uint8_t *out, size_t expected) {
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)in};
    stream.next_out = out;
    if (inflateInit(&stream) != Z_OK) return LS_FAIL(LS_SYSTEM, "zlib cannot begin: no memory");
    int end = Z_OK;
    // zlib counts in 32 bits.
    for (size_t left_in = bytes, left_out = expected; end == Z_OK;) {
        if (!stream.avail_in)
            stream.avail_in = left_in > 1u << 30 ? 1u << 30 : (uInt)left_in, left_in -= stream.avail_in;
        if (!stream.avail_out)
            stream.avail_out = left_out > 1u << 30 ? 1u << 30 : (uInt)left_out, left_out -= stream.avail_out;
        end = inflate(&stream, Z_NO_FLUSH);
        if (end == Z_OK && !stream.avail_in && !left_in) break;
    }
    size_t got = stream.total_out;
    inflateEnd(&stream);
    if (end == Z_STREAM_END && got == expected) return LS_OK;
    return LS_FAIL(LS_INPUT, "gzip: %zu bytes of its %zu come out%s", got, expected,
                   end == Z_STREAM_END || end == Z_OK || end == Z_BUF_ERROR ? ""
                                                                            : ", then the data are wrong");
}

// Byte j of number i lies at j * numbers + i; what does not fill a number follows as it is.
static void undo_shuffle(const uint8_t *in, size_t bytes, size_t value_bytes, uint8_t *out) {
    size_t numbers = bytes / value_bytes, tail = numbers * value_bytes;
    for (size_t i = 0; i < numbers; i++)
        for (size_t j = 0; j < value_bytes; j++) out[i * value_bytes + j] = in[j * numbers + i];
    memcpy(out + tail, in + tail, bytes - tail);
}

// Fletcher's checksum of 32 bits over big-endian words of 16, as the "HDF5 File Format Specification" wants
// it; sums are kept in 1..65535 but for data that are all zero.
static uint32_t fletcher32(const uint8_t *data, size_t bytes) {
    uint64_t sum = 0, sum_of_sums = 0;
    for (size_t i = 0; i < bytes;) {
        size_t end = bytes - i > 1 << 16 ? i + (1 << 16) : bytes;
        for (; i < end; i += 2) {
            sum += (uint64_t)data[i] << 8 | (i + 1 < bytes ? data[i + 1] : 0);
            sum_of_sums += sum;
        }
        sum = sum ? (sum - 1) % 65535 + 1 : 0;
        sum_of_sums = sum_of_sums ? (sum_of_sums - 1) % 65535 + 1 : 0;
    }
    return (uint32_t)(sum_of_sums << 16 | sum);
}

static uint32_t swap_in_halves(uint32_t sum) {
    return (sum & 0x00ff00ffu) << 8 | (sum >> 8 & 0x00ff00ffu);
}

static ls_status check_fletcher(const uint8_t *data, size_t bytes) {
    const uint8_t *stored = data + bytes;
    uint32_t found = fletcher32(data, bytes), expected = stored[0] | (uint32_t)stored[1] << 8 |
                                                         (uint32_t)stored[2] << 16 |
                                                         (uint32_t)stored[3] << 24;
    // Versions of the library before 1.6.3 stored the bytes of each half in the order of the machine.
    if (found == expected || swap_in_halves(found) == expected) return LS_OK;
    return LS_FAIL(LS_INPUT, "its checksum (fletcher32) is %08x, expected %08x", (unsigned)found,
                   (unsigned)expected);
}

static bool applies(const struct ls_h5_chunking *chunking, uint32_t skipped, int filter) {
    return !(skipped >> filter & 1) && filter < chunking->n_filters;
}

// Bytes in front of filter `filter` on the way to the file.
static size_t bytes_before(const struct ls_h5_chunking *chunking, uint32_t skipped, int filter,
                           size_t decoded) {
    for (int i = 0; i < filter; i++)
        if (applies(chunking, skipped, i) && chunking->filters[i] == LS_H5_FLETCHER32)
            decoded += CHECKSUM_BYTES;
    return decoded;
}

// A chunk on its way back through the filters.
struct undoing {
    const struct ls_h5_chunking *chunking;
    size_t value_bytes;
    struct ls_buffer *chunk, *other; // what it is now; and room for what it becomes
    size_t bytes;
};

static void exchange(struct undoing *undoing) {
    struct ls_buffer kept = *undoing->chunk;
    *undoing->chunk = *undoing->other;
    *undoing->other = kept;
}

static ls_status undo_checksum(struct undoing *undoing) {
    if (undoing->bytes < CHECKSUM_BYTES)
        return LS_FAIL(LS_INPUT, "it has no room for its checksum (fletcher32)");
    undoing->bytes -= CHECKSUM_BYTES;
    return check_fletcher(undoing->chunk->data, undoing->bytes);
}

static ls_status unshuffle(struct undoing *undoing, size_t value_bytes) {
    LS_TRY(ls_buffer_reserve(undoing->other, undoing->bytes + !undoing->bytes));
    undo_shuffle(undoing->chunk->data, undoing->bytes, value_bytes, undoing->other->data);
    exchange(undoing);
    return LS_OK;
}

static ls_status gunzip(struct undoing *undoing, size_t unpacked) {
    if (unpacked / MOST_RATIO > undoing->bytes)
        return LS_FAIL(LS_INPUT, "gzip: %zu bytes cannot hold %zu", undoing->bytes, unpacked);
    LS_TRY(ls_buffer_reserve(undoing->other, unpacked + !unpacked));
    LS_TRY(undo_gzip(undoing->chunk->data, undoing->bytes, undoing->other->data, unpacked));
    undoing->bytes = unpacked;
    exchange(undoing);
    return LS_OK;
}

static ls_status unszip(struct undoing *undoing, size_t unpacked) {
    const struct ls_h5_szip *szip = &undoing->chunking->szip;
    LS_TRY(ls_szip_unpack(szip, undoing->chunk->data, undoing->bytes, undoing->other, unpacked));
    undoing->bytes = unpacked;
    exchange(undoing);
    return ls_szip_has_planes(szip) ? unshuffle(undoing, szip->bits / 8) : LS_OK;
}

static ls_status undo(struct undoing *undoing, enum ls_h5_filter filter, size_t unpacked) {
    switch (filter) {
    case LS_H5_GZIP: return gunzip(undoing, unpacked);
    case LS_H5_SZIP: return unszip(undoing, unpacked);
    case LS_H5_SHUFFLE: return unshuffle(undoing, undoing->value_bytes);
    case LS_H5_FLETCHER32: break;
    }
    return undo_checksum(undoing);
}

bool ls_chunk_can_decode(const struct ls_h5_chunking *chunking) {
    for (int i = 0; i < chunking->n_filters; i++)
        if (chunking->filters[i] == LS_H5_SZIP && !ls_szip_is_built_in()) return false;
    return true;
}

ls_status ls_chunk_decode(const struct ls_h5_chunking *chunking, uint32_t skipped, size_t value_bytes,
                          struct ls_buffer *chunk, size_t bytes, struct ls_buffer *other,
                          size_t decoded_bytes) {
    struct undoing undoing = {
        .chunking = chunking, .value_bytes = value_bytes, .chunk = chunk, .other = other, .bytes = bytes};
    for (int i = chunking->n_filters; i-- > 0;)
        if (applies(chunking, skipped, i))
            LS_TRY(undo(&undoing, chunking->filters[i], bytes_before(chunking, skipped, i, decoded_bytes)));
    if (undoing.bytes == decoded_bytes) return LS_OK;
    return LS_FAIL(LS_INPUT, "it has %zu bytes, expected %zu", undoing.bytes, decoded_bytes);
}
