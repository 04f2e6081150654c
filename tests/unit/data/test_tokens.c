// Samples of tokens: exact, of every stored type and either way to read them; and refused where one is none.
#include "unit/data/scene.h"

#include "data/dataset_parts.h"

#include <hdf5.h>

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
    static const double most[MOST] = {16777214, 16777215};
    expect_tokens(LS_F32, most, 16777216);
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
                 "dataset 'words' is [3, 4] f32, which does not tell all tokens from 0 to 16777216 apart",
                 open_tokens(16777217, false, &set));
    write_tokens(LS_F16, numbers, DIM(3, 4));
    assert_fails(LS_INPUT, "from 0 to 2048 apart: expected integers", open_tokens(2049, false, &set));
}

static void counts(void **state) {
    (void)state;
    static const double numbers[MOST] = {0};
    static const int64_t wrong[] = {-5, INT64_C(1) << 31, INT64_C(1) << 40};
    struct ls_dataset *set;
    write_tokens(LS_I32, numbers, DIM(ROWS, LENGTH));
    for (int i = 0; i < 3; i++)
        assert_fails(LS_INPUT, "expected 1 to 2147483647, or 0: of values",
                     open_tokens(wrong[i], false, &set));
    assert_ok(open_tokens(INT32_MAX, false, &set));
    ls_dataset_close(set);
}

// ---- of virtual datasets

