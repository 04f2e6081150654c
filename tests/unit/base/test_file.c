#include "unit/scratch.h"

#include "base/file.h"

static void writes_whole_files(void **state) {
    (void)state;
    char *text;
    size_t bytes;
    assert_ok(ls_file_write(scratch("a"), "first\0x", 7));
    assert_ok(ls_file_write(scratch("a"), "second", 6));
    assert_ok(ls_file_read(scratch("a"), 6, &text, &bytes));
    assert_int_equal(bytes, 6);
    assert_string_equal(text, "second");
    free(text);
    assert_ok(ls_file_write(scratch("empty"), "", 0));
    assert_ok(ls_file_read(scratch("empty"), 0, &text, NULL));
    assert_string_equal(text, "");
    free(text);
    assert_int_equal(scratch_count(scratch_folder, ""), 2);
}

static void reads_files_longer_than_its_buffer(void **state) {
    (void)state;
    size_t n = 100001, bytes;
    char *data = malloc(n), *text;
    for (size_t i = 0; i < n; i++) data[i] = (char)(i * 7);
    assert_ok(ls_file_write(scratch("long"), data, n));
    assert_ok(ls_file_read(scratch("long"), n, &text, &bytes));
    assert_int_equal(bytes, n);
    assert_memory_equal(text, data, n);
    assert_int_equal(text[n], 0);
    free(text);
    assert_fails(LS_INPUT, "at most 100000 bytes", ls_file_read(scratch("long"), n - 1, &text, &bytes));
    assert_null(text);
    free(data);
}

static void says_what_it_cannot_read(void **state) {
    (void)state;
    char *text;
    assert_fails(LS_INPUT, "No such file", ls_file_read(scratch("missing"), 10, &text, NULL));
    assert_fails(LS_INPUT, "found a folder", ls_file_read(scratch_folder, 10, &text, NULL));
    assert_false(ls_file_exists(scratch("missing")));
    assert_true(ls_file_exists(scratch_folder));
}

static void removes_the_temporary_file_when_it_cannot_commit(void **state) {
    (void)state;
    assert_ok(ls_make_folders(scratch("taken")));
    scratch_write(scratch("new.tmp"), "x", 1);
    assert_fails(LS_INPUT, "cannot rename", ls_file_commit(scratch("new.tmp"), scratch("taken")));
    assert_false(ls_file_exists(scratch("new.tmp")));
    assert_fails(LS_INPUT, "No such file", ls_file_write(scratch("no/such/folder"), "x", 1));
    assert_fails(LS_INPUT, "cannot rename", ls_file_write(scratch("taken"), "x", 1));
    assert_int_equal(scratch_count(scratch_folder, ""), 0);
}

static void makes_folders(void **state) {
    (void)state;
    assert_ok(ls_make_folders(scratch("a/b c//d/")));
    assert_ok(ls_make_folders(scratch("a/b c/d")));
    assert_true(ls_file_exists(scratch("a/b c/d")));
    scratch_write(scratch("file"), "", 0);
    assert_fails(LS_INPUT, "expected a folder", ls_make_folders(scratch("file")));
    assert_fails(LS_INPUT, "expected a folder", ls_make_folders(scratch("file/below")));
    assert_fails(LS_INPUT, "without a name", ls_make_folders(""));
}

static void globs_in_byte_order(void **state) {
    (void)state;
    char **names;
    int n;
    static const char *const made[] = {"b-1.h5", "B-2.h5", "a-3.h5", "a-10.h5", "c.txt", "run[1].h5"};
    for (int i = 0; i < 6; i++) scratch_write(scratch(made[i]), "", 0);
    assert_ok(ls_glob(scratch("*-*.h5"), &names, &n));
    assert_int_equal(n, 4);
    assert_string_equal(names[0], scratch("B-2.h5"));
    assert_string_equal(names[1], scratch("a-10.h5"));
    assert_string_equal(names[2], scratch("a-3.h5"));
    assert_string_equal(names[3], scratch("b-1.h5"));
    ls_glob_free(names, n);
    assert_ok(ls_glob(scratch("none-*"), &names, &n));
    assert_int_equal(n, 0);
    ls_glob_free(names, n);
    assert_ok(ls_glob("not there.h5", &names, &n));
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "not there.h5");
    ls_glob_free(names, n);
    assert_ok(ls_glob(scratch("run[1].h5"), &names, &n));
    assert_int_equal(n, 1);
    assert_string_equal(names[0], scratch("run[1].h5"));
    ls_glob_free(names, n);
}

// What is another file's, or a name that no writer makes, stays.
static void clears_what_was_left(void **state) {
    (void)state;
    static const char *const gone[] = {"r.yaml.1.tmp", "r.yaml.99123.tmp"};
    static const char *const kept[] = {"r.yaml", "r.yaml.tmp", "r.yaml.1x.tmp", "r.yaml.1.tmp.h5",
                                       "or.yaml.1.tmp"};
    for (size_t i = 0; i < 2; i++) scratch_write(scratch(gone[i]), "", 0);
    for (size_t i = 0; i < 5; i++) scratch_write(scratch(kept[i]), "", 0);
    ls_file_clear(scratch("r.yaml"));
    for (size_t i = 0; i < 2; i++) assert_false(ls_file_exists(scratch(gone[i])));
    for (size_t i = 0; i < 5; i++) assert_true(ls_file_exists(scratch(kept[i])));
    ls_file_clear(scratch("no folder/r.yaml"));
}

static void says_where_no_file_can_be(void **state) {
    (void)state;
    assert_ok(ls_file_may_write(scratch("new")));
    scratch_write(scratch("file"), "", 0);
    assert_ok(ls_file_may_write(scratch("file")));
    assert_fails(LS_INPUT, "found a folder", ls_file_may_write(scratch_folder));
    assert_fails(LS_INPUT, "its folder", ls_file_may_write(scratch("none/new")));
    assert_fails(LS_INPUT, "file", ls_file_may_write(scratch("file/new")));
    assert_fails(LS_INPUT, "found nothing", ls_file_may_write(""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(writes_whole_files),
        TEST(reads_files_longer_than_its_buffer),
        TEST(says_what_it_cannot_read),
        TEST(removes_the_temporary_file_when_it_cannot_commit),
        TEST(makes_folders),
        TEST(globs_in_byte_order),
        TEST(clears_what_was_left),
        TEST(says_where_no_file_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
