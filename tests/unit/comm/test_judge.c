// Who is to blame, from what the ranks say of themselves.
#include "comm/judge.h"
#include "unit/check.h"

#include <stdio.h>
#include <string.h>

enum { N = 4 };
static struct ls_witness ranks[N];
static struct ls_verdict verdict;

// All ranks train at step 7 and wait in their 20th call; nothing has moved for 2 s.
static int all_well(void **state) {
    (void)state;
    for (int r = 0; r < N; r++) {
        ranks[r] = (struct ls_witness){.watched = true, .silent = 0.1, .still = 2};
        snprintf(ranks[r].host, sizeof ranks[r].host, "n%d", r);
        ranks[r].pulse = (struct ls_pulse){
            .step = 7, .call_step = 7, .phase = LS_TRAINING, .calls = 20, .bytes = 4096, .waiting = true};
        snprintf(ranks[r].pulse.call, sizeof ranks[r].pulse.call, "the all-reduce of bucket 3");
    }
    return 0;
}

static void expect(const char *line) {
    assert_true(ls_judge(ranks, N, 10, &verdict));
    assert_string_equal(verdict.text, line);
}

static void waiting_is_no_fault(void **state) {
    (void)state;
    assert_false(ls_judge(ranks, N, 10, &verdict));
    ranks[1].still = ranks[2].still = ranks[3].still = 100; // for rank 0, which still moves
    ranks[0].pulse.waiting = false;
    assert_false(ls_judge(ranks, N, 10, &verdict));
}

static void a_dead_rank_comes_first(void **state) {
    (void)state;
    ranks[2].dead = true;
    ranks[1].silent = 100;
    expect("rank 2 (host n2) died at step 7 in the all-reduce of bucket 3 of 4096 bytes");
    for (int r = 0; r < N; r++) ranks[r].pulse.step = 8; // the host has enqueued more than the call
    expect("rank 2 (host n2) died at step 7 in the all-reduce of bucket 3 of 4096 bytes");
    for (int r = 0; r < N; r++) ranks[r].pulse.step = 7;
    ranks[2].pulse.calls = 19; // and whatever it last said of where it was
    ranks[2].pulse.step = 6;
    expect("rank 2 (host n2) died at step 7: it missed the all-reduce of bucket 3 of 4096 bytes, in which "
           "rank 0 waits");
    for (int r = 0; r < N; r++) ranks[r].pulse.waiting = false, ranks[r].pulse.phase = LS_STARTING;
    expect("rank 2 (host n2) died while starting");
    for (int r = 0; r < N; r++) ranks[r].pulse.phase = LS_PACKING; // of no step
    expect("rank 2 (host n2) died while packing");
}

static void a_silent_rank_is_named_with_what_it_missed(void **state) {
    (void)state;
    ranks[3].silent = 11;
    ranks[3].pulse.waiting = false;
    ranks[3].pulse.calls = 19;
    ranks[0].pulse.calls = 21; // the earliest call that it missed is the one to name
    expect(
        "rank 3 (host n3) could not be heard for 10 s (stopped, or its host or link is down) at step 7: it "
        "missed the all-reduce of bucket 3 of 4096 bytes, in which rank 1 waits");
    ranks[3].watched = false;
    assert_false(ls_judge(ranks, N, 10, &verdict));
    ranks[1].silent = ranks[2].silent = 11;
    assert_true(ls_judge(ranks, N, 10, &verdict));
    assert_non_null(strstr(verdict.text, "rank 1 (host n1) and 1 more could not be heard"));
}

static void the_rank_that_is_still_is_named_not_those_that_wait(void **state) {
    (void)state;
    for (int r = 0; r < N; r++) ranks[r].still = 50;
    ranks[1].pulse.waiting = false;
    ranks[1].pulse.calls = 19;
    expect("rank 1 (host n1) made no progress for 50 s at step 7: it missed the all-reduce of bucket 3 of "
           "4096 bytes, in which rank 0 waits");
}

static void a_call_that_only_one_rank_makes_is_named_at_once(void **state) {
    (void)state;
    snprintf(ranks[2].pulse.call, sizeof ranks[2].pulse.call, "the barrier");
    expect("rank 2 (host n2) calls the barrier of 4096 bytes at step 7 where rank 1 calls the all-reduce of "
           "bucket 3 of 4096 bytes at step 7");
    all_well(NULL);
    ranks[0].pulse.bytes = 8192; // the odd one is the first
    expect("rank 0 (host n0) calls the all-reduce of bucket 3 of 8192 bytes at step 7 where rank 1 calls the "
           "all-reduce of bucket 3 of 4096 bytes at step 7");
    all_well(NULL);
    ranks[3].pulse.call_step = 8; // it has left out a whole step
    expect("rank 3 (host n3) calls the all-reduce of bucket 3 of 4096 bytes at step 8 where rank 2 calls the "
           "all-reduce of bucket 3 of 4096 bytes at step 7");
    ranks[3].pulse.call_step = 7;
    ranks[0].pulse.bytes = 8192;
    ranks[0].pulse.calls = 21; // another number, another call
    assert_false(ls_judge(ranks, N, 10, &verdict));
}

static void where_all_wait_the_one_behind_is_named(void **state) {
    (void)state;
    for (int r = 0; r < N; r++) ranks[r].still = 12;
    expect("nothing moved for 12 s at step 7 in the all-reduce of bucket 3 of 4096 bytes, in which all ranks "
           "are: the network "
           "between them?");
    ranks[3].pulse.calls = 19;
    snprintf(ranks[3].pulse.call, sizeof ranks[3].pulse.call, "the all-reduce of bucket 2");
    expect("rank 3 (host n3) made no progress for 12 s at step 7: it missed the all-reduce of bucket 3 of "
           "4096 bytes, in which rank 0 waits");
    ranks[3].pulse.calls = 21; // ahead, and alone
    expect("rank 3 (host n3) is ahead, in the all-reduce of bucket 2 of 4096 bytes: it took no part in the "
           "all-reduce "
           "of bucket 3 of 4096 bytes, in which rank 0 waits for 12 s");
    ranks[2].still = 3; // something moves
    assert_false(ls_judge(ranks, N, 10, &verdict));
}

static void a_long_host_name_fits(void **state) {
    (void)state;
    memset(ranks[0].host, 'h', sizeof ranks[0].host - 1);
    memset(ranks[0].pulse.call, 'c', sizeof ranks[0].pulse.call - 1);
    ranks[0].dead = true;
    assert_true(ls_judge(ranks, N, 10, &verdict));
    assert_true(strlen(verdict.text) < sizeof verdict.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(waiting_is_no_fault, all_well),
        cmocka_unit_test_setup(a_dead_rank_comes_first, all_well),
        cmocka_unit_test_setup(a_silent_rank_is_named_with_what_it_missed, all_well),
        cmocka_unit_test_setup(the_rank_that_is_still_is_named_not_those_that_wait, all_well),
        cmocka_unit_test_setup(a_call_that_only_one_rank_makes_is_named_at_once, all_well),
        cmocka_unit_test_setup(where_all_wait_the_one_behind_is_named, all_well),
        cmocka_unit_test_setup(a_long_host_name_fits, all_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
