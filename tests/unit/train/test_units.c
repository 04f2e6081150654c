// Amounts with units: their values, and that what is printed reads back.
#include "train/units.h"
#include "unit/check.h"

#include <string.h>

static void sizes(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
        const char *printed;
    } cases[] = {
        {"0", 0, "0"},
        {"1", 1, "1"},
        {"20GiB", 21474836480, "20GiB"},
        {"512 MiB", 536870912, "512MiB"},
        {" 64KiB ", 65536, "64KiB"},
        {"1TiB", 1099511627776, "1TiB"},
        {"1.5KiB", 1536, "1536"},
        {"1e9", 1000000000, "1GB"},
        {"2TB", 2000000000000, "2TB"},
        {"3kB", 3000, "3KB"},
        {"+7B", 7, "7"},
        {"9223372036854775807", INT64_MAX, "9223372036854775807"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t bytes = -1, again = -1;
        struct ls_text text = {0};
        assert_null(ls_parse_size(cases[i].text, &bytes));
        assert_int_equal(bytes, cases[i].bytes);
        ls_print_size(&text, bytes);
        assert_string_equal(text.data, cases[i].printed);
        assert_null(ls_parse_size(text.data, &again));
        assert_int_equal(again, bytes);
        ls_text_free(&text);
    }
    int64_t untouched = 42;
    static const char *const wrong[] = {"",       "x",     "GiB",   "5 Gi B",     "5gib",
                                        "-1",     "-1KiB", "0.5",   "8388608TiB", "nan",
                                        "infGiB", "0x10",  "1_000", "1,5GiB",     "5KiBKiBKiBKiBKiBKiB"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (!ls_parse_size(wrong[i], &untouched)) fail_msg("taken: %s", wrong[i]);
    assert_int_equal(untouched, 42);
}

static void durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {{"0", 0},      {"90s", 90},      {"1.5 s", 1.5},     {"500ms", 0.5}, {"5min", 300},
                 {"2 h", 7200}, {"1 hour", 3600}, {"3 days", 259200}, {"1e2s", 100},  {"2 minutes", 120}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double seconds = -1, again = -1;
        struct ls_text text = {0};
        assert_null(ls_parse_duration(cases[i].text, &seconds));
        assert_true(seconds == cases[i].seconds);
        ls_print_duration(&text, seconds);
        assert_null(ls_parse_duration(text.data, &again));
        assert_true(again == seconds);
        ls_text_free(&text);
    }
    double untouched = 42;
    static const char *const wrong[] = {"", "s", "5", "5m", "5 s s", "-1s", "nan s", "inf", "1:30", "1e400s"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (!ls_parse_duration(wrong[i], &untouched)) fail_msg("taken: %s", wrong[i]);
    assert_true(untouched == 42);
}

static void spans(void **state) {
    (void)state;
    static const struct {
        const char *text;
        struct ls_span span;
        const char *printed;
    } cases[] = {
        {"0", {0, LS_SPAN_NONE}, "0"},
        {"0 epochs", {0, LS_SPAN_NONE}, "0"},
        {"1 epoch", {1, LS_SPAN_EPOCHS}, "1 epoch"},
        {"5epochs", {5, LS_SPAN_EPOCHS}, "5 epochs"},
        {".5 epochs", {0.5, LS_SPAN_EPOCHS}, "0.5 epochs"},
        {"1e3 steps", {1000, LS_SPAN_STEPS}, "1000 steps"},
        {"1 step", {1, LS_SPAN_STEPS}, "1 step"},
        {"999999999999 steps", {999999999999, LS_SPAN_STEPS}, "999999999999 steps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ls_span span = {0, LS_SPAN_NONE};
        struct ls_text text = {0};
        assert_null(ls_parse_span(cases[i].text, &span));
        assert_true(span.amount == cases[i].span.amount && span.unit == cases[i].span.unit);
        ls_print_span(&text, &span);
        assert_string_equal(text.data, cases[i].printed);
        ls_text_free(&text);
    }
    struct ls_span untouched = {42, LS_SPAN_STEPS};
    static const char *const wrong[] = {"",          "5",      "epoch",      "-1 epochs",
                                        "0.5 steps", "5 eons", "1e13 steps", "nan epochs"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (!ls_parse_span(wrong[i], &untouched)) fail_msg("taken: %s", wrong[i]);
    assert_true(untouched.amount == 42 && untouched.unit == LS_SPAN_STEPS);
}

static void numbers(void **state) {
    (void)state;
    double number;
    static const struct {
        const char *text;
        double number;
    } cases[] = {{"1e-3", 1e-3}, {"5.0e-4", 5e-4}, {"-.5", -0.5}, {"5.", 5},
                 {"+3", 3},      {"\t7 ", 7},      {"1e-400", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(ls_parse_number(cases[i].text, &number));
        assert_true(number == cases[i].number);
    }
    assert_string_equal(ls_parse_number(".inf", &number), "not finite");
    assert_string_equal(ls_parse_number("-nan", &number), "not finite");
    assert_string_equal(ls_parse_number("1e400", &number), "not finite");
    static const char *const wrong[] = {"", ".", "e5", "1e", "1e+", "0x1p3", "1 2", "one", "--1", "1..2"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (!ls_parse_number(wrong[i], &number)) fail_msg("taken: %s", wrong[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(durations),
                                       cmocka_unit_test(spans), cmocka_unit_test(numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
