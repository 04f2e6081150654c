// Queues: order, events, errors, and what a full ring does.
#include "cpu/cpu.h"
#include "unit/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct ls_device *device;
static const struct ls_device_api *api;

static int open_device(void **state) {
    (void)state;
    if (ls_cpu_open(&(struct ls_cpu_options){2, LS_CPU_PLAIN}, &device) != LS_OK) return -1;
    api = device->api;
    return 0;
}

static int close_device(void **state) {
    (void)state;
    api->close(device);
    return 0;
}

static struct ls_queue *open_queue(const char *name) {
    struct ls_queue *queue;
    assert_int_equal(api->queue_open(device, name, &queue), LS_OK);
    return queue;
}

static struct ls_event *open_event(void) {
    struct ls_event *event;
    assert_int_equal(api->event_open(device, true, &event), LS_OK);
    return event;
}

static void pause_ms(int ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

// ---- order ----
struct append {
    int *list, *length, number;
};

static ls_status append(void *argument) {
    const struct append *work = argument;
    work->list[(*work->length)++] = work->number;
    return LS_OK;
}

static void test_order(void **state) {
    (void)state;
    enum { TASKS = 5000 }; // many times the ring
    struct ls_queue *queue = open_queue("order");
    int *list = calloc(TASKS, sizeof *list), length = 0;
    for (int i = 0; i < TASKS; i++)
        api->call(queue, append, &(struct append){list, &length, i}, sizeof(struct append));
    assert_int_equal(api->sync(queue), LS_OK);
    assert_int_equal(length, TASKS);
    for (int i = 0; i < TASKS; i++) assert_int_equal(list[i], i);
    free(list);
    api->queue_close(queue);
}

// ---- events ----
struct gate {
    _Atomic bool *open;
};

static ls_status pass_gate(void *argument) {
    while (!atomic_load(((struct gate *)argument)->open)) pause_ms(1);
    return LS_OK;
}

struct flag {
    _Atomic int *to;
    int value;
};

static ls_status set_flag(void *argument) {
    atomic_store(((struct flag *)argument)->to, ((struct flag *)argument)->value);
    return LS_OK;
}

static void enqueue_flag(struct ls_queue *queue, _Atomic int *to, int value) {
    api->call(queue, set_flag, &(struct flag){to, value}, sizeof(struct flag));
}

static void test_wait_holds_until_recorded_work_is_done(void **state) {
    (void)state;
    struct ls_queue *first = open_queue("first"), *second = open_queue("second");
    struct ls_event *event = open_event();
    _Atomic bool gate = false;
    _Atomic int flag = 0;
    api->call(first, pass_gate, &(struct gate){&gate}, sizeof(struct gate));
    api->record(first, event);
    api->wait(second, event);
    enqueue_flag(second, &flag, 1);
    pause_ms(30);
    assert_int_equal(atomic_load(&flag), 0);
    atomic_store(&gate, true);
    assert_int_equal(api->sync(second), LS_OK);
    assert_int_equal(atomic_load(&flag), 1);
    api->event_close(event);
    api->queue_close(second);
    api->queue_close(first);
}

static void test_wait_means_the_record_before_it(void **state) {
    (void)state;
    struct ls_queue *first = open_queue("first"), *second = open_queue("second");
    struct ls_event *event = open_event();
    _Atomic bool gate = false;
    _Atomic int flag = 0;
    api->wait(second, event); // never recorded: no wait
    enqueue_flag(second, &flag, 1);
    assert_int_equal(api->sync(second), LS_OK);
    assert_int_equal(atomic_load(&flag), 1);
    api->record(first, event); // nothing before it
    api->wait(second, event);
    api->call(first, pass_gate, &(struct gate){&gate}, sizeof(struct gate));
    api->record(first, event); // after the wait: must not hold it
    enqueue_flag(second, &flag, 2);
    assert_int_equal(api->sync(second), LS_OK);
    assert_int_equal(atomic_load(&flag), 2);
    api->wait(first, event); // of its own past: passes
    atomic_store(&gate, true);
    assert_int_equal(api->sync(first), LS_OK);
    api->event_close(event);
    api->queue_close(first);
    api->queue_close(second);
}

static void test_record_on_another_queue_does_not_release_an_older_wait(void **state) {
    (void)state;
    struct ls_queue *slow = open_queue("slow"), *quick = open_queue("quick"), *waits = open_queue("waits");
    struct ls_event *event = open_event();
    _Atomic bool gate = false;
    _Atomic int flag = 0;
    api->call(slow, pass_gate, &(struct gate){&gate}, sizeof(struct gate));
    api->record(slow, event);
    api->wait(waits, event);
    enqueue_flag(waits, &flag, 1);
    api->record(quick, event);
    assert_int_equal(api->sync(quick), LS_OK);
    pause_ms(20);
    assert_int_equal(atomic_load(&flag), 0);
    atomic_store(&gate, true);
    assert_int_equal(api->sync(waits), LS_OK);
    api->event_close(event);
    api->queue_close(quick);
    api->queue_close(slow);
    api->queue_close(waits);
}

// Sleepers that wait for different tasks of one queue: each wakes after its own, also those that began to
// wait for a later one first.
static void test_sleepers_wake_one_by_one(void **state) {
    (void)state;
    enum { SLEEPERS = 3 };
    struct ls_queue *slow = open_queue("slow"), *waits[SLEEPERS];
    struct ls_event *events[SLEEPERS];
    _Atomic bool gates[SLEEPERS] = {false};
    _Atomic int flags[SLEEPERS] = {0};
    for (int i = 0; i < SLEEPERS; i++) {
        waits[i] = open_queue("waits"), events[i] = open_event();
        api->call(slow, pass_gate, &(struct gate){&gates[i]}, sizeof(struct gate));
        api->record(slow, events[i]);
    }
    for (int i = SLEEPERS - 1; i >= 0; i--) {
        api->wait(waits[i], events[i]);
        enqueue_flag(waits[i], &flags[i], 1);
        pause_ms(10);
    }
    for (int i = 0; i < SLEEPERS; i++) {
        atomic_store(&gates[i], true);
        assert_int_equal(api->sync(waits[i]), LS_OK);
        for (int k = 0; k < SLEEPERS; k++) assert_int_equal(atomic_load(&flags[k]), k <= i);
    }
    for (int i = 0; i < SLEEPERS; i++) api->event_close(events[i]), api->queue_close(waits[i]);
    api->queue_close(slow);
}

// Two queues write one number in turn, thousands of times, with nothing but events between them.
struct turn {
    int *number, expected;
    _Atomic int *wrong;
};

static ls_status take_turn(void *argument) {
    const struct turn *turn = argument;
    if (*turn->number != turn->expected) atomic_fetch_add(turn->wrong, 1);
    *turn->number = turn->expected + 1;
    return LS_OK;
}

static void test_turns(void **state) {
    (void)state;
    enum { TURNS = 20000, QUEUES = 3 };
    struct ls_queue *queues[QUEUES];
    struct ls_event *done[QUEUES];
    for (int q = 0; q < QUEUES; q++) queues[q] = open_queue("turn"), done[q] = open_event();
    int number = 0;
    _Atomic int wrong = 0;
    for (int i = 0; i < TURNS; i++) {
        struct turn turn = {&number, i, &wrong};
        int q = i % QUEUES, before = (i + QUEUES - 1) % QUEUES;
        api->wait(queues[q], done[before]);
        api->call(queues[q], take_turn, &turn, sizeof turn);
        api->record(queues[q], done[q]);
    }
    for (int q = 0; q < QUEUES; q++) assert_int_equal(api->sync(queues[q]), LS_OK);
    assert_int_equal(number, TURNS);
    assert_int_equal(atomic_load(&wrong), 0);
    for (int q = 0; q < QUEUES; q++) api->event_close(done[q]), api->queue_close(queues[q]);
}

// Several threads feed one queue: nothing is lost, each thread's tasks stay in order.
struct feeder {
    struct ls_queue *queue;
    int *list, *length, base;
};

enum { FED = 2000 };

static void *feed(void *argument) {
    const struct feeder *feeder = argument;
    for (int i = 0; i < FED; i++)
        api->call(feeder->queue, append, &(struct append){feeder->list, feeder->length, feeder->base + i},
                  sizeof(struct append));
    return NULL;
}

static void test_feeders(void **state) {
    (void)state;
    enum { FEEDERS = 3 };
    struct ls_queue *queue = open_queue("fed");
    int *list = calloc((size_t)FED * FEEDERS, sizeof *list), length = 0;
    pthread_t threads[FEEDERS];
    struct feeder feeders[FEEDERS];
    for (int i = 0; i < FEEDERS; i++) {
        feeders[i] = (struct feeder){queue, list, &length, i * FED};
        assert_int_equal(pthread_create(&threads[i], NULL, feed, &feeders[i]), 0);
    }
    for (int i = 0; i < FEEDERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(api->sync(queue), LS_OK);
    assert_int_equal(length, FED * FEEDERS);
    int next[FEEDERS] = {0};
    for (int i = 0; i < length; i++) assert_int_equal(list[i] % FED, next[list[i] / FED]++);
    free(list);
    api->queue_close(queue);
}

// ---- errors ----
static ls_status fails(void *argument) {
    (void)argument;
    return LS_FAIL(LS_NUMBERS, "the sky fell");
}

static ls_status fails_silently(void *argument) {
    (void)argument;
    return LS_COMM;
}

static void test_error_passes_later_tasks(void **state) {
    (void)state;
    struct ls_queue *queue = open_queue("fails"), *other = open_queue("other");
    struct ls_event *event = open_event();
    _Atomic int flag = 0, passed = 0;
    api->call(queue, fails, NULL, 0);
    api->call(queue, fails_silently, NULL, 0);
    enqueue_flag(queue, &passed, 1);
    api->record(queue, event);
    api->wait(other, event); // others go on
    enqueue_flag(other, &flag, 2);
    assert_int_equal(api->sync(other), LS_OK);
    assert_int_equal(atomic_load(&flag), 2);
    assert_int_equal(atomic_load(&passed), 0);
    for (int i = 0; i < 2; i++) {
        ls_error_clear();
        assert_int_equal(api->sync(queue), LS_NUMBERS);
        assert_string_equal(ls_error_last()->text, "the sky fell");
    }
    api->event_close(event);
    api->queue_close(queue);
    queue = open_queue("silent");
    api->call(queue, fails_silently, NULL, 0);
    assert_int_equal(api->sync(queue), LS_COMM);
    assert_non_null(strstr(ls_error_last()->text, "silent"));
    api->queue_close(queue);
    api->queue_close(other);
}

static void test_big_argument_is_an_error(void **state) {
    (void)state;
    struct ls_queue *queue = open_queue("big");
    char argument[LS_CALL_BYTES + 1] = {0};
    api->call(queue, fails_silently, argument, sizeof argument);
    assert_int_equal(api->sync(queue), LS_SYSTEM);
    assert_non_null(strstr(ls_error_last()->text, "97"));
    api->queue_close(queue);
}

static void test_close_runs_what_is_there(void **state) {
    (void)state;
    struct ls_queue *queue = open_queue("close");
    _Atomic int flag = 0;
    for (int i = 1; i <= 100; i++) enqueue_flag(queue, &flag, i);
    api->queue_close(queue);
    assert_int_equal(atomic_load(&flag), 100);
}

// ---- memory and the floating-point mode ----
static void test_alloc(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 4095, 4097, 3u << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *memory;
        assert_int_equal(api->alloc(device, sizes[i], (void **)&memory), LS_OK);
        assert_int_equal((uintptr_t)memory % 64, 0);
        for (size_t b = 0; b < sizes[i]; b++) assert_int_equal(memory[b], 0);
        api->free(device, memory);
    }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // which end the program instead
    void *memory;
    assert_int_equal(api->alloc(device, SIZE_MAX / 2, &memory), LS_SYSTEM);
    assert_non_null(strstr(ls_error_last()->text, "no memory"));
    assert_int_equal(api->alloc(device, SIZE_MAX, &memory), LS_SYSTEM);
#endif
}

static void test_copies_and_zero(void **state) {
    (void)state;
    struct ls_queue *queue = open_queue("copy");
    char from[] = "lockstep", to[16] = "................";
    api->zero(queue, to, 12);
    api->copy(queue, to + 1, from, 4);
    api->copy(queue, NULL, NULL, 0);
    assert_int_equal(api->sync(queue), LS_OK);
    assert_memory_equal(to, "\0lock\0\0\0\0\0\0\0....", 16);
    api->queue_close(queue);
}

static void test_subnormals_are_zero_on_a_queue(void **state) {
    (void)state;
#if defined(__SSE2__) || defined(__aarch64__)
    struct ls_queue *queue = open_queue("tiny");
    float a = 2e-38f, b = -1.5e-38f, sum = 1, tiny = 1e-40f, zero = 0, same = 1;
    api->add(queue, &sum, &a, &b, 1);        // the sum is subnormal
    api->add(queue, &same, &tiny, &zero, 1); // the number is
    assert_int_equal(api->sync(queue), LS_OK);
    assert_true(sum == 0);
    assert_true(same == 0);
    api->queue_close(queue);
#endif
}

static void test_open_refuses(void **state) {
    (void)state;
    struct ls_device *none;
    assert_int_equal(ls_cpu_open(&(struct ls_cpu_options){0, LS_CPU_AUTO}, &none), LS_INPUT);
    assert_true(ls_cpu_cores() >= 1);
    assert_true(strlen(device->name) > 0);
    // Ends with its last part, so nothing was cut.
    assert_non_null(strstr(device->fingerprint, "L1d "));
    assert_non_null(strstr(device->fingerprint, "; libm "));
    print_message("%s\n", device->fingerprint);
    assert_int_equal(device->compute_queues, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_wait_holds_until_recorded_work_is_done),
        cmocka_unit_test(test_wait_means_the_record_before_it),
        cmocka_unit_test(test_record_on_another_queue_does_not_release_an_older_wait),
        cmocka_unit_test(test_sleepers_wake_one_by_one),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_feeders),
        cmocka_unit_test(test_error_passes_later_tasks),
        cmocka_unit_test(test_big_argument_is_an_error),
        cmocka_unit_test(test_close_runs_what_is_there),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_copies_and_zero),
        cmocka_unit_test(test_subnormals_are_zero_on_a_queue),
        cmocka_unit_test(test_open_refuses),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
