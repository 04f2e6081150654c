// Options: what is taken, what is refused, and in which words.
#include "cli/cli.h"
#include "unit/check.h"

#include <stdio.h>
#include <string.h>

enum { MOST_WORDS = 8 };

static bool flag;
static const char *word;
static int64_t integer, size;
static double real;

// `words` end with NULL. The words that are no options are written into `others`, with blanks between.
static ls_status parse(const char *const *words, char others[256]) {
    static const struct ls_command command = {.name = "try"};
    const struct ls_option options[] = {
        {"--flag", "-f", LS_FLAG, &flag, NULL, "a flag"},
        {"--word", "-w", LS_WORD, &word, "WORD", "a word"},
        {"--integer", NULL, LS_INTEGER(1, 0), &integer, "N", "from 1 on"},
        {"--size", NULL, LS_SIZE(1, 1 << 30), &size, "SIZE", "bytes"},
        {"--real", NULL, LS_REAL(0, 1), &real, "P", "a probability"},
        {0},
    };
    char text[MOST_WORDS][64], *argv[MOST_WORDS];
    int argc = 0, n = 0;
    for (; words[argc]; argc++) {
        snprintf(text[argc], sizeof text[argc], "%s", words[argc]);
        argv[argc] = text[argc];
    }
    bool helped;
    flag = false;
    word = NULL;
    integer = size = 0;
    real = 0;
    const ls_status status = ls_options_parse(&command, options, argc, argv, &n, &helped);
    others[0] = 0;
    for (int i = 0; i < n; i++) strcat(strcat(others, i ? " " : ""), argv[i]);
    return status;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL}, (char[256]){0})

static void taken(void **state) {
    (void)state;
    char others[256];
    const char *const words[] = {"a", "--integer", "7", "-f", "b", "-f", "--real=0.5", "-c", NULL};
    assert_int_equal(parse(words, others), LS_INPUT); // -c
    const char *const all[] = {"a", "--integer", "7", "-f", "b", "--real=0.5", "-", NULL};
    assert_int_equal(parse(all, others), LS_OK);
    assert_string_equal(others, "a b -");
    assert_true(flag);
    assert_int_equal(integer, 7);
    assert_true(real == 0.5);
    const char *const behind[] = {"--size=2KiB", "--word=--flag", "--", "--flag", NULL};
    assert_int_equal(parse(behind, others), LS_OK);
    assert_string_equal(others, "--flag");
    assert_false(flag);
    assert_int_equal(size, 2048);
    assert_int_equal(PARSE("--flag", "--flag", "--word", "-1"), LS_OK); // a flag says the same twice
}

static void refused(void **state) {
    (void)state;
    static const struct {
        const char *words[4];
        const char *says;
    } cases[] = {
        {{"--integer", "0"}, "--integer: expected at least 1, found 0"},
        {{"--integer=-1"}, "--integer: expected at least 1, found -1"},
        {{"--integer", "1.5"}, "--integer: expected an integer, found \"1.5\""},
        {{"--integer", "1e9"}, "--integer: expected an integer, found \"1e9\""},
        {{"--integer", "abc"}, "--integer: expected an integer, found \"abc\""},
        {{"--integer", "99999999999999999999"}, "found \"99999999999999999999\": too large"},
        {{"--integer", ""}, "--integer: expected N, found nothing"},
        {{"--integer"}, "--integer needs a value: N"},
        {{"--integer", "--flag"}, "--integer needs a value: N; found the option --flag"},
        {{"--integer", "1", "--integer=1"}, "--integer is given twice"},
        {{"--real", "1.01"}, "--real: expected 0 to 1, found 1.01"},
        {{"--real", "-0.5"}, "--real: expected 0 to 1, found -0.5"},
        {{"--real", "nan"}, "--real: expected a number, found \"nan\": not finite"},
        {{"--size", "0"}, "--size: expected 1 to 1073741824, found 0"},
        {{"--size", "2GiB"}, "--size: expected 1 to 1073741824, found 2GiB"},
        {{"--size", "-1"}, "--size: expected a size such as 6GiB, found \"-1\": negative"},
        {{"--size", "3 pounds"}, "unknown unit"},
        {{"--word="}, "--word: expected WORD, found nothing"},
        {{"--word", "-f"}, "--word needs a value: WORD; found the option -f"},
        {{"-w", "--nothing"}, "--word needs a value: WORD; found the option --nothing"},
        {{"-w", "a", "--word=b"}, "--word is given twice"},
        {{"--flag=yes"}, "--flag takes no value, found \"yes\""},
        {{"--other"}, "unknown option --other; see 'lockstep try --help'"},
        {{"-1"}, "unknown option -1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(cases[i].words, (char[256]){0}), LS_INPUT);
        if (!strstr(ls_error_last()->text, cases[i].says))
            fail_msg("expected \"%s\", found \"%s\"", cases[i].says, ls_error_last()->text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(taken), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
