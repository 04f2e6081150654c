// Injected errors: each comes at the call that was asked for, as CUDA would give it.
#include "test.h"

namespace {

__global__ void put(int *to) {
    *to = 1;
}

void third_malloc_fails() {
    void *memory[3];
    MUST(cudaMalloc(&memory[0], 4));
    MUST(cudaMalloc(&memory[1], 4));
    EXPECT(cudaMalloc(&memory[2], 4) == cudaErrorMemoryAllocation);
    EXPECT(cudaGetLastError() == cudaErrorMemoryAllocation);
    MUST(cudaMalloc(&memory[2], 4)); // once
    for (void *each : memory) MUST(cudaFree(each));
}

void launch_fails() {
    cudaStream_t stream = new_stream();
    int *x = new_device<int>(1);
    LS_LAUNCH(put, 1, 1, stream, x);
    MUST(cudaGetLastError());
    LS_LAUNCH(put, 1, 1, stream, x);
    EXPECT(cudaGetLastError() == cudaErrorLaunchOutOfResources);
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaFree(x));
    MUST(cudaStreamDestroy(stream));
}

bool called;

void kernel_fails() {
    cudaStream_t stream = new_stream();
    int *x = new_device<int>(1);
    LS_LAUNCH(put, 1, 1, stream, x);
    MUST(cudaGetLastError());
    MUST(cudaLaunchHostFunc(
        stream, [](void *) { called = true; }, nullptr));
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress);
    void *memory;
    EXPECT(cudaMalloc(&memory, 4) == cudaErrorIllegalAddress); // for good
    EXPECT(!called);
}

void a_device_is_lost_in_a_copy() {
    cudaStream_t stream = new_stream();
    int *x = new_device<int>(1);
    EXPECT(cudaMemcpyAsync(x, x, 4, cudaMemcpyDefault, stream) == cudaErrorECCUncorrectable);
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorECCUncorrectable);
}

void nothing_fails() {
    EXPECT(strcmp(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress") == 0);
    EXPECT(strcmp(cudaGetErrorString((cudaError_t)12345), "unrecognized error code") == 0);
    MUST(cudaDeviceSynchronize());
}

void test_injection(void **) {
    must_be_good(third_malloc_fails, {"LS_FAKE_FAIL=cudaMalloc:3"});
    must_be_good(third_malloc_fails, {"LS_FAKE_FAIL=cudaFree:9,cudaMalloc:3:2"});
    must_be_good(launch_fails, {"LS_FAKE_FAIL=launch:2:cudaErrorLaunchOutOfResources"});
    must_be_good(launch_fails, {"LS_FAKE_FAIL=launch put:2:701"});
    must_be_good(kernel_fails, {"LS_FAKE_FAIL=kernel:1:cudaErrorIllegalAddress"});
    must_be_good(a_device_is_lost_in_a_copy, {"LS_FAKE_FAIL=cudaMemcpyAsync:1:cudaErrorECCUncorrectable"});
    must_be_good(nothing_fails);
    must_report("no error is called nonsense", nothing_fails, {"LS_FAKE_FAIL=cudaMalloc:1:nonsense"});
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_injection)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
