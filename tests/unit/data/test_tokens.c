// Samples of tokens: exact, of every stored type and either way to read them; and refused where one is none.
#include "unit/data/scene.h"

#include "data/dataset_parts.h"

enum { ROWS = 3, LENGTH = 4, MOST = ROWS * LENGTH };

static void write_tokens(ls_dtype type, const double *numbers, const int64_t *dim, int rank) {
    union {
        uint64_t aligned[MOST];
        char bytes[8 * MOST];
    } stored;
    store_numbers(type, numbers, MOST, &stored);
    struct ls_h5 *file = make_file("tokens.h5");
    add_data(file, "words", type, dim, rank, &stored);
    assert_ok(ls_h5_finish(file));
}

// A shard as the packer writes it, as far as reading looks at it; with the sign of a 0 turned where `wrong`.
static void write_shard_of(ls_dtype type, const double *numbers, bool wrong) {
    union {
        uint64_t aligned[MOST];
        char bytes[8 * MOST];
    } stored;
    const int32_t labels[ROWS] = {2, 1, 0};
    const size_t row = LENGTH * ls_dtype_bytes(type);
    uint32_t crcs[ROWS];
    store_numbers(type, numbers, MOST, &stored);
    for (int i = 0; i < ROWS; i++)
        crcs[i] = ls_crc32c(ls_crc32c(0, stored.bytes + i * row, row), &labels[i], sizeof labels[i]);
    if (wrong) stored.bytes[row + ls_dtype_bytes(type) - 1] ^= type == LS_F32 ? (char)0x80 : 1;
    struct ls_h5 *file = make_file("shard.h5");
    assert_ok(ls_h5_set_text(file, "/", LS_SHARD_ATTR_FORMAT, LS_SHARD_FORMAT));
    assert_ok(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_VERSION, LS_SHARD_VERSION));
    add_data(file, LS_SHARD_IMAGES, type, DIM(ROWS, LENGTH), &stored);
    add_data(file, LS_SHARD_LABELS, LS_I32, DIM(ROWS), labels);
    add_data(file, LS_SHARD_CRC, LS_U32, DIM(ROWS), crcs);
    assert_ok(ls_h5_finish(file));
}

static ls_status open_tokens(int64_t tokens, bool through_library, struct ls_dataset **set) {
    const char *patterns[] = {scratch("tokens.h5")};
    const struct ls_dataset_spec spec = {.patterns = patterns,
                                         .n_patterns = 1,
                                         .input = "words",
                                         .target_optional = true,
                                         .tokens = tokens,
                                         .through_library = through_library};
    return ls_dataset_open(&spec, set);
}

static const int64_t order[ROWS] = {2, 0, 1};

static void expect_tokens(ls_dtype type, const double *numbers, int64_t tokens) {
    write_tokens(type, numbers, DIM(ROWS, LENGTH));
    for (int slow = 0; slow < 2; slow++) {
        struct ls_dataset *set;
        int32_t samples[MOST];
        assert_ok(open_tokens(tokens, slow, &set));
        const struct ls_dataset_info *info = ls_dataset_info(set);
        assert_true(info->type == LS_I32 && info->stored == type && info->flat && info->channels == LENGTH);
        assert_int_equal(info->sample_bytes, LENGTH * sizeof(int32_t));
        assert_ok(ls_dataset_read(set, order, ROWS, samples, NULL, NULL, true));
        for (int i = 0; i < MOST; i++)
            assert_true(samples[i] == numbers[order[i / LENGTH] * LENGTH + i % LENGTH]);
        assert_ok(ls_dataset_scan(set, 0, ROWS, 0, true));
        ls_dataset_close(set);
    }
}

static void are_exact(void **state) {
    (void)state;
    static const double small[MOST] = {0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0};
    static const double bytes[MOST] = {0, 127, 3, 4, 5, 6, 7, 126, 9, 10, 11, 12};
    static const double large[MOST] = {0, 16777217, 2147483646, 3, 4, 5, 6, 7, 8, 9, 10, 2147483645};
    for (ls_dtype type = LS_F32; type < LS_DTYPES; type++) {
        if (type == LS_BF16) continue;
        expect_tokens(type, small, 2);
        if (type != LS_F16) expect_tokens(type, bytes, 128);
        if (ls_dtype_bytes(type) >= 4 && type != LS_F32) expect_tokens(type, large, INT32_MAX);
    }
    static const double most[MOST] = {16777216, 16777215};
    expect_tokens(LS_F32, most, 16777217);
}

