// Lines on stderr: each is one write, whatever its length. A pipe of packets (O_DIRECT) keeps writes apart.
#define _GNU_SOURCE // pipe2, O_DIRECT
#include "base/log.h"
#include "unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LONG = 3000 };

static int stderr_before, packets[2];

static int begin(void **state) {
    (void)state;
    stderr_before = dup(STDERR_FILENO);
    return pipe2(packets, O_DIRECT | O_CLOEXEC) || dup2(packets[1], STDERR_FILENO) < 0;
}

static int end(void **state) {
    (void)state;
    dup2(stderr_before, STDERR_FILENO);
    return close(packets[0]) || close(packets[1]) || close(stderr_before);
}

static void expect_packet(const char *start, const char *line) {
    char packet[4096] = {0}, expected[4096];
    assert_true(read(packets[0], packet, sizeof packet - 1) > 0);
    (void)snprintf(expected, sizeof expected, "%s%s\n", start, line);
    assert_string_equal(packet, expected);
}

static void test_a_line_is_one_write(void **state) {
    (void)state;
    char line[LONG + 1];
    memset(line, 'x', LONG);
    line[LONG] = 0;
    ls_print_error("%s", line);
    expect_packet("lockstep: error: ", line);
    ls_log_to(ls_log_to_stderr, NULL);
    ls_note("%s", line);
    ls_log_line_start("\r");
    ls_warn("%s", "short");
    ls_log_line_start("");
    ls_log_to(NULL, NULL);
    expect_packet("lockstep: ", line);
    expect_packet("\rlockstep: warning: ", "short");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_a_line_is_one_write, begin, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
