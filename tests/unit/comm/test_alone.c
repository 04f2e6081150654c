// A program that no launcher started is a world of one, and starts no MPI.
#include "comm/comm.h"
#include "comm/transport.h"
#include "unit/check.h"

#include <stdlib.h>
#include <string.h>

static int forget_the_launcher(void **state) {
    (void)state;
    static const char *const names[] = {
        "OMPI_COMM_WORLD_SIZE", "PMIX_RANK",           "PMI_RANK",    "PMI_FD",
        "MPI_LOCALRANKID",      "MV2_COMM_WORLD_RANK", "PALS_RANKID", "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    return 0;
}

static void test_world_of_one(void **state) {
    (void)state;
    struct ls_comm comm;
    assert_int_equal(ls_comm_open(&comm), LS_OK);
    assert_int_equal(comm.rank, 0);
    assert_int_equal(comm.size, 1);
    assert_int_equal(comm.local_rank, 0);
    assert_int_equal(comm.local_size, 1);
    assert_true(strlen(comm.host) > 0);
    assert_null(comm.state); // no MPI

    int mine = 5, all = 0;
    uint64_t sum[2] = {3, UINT64_MAX};
    assert_int_equal(ls_comm_barrier(&comm), LS_OK);
    assert_int_equal(ls_comm_broadcast(&comm, &mine, sizeof mine, 0), LS_OK);
    assert_int_equal(mine, 5);
    assert_int_equal(ls_comm_gather_all(&comm, &mine, &all, sizeof mine), LS_OK);
    assert_int_equal(all, 5);
    assert_int_equal(ls_comm_gather_all(&comm, NULL, NULL, 0), LS_OK);
    assert_int_equal(ls_comm_sum_u64(&comm, sum, 2), LS_OK);
    assert_true(sum[0] == 3 && sum[1] == UINT64_MAX);
    assert_int_equal(ls_comm_agree_same(&comm, LS_INPUT, "seed", "1"), LS_OK);
    ls_comm_close(&comm);
}

static void test_an_error_alone_stays_as_it_is(void **state) {
    (void)state;
    struct ls_comm comm;
    assert_int_equal(ls_comm_open(&comm), LS_OK);
    assert_int_equal(ls_comm_agree(&comm, LS_OK), LS_OK);
    assert_int_equal(ls_comm_agree(&comm, LS_FAIL(LS_INPUT, "no such file")), LS_INPUT);
    assert_string_equal(ls_error_last()->text, "no such file");
    struct ls_transport *transport = NULL;
    assert_int_equal(ls_transport_open_mpi(&comm, NULL, &transport), LS_SYSTEM);
    ls_comm_end(&comm, LS_SYSTEM); // returns: no one else has to be ended
}

static void test_tasks_without_a_way_to_meet_are_refused(void **state) {
    (void)state;
    struct ls_comm comm;
    setenv("SLURM_STEP_NUM_TASKS", "4", 1);
    assert_int_equal(ls_comm_open(&comm), LS_INPUT);
    assert_non_null(strstr(ls_error_last()->text, "--mpi=pmix"));
    setenv("SLURM_STEP_NUM_TASKS", "1", 1);
    assert_int_equal(ls_comm_open(&comm), LS_OK);
    ls_comm_close(&comm);
    unsetenv("SLURM_STEP_NUM_TASKS");
}

static void test_library(void **state) {
    (void)state;
    const char *library = ls_comm_library();
    assert_true(strlen(library) > 4);
    assert_null(strchr(library, '\n'));
    assert_null(strchr(library, ','));
    assert_null(strstr(library, "  "));
    assert_non_null(strpbrk(library, "0123456789"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_world_of_one),
        cmocka_unit_test(test_an_error_alone_stays_as_it_is),
        cmocka_unit_test(test_tasks_without_a_way_to_meet_are_refused),
        cmocka_unit_test(test_library),
    };
    return cmocka_run_group_tests(tests, forget_the_launcher, NULL);
}