// The checksums are of the rows before they are made tokens, and -0 is a 0 as a token.
static void have_checksums(void **state) {
    (void)state;
    static const double numbers[MOST] = {1, 2, 3, 4, 0, 6, 7, 8, 9, 10, 11, 12};
    static const int64_t all[ROWS] = {2, 0, 1};
    for (int i = 0; i < 8; i++) {
        const bool wrong = i & 1, slow = i & 2;
        struct ls_dataset *set;
        int32_t samples[MOST], labels[ROWS];
        write_shard_of(i & 4 ? LS_U8 : LS_F32, numbers, wrong);
        const char *patterns[] = {scratch("shard.h5")};
        const struct ls_dataset_spec spec = {
            .patterns = patterns, .n_patterns = 1, .target = "labels", .tokens = 13, .through_library = slow};
        assert_ok(ls_dataset_open(&spec, &set));
        assert_true(ls_dataset_info(set)->checksums);
        assert_ok(ls_dataset_read(set, all, 2, samples, labels, NULL, true));
        assert_true(samples[0] == 9 && samples[7] == 4 && labels[0] == 0 && labels[1] == 2);
        assert_ok(ls_dataset_read(set, all, ROWS, samples, labels, NULL, false));
        if (wrong)
            assert_fails(LS_INPUT, "shard.h5: checksum mismatch at sample 1 of 'images' and 'labels'",
                         ls_dataset_read(set, all, ROWS, samples, NULL, NULL, true));
        ls_dataset_close(set);
    }
}

static void expect_refused(ls_dtype type, double number, int64_t tokens, const char *words) {
    double numbers[MOST] = {0};
    numbers[LENGTH + 2] = number;
    write_tokens(type, numbers, DIM(ROWS, LENGTH));
    for (int slow = 0; slow < 2; slow++) {
        struct ls_dataset *set;
        int32_t samples[MOST];
        char expected[128];
        snprintf(expected, sizeof expected, "tokens.h5: words[1] is not of tokens: value 2 of 4 is %s",
                 words);
        assert_ok(open_tokens(tokens, slow, &set));
        assert_ok(ls_dataset_read(set, order, 2, samples, NULL, NULL, true));
        assert_fails(LS_INPUT, expected, ls_dataset_read(set, order, ROWS, samples, NULL, NULL, true));
        assert_ok(ls_dataset_scan(set, 0, ROWS, 0, false));
        assert_ok(ls_dataset_scan(set, 0, 1, 0, true));
        assert_fails(LS_INPUT, expected, ls_dataset_scan(set, 0, ROWS, 0, true));
        ls_dataset_close(set);
    }
}

static void others_are_refused(void **state) {
    (void)state;
    for (ls_dtype type = LS_U8; type <= LS_I64; type++)
        expect_refused(type, 100, 100, "100, expected 0 to 99");
    static const ls_dtype with_sign[] = {LS_I8, LS_I16, LS_I32, LS_I64, LS_F32, LS_F64};
    for (size_t i = 0; i < sizeof with_sign / sizeof *with_sign; i++)
        expect_refused(with_sign[i], -1, 100, "-1, expected 0 to 99");
    expect_refused(LS_U32, 4294967295, INT32_MAX, "4294967295, expected 0 to 2147483646");
    expect_refused(LS_I32, 2147483647, INT32_MAX, "2147483647, expected 0 to 2147483646");
    expect_refused(LS_I64, 4294967296, 100, "4294967296, expected 0 to 99"); // its lower half is 0
    expect_refused(LS_U64, 1099511627776, 100, "1099511627776, expected 0 to 99");
    expect_refused(LS_F16, 0.5, 2, "0.5, expected 0 to 1");
    expect_refused(LS_F32, 2.5, 100, "2.5, expected 0 to 99");
    expect_refused(LS_F64, NAN, 100, "nan, expected 0 to 99");
}

static void shapes(void **state) {
    (void)state;
    static const double numbers[MOST] = {0};
    struct ls_dataset *set;
    write_tokens(LS_I32, numbers, DIM(MOST));
    assert_ok(open_tokens(1, false, &set));
    assert_int_equal(ls_dataset_info(set)->channels, 1);
    assert_int_equal(ls_dataset_info(set)->samples, MOST);
    ls_dataset_close(set);
    write_tokens(LS_I32, numbers, DIM(3, 2, 2));
    assert_fails(LS_INPUT, "dataset 'words' is [3, 2, 2] i32, expected tokens [N, T] or [N]",
                 open_tokens(1, false, &set));
    write_tokens(LS_F32, numbers, DIM(3, 4));
    assert_fails(LS_INPUT,
                 "dataset 'words' is [3, 4] f32, which does not tell all tokens from 0 to 16777217 apart",
                 open_tokens(16777218, false, &set));
    write_tokens(LS_F16, numbers, DIM(3, 4));
    assert_fails(LS_INPUT, "from 0 to 2049 apart: expected integers", open_tokens(2050, false, &set));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_exact),
        cmocka_unit_test(have_checksums),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(shapes),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
