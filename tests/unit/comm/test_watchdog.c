// The watchdog over loopback: ranks are forked, and the collective calls that it makes at its start go
// through shared memory, so that there is no MPI. A rank that ends by itself in good order ends with 0.
#include "base/pulse.h"
#include "comm/watchdog.h"
#include "unit/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 5, SHARED = 1 << 16 };

// ---- the ranks' common memory, in the place of collective.c and agree.c ----

static struct common {
    pthread_barrier_t barrier;
    char data[MOST][SHARED];
} * common;

ls_status ls_comm_broadcast(struct ls_comm *comm, void *data, size_t bytes, int root) {
    if (bytes > SHARED) return LS_FAIL(LS_SYSTEM, "too long for the test");
    if (comm->rank == root) memcpy(common->data[root], data, bytes);
    pthread_barrier_wait(&common->barrier);
    memcpy(data, common->data[root], bytes);
    pthread_barrier_wait(&common->barrier);
    return LS_OK;
}

ls_status ls_comm_gather_all(struct ls_comm *comm, const void *mine, void *all, size_t bytes_each) {
    memcpy(common->data[comm->rank], mine, bytes_each);
    pthread_barrier_wait(&common->barrier);
    for (int r = 0; r < comm->size; r++)
        memcpy((char *)all + (size_t)r * bytes_each, common->data[r], bytes_each);
    pthread_barrier_wait(&common->barrier);
    return LS_OK;
}

ls_status ls_comm_agree(struct ls_comm *comm, ls_status mine) {
    (void)comm;
    pthread_barrier_wait(&common->barrier);
    return mine;
}

// ---- a run of ranks ----

typedef void (*rank_work)(struct ls_watchdog *dog, int rank);

static int lingering; // ranks that are even, or odd, take longer to end

static void pause_for(double seconds) {
    const struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static _Noreturn void be_rank(int rank, int size, double timeout, rank_work work) {
    struct ls_comm comm = {.rank = rank, .size = size};
    snprintf(comm.host, sizeof comm.host, "n%d", rank / 2); // two ranks a host
    struct ls_watchdog *dog;
    if (ls_watchdog_open(&comm, &dog) != LS_OK || !dog) _exit(100);
    ls_watchdog_set_timeout(dog, timeout);
    ls_pulse_phase(LS_TRAINING);
    ls_pulse_step(17);
    work(dog, rank);
    ls_watchdog_leave(dog);
    pthread_barrier_wait(&common->barrier); // as MPI_Finalize does
    if (rank % 2 == lingering) pause_for(0.8);
    ls_watchdog_close(dog);
    _exit(0);
}

static struct {
    int status[MOST]; // of exit; 256 + the signal where one ended it
    char said[4096];
} outcome;

static double suspend_s; // so long all ranks are stopped together, as a batch system does

static void suspend(const pid_t *ranks, int size) {
    if (suspend_s == 0) return;
    pause_for(0.5);
    for (int r = 0; r < size; r++) kill(ranks[r], SIGSTOP);
    pause_for(suspend_s);
    kill(ranks[0], SIGCONT); // hosts do not wake at one moment
    pause_for(1);
    for (int r = 1; r < size; r++) kill(ranks[r], SIGCONT);
}

// Ranks run `work`; those that are stopped in the end are killed, as a launcher does.
static void run_ranks(int size, double timeout, rank_work work) {
    int speech[2];
    pid_t ranks[MOST];
    assert_int_equal(pipe(speech), 0);
    pthread_barrierattr_t shared;
    pthread_barrierattr_init(&shared);
    pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&common->barrier, &shared, (unsigned)size);
    for (int r = 0; r < size; r++) {
        ranks[r] = fork();
        if (ranks[r] != 0) continue;
        dup2(speech[1], STDERR_FILENO);
        close(speech[0]);
        close(speech[1]);
        be_rank(r, size, timeout, work);
    }
    close(speech[1]);
    suspend(ranks, size);
    for (int left = size, stopped = 0; left > stopped;) {
        int status;
        const pid_t one = waitpid(-1, &status, WUNTRACED);
        for (int r = 0; r < size; r++) {
            if (ranks[r] != one) continue;
            outcome.status[r] = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
            stopped += WIFSTOPPED(status);
            left -= !WIFSTOPPED(status);
            if (WIFSTOPPED(status)) outcome.status[r] = -1;
        }
    }
    for (int r = 0; r < size; r++) {
        if (outcome.status[r] != -1) continue;
        kill(ranks[r], SIGKILL);
        waitpid(ranks[r], NULL, 0);
    }
    size_t length = 0;
    for (ssize_t n = 1; n > 0 && length<sizeof outcome.said - 1; length += n> 0 ? (size_t)n : 0)
        n = read(speech[0], outcome.said + length, sizeof outcome.said - 1 - length);
    outcome.said[length] = 0;
    close(speech[0]);
}

static void expect_said(const char *text) {
    char line[1024];
    snprintf(line, sizeof line, "lockstep: error: %s\n", text);
    assert_string_equal(outcome.said, line);
}

static void expect_all_but(int size, int culprit, int status) {
    for (int r = 0; r < size; r++)
        if (r != culprit) assert_int_equal(outcome.status[r], status);
}

static void wait_in(const char *call, uint64_t bytes) {
    ls_pulse_enter(call, bytes);
    pause_for(60);
    _exit(101); // the watchdog has slept
}

static void work_on(double seconds) {
    for (int i = 0; i < (int)(seconds * 50); i++) {
        ls_pulse_tick();
        pause_for(0.02);
    }
}

// ---- the cases ----

static void just_end(struct ls_watchdog *dog, int rank) {
    (void)dog;
    work_on(0.1 * (rank + 1));
}