// `words` and `labels` of tokens.h5 are of the type and virtual; the numbers lie in source.h5, in another
// type. By lines, as HDF5 alone can read them, where `striped`.
static void write_virtual(hid_t type, hid_t type_of_source, const double *numbers, bool striped) {
    const double labels[ROWS] = {numbers[1], numbers[2], numbers[3]};
    const hsize_t dim[2] = {ROWS, LENGTH}, half[2] = {ROWS, LENGTH / 2};
    const char *const names[2] = {"words", "labels"};
    const void *const data[2] = {numbers, labels};
    hid_t source = H5Fcreate(scratch("source.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t file = H5Fcreate(scratch("tokens.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < 2; i++) {
        hid_t space = H5Screate_simple(i ? 1 : 2, dim, NULL), part = H5Scopy(space);
        hid_t there =
            H5Dcreate2(source, names[i], type_of_source, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(H5Dwrite(there, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data[i]) >= 0);
        hid_t list = H5Pcreate(H5P_DATASET_CREATE);
        for (int k = 0; k < (striped && i == 0 ? 2 : 1); k++) {
            const hsize_t start[2] = {0, (hsize_t)k * LENGTH / 2};
            if (striped && i == 0) H5Sselect_hyperslab(part, H5S_SELECT_SET, start, NULL, half, NULL);
            assert_true(H5Pset_virtual(list, part, "source.h5", names[i], part) >= 0);
        }
        H5Dclose(H5Dcreate2(file, names[i], type, space, H5P_DEFAULT, list, H5P_DEFAULT));
        H5Pclose(list);
        H5Dclose(there);
        H5Sclose(part);
        H5Sclose(space);
    }
    H5Fclose(source);
    H5Fclose(file);
}

// Reads all three ways; `words`: what is wrong with row 1, or NULL.
static void expect_virtual(hid_t type, hid_t type_of_source, double number, const char *words) {
    double numbers[MOST] = {7, 1, 2, 1, 0, 0, number};
    for (int way = 0; way < 3; way++) {
        struct ls_dataset *set;
        int32_t samples[MOST];
        write_virtual(type, type_of_source, numbers, way == 1);
        assert_ok(open_tokens(INT32_MAX, way == 2, &set));
        assert_int_equal(set->shards[0].columns[LS_COLUMN_INPUT].path,
                         way ? LS_PATH_LIBRARY : LS_PATH_SOURCES);
        assert_ok(ls_dataset_read(set, order, 2, samples, NULL, NULL, true));
        assert_true(samples[LENGTH] == 7 && samples[LENGTH + 2] == 2);
        const ls_status status = ls_dataset_read(set, order, ROWS, samples, NULL, NULL, true);
        if (words) assert_fails(LS_INPUT, words, status);
        if (words && !way) assert_non_null(strstr(ls_error_last()->text, "source.h5: words[1]"));
        if (!words) assert_true(status == LS_OK && samples[2 * LENGTH + 2] == number);
        ls_dataset_close(set);
    }
}

static void of_virtual_datasets(void **state) {
    (void)state;
    struct ls_dataset *set;
    expect_virtual(H5T_STD_I32LE, H5T_IEEE_F64LE, 9, NULL);
    expect_virtual(H5T_STD_I32LE, H5T_STD_I64BE, 2147483646, NULL);
    expect_virtual(H5T_STD_I32LE, H5T_STD_I32LE, -1, "words[1] is not of tokens: value 2 of 4 is -1");
    expect_virtual(H5T_STD_I32LE, H5T_IEEE_F64LE, 1.5, "words[1] is not of tokens: value 2 of 4 is 1.5");
    expect_virtual(H5T_STD_I16LE, H5T_IEEE_F64BE, NAN, "words[1] is not of tokens: value 2 of 4 is nan");
    expect_virtual(H5T_STD_U32LE, H5T_STD_I64LE, -1, "words[1] is not of tokens: value 2 of 4 is -1");
    expect_virtual(H5T_STD_U64LE, H5T_STD_I8LE, -1, "words[1] is not of tokens: value 2 of 4 is -1");
    static const double numbers[MOST] = {0};
    write_virtual(H5T_STD_I32LE, H5T_IEEE_F32LE, numbers, false);
    assert_fails(LS_INPUT, "source.h5: dataset 'words' is [3, 4] f32, which does not tell all tokens",
                 open_tokens(16777217, false, &set));
}

// Classes are held to the same.
static void classes_of_virtual_datasets(void **state) {
    (void)state;
    double numbers[MOST] = {0, 1, 2, 1.75};
    for (int slow = 0; slow < 2; slow++) {
        struct ls_dataset *set;
        int32_t labels[ROWS];
        const char *patterns[] = {scratch("tokens.h5")};
        const struct ls_dataset_spec spec = {.patterns = patterns,
                                             .n_patterns = 1,
                                             .input = "words",
                                             .target = "labels",
                                             .tokens = 100,
                                             .through_library = slow};
        write_virtual(H5T_STD_I32LE, H5T_IEEE_F64LE, numbers, false);
        assert_ok(ls_dataset_open(&spec, &set));
        set->shards[0].columns[LS_COLUMN_TARGET].kept = false;
        assert_ok(ls_dataset_read(set, (const int64_t[]){1, 0}, 2, NULL, labels, NULL, true));
        assert_true(labels[0] == 2 && labels[1] == 1);
        assert_fails(LS_INPUT, "labels[2] is 1.75, expected a class",
                     ls_dataset_read(set, order, ROWS, NULL, labels, NULL, true));
        ls_dataset_close(set);
    }
}

// In chunks that only HDF5 undoes: it would make 1 of 1.75, and 2147483647 of what is larger.
static void of_chunks_of_the_library(void **state) {
    (void)state;
    static const double numbers[2][MOST] = {{7, 0, 0, 0, 0, 0, 1.75}, {7, 0, 0, 0, 0, 0, 4294967299}};
    static const char *const words[2] = {"value 2 of 4 is 1.75", "value 2 of 4 is 4294967299"};
    for (int i = 0; i < 2; i++) {
        const hsize_t dim[2] = {ROWS, LENGTH};
        struct ls_dataset *set;
        int32_t samples[MOST];
        hid_t file = H5Fcreate(scratch("tokens.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        hid_t space = H5Screate_simple(2, dim, NULL), list = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_chunk(list, 2, dim);
        H5Pset_scaleoffset(list, i ? H5Z_SO_INT : H5Z_SO_FLOAT_DSCALE, i ? 0 : 2);
        hid_t data = H5Dcreate2(file, "words", i ? H5T_STD_I64LE : H5T_IEEE_F64LE, space, H5P_DEFAULT, list,
                                H5P_DEFAULT);
        assert_true(H5Dwrite(data, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers[i]) >= 0);
        H5Dclose(data);
        H5Pclose(list);
        H5Sclose(space);
        H5Fclose(file);
        assert_ok(open_tokens(INT32_MAX, false, &set));
        assert_fails(LS_INPUT, words[i], ls_dataset_read(set, order, ROWS, samples, NULL, NULL, true));
        ls_dataset_close(set);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_exact),
        cmocka_unit_test(have_checksums),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(shapes),
        cmocka_unit_test(counts),
        cmocka_unit_test(of_virtual_datasets),
        cmocka_unit_test(classes_of_virtual_datasets),
        cmocka_unit_test(of_chunks_of_the_library),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
