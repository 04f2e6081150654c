// Text, numbers, status, arena, clocks.
#include "unit/scratch.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/dtype.h"
#include "base/json.h"
#include "base/sort.h"
#include "base/text.h"

#include <math.h>
#include <pthread.h>

static void check_json(const char *string, const char *expected) {
    struct ls_text text = {0};
    ls_text_add_json(&text, string);
    assert_string_equal(text.data, expected);
    ls_text_free(&text);
}

static void json_strings(void **state) {
    (void)state;
    check_json("", "\"\"");
    check_json("a \"b\" \\ c", "\"a \\\"b\\\" \\\\ c\"");
    check_json("\n\t\x01\x7f", "\"\\u000a\\u0009\\u0001\x7f\"");
    check_json("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
               "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
    check_json("\xff"
               "a",
               "\"\\ufffda\"");                   // never in UTF-8
    check_json("a\xc3", "\"a\\ufffd\"");          // cut off
    check_json("\xc0\xaf", "\"\\ufffd\\ufffd\""); // longer than it need be
    check_json("\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\"");
    check_json("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");            // half of a surrogate pair
    check_json("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""); // behind U+10FFFF
}

static void check_number(double number, const char *expected) {
    struct ls_text text = {0};
    ls_text_add_number(&text, number);
    if (expected)
        assert_string_equal(text.data, expected);
    else
        assert_true(strtod(text.data, NULL) == number);
    ls_text_free(&text);
}

static void json_numbers(void **state) {
    (void)state;
    check_number(0, "0");
    check_number(0.1, "0.1");
    check_number(-1234.5, "-1234.5");
    check_number(1e300, "1e+300");
    check_number((double)0.1f, NULL);
    check_number(1.0 / 3, NULL);
    check_number(5e-324, NULL);
    check_number(9007199254740993.0, NULL);
    check_number(NAN, "null");
    check_number(INFINITY, "null");
    check_number(-INFINITY, "null");
}

static void json_values(void **state) {
    (void)state;
    struct ls_text text = {0};
    ls_text_add(&text, "before\n");
    ls_json_begin(&text, NULL);
    ls_json_text(&text, "a\"", "[{,");
    ls_json_begin_list(&text, "list");
    ls_json_count(&text, NULL, INT64_MIN);
    ls_json_begin(&text, NULL);
    ls_json_end(&text);
    ls_json_begin_list(&text, NULL);
    ls_json_end_list(&text);
    ls_json_null(&text, NULL);
    ls_json_end_list(&text);
    ls_json_text(&text, "none", NULL);
    ls_json_flag(&text, "flag", false);
    ls_json_number(&text, "third", 1.0 / 3);
    ls_json_rounded(&text, "rounded", 1.0 / 3, 3);
    ls_json_rounded(&text, "nan", NAN, 3);
    ls_json_end(&text);
    assert_string_equal(text.data,
                        "before\n{\"a\\\"\":\"[{,\",\"list\":[-9223372036854775808,{},[],null],\"none\":null,"
                        "\"flag\":false,\"third\":0.3333333333333333,\"rounded\":0.333,\"nan\":null}");
    ls_text_free(&text);
}

static void text_grows(void **state) {
    (void)state;
    struct ls_text text = {0};
    for (int i = 0; i < 1000; i++) ls_text_add(&text, "%d,", i % 10);
    assert_int_equal(text.length, 2000);
    assert_int_equal(strlen(text.data), 2000);
    ls_text_clear(&text);
    assert_string_equal(text.data, "");
    ls_text_add_bytes(&text, "a\0b", 3);
    assert_int_equal(text.length, 3);
    ls_text_free(&text);
    assert_null(text.data);
    ls_text_clear(&text);
    ls_text_free(&text);
}

static void check_wrapped(const char *indent, const char *words, const char *expected) {
    struct ls_text text = {0};
    ls_text_add_wrapped(&text, indent, words, 10);
    assert_string_equal(text.data, expected);
    ls_text_free(&text);
}

static void words_are_wrapped(void **state) {
    (void)state;
    check_wrapped("", "ten abcdef", "ten abcdef\n");
    check_wrapped("", "ten abcdefg", "ten\nabcdefg\n");
    check_wrapped("# ", "a line, not two", "# a line,\n# not two\n");
    check_wrapped("", "a\nline stays", "a\nline stays\n");
    check_wrapped("", "longerthanten is", "longerthanten\nis\n");
    check_wrapped("", "\u00e4\u00f6\u00fc\u00df \u00e4\u00f6\u00fc\u00df.",
                  "\u00e4\u00f6\u00fc\u00df \u00e4\u00f6\u00fc\u00df.\n"); // 18 bytes
    assert_int_equal(ls_text_columns("\u2026|"), 2);
    assert_int_equal(ls_text_cut("abc", 3), 3);
    assert_int_equal(ls_text_cut("abcd", 3), 3);
    assert_int_equal(ls_text_cut("a\u2026|", 4), 4);
    assert_int_equal(ls_text_cut("a\u2026|", 3), 1);
    assert_int_equal(ls_text_cut("\u2026", 2), 0);
}

static void bytes_for_people(void **state) {
    (void)state;
    char out[32];
    assert_string_equal(ls_format_bytes(out, 0), "0 B");
    assert_string_equal(ls_format_bytes(out, 1023), "1023 B");
    assert_string_equal(ls_format_bytes(out, 1536), "1.50 KiB");
    assert_string_equal(ls_format_bytes(out, 0x1p31), "2.00 GiB");
    assert_string_equal(ls_format_bytes(out, 0x1p53), "8192.00 TiB");
}

static void bf16_of_f32(void **state) {
    (void)state;
    assert_int_equal(ls_bf16_from_f32(1.0f), 0x3f80);
    assert_int_equal(ls_bf16_from_f32(-0.0f), 0x8000);
    assert_int_equal(ls_bf16_from_f32(0x1.01p0f), 0x3f80);       // half way: to the even one below
    assert_int_equal(ls_bf16_from_f32(0x1.03p0f), 0x3f82);       // … and above
    assert_int_equal(ls_bf16_from_f32(0x1.010002p0f), 0x3f81);   // just over half way
    assert_int_equal(ls_bf16_from_f32(0x1.fffffep127f), 0x7f80); // the largest f32 rounds to infinity
    assert_int_equal(ls_bf16_from_f32(-0x1.fffffep127f), 0xff80);
    assert_int_equal(ls_bf16_from_f32(INFINITY), 0x7f80);
    assert_int_equal(ls_bf16_from_f32(0x1p-149f), 0);
    // A NaN whose mark lies in the half that goes.
    uint32_t bits = 0x7f800001;
    float nan;
    memcpy(&nan, &bits, 4);
    assert_true(isnan(ls_bf16_to_f32(ls_bf16_from_f32(nan))));
    bits = 0xffffffff;
    memcpy(&nan, &bits, 4);
    assert_true(isnan(ls_bf16_to_f32(ls_bf16_from_f32(nan))));
}

static void f16_of_f32(void **state) {
    (void)state;
    assert_int_equal(ls_f16_from_f32(1.0f), 0x3c00);
    assert_int_equal(ls_f16_from_f32(-0.0f), 0x8000);
    assert_int_equal(ls_f16_from_f32(0x1.002p0f), 0x3c00);    // half way: to the even one below
    assert_int_equal(ls_f16_from_f32(0x1.006p0f), 0x3c02);    // … and above
    assert_int_equal(ls_f16_from_f32(0x1.002002p0f), 0x3c01); // just over half way
    assert_int_equal(ls_f16_from_f32(65519.996f), 0x7bff);    // the last that rounds to 65504
    assert_int_equal(ls_f16_from_f32(-65520.0f), 0xfc00);
    assert_int_equal(ls_f16_from_f32(0x1.ffcp-15f), 0x0400); // rounds up to the least normal one
    assert_int_equal(ls_f16_from_f32(-0x1p-24f), 0x8001);
    assert_int_equal(ls_f16_from_f32(0x1p-25f), 0); // half way: to 0, which is even
    assert_int_equal(ls_f16_from_f32(0x1.8p-24f), 2);
    assert_int_equal(ls_f16_from_f32(0x1p-149f), 0);
    assert_true(isnan(ls_f16_to_f32(ls_f16_from_f32(NAN))));
    for (uint32_t i = 0; i < 65536; i++) {
        float value = ls_f16_to_f32((ls_f16)i);
        if (!isnan(value)) assert_int_equal(ls_f16_from_f32(value), i);
    }
    assert_true(ls_f16_to_f32(0x0001) == 0x1p-24f && ls_f16_to_f32(0x3555) == 0x1.554p-2f);
    assert_true(ls_f16_to_f32(0xfbff) == -65504 && isinf(ls_f16_to_f32(0x7c00)));
}

static void every_bf16_survives_f32(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        float value = ls_bf16_to_f32((ls_bf16)i);
        if (isnan(value))
            assert_true(isnan(ls_bf16_to_f32(ls_bf16_from_f32(value))));
        else
            assert_int_equal(ls_bf16_from_f32(value), i);
    }
}

static void types_by_name(void **state) {
    (void)state;
    for (int i = 0; i < LS_DTYPES; i++) {
        assert_int_equal(ls_dtype_named(ls_dtype_name((ls_dtype)i)), i);
        size_t bits = strtoul(strpbrk(ls_dtype_name((ls_dtype)i), "123456789"), NULL, 10);
        if (i == LS_BF16) bits = 16;
        assert_int_equal(8 * ls_dtype_bytes((ls_dtype)i), bits);
    }
    assert_int_equal(ls_dtype_named("f33"), LS_DTYPES);
    assert_int_equal(ls_dtype_named(""), LS_DTYPES);
}

static void *fail_elsewhere(void *context) {
    *(bool *)context = ls_error_last()->status == LS_OK && LS_FAIL(LS_COMM, "elsewhere") == LS_COMM;
    return NULL;
}

static ls_status fail_deep_inside(bool fail) {
    LS_TRY(fail ? LS_FAIL(LS_INPUT, "expected %d, found %s", 3, "none") : LS_OK);
    return LS_OK;
}

static void errors_belong_to_their_thread(void **state) {
    (void)state;
    ls_error_clear();
    assert_int_equal(fail_deep_inside(false), LS_OK);
    assert_int_equal(ls_error_last()->status, LS_OK);
    assert_int_equal(fail_deep_inside(true), LS_INPUT);
    ls_error_prefix("file %d", 7);
    assert_string_equal(ls_error_last()->text, "file 7: expected 3, found none");
    assert_non_null(strstr(ls_error_last()->file, "test_base.c"));
    pthread_t thread;
    bool separate = false;
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &separate), 0);
    pthread_join(thread, NULL);
    assert_true(separate);
    assert_int_equal(ls_error_last()->status, LS_INPUT);
    struct ls_error other = {.status = LS_NUMBERS, .text = "from there"};
    assert_int_equal(ls_error_adopt(&other), LS_NUMBERS);
    assert_string_equal(ls_error_last()->text, "from there");
    ls_error_clear();
}

