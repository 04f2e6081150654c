#include "base/hash.h"

#include <pthread.h>
#include <string.h>

// Slicing by eight: table[k][b] is the CRC of byte b followed by k zero bytes.
static uint32_t table[8][256];
static pthread_once_t table_made = PTHREAD_ONCE_INIT;

static void make_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
        table[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = table[k - 1][byte];
            table[k][byte] = (before >> 8) ^ table[0][before & 0xff];
        }
    }
}

static uint32_t by_table(uint32_t crc, const unsigned char *p, size_t bytes) {
    pthread_once(&table_made, make_table);
    for (; bytes >= 8; bytes -= 8, p += 8) {
        uint32_t low =
            crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
        crc = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff] ^
              table[4][low >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
    }
    for (; bytes; bytes--, p++) crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

// The instruction takes one word a cycle and three to answer, so three neighbouring parts are summed side by
// side. The CRC of a part is carried over the next one, as over PART zero bytes, by a table: that is linear
// (Mark Adler, "crc32c.c").
enum { PART = 1024 };
static uint32_t over_part[4][256];
static pthread_once_t over_part_made = PTHREAD_ONCE_INIT;

__attribute__((target("sse4.2"))) static uint32_t over_zeros(uint32_t crc) {
    uint64_t wide = crc;
    for (int i = 0; i < PART; i += 8) wide = _mm_crc32_u64(wide, 0);
    return (uint32_t)wide;
}

static void make_over_part(void) {
    for (int k = 0; k < 4; k++)
        for (uint32_t byte = 0; byte < 256; byte++) over_part[k][byte] = over_zeros(byte << 8 * k);
}

static uint32_t carry(uint32_t crc) {
    return over_part[0][crc & 0xff] ^ over_part[1][crc >> 8 & 0xff] ^ over_part[2][crc >> 16 & 0xff] ^
           over_part[3][crc >> 24];
}

static uint64_t word_at(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t by_three(uint32_t crc, const unsigned char *p) {
    uint64_t first = crc, second = 0, third = 0;
    for (int i = 0; i < PART; i += 8, p += 8) {
        first = _mm_crc32_u64(first, word_at(p));
        second = _mm_crc32_u64(second, word_at(p + PART));
        third = _mm_crc32_u64(third, word_at(p + 2 * PART));
    }
    return carry(carry((uint32_t)first) ^ (uint32_t)second) ^ (uint32_t)third;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const unsigned char *p,
                                                                 size_t bytes) {
    if (bytes >= 3 * PART) pthread_once(&over_part_made, make_over_part);
    for (; bytes >= 3 * PART; bytes -= 3 * PART, p += 3 * PART) crc = by_three(crc, p);
    uint64_t wide = crc;
    for (; bytes >= 8; bytes -= 8, p += 8) wide = _mm_crc32_u64(wide, word_at(p));
    crc = (uint32_t)wide;
    for (; bytes; bytes--, p++) crc = _mm_crc32_u8(crc, *p);
    return crc;
}
#endif

uint32_t ls_crc32c(uint32_t crc, const void *data, size_t bytes) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~by_instruction(~crc, data, bytes);
#endif
    return ~by_table(~crc, data, bytes);
}
