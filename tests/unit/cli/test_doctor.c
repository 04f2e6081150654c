// Which host is the odd one out.
#include "cli/doctor.h"
#include "unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 4 };
static struct ls_doctor_host hosts[N];
static double rate[N * N];
static char printed[4096];

static int all_alike(void **state) {
    (void)state;
    for (int i = 0; i < N; i++) {
        hosts[i] = (struct ls_doctor_host){.clock = 1000};
        snprintf(hosts[i].name, sizeof hosts[i].name, "n%d", i + 1);
        for (int f = 0; f < LS_DOCTOR_FACTS; f++)
            snprintf(hosts[i].fact[f], sizeof hosts[i].fact[f], "fact %d", f);
        for (int j = 0; j < N; j++) rate[i * N + j] = i == j ? 0 : 9e8;
    }
    return 0;
}

// How many warnings, and what was printed.
static int capture(int n, bool links) {
    fflush(stdout);
    FILE *file = tmpfile();
    assert_non_null(file);
    const int out = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    const int warnings = links ? ls_doctor_compare_links(hosts, n, rate) : ls_doctor_compare(hosts, n);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    rewind(file);
    printed[fread(printed, 1, sizeof printed - 1, file)] = 0;
    fclose(file);
    return warnings;
}

static void hosts_that_are_alike_are_well(void **state) {
    (void)state;
    assert_int_equal(capture(N, false), 0);
    assert_string_equal(printed, "");
    assert_int_equal(capture(N, true), 0);
}

static void the_odd_version_is_named(void **state) {
    (void)state;
    snprintf(hosts[0].fact[1], sizeof hosts[0].fact[1], "Open MPI 5.0.7");
    assert_int_equal(capture(N, false), 1);
    assert_string_equal(printed, "  warning: host n1: MPI Open MPI 5.0.7, most others fact 1\n");
    assert_int_equal(capture(2, false), 1); // of two, one has to be called odd
    assert_non_null(strstr(printed, ", the other "));
}

static void the_odd_clock_is_named(void **state) {
    (void)state;
    hosts[2].clock = 970;
    assert_int_equal(capture(N, false), 1);
    assert_string_equal(printed, "  warning: host n3: its clock is -30.0 s from the others'\n");
    hosts[2].clock = 1000.5;
    assert_int_equal(capture(N, false), 0);
}

static void the_slow_link_is_named(void **state) {
    (void)state;
    for (int i = 0; i < N; i++) rate[N + i] = rate[i * N + 1] = i == 1 ? 0 : 2e7;
    assert_int_equal(capture(N, true), 1);
    assert_non_null(strstr(
        printed, "  warning: host n2: 0.02 GB/s with the others, who have 0.9 GB/s among themselves\n"));
    for (int i = 0; i < N * N; i++) rate[i] /= 100; // all slow: no odd one
    for (int i = 0; i < N; i++) rate[N + i] = rate[i * N + 1] = i == 1 ? 0 : 9e6;
    assert_int_equal(capture(N, true), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(hosts_that_are_alike_are_well, all_alike),
        cmocka_unit_test_setup(the_odd_version_is_named, all_alike),
        cmocka_unit_test_setup(the_odd_clock_is_named, all_alike),
        cmocka_unit_test_setup(the_slow_link_is_named, all_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