static void long_errors_are_cut_off(void **state) {
    (void)state;
    char text[3 * LS_ERROR_TEXT];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    (void)LS_FAIL(LS_SYSTEM, "%s", text);
    assert_int_equal(strlen(ls_error_last()->text), LS_ERROR_TEXT - 1);
    ls_error_prefix("%s", text);
    assert_int_equal(strlen(ls_error_last()->text), LS_ERROR_TEXT - 1);
    // The text may be part of what is said next.
    (void)LS_FAIL(LS_SYSTEM, "short");
    (void)LS_FAIL(LS_SYSTEM, "again: %s", ls_error_last()->text);
    assert_string_equal(ls_error_last()->text, "again: short");
    ls_error_clear();
}

static void arenas_give_zeroed_aligned_memory(void **state) {
    (void)state;
    struct ls_arena arena = {0};
    for (size_t bytes = 0; bytes < 300000; bytes = bytes * 3 + 1) {
        unsigned char *memory = ls_arena_alloc(&arena, bytes);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < bytes; i++) assert_int_equal(memory[i], 0);
        memset(memory, 0xff, bytes);
    }
    assert_string_equal(ls_arena_format(&arena, "%s.%d", ls_arena_copy(&arena, "layer"), 3), "layer.3");
    ls_arena_free(&arena);
    assert_null(arena.newest);
    ls_arena_free(&arena);
}

