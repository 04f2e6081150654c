#include "scene.h"

#include "data/pack.h"

static struct ls_check_report report;

static ls_status check_data(const char *name, const char *input, const char *target) {
    ls_check_report_free(&report);
    return ls_check_shard(scratch(name), input, target, 0, 2, &report);
}

static ls_status check(const char *name) {
    return check_data(name, NULL, NULL);
}

static int close_all(void **state) {
    ls_check_report_free(&report);
    return scratch_drop(state);
}

static void test_right_shard(void **state) {
    (void)state;
    write_shard("right.h5", 50, "nothing");
    assert_ok(check("right.h5"));
    assert_string_equal(report.text, "50 samples 2x2x1 u8, 3 classes, 50 CRCs right");
    assert_int_equal(report.samples, 50);
    assert_int_equal(report.classes, 3);
    assert_true(report.crc_checked);
}

static void test_wrong_shards(void **state) {
    (void)state;
    static const char *const wrongs[][2] = {
        {"crc", "checksum mismatch at sample 49"},
        {"crc of label", "checksum mismatch at sample 49"},
        {"negative", "labels[49] is -1"},
        {"label", "labels[49] is 3, but there are names of 3 classes"},
        {"id", "samples 0 and 49 have the same id 1000"},
        {"version", "version 99, expected 1 to 1"},
        {"shard", "shard 4 of 4"},
        {"mean", "'mean' is nan for channel 0"},
        {"statistics", "attribute 'std' is"},
        {"no ids", "dataset 'ids' of a shard is missing"},
        {"short crc", "dataset 'crc32c' is [49] u32, expected [50] u32"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.h5", wrongs[i][0]);
        write_shard(name, 50, wrongs[i][0]);
        assert_fails(LS_INPUT, wrongs[i][1], check(name));
    }
}

// Everything that is wrong is counted, and the first few are named.
static void test_many_offenders(void **state) {
    (void)state;
    float values[400];
    for (int i = 0; i < 400; i++) values[i] = i % 40 == 7 ? INFINITY : (float)i;
    struct ls_h5 *file = make_file("many.h5");
    add_data(file, "images", LS_F32, DIM(100, 4), values);
    assert_ok(ls_h5_finish(file));
    assert_fails(LS_INPUT, "images[1] is not finite", check("many.h5"));
    assert_int_equal(report.offenders, 10);
    assert_non_null(strstr(report.words[0], "images[1] is"));
    assert_non_null(strstr(report.words[4], "images[41] is"));
    assert_non_null(strstr(report.text, "100 samples"));
    write_shard("negative.h5", 50, "negative");
    assert_fails(LS_INPUT, "labels[49]", check("negative.h5"));
    assert_int_equal(report.offenders, 1); // its checksum covers the label, and is right
}

// Cut anywhere, a shard is refused: never a crash, never a report.
static void test_truncated(void **state) {
    (void)state;
    write_shard("whole.h5", 3000, "nothing");
    FILE *whole = fopen(scratch("whole.h5"), "rb");
    static unsigned char bytes[1 << 20];
    size_t n = fread(bytes, 1, sizeof bytes, whole);
    fclose(whole);
    assert_true(n > 12000 && n < sizeof bytes);
    for (size_t length = 0; length < n; length += n / 40) {
        FILE *cut = fopen(scratch("cut.h5"), "wb");
        fwrite(bytes, 1, length, cut);
        fclose(cut);
        assert_fails(LS_INPUT, "cut.h5: is ", check("cut.h5"));
    }
    assert_fails(LS_INPUT, "no such file", check("missing.h5"));
}

static void test_other_peoples_files(void **state) {
    (void)state;
    float values[6] = {0, 1, 2, 3, 4, 5};
    struct ls_h5 *file = make_file("floats [1].h5");
    add_data(file, "x", LS_F32, DIM(3, 2), values);
    add_data(file, "y", LS_F32, DIM(3), values);
    assert_ok(ls_h5_finish(file));
    assert_ok(check_data("floats [1].h5", "x", "y"));
    assert_string_equal(report.text, "3 samples 2 f32, targets of 1, no CRCs");
    assert_ok(check_data("floats [1].h5", "x", NULL));
    assert_string_equal(report.text, "3 samples 2 f32, no targets, no CRCs");
    assert_fails(LS_INPUT, "'images'", check_data("floats [1].h5", NULL, NULL));

    values[3] = NAN;
    file = make_file("nan.h5");
    add_data(file, "images", LS_F32, DIM(3, 2), values);
    assert_ok(ls_h5_finish(file));
    assert_fails(LS_INPUT, "images[1] is not finite: value 1 of 2 is nan", check("nan.h5"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_shard),         cmocka_unit_test(test_wrong_shards),
        cmocka_unit_test(test_many_offenders),      cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_other_peoples_files),
    };
    return cmocka_run_group_tests(tests, scratch_make, close_all);
}
