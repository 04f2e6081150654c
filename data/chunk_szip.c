// szip: Rice's code, as "Lossless Data Compression" (CCSDS 121.0-B) defines it. A chunk is
//
//   u32, little-endian   bytes that come out
//   bits                 blocks of numbers. A line of them ends with a whole block: what is behind its
//                        numbers there is nothing
//
// Numbers of 32 and 64 bits are packed as bytes: first those that begin a number, then the second ones, … .
// Any thread may decode: libaec keeps all that it needs with the stream.
#include "data/dataset_parts.h"

bool ls_szip_has_planes(const struct ls_h5_szip *szip) {
    return szip->bits > 16;
}

#ifdef LOCKSTEP_HAVE_AEC

#include <libaec.h>
#include <string.h>

bool ls_szip_is_built_in(void) {
    return true;
}

enum { SIZE_BYTES = 4, MOST_BLOCK = 32, MOST_LINE = 4096 };

// Nothing is packed further than 64 blocks without a bit in them: of 16 bits in 10, of 8 bits in 9.
enum { MOST_RATIO = 64 * MOST_BLOCK * 2 };

static bool is_possible(const struct ls_h5_szip *szip) {
    const unsigned bits = szip->bits, block = szip->block;
    return (bits == 8 || bits == 16 || bits == 32 || bits == 64) && block >= 2 && block <= MOST_BLOCK &&
           block % 2 == 0 && szip->line >= 1 && szip->line <= MOST_LINE;
}

static ls_status check_size(const struct ls_h5_szip *szip, const uint8_t *in, size_t bytes, size_t expected) {
    if (bytes < SIZE_BYTES) return LS_FAIL(LS_INPUT, "szip: it has no room for its size");
    const size_t size = in[0] | (size_t)in[1] << 8 | (size_t)in[2] << 16 | (size_t)in[3] << 24;
    if (size != expected)
        return LS_FAIL(LS_INPUT, "szip: it says that it holds %zu bytes, expected %zu", size, expected);
    if (expected % (szip->bits / 8))
        return LS_FAIL(LS_INPUT, "szip: its %zu bytes are no whole numbers of %u bits", expected, szip->bits);
    return LS_OK;
}

// Takes out what follows each line of `line` bytes, up to `padded`.
static void drop_padding(uint8_t *data, size_t bytes, size_t line, size_t padded) {
    for (size_t from = padded, to = line; to < bytes; from += padded, to += line)
        memmove(data + to, data + from, bytes - to < line ? bytes - to : line);
}

ls_status ls_szip_unpack(const struct ls_h5_szip *szip, const uint8_t *in, size_t bytes,
                         struct ls_buffer *out, size_t expected) {
    if (!is_possible(szip))
        return LS_FAIL(
            LS_INPUT,
            "szip: expected numbers of 8 to 64 bits, an even block of up to %d and a line of up to "
            "%d of them, found %u, %u and %u",
            MOST_BLOCK, MOST_LINE, szip->bits, szip->block, szip->line);
    LS_TRY(check_size(szip, in, bytes, expected));
    const size_t width = szip->bits == 16 ? 2 : 1, blocks = (szip->line + szip->block - 1) / szip->block;
    const size_t line = szip->line * width, padded = blocks * szip->block * width;
    const size_t stored = padded == line ? expected : (expected + line - 1) / line * padded;
    if (stored / MOST_RATIO > bytes)
        return LS_FAIL(LS_INPUT, "szip: %zu bytes cannot hold %zu", bytes, stored);
    LS_TRY(ls_buffer_reserve(out, stored + !stored));
    struct aec_stream stream = {.next_in = in + SIZE_BYTES,
                                .avail_in = bytes - SIZE_BYTES,
                                .next_out = out->data,
                                .avail_out = stored,
                                .bits_per_sample = (unsigned)width * 8,
                                .block_size = szip->block,
                                .rsi = (unsigned)blocks,
                                .flags = (szip->big_endian ? AEC_DATA_MSB : 0u) |
                                         (szip->differences ? AEC_DATA_PREPROCESS : 0u)};
    const int status = aec_buffer_decode(&stream);
    if (status == AEC_MEM_ERROR) return LS_FAIL(LS_SYSTEM, "libaec cannot begin: no memory");
    if (status != AEC_OK) return LS_FAIL(LS_INPUT, "szip: its data are wrong");
    if (stream.total_out != stored)
        return LS_FAIL(LS_INPUT, "szip: %zu bytes of its %zu come out", stream.total_out, stored);
    if (padded != line) drop_padding(out->data, expected, line, padded);
    return LS_OK;
}

#else

bool ls_szip_is_built_in(void) {
    return false;
}

ls_status ls_szip_unpack(const struct ls_h5_szip *szip, const uint8_t *in, size_t bytes,
                         struct ls_buffer *out, size_t expected) {
    (void)szip, (void)in, (void)bytes, (void)out, (void)expected;
    return LS_FAIL(LS_INPUT, "szip: libaec was not there at build time");
}

#endif
