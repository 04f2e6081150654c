// Known answers of the published functions. The source of the CRC is included, so that both of its ways are
// tested on a machine that takes only one.
#include "../../../src/base/crc32c.c"

#include "unit/scratch.h"

#include "base/philox.h"

// RFC 3720, B.4.
static void crc32c_known_answers(void **state) {
    (void)state;
    static const unsigned char command[48] = {
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0};
    unsigned char bytes[32];
    memset(bytes, 0, 32);
    assert_int_equal(ls_crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(ls_crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)i;
    assert_int_equal(ls_crc32c(0, bytes, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++) bytes[i] = (unsigned char)(31 - i);
    assert_int_equal(ls_crc32c(0, bytes, 32), 0x113fdb5c);
    assert_int_equal(ls_crc32c(0, command, 48), 0xd9963a56);
    assert_int_equal(ls_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(ls_crc32c(0, "", 0), 0);
}

static uint32_t bit_by_bit(const unsigned char *p, size_t bytes) {
    uint32_t crc = ~0u;
    for (; bytes; bytes--, p++) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

static void crc32c_of_any_length_and_place(void **state) {
    (void)state;
    unsigned char bytes[300];
    for (uint32_t i = 0; i < 300; i++) bytes[i] = (unsigned char)ls_philox(1, LS_RANDOM_TEST, i, 0).word[0];
    for (size_t begin = 0; begin < 9; begin++) {
        for (size_t n = 0; begin + n <= 300; n += n < 40 ? 1 : 13) {
            uint32_t expected = bit_by_bit(bytes + begin, n), half = ls_crc32c(0, bytes + begin, n / 3);
            assert_int_equal(ls_crc32c(0, bytes + begin, n), expected);
            assert_int_equal(~by_table(~0u, bytes + begin, n), expected);
            assert_int_equal(ls_crc32c(half, bytes + begin + n / 3, n - n / 3), expected);
        }
    }
}

// Long enough to be summed in parts side by side.
static void crc32c_of_many_bytes(void **state) {
    (void)state;
    static unsigned char bytes[20000];
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)ls_philox(1, LS_RANDOM_TEST, i, 0).word[0];
    for (size_t n = 3000; n < sizeof bytes - 8; n += 997)
        for (size_t begin = 0; begin < 8; begin += 3)
            assert_int_equal(ls_crc32c(0, bytes + begin, n), bit_by_bit(bytes + begin, n));
}

static void xxh64_known_answers(void **state) {
    (void)state;
    assert_true(ls_hash_of("", 0) == 0xef46db3751d8e999u);
    assert_true(ls_hash_of("a", 1) == 0xd24ec4f1a98c6e5bu);
    assert_true(ls_hash_of("abc", 3) == 0x44bc2cf5ad770999u);
}

static void a_running_hash_is_that_of_the_whole(void **state) {
    (void)state;
    char bytes[1000];
    for (int i = 0; i < 1000; i++) bytes[i] = (char)(i * i);
    struct ls_hash *hash = ls_hash_open();
    assert_true(ls_hash_value(hash) == ls_hash_of("", 0));
    for (size_t i = 0, n = 0; i < 1000; i += n) {
        n = i % 71 < 1000 - i ? i % 71 + 1 : 1;
        ls_hash_add(hash, bytes + i, n);
    }
    assert_true(ls_hash_value(hash) == ls_hash_of(bytes, 1000));
    ls_hash_close(hash);
    ls_hash_close(NULL);
}

// The vectors of philox4x32-10 that come with the paper's library (kat_vectors). Purpose 0 leaves the key as
// it is.
static void philox_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (int i = 0; i < 3; i++) {
        const uint32_t *c = known[i].counter, *k = known[i].key;
        struct ls_random4 found = ls_philox(k[0] | (uint64_t)k[1] << 32, 0, c[0] | (uint64_t)c[1] << 32,
                                            c[2] | (uint64_t)c[3] << 32);
        assert_memory_equal(found.word, known[i].expected, sizeof found.word);
    }
}

static void uniform_numbers_stay_in_range(void **state) {
    (void)state;
    assert_true(ls_uniform(0) == 0.0f);
    assert_true(ls_uniform(~0u) == 1.0f - 0x1p-24f);
    assert_true(ls_uniform(1u << 31) == 0.5f);
    assert_int_equal(ls_below(0, 10), 0);
    assert_int_equal(ls_below(~0u, 10), 9);
    assert_int_equal(ls_below(1u << 31, 3), 1);
    assert_int_equal(ls_below(~0u, 1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_known_answers),
        cmocka_unit_test(crc32c_of_any_length_and_place),
        cmocka_unit_test(crc32c_of_many_bytes),
        cmocka_unit_test(xxh64_known_answers),
        cmocka_unit_test(a_running_hash_is_that_of_the_whole),
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(uniform_numbers_stay_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
