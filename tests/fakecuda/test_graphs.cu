// Capture and replay.
#include "test.h"

namespace {

__global__ void put(int *to, int value) {
    *to = value;
}

__global__ void add(int *to, const int *from) {
    *to += *from;
}

struct Work { // of one case
    cudaStream_t stream = new_stream(), side = new_stream();
    cudaEvent_t begun = new_event(), joined = new_event();
    int *x = new_device<int>(4), *host = new_pinned<int>(4);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    ~Work() {
        if (graph) MUST(cudaGraphDestroy(graph));
        if (exec) MUST(cudaGraphExecDestroy(exec));
        MUST(cudaFree(x));
        MUST(cudaFreeHost(host));
        for (cudaEvent_t event : {begun, joined}) MUST(cudaEventDestroy(event));
        for (cudaStream_t each : {stream, side}) MUST(cudaStreamDestroy(each));
    }
    void begin() {
        MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    }
};

// x[0] += x[1], on the stream; x[2] = 7 and x[2] += x[1] on the side; then x[0] += x[2].
void capture_and_replay() {
    Work w;
    w.begin();
    enum cudaStreamCaptureStatus status;
    MUST(cudaStreamIsCapturing(w.stream, &status));
    EXPECT(status == cudaStreamCaptureStatusActive);
    MUST(cudaEventRecord(w.begun, w.stream));
    MUST(cudaStreamWaitEvent(w.side, w.begun, 0));
    LS_LAUNCH(add, 1, 1, w.stream, w.x, w.x + 1);
    LS_LAUNCH(put, 1, 1, w.side, w.x + 2, 7);
    LS_LAUNCH(add, 1, 1, w.side, w.x + 2, w.x + 1);
    MUST(cudaEventRecord(w.joined, w.side));
    MUST(cudaStreamWaitEvent(w.stream, w.joined, 0));
    LS_LAUNCH(add, 1, 1, w.stream, w.x, w.x + 2);
    MUST(cudaMemcpyAsync(w.host, w.x, 4, cudaMemcpyDefault, w.stream));
    MUST(cudaStreamEndCapture(w.stream, &w.graph));
    size_t nodes;
    MUST(cudaGraphGetNodes(w.graph, nullptr, &nodes));
    EXPECT(nodes == 5);
    MUST(cudaGraphInstantiate(&w.exec, w.graph, 0));
    MUST(cudaGraphDestroy(w.graph));
    w.graph = nullptr;

    int *values = new_pinned<int>(2);
    values[0] = 0, values[1] = 3; // what was captured has not run
    MUST(cudaMemcpyAsync(w.x, values, 8, cudaMemcpyDefault, w.stream));
    for (int launch = 1; launch <= 4; launch++) {
        MUST(cudaGraphLaunch(w.exec, w.stream));
        MUST(cudaStreamSynchronize(w.stream));
        EXPECT(*w.host == launch * (3 + 7 + 3));
    }
    MUST(cudaStreamIsCapturing(w.stream, &status));
    EXPECT(status == cudaStreamCaptureStatusNone);
    LS_LAUNCH(put, 1, 1, w.side, w.x, 1); // which is captured no more
    MUST(cudaStreamSynchronize(w.side));
    MUST(cudaFreeHost(values));
}

// Two launches of one graph, on two streams, exclude each other.
void launch_on_two_streams() {
    Work w;
    MUST(cudaMemset(w.x, 0, 16));
    w.begin();
    for (int i = 0; i < 4; i++) { // x[1] is 0 again at the end
        LS_LAUNCH(put, 1, 1, w.stream, w.x + 1, 5);
        LS_LAUNCH(add, 1, 1, w.stream, w.x, w.x + 1);
        LS_LAUNCH(put, 1, 1, w.stream, w.x + 1, 0);
        LS_LAUNCH(add, 1, 1, w.stream, w.x, w.x + 1);
    }
    MUST(cudaStreamEndCapture(w.stream, &w.graph));
    MUST(cudaGraphInstantiate(&w.exec, w.graph, 0));
    MUST(cudaGraphUpload(w.exec, w.stream));
    MUST(cudaGraphLaunch(w.exec, w.stream));
    MUST(cudaGraphLaunch(w.exec, w.side));
    MUST(cudaDeviceSynchronize());
    MUST(cudaMemcpy(w.host, w.x, 4, cudaMemcpyDefault));
    EXPECT(*w.host == 40);
}

int calls;

void host_function_in_a_graph() {
    Work w;
    w.begin();
    MUST(cudaLaunchHostFunc(
        w.stream, [](void *) { calls++; }, nullptr));
    MUST(cudaStreamEndCapture(w.stream, &w.graph));
    MUST(cudaGraphInstantiate(&w.exec, w.graph, 0));
    EXPECT(calls == 0);
    for (int i = 0; i < 3; i++) MUST(cudaGraphLaunch(w.exec, w.stream));
    MUST(cudaStreamSynchronize(w.stream));
    EXPECT(calls == 3);
}

void expect_invalid(Work &w) {
    LS_LAUNCH(put, 1, 1, w.stream, w.x, 1);
    EXPECT(cudaGetLastError() == cudaErrorStreamCaptureInvalidated);
    EXPECT(cudaStreamEndCapture(w.stream, &w.graph) == cudaErrorStreamCaptureInvalidated && !w.graph);
    MUST(cudaStreamSynchronize(w.stream)); // and the stream is usable again
}

void forbidden_calls() {
    Work w;
    void *memory;
    w.begin();
    EXPECT(cudaMalloc(&memory, 4) == cudaErrorStreamCaptureUnsupported);
    cudaGetLastError();
    expect_invalid(w);
    w.begin();
    EXPECT(cudaFree(w.x) == cudaErrorStreamCaptureUnsupported);
    cudaGetLastError();
    expect_invalid(w);
    w.begin();
    EXPECT(cudaStreamSynchronize(w.stream) == cudaErrorStreamCaptureUnsupported);
    cudaGetLastError();
    expect_invalid(w);
    w.begin();
    EXPECT(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported);
    cudaGetLastError();
    expect_invalid(w);
    w.begin();
    EXPECT(cudaStreamQuery(w.stream) == cudaErrorStreamCaptureUnsupported);
    cudaGetLastError();
    expect_invalid(w);
    w.begin();
    MUST(cudaEventRecord(w.begun, w.stream));
    EXPECT(cudaEventSynchronize(w.begun) == cudaErrorCapturedEvent);
    EXPECT(cudaEventQuery(w.begun) == cudaErrorCapturedEvent);
    MUST(cudaStreamEndCapture(w.stream, &w.graph));
    MUST(cudaGraphDestroy(w.graph));
    MUST(cudaStreamBeginCapture(w.stream, cudaStreamCaptureModeRelaxed));
    MUST(cudaMalloc(&memory, 4)); // which it allows
    MUST(cudaStreamEndCapture(w.stream, &w.graph));
    MUST(cudaFree(memory));
}

void dependencies() {
    Work w;
    EXPECT(cudaStreamEndCapture(w.stream, &w.graph) == cudaErrorStreamCaptureUnmatched);
    MUST(cudaEventRecord(w.begun, w.side));
    w.begin();
    EXPECT(cudaStreamBeginCapture(w.stream, cudaStreamCaptureModeGlobal) == cudaErrorInvalidValue);
    EXPECT(cudaStreamWaitEvent(w.stream, w.begun, 0) ==
           cudaErrorStreamCaptureIsolation); // work that is not the graph's
    cudaGetLastError();
    expect_invalid(w);
    w.begin();
    MUST(cudaEventRecord(w.begun, w.stream));
    MUST(cudaStreamWaitEvent(w.side, w.begun, 0));
    LS_LAUNCH(put, 1, 1, w.side, w.x, 1);
    EXPECT(cudaStreamEndCapture(w.side, &w.graph) == cudaErrorStreamCaptureUnmatched); // not where it began
    EXPECT(cudaStreamEndCapture(w.stream, &w.graph) == cudaErrorStreamCaptureUnjoined);
    w.graph = nullptr;
}

void capture_pageable_memory() {
    Work w;
    int pageable = 1;
    w.begin();
    EXPECT(cudaMemcpyAsync(w.x, &pageable, 4, cudaMemcpyDefault, w.stream) ==
           cudaErrorStreamCaptureUnsupported);
    cudaGetLastError();
    expect_invalid(w);
}

void keep_graphs() {
    cudaStream_t stream = new_stream();
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    MUST(cudaLaunchHostFunc(
        stream, [](void *) {}, nullptr));
    MUST(cudaStreamEndCapture(stream, &graph));
    MUST(cudaGraphInstantiate(&exec, graph, 0));
    MUST(cudaStreamDestroy(stream));
}

void test_replay(void **) {
    for (const char *schedule :
         {"LS_FAKE_SCHEDULE=fifo", "LS_FAKE_SCHEDULE=eager", "LS_FAKE_SCHEDULE=seed:1",
          "LS_FAKE_SCHEDULE=seed:2", "LS_FAKE_SCHEDULE=seed:3", "LS_FAKE_SCHEDULE=starve:0"}) {
        must_be_good(capture_and_replay, {schedule});
        must_be_good(launch_on_two_streams, {schedule});
        must_be_good(host_function_in_a_graph, {schedule});
    }
}

void test_forbidden(void **) {
    must_be_good(forbidden_calls);
    must_be_good(dependencies);
    must_report("a copy of pageable memory is captured", capture_pageable_memory);
}

// A wait that a captured side stream needs, left out: its work is then none of the graph's, or comes too
// early.
void test_left_out_waits(void **) {
    for (const char *left_out : {"LS_FAKE_SKIP_WAIT=1", "LS_FAKE_SKIP_WAIT=2"})
        assert_int_not_equal(outcome_of(capture_and_replay, {left_out}).status, 0);
}

void test_leaks(void **) {
    must_report("leak: graph of 1 nodes", keep_graphs);
    must_report("leak: graph ready to run of 1 nodes", keep_graphs);
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_forbidden),
        cmocka_unit_test(test_left_out_waits),
        cmocka_unit_test(test_leaks),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
