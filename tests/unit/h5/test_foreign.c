// Files as other programs write them, made here with the library itself.
#include "unit/scratch.h"

#include "h5/h5.h"

#include <hdf5.h>

static void write_filtered(hid_t file, const char *name, int filter) {
    hsize_t dim[2] = {100, 8}, chunk[2] = {30, 8};
    float data[800];
    for (int i = 0; i < 800; i++) data[i] = (float)i;
    hid_t space = H5Screate_simple(2, dim, NULL), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(properties, 2, chunk);
    if (filter == 1) H5Pset_deflate(properties, 4);
    if (filter == 2) H5Pset_shuffle(properties);
    if (filter == 2) H5Pset_fletcher32(properties);
    hid_t dataset = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    assert_true(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(dataset);
    H5Pclose(properties);
    H5Sclose(space);
}

static void write_numbers(hid_t file, const char *name, hid_t type, H5D_layout_t layout, bool fill) {
    hsize_t dim = 4;
    int data[4] = {1, 0, 1, 100};
    hid_t space = H5Screate_simple(1, &dim, NULL), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(properties, layout);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    assert_true(dataset >= 0);
    if (fill) assert_true(H5Dwrite(dataset, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(dataset);
    H5Pclose(properties);
    H5Sclose(space);
}

static void write_booleans(hid_t file) {
    hsize_t dim = 4;
    signed char data[4] = {1, 0, 0, 1}, no = 0, yes = 1;
    hid_t type = H5Tenum_create(H5T_STD_I8LE), space = H5Screate_simple(1, &dim, NULL);
    H5Tenum_insert(type, "FALSE", &no);
    H5Tenum_insert(type, "TRUE", &yes);
    hid_t dataset = H5Dcreate2(file, "bool", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Tclose(type);
}

static void write_halves(hid_t file) {
    hsize_t dim = 4;
    hid_t type = H5Tcopy(H5T_IEEE_F32LE), space = H5Screate_simple(1, &dim, NULL);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    uint16_t data[4] = {0x3c00, 0xc000, 0x0001, 0x7c00};
    hid_t dataset = H5Dcreate2(file, "half", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Tclose(type);
}

static void write_variable_strings(hid_t file) {
    hsize_t dim = 3;
    const char *data[3] = {"cat", "", "a longer name"};
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &dim, NULL), one = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    hid_t dataset = H5Dcreate2(file, "names", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    hid_t attribute = H5Acreate2(dataset, "axes", type, one, H5P_DEFAULT, H5P_DEFAULT);
    const char *axes = "NCHW";
    assert_true(H5Awrite(attribute, type, &axes) >= 0);
    H5Aclose(attribute);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Sclose(one);
    H5Tclose(type);
}

static void write_others(hid_t file) {
    hid_t pair = H5Tcreate(H5T_COMPOUND, 8), null = H5Screate(H5S_NULL);
    H5Tinsert(pair, "re", 0, H5T_NATIVE_FLOAT);
    H5Tinsert(pair, "im", 4, H5T_NATIVE_FLOAT);
    hsize_t dim = 2;
    hid_t space = H5Screate_simple(1, &dim, NULL);
    H5Dclose(H5Dcreate2(file, "pairs", pair, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(H5Dcreate2(file, "null", H5T_NATIVE_INT, null, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    hid_t group = H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file, "/", group, "up", H5P_DEFAULT, H5P_DEFAULT); // a circle
    H5Lcreate_soft("/half", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/nowhere", file, "dangling", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("linked.h5", "/plain", file, "linked", H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(group);
    H5Sclose(space);
    H5Sclose(null);
    H5Tclose(pair);
}

static int make_file(void **state) {
    if (scratch_make(state) != 0) return -1;
    hid_t linked = H5Fcreate(scratch("linked.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    write_numbers(linked, "plain", H5T_STD_I32LE, H5D_CONTIGUOUS, true);
    H5Fclose(linked);
    // A block of the user's in front: offsets are not those of the library.
    hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(creation, 512);
    hid_t file = H5Fcreate(scratch("foreign.h5"), H5F_ACC_TRUNC, creation, H5P_DEFAULT);
    write_filtered(file, "chunked", 0);
    write_filtered(file, "gzip", 1);
    write_filtered(file, "two", 2);
    write_numbers(file, "plain", H5T_STD_I32LE, H5D_CONTIGUOUS, true);
    write_numbers(file, "big", H5T_STD_I32BE, H5D_CONTIGUOUS, true);
    write_numbers(file, "big float", H5T_IEEE_F64BE, H5D_CONTIGUOUS, true);
    write_numbers(file, "big byte", H5T_STD_U8BE, H5D_CONTIGUOUS, true);
    write_numbers(file, "compact", H5T_STD_I32LE, H5D_COMPACT, true);
    write_numbers(file, "unwritten", H5T_STD_I32LE, H5D_CONTIGUOUS, false);
    write_booleans(file);
    write_halves(file);
    write_variable_strings(file);
    write_others(file);
    H5Pclose(creation);
    return H5Fclose(file);
}

static struct ls_h5 *open_file(void) {
    struct ls_h5 *file;
    assert_ok(ls_h5_open(scratch("foreign.h5"), &file));
    return file;
}

static void check(struct ls_h5 *file, const char *name, ls_dtype type, bool swapped,
                  enum ls_h5_storage storage, const char *layout) {
    struct ls_h5_dataset info;
    assert_ok(ls_h5_describe(file, name, &info));
    if (info.type != type || info.swapped != swapped || info.storage != storage)
        print_error("%s: type %d, swapped %d, storage %d, %s\n", name, info.type, info.swapped,
                    (int)info.storage, info.layout);
    assert_int_equal(info.type, type);
    assert_int_equal(info.swapped, swapped);
    assert_int_equal(info.storage, storage);
    assert_string_equal(info.layout, layout);
}

static void describes_what_others_wrote(void **state) {
    (void)state;
    struct ls_h5 *file = open_file();
    check(file, "chunked", LS_F32, false, LS_H5_CHUNKED, "chunks of [30, 8]");
    check(file, "gzip", LS_F32, false, LS_H5_CHUNKED, "chunks of [30, 8], gzip");
    check(file, "two", LS_F32, false, LS_H5_CHUNKED, "chunks of [30, 8], shuffle, fletcher32");
    check(file, "plain", LS_I32, false, LS_H5_CONTIGUOUS, "contiguous");
    check(file, "big", LS_I32, true, LS_H5_CONTIGUOUS, "contiguous");
    check(file, "big float", LS_F64, true, LS_H5_CONTIGUOUS, "contiguous");
    check(file, "big byte", LS_U8, false, LS_H5_CONTIGUOUS, "contiguous");
    check(file, "compact", LS_I32, false, LS_H5_LIBRARY, "compact");
    check(file, "unwritten", LS_I32, false, LS_H5_LIBRARY, "never written");
    check(file, "bool", LS_U8, false, LS_H5_CONTIGUOUS, "contiguous");
    check(file, "half", LS_F16, false, LS_H5_CONTIGUOUS, "contiguous");
    check(file, "soft", LS_F16, false, LS_H5_CONTIGUOUS, "contiguous");
    check(file, "linked", LS_I32, false, LS_H5_LIBRARY, "in a linked file");
    check(file, "names", LS_DTYPES, false, LS_H5_LIBRARY, "contiguous");
    check(file, "pairs", LS_DTYPES, false, LS_H5_LIBRARY, "never written");
    struct ls_h5_dataset info;
    assert_ok(ls_h5_describe(file, "null", &info));
    assert_true(info.rank == 1 && info.dim[0] == 0);
    assert_fails(LS_INPUT, "has no dataset 'dangling'", ls_h5_describe(file, "dangling", &info));
    ls_h5_close(file);
}

static void offsets_are_those_of_the_file(void **state) {
    (void)state;
    struct ls_h5 *file = open_file();
    struct ls_h5_dataset info;
    static const int expected[4] = {1, 0, 1, 100};
    size_t bytes;
    unsigned char *whole = scratch_read(scratch("foreign.h5"), &bytes);
    assert_ok(ls_h5_describe(file, "plain", &info));
    assert_memory_equal(whole + info.offset, expected, sizeof expected);
    free(whole);
    ls_h5_close(file);
}

static void reads_with_conversion(void **state) {
    (void)state;
    struct ls_h5 *file = open_file();
    static const char *const same[] = {"plain", "big", "big float", "big byte", "compact", "linked"};
    float numbers[16];
    for (int i = 0; i < 6; i++) {
        assert_ok(ls_h5_read_all(file, same[i], LS_F32, numbers));
        assert_true(numbers[0] == 1 && numbers[1] == 0 && numbers[3] == 100);
    }
    static const char *const filtered[] = {"chunked", "gzip", "two"};
    for (int i = 0; i < 3; i++) {
        for (int64_t row = 0; row < 99; row += 7) {
            assert_ok(ls_h5_read_rows(file, filtered[i], row, 2, LS_F32, numbers));
            for (int k = 0; k < 16; k++) assert_true(numbers[k] == (float)(row * 8 + k));
        }
    }
    assert_ok(ls_h5_read_all(file, "half", LS_F32, numbers));
    assert_true(numbers[0] == 1 && numbers[1] == -2 && numbers[2] == 0x1p-24f && numbers[3] > 1e38f);
    uint8_t bytes[4];
    assert_ok(ls_h5_read_all(file, "bool", LS_U8, bytes));
    assert_memory_equal(bytes, "\1\0\0\1", 4);
    assert_ok(ls_h5_read_all(file, "bool", LS_F32, numbers));
    assert_true(numbers[0] == 1 && numbers[1] == 0);
    assert_fails(LS_INPUT, "expected numbers", ls_h5_read_all(file, "pairs", LS_F32, numbers));
    ls_h5_close(file);
}

static void reads_strings_of_variable_length(void **state) {
    (void)state;
    struct ls_h5 *file = open_file();
    char *joined, axes[8];
    int n;
    bool found;
    assert_ok(ls_h5_read_strings(file, "names", &joined, &n));
    assert_int_equal(n, 3);
    assert_memory_equal(joined, "cat\0\0a longer name\0", 19);
    free(joined);
    assert_ok(ls_h5_attr_text(file, "names", "axes", axes, sizeof axes, &found));
    assert_string_equal(axes, "NCHW");
    assert_fails(LS_INPUT, "expected strings", ls_h5_read_strings(file, "plain", &joined, &n));
    ls_h5_close(file);
}

static ls_status count(void *context, const char *name, const struct ls_h5_dataset *info) {
    (void)name, (void)info;
    ++*(int *)context;
    return LS_OK;
}

static void circles_of_groups_end(void **state) {
    (void)state;
    struct ls_h5 *file = open_file();
    int n = 0;
    assert_ok(ls_h5_visit(file, "/", count, &n));
    assert_true(n >= 16);
    ls_h5_close(file);
}

static void a_damaged_chunk_is_an_error(void **state) {
    (void)state;
    size_t bytes;
    unsigned char *whole = scratch_read(scratch("foreign.h5"), &bytes);
    // Values 0, 1, 2 … of the shuffled chunks: find the shuffled bytes of the first, and bend one.
    size_t at = 0;
    static const unsigned char high[8] = {0x00, 0x3f, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40};
    while (at + 8 < bytes && memcmp(whole + at, high, 8) != 0) at++;
    assert_true(at + 8 < bytes);
    whole[at] ^= 1;
    scratch_write(scratch("foreign.h5"), whole, bytes);
    free(whole);
    struct ls_h5 *file = open_file();
    float numbers[16];
    assert_fails(LS_INPUT, "cannot read dataset 'two'", ls_h5_read_rows(file, "two", 0, 2, LS_F32, numbers));
    ls_h5_close(file);
}

// Nothing stays open, whatever went wrong.
static int drop_file(void **state) {
    // Two number types live as long as the process.
    const unsigned kinds = H5F_OBJ_FILE | H5F_OBJ_DATASET | H5F_OBJ_GROUP | H5F_OBJ_ATTR;
    if (H5Fget_obj_count((hid_t)H5F_OBJ_ALL, kinds) != 0) return -1;
    return scratch_drop(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_file, drop_file)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(describes_what_others_wrote), TEST(offsets_are_those_of_the_file),
        TEST(reads_with_conversion),       TEST(reads_strings_of_variable_length),
        TEST(circles_of_groups_end),       TEST(a_damaged_chunk_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
