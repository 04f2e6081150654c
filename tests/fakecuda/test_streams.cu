// Streams and events: what is ordered stays so under every schedule, and what is not shows under one of them.
#include "test.h"

#include <nvtx3/nvToolsExt.h>

#include <atomic>
#include <thread>

namespace {

const char *const schedules[] = {
    "LS_FAKE_SCHEDULE=fifo",     "LS_FAKE_SCHEDULE=eager",    "LS_FAKE_SCHEDULE=seed:1",
    "LS_FAKE_SCHEDULE=seed:2",   "LS_FAKE_SCHEDULE=seed:3",   "LS_FAKE_SCHEDULE=seed:4",
    "LS_FAKE_SCHEDULE=starve:0", "LS_FAKE_SCHEDULE=starve:1", "LS_FAKE_SCHEDULE=starve:2"};

__global__ void put(int *to, int value) {
    *to = value;
}

__global__ void add(int *to, const int *from) {
    *to += *from;
}

// a: x = 1;  b: y = 10, waits for a, y += x;  c: waits for b, z = y.
// `waits`: whether it does.
int chain(bool waits) {
    cudaStream_t a = new_stream(), b = new_stream(), c = new_stream();
    cudaEvent_t a_done = new_event(), b_done = new_event();
    int *x = new_device<int>(3), *y = x + 1, *z = x + 2, *host = new_pinned<int>(1);
    MUST(cudaMemset(x, 0, 12));
    MUST(cudaStreamWaitEvent(b, a_done, 0)); // never recorded: no wait
    LS_LAUNCH(put, 1, 1, a, x, 1);
    MUST(cudaEventRecord(a_done, a));
    LS_LAUNCH(put, 1, 1, b, y, 10);
    if (waits) MUST(cudaStreamWaitEvent(b, a_done, 0));
    LS_LAUNCH(add, 1, 1, b, y, x);
    MUST(cudaEventRecord(b_done, b));
    if (waits) MUST(cudaStreamWaitEvent(c, b_done, 0));
    LS_LAUNCH(add, 1, 1, c, z, y);
    MUST(cudaMemcpyAsync(host, z, 4, cudaMemcpyDefault, c));
    MUST(cudaStreamSynchronize(c));
    const int result = *host;
    MUST(cudaDeviceSynchronize());
    MUST(cudaFree(x));
    MUST(cudaFreeHost(host));
    for (cudaEvent_t event : {a_done, b_done}) MUST(cudaEventDestroy(event));
    for (cudaStream_t stream : {a, b, c}) MUST(cudaStreamDestroy(stream));
    return result;
}

void chain_with_waits() {
    EXPECT(chain(true) == 11);
}

void chain_without_waits() {
    EXPECT(chain(false) == 11);
}

// A wait is for the record before it, whatever is recorded after it.
void record_again() {
    cudaStream_t a = new_stream(), b = new_stream();
    cudaEvent_t event = new_event();
    int *x = new_device<int>(2), *y = x + 1, *host = new_pinned<int>(1);
    MUST(cudaMemset(x, 0, 8));
    MUST(cudaEventRecord(event, a));
    MUST(cudaStreamWaitEvent(b, event, 0));
    LS_LAUNCH(put, 1, 1, a, x, 1);
    MUST(cudaEventRecord(event, a));
    LS_LAUNCH(add, 1, 1, b, y, x);
    MUST(cudaMemcpyAsync(host, y, 4, cudaMemcpyDefault, b));
    MUST(cudaStreamSynchronize(b));
    EXPECT(*host == 0); // a starves, and b did not need it
    MUST(cudaEventSynchronize(event));
    MUST(cudaEventQuery(event));
    MUST(cudaMemcpy(host, x, 4, cudaMemcpyDefault));
    EXPECT(*host == 1);
    MUST(cudaFree(x));
    MUST(cudaFreeHost(host));
    MUST(cudaEventDestroy(event));
    MUST(cudaStreamDestroy(a));
    MUST(cudaStreamDestroy(b));
}

// Whoever only asks gets there.
void ask() {
    cudaStream_t stream = new_stream();
    cudaEvent_t event = new_event();
    int *x = new_device<int>(1);
    MUST(cudaEventQuery(event));
    for (int i = 0; i < 10; i++) LS_LAUNCH(put, 1, 1, stream, x, i);
    MUST(cudaEventRecord(event, stream));
    const cudaError_t asked = cudaStreamQuery(stream);
    EXPECT(asked == cudaErrorNotReady || asked == cudaSuccess);
    EXPECT(cudaPeekAtLastError() == cudaSuccess); // not ready is no error
    int times = 0;
    while (cudaEventQuery(event) == cudaErrorNotReady) EXPECT(times++ < 20);
    MUST(cudaStreamQuery(stream));
    MUST(cudaFree(x));
    MUST(cudaEventDestroy(event));
    MUST(cudaStreamDestroy(stream));
}

std::atomic<bool> met;

// A host function of one stream waits for another thread, which waits for another stream.
void meet_in_a_host_function() {
    cudaStream_t a = new_stream(), b = new_stream();
    int *x = new_device<int>(1);
    MUST(cudaLaunchHostFunc(
        a,
        [](void *) {
            while (!met) usleep(100);
        },
        nullptr));
    std::thread other([&] {
        LS_LAUNCH(put, 1, 1, b, x, 1);
        MUST(cudaStreamSynchronize(b));
        met = true;
    });
    MUST(cudaStreamSynchronize(a));
    other.join();
    MUST(cudaFree(x));
    MUST(cudaStreamDestroy(a));
    MUST(cudaStreamDestroy(b));
}

void many_threads() {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([t] {
            cudaStream_t stream = new_stream();
            int *x = new_device<int>(1), *host = new_pinned<int>(1);
            for (int i = 0; i < 50; i++) {
                LS_LAUNCH(put, 1, 1, stream, x, t * 1000 + i);
                MUST(cudaMemcpyAsync(host, x, 4, cudaMemcpyDefault, stream));
                MUST(cudaStreamSynchronize(stream));
                EXPECT(*host == t * 1000 + i);
            }
            MUST(cudaFree(x));
            MUST(cudaFreeHost(host));
            MUST(cudaStreamDestroy(stream));
        });
    for (std::thread &thread : threads) thread.join();
}

// What is enqueued on a stream that is destroyed still runs.
void destroy_early() {
    cudaStream_t stream = new_stream();
    int *host = new_pinned<int>(1), *x = new_device<int>(1);
    LS_LAUNCH(put, 1, 1, stream, x, 5);
    MUST(cudaMemcpyAsync(host, x, 4, cudaMemcpyDefault, stream));
    MUST(cudaStreamDestroy(stream));
    MUST(cudaDeviceSynchronize());
    EXPECT(*host == 5);
    MUST(cudaFree(x));
    MUST(cudaFreeHost(host));
}

void use_the_default_stream() {
    LS_LAUNCH(put, 1, 1, nullptr, (int *)nullptr, 1);
    EXPECT(cudaGetLastError() == cudaErrorInvalidResourceHandle);
}

void use_a_destroyed_stream() {
    cudaStream_t stream = new_stream();
    MUST(cudaStreamDestroy(stream));
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
}

void call_from_a_host_function() {
    cudaStream_t stream = new_stream();
    MUST(cudaLaunchHostFunc(
        stream, [](void *own) { EXPECT(cudaStreamQuery((cudaStream_t)own) == cudaErrorNotPermitted); },
        stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaStreamDestroy(stream));
}

void keep_stream_and_event() {
    new_stream();
    new_event();
}

// The host waits for the first of two kernels, then for both.
void wait_twice(unsigned device_flags, unsigned event_flags) {
    MUST(cudaSetDeviceFlags(device_flags));
    EXPECT(cudaSetDeviceFlags(3) == cudaErrorInvalidValue);
    cudaStream_t stream = new_stream();
    cudaEvent_t event;
    MUST(cudaEventCreateWithFlags(&event, event_flags | cudaEventDisableTiming));
    int *x = new_device<int>(1);
    LS_LAUNCH(put, 1, 1, stream, x, 1);
    MUST(cudaEventRecord(event, stream));
    LS_LAUNCH(put, 1, 1, stream, x, 2);
    MUST(cudaEventSynchronize(event));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaEventSynchronize(event));
    MUST(cudaEventDestroy(event));
    MUST(cudaStreamDestroy(stream));
    MUST(cudaFree(x));
}

void wait_asleep() {
    wait_twice(cudaDeviceScheduleBlockingSync, cudaEventBlockingSync);
}

void wait_for_an_event_that_spins() {
    wait_twice(cudaDeviceScheduleBlockingSync, cudaEventDefault);
}

void wait_as_ever() {
    wait_twice(cudaDeviceScheduleAuto, cudaEventDefault);
}

void nest_ranges() {
    for (int i = 0; i < 2; i++) {
        EXPECT(nvtxRangePushA("step") == 0);
        EXPECT(nvtxRangePushA("lane") == 1);
        EXPECT(nvtxRangePop() == 1 && nvtxRangePop() == 0);
    }
    nvtxRangePushA("lane");
    nvtxRangePop();
}

void leave_a_range_open() {
    nvtxRangePushA("step");
}

void end_a_range_twice() {
    nvtxRangePushA("step");
    nvtxRangePop();
    EXPECT(nvtxRangePop() < 0);
}

void test_order(void **) {
    for (const char *schedule : schedules) must_be_good(chain_with_waits, {schedule});
    for (const char *schedule : schedules) {
        must_be_good(ask, {schedule});
        must_be_good(meet_in_a_host_function, {schedule});
        must_be_good(many_threads, {schedule});
        must_be_good(destroy_early, {schedule});
    }
    must_be_good(record_again, {"LS_FAKE_SCHEDULE=starve:0"});
}

void test_missing_waits_show(void **) {
    int wrong = 0;
    for (const char *schedule : schedules) wrong += outcome_of(chain_without_waits, {schedule}).status == 101;
    assert_true(wrong >= 4);
    assert_int_equal(outcome_of(chain_without_waits, {"LS_FAKE_SCHEDULE=starve:0"}).status, 101);
    assert_int_equal(outcome_of(chain_without_waits, {"LS_FAKE_SCHEDULE=starve:1"}).status, 101);
}

// Each wait of a program, left out, must show; here those that are needed are the second and the third
// pair's... all.
void test_left_out_waits_show(void **) {
    const Outcome whole = outcome_of(chain_with_waits);
    assert_true(whole.says("waits: 2") && whole.says("wait 1: stream 1 for event 0") &&
                whole.says("wait 2: stream 2"));
    const char *const left_out[] = {"LS_FAKE_SKIP_WAIT=1", "LS_FAKE_SKIP_WAIT=2"};
    const char *const starved[] = {"LS_FAKE_SCHEDULE=starve:0", "LS_FAKE_SCHEDULE=starve:1"};
    for (int i = 0; i < 2; i++)
        assert_int_equal(outcome_of(chain_with_waits, {left_out[i], starved[i]}).status, 101);
    must_be_good(chain_with_waits, {"LS_FAKE_SKIP_WAIT=3"});
}

void test_host_waits(void **) {
    const char *fifo = "LS_FAKE_SCHEDULE=fifo";
    assert_true(outcome_of(wait_asleep, {fifo}).says("the host waited: 3, spinning: 0, with work behind: 1"));
    assert_true(outcome_of(wait_for_an_event_that_spins, {fifo}).says("the host waited: 3, spinning: 2,"));
    assert_true(outcome_of(wait_as_ever, {fifo}).says("the host waited: 3, spinning: 3,"));
}

void test_ranges(void **) {
    const Outcome nested = outcome_of(nest_ranges);
    assert_int_equal(nested.status, 0);
    assert_true(nested.says("range step: 2") && nested.says("range lane: 3"));
    must_report("range step was never ended", leave_a_range_open);
    must_report("a range is ended that was not begun", end_a_range_twice);
}

void test_mistakes(void **) {
    must_report("the default stream is used", use_the_default_stream);
    must_report("a stream that is none", use_a_destroyed_stream);
    must_report("cudaStreamQuery is called in a host function", call_from_a_host_function);
    must_report("leak: stream 0", keep_stream_and_event);
    must_report("leak: event 0", keep_stream_and_event);
    must_report("is not seed:N, fifo, eager or starve:K", chain_with_waits, {"LS_FAKE_SCHEDULE=backwards"});
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_missing_waits_show),
        cmocka_unit_test(test_left_out_waits_show),
        cmocka_unit_test(test_host_waits),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