static void nobody_is_accused_of_ending_in_good_order(void **state) {
    (void)state;
    for (lingering = 0; lingering < 2; lingering++) {
        run_ranks(4, 1, just_end);
        expect_all_but(4, -1, 0);
        assert_string_equal(outcome.said, "");
    }
}

// Rank 1 is busy for far longer than the timeout, and the others wait for it.
static void be_long(struct ls_watchdog *dog, int rank) {
    (void)dog;
    if (rank == 1) work_on(2);
    if (rank != 1) {
        ls_pulse_enter("the sum", 8);
        pause_for(2.1);
        ls_pulse_leave();
    }
}

static void slow_is_not_stuck(void **state) {
    (void)state;
    run_ranks(3, 1, be_long);
    expect_all_but(3, -1, 0);
    assert_string_equal(outcome.said, "");
}

static void die_as_2(struct ls_watchdog *dog, int rank) {
    (void)dog;
    pause_for(0.3);
    if (rank == 2) raise(SIGKILL);
    wait_in("the sum", 8);
}

static void a_dead_rank_is_named_once(void **state) {
    (void)state;
    run_ranks(4, 60, die_as_2);
    expect_all_but(4, 2, LS_COMM);
    expect_said("rank 2 (host n1) died at step 17: it missed the sum of 8 bytes, in which rank 0 waits");
}

static void die_as_0(struct ls_watchdog *dog, int rank) {
    (void)dog;
    pause_for(0.3);
    if (rank == 0) raise(SIGKILL);
    wait_in("the sum", 8);
}

static void a_dead_hub_is_named_once(void **state) {
    (void)state;
    for (int size = 2; size <= 5; size += 3) {
        run_ranks(size, 60, die_as_0);
        expect_all_but(size, 0, LS_COMM);
        assert_non_null(strstr(outcome.said, "rank 0 (host n0) died at step 17: it missed the sum"));
        assert_null(strstr(strchr(outcome.said, '\n') + 1, "error")); // one line
    }
}

static void stop_1(struct ls_watchdog *dog, int rank) {
    (void)dog;
    work_on(0.3);
    if (rank == 1) raise(SIGSTOP);
    wait_in("the sum", 8);
}

static void a_stopped_rank_is_named(void **state) {
    (void)state;
    run_ranks(3, 2, stop_1);
    expect_all_but(3, 1, LS_COMM);
    expect_said(
        "rank 1 (host n0) could not be heard for 2 s (stopped, or its host or link is down) at step 17: "
        "it missed the sum of 8 bytes, in which rank 0 waits");
}

static void hang_1(struct ls_watchdog *dog, int rank) {
    (void)dog;
    if (rank == 1) pause_for(60);
    wait_in("the sum", 8);
}

static void a_rank_that_hangs_is_named(void **state) {
    (void)state;
    run_ranks(3, 2, hang_1);
    expect_all_but(3, -1, LS_COMM);
    expect_said("rank 1 (host n0) made no progress for 2 s at step 17: it missed the sum of 8 bytes, in "
                "which rank 0 waits");
}

static void call_another(struct ls_watchdog *dog, int rank) {
    (void)dog;
    wait_in("the sum", rank == 2 ? 16 : 8);
}

static void another_size_is_named_long_before_the_timeout(void **state) {
    (void)state;
    run_ranks(3, 60, call_another);
    expect_all_but(3, -1, LS_COMM);
    expect_said(
        "rank 2 (host n1) calls the sum of 16 bytes at step 17 where rank 1 calls the sum of 8 bytes at "
        "step 17");
}

static void tell(struct ls_watchdog *dog, int rank) {
    if (rank == 1) ls_watchdog_end_all(dog, LS_INPUT, "an error of rank 1");
    wait_in("the sum", 8);
}

static void an_error_of_one_rank_ends_all_with_its_status(void **state) {
    (void)state;
    run_ranks(3, 60, tell);
    expect_all_but(3, -1, LS_INPUT);
    expect_said("an error of rank 1");
}

// What MPI says on a rank whose peer has died tells less than the death.
static void tell_of_a_death(struct ls_watchdog *dog, int rank) {
    pause_for(0.3);
    if (rank == 2) raise(SIGKILL);
    if (rank == 1) ls_watchdog_end_all(dog, LS_COMM, "connection reset by peer");
    wait_in("the sum", 8);
}

static void the_death_goes_before_its_consequence(void **state) {
    (void)state;
    run_ranks(3, 60, tell_of_a_death);
    expect_all_but(3, 2, LS_COMM);
    expect_said("rank 2 (host n1) died at step 17: it missed the sum of 8 bytes, in which rank 0 waits");
}

static void be_suspended(struct ls_watchdog *dog, int rank) {
    (void)dog, (void)rank;
    work_on(1.5);
}

static void a_suspended_job_goes_on(void **state) {
    (void)state;
    suspend_s = 4;
    run_ranks(3, 3, be_suspended);
    suspend_s = 0;
    expect_all_but(3, -1, 0);
    assert_string_equal(outcome.said, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_accused_of_ending_in_good_order),
        cmocka_unit_test(slow_is_not_stuck),
        cmocka_unit_test(a_dead_rank_is_named_once),
        cmocka_unit_test(a_dead_hub_is_named_once),
        cmocka_unit_test(a_stopped_rank_is_named),
        cmocka_unit_test(a_rank_that_hangs_is_named),
        cmocka_unit_test(another_size_is_named_long_before_the_timeout),
        cmocka_unit_test(an_error_of_one_rank_ends_all_with_its_status),
        cmocka_unit_test(a_suspended_job_goes_on),
        cmocka_unit_test(the_death_goes_before_its_consequence),
    };
    common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (common == MAP_FAILED) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