static void clocks_go_on(void **state) {
    (void)state;
    double begin = ls_now();
    usleep(2000);
    assert_true(ls_now() - begin >= 0.002);
    assert_true(ls_unix_time() > 1.6e9);
}

static void measurements_are_sorted(void **state) {
    (void)state;
    double values[] = {3, -INFINITY, 1e-300, 3, -2, INFINITY};
    const double sorted[] = {-INFINITY, -2, 1e-300, 3, 3, INFINITY};
    ls_sort(values, 6);
    assert_memory_equal(values, sorted, sizeof sorted);
    ls_sort(NULL, 0);
    assert_true(ls_median((double[]){3, 1, 2}, 3) == 2);
    assert_true(ls_median((double[]){4, 1, 3, 8}, 4) == 3.5);
    assert_true(ls_median((double[]){7}, 1) == 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_strings),
        cmocka_unit_test(json_numbers),
        cmocka_unit_test(json_values),
        cmocka_unit_test(text_grows),
        cmocka_unit_test(words_are_wrapped),
        cmocka_unit_test(bytes_for_people),
        cmocka_unit_test(bf16_of_f32),
        cmocka_unit_test(f16_of_f32),
        cmocka_unit_test(every_bf16_survives_f32),
        cmocka_unit_test(types_by_name),
        cmocka_unit_test(errors_belong_to_their_thread),
        cmocka_unit_test(long_errors_are_cut_off),
        cmocka_unit_test(arenas_give_zeroed_aligned_memory),
        cmocka_unit_test(clocks_go_on),
        cmocka_unit_test(measurements_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
