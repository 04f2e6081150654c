// Memory and copies: fresh memory is NaN, what is written outside of it is found, and so is what is used too
// late.
#include "test.h"

#include <thread>

namespace {

__global__ void write_at(char *memory, long offset) {
    memory[offset] = 0;
}

__global__ void read_at(const float *memory, float *out) {
    *out = *memory;
}

void use_it_well() {
    cudaStream_t stream = new_stream();
    float *device = new_device<float>(1000), *host = new_pinned<float>(1000);
    EXPECT((uintptr_t)device % 256 == 0);
    for (int i = 0; i < 1000; i++) EXPECT(std::isnan(host[i]));
    MUST(cudaMemcpyAsync(host, device, 4000, cudaMemcpyDefault, stream));
    MUST(cudaStreamSynchronize(stream));
    for (int i = 0; i < 1000; i++) EXPECT(std::isnan(host[i]));
    MUST(cudaMemsetAsync(device, 0, 4000, stream));
    MUST(cudaMemcpyAsync(host, device, 4000, cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamSynchronize(stream));
    EXPECT(host[0] == 0 && host[999] == 0);

    size_t available, total;
    MUST(cudaMemGetInfo(&available, &total));
    EXPECT(total == 1 << 20 && available == total - 4096);
    void *more;
    EXPECT(cudaMalloc(&more, total) == cudaErrorMemoryAllocation && !more);
    EXPECT(cudaGetLastError() == cudaErrorMemoryAllocation);
    MUST(cudaGetLastError());

    struct cudaPointerAttributes attributes;
    MUST(cudaPointerGetAttributes(&attributes, device + 3));
    EXPECT(attributes.type == cudaMemoryTypeDevice && attributes.device == 0);
    MUST(cudaPointerGetAttributes(&attributes, host + 3));
    EXPECT(attributes.type == cudaMemoryTypeHost);
    MUST(cudaPointerGetAttributes(&attributes, &stream));
    EXPECT(attributes.type == cudaMemoryTypeUnregistered);

    MUST(cudaFree(nullptr));
    MUST(cudaFree(device));
    MUST(cudaFreeHost(host));
    MUST(cudaStreamDestroy(stream));
}

// Pageable memory is read at the call; pinned memory when the copy is made.
void change_before_the_copy() {
    cudaStream_t stream = new_stream();
    int *device = new_device<int>(2), *pinned = new_pinned<int>(1), pageable = 1, out[2] = {};
    *pinned = 1;
    MUST(cudaMemcpyAsync(&device[0], &pageable, sizeof(int), cudaMemcpyDefault, stream));
    MUST(cudaMemcpyAsync(&device[1], pinned, sizeof(int), cudaMemcpyDefault, stream));
    pageable = *pinned = 2;
    MUST(cudaMemcpyAsync(out, device, sizeof out, cudaMemcpyDefault, stream)); // waits for the copy
    EXPECT(out[0] == 1 && out[1] == 2);
    MUST(cudaFree(device));
    MUST(cudaFreeHost(pinned));
    MUST(cudaStreamDestroy(stream));
}

void copy_the_wrong_way() {
    cudaStream_t stream = new_stream();
    int *device = new_device<int>(2), *pinned = new_pinned<int>(2);
    EXPECT(cudaMemcpyAsync(device, pinned, 8, cudaMemcpyDeviceToHost, stream) ==
           cudaErrorInvalidMemcpyDirection);
    EXPECT(cudaMemcpyAsync(device, device + 1, 4, cudaMemcpyHostToDevice, stream) ==
           cudaErrorInvalidMemcpyDirection);
    EXPECT(cudaMemset(&stream, 0, 8) == cudaErrorInvalidValue);
    MUST(cudaFree(device));
    MUST(cudaFreeHost(pinned));
    MUST(cudaStreamDestroy(stream));
}

template <bool HOST> void copy_too_much() {
    cudaStream_t stream = new_stream();
    char *device = new_device<char>(HOST ? 100 : 99), *pinned = new_pinned<char>(HOST ? 99 : 100);
    EXPECT(cudaMemcpyAsync(device, pinned, 100, cudaMemcpyDefault, stream) == cudaErrorInvalidValue);
    _exit(99);
}

void copy_too_late() {
    cudaStream_t stream = new_stream();
    char *device = new_device<char>(100), *pinned = new_pinned<char>(100);
    MUST(cudaFree(device));
    EXPECT(cudaMemcpyAsync(device, pinned, 100, cudaMemcpyDefault, stream) == cudaErrorInvalidValue);
    _exit(99);
}

void read_freed() {
    cudaStream_t stream = new_stream();
    float *memory = new_device<float>(10), *out = new_device<float>(1);
    MUST(cudaFree(memory));
    LS_LAUNCH(read_at, 1, 1, stream, memory, out);
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress);
}

template <int OFFSET> void write_outside() {
    cudaStream_t stream = new_stream();
    char *memory = new_device<char>(1001);
    LS_LAUNCH(write_at, 1, 1, stream, memory, OFFSET);
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaFree(memory));
    MUST(cudaStreamDestroy(stream));
}

void host_writes_outside() {
    char *memory = new_pinned<char>(1000);
    memory[1000] = 1;
    MUST(cudaFreeHost(memory));
}

void free_twice() {
    void *memory = new_device<char>(10);
    MUST(cudaFree(memory));
    EXPECT(cudaFree(memory) == cudaErrorInvalidValue);
}

void free_as_the_other_kind() {
    EXPECT(cudaFreeHost(new_device<char>(10)) == cudaErrorInvalidValue);
}

void free_a_part() {
    EXPECT(cudaFree(new_device<char>(512) + 256) == cudaErrorInvalidValue);
}

void keep_memory() {
    new_device<char>(12345);
}

void touch_device_memory() {
    cudaStream_t stream = new_stream();
    float *memory = new_device<float>(10);
    MUST(cudaMemsetAsync(memory, 0, 40, stream)); // which the stand-in may
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaFree(memory));
    MUST(cudaStreamDestroy(stream));
    memory = new_device<float>(10);
    *(volatile float *)memory = 1;
}

void use_two_devices() {
    int n = 0, number = 7;
    MUST(cudaGetDeviceCount(&n));
    EXPECT(n == 3);
    struct cudaDeviceProp a, b;
    MUST(cudaGetDeviceProperties(&a, 0));
    MUST(cudaGetDeviceProperties(&b, 2));
    EXPECT(memcmp(&a.uuid, &b.uuid, sizeof a.uuid) != 0 && a.pciBusID != b.pciBusID);
    MUST(cudaSetDevice(2));
    std::thread([&] { MUST(cudaGetDevice(&number)); }).join(); // each thread has its own
    EXPECT(number == 0);
    void *memory = new_device<char>(1 << 20), *none;
    EXPECT(cudaMalloc(&none, 1) == cudaErrorMemoryAllocation);
    MUST(cudaSetDevice(1));
    void *other = new_device<char>(1 << 20);
    MUST(cudaFree(memory));
    MUST(cudaFree(other));
    EXPECT(cudaSetDevice(3) == cudaErrorInvalidDevice);
}

void have_no_device() {
    int n = 7, version = 0;
    EXPECT(cudaGetDeviceCount(&n) == cudaErrorNoDevice && n == 0);
    MUST(cudaDriverGetVersion(&version));
    EXPECT(version == 13000);
    void *memory;
    EXPECT(cudaMalloc(&memory, 1) == cudaErrorNoDevice);
}

void have_no_driver() {
    int n = 7, version = 7;
    EXPECT(cudaGetDeviceCount(&n) == cudaErrorInsufficientDriver && n == 0);
    MUST(cudaDriverGetVersion(&version));
    EXPECT(version == 0);
}

void test_memory(void **) {
    must_be_good(use_it_well, {"LS_FAKE_MEMORY=1M"});
    must_be_good(use_it_well, {"LS_FAKE_MEMORY=1M", "LS_FAKE_PROTECT=1"});
    must_be_good(change_before_the_copy, {"LS_FAKE_SCHEDULE=fifo"});
    must_be_good(copy_the_wrong_way);
}

void test_copies_outside(void **) {
    must_report("a copy reads: 100 bytes at byte 0 of pinned memory of 99 bytes", copy_too_much<true>);
    must_report("a copy writes: 100 bytes at byte 0 of device memory of 99 bytes", copy_too_much<false>);
    must_report("device memory of 100 bytes, which was freed", copy_too_late);
}

void test_writes_outside(void **) {
    must_report("byte 1002 of device memory of 1001 bytes was written", write_outside<1002>);
    must_report("2 bytes before device memory of 1001 bytes were overwritten", write_outside<-1>);
    must_report("byte 1000 of pinned memory of 1000 bytes was written", host_writes_outside);
#if !defined(__SANITIZE_ADDRESS__)
    must_report("an illegal access to byte 0 of device memory of 40 bytes, which was freed", read_freed);
#endif
}

void test_frees(void **) {
    must_report("which was freed", free_twice);
    must_report("is freed that is byte 0 of device memory", free_as_the_other_kind);
    must_report("is freed that is byte 256 of device memory of 512 bytes", free_a_part);
    must_report("leak: device memory of 12345 bytes", keep_memory);
}

void test_protection(void **) {
#if !defined(__SANITIZE_ADDRESS__)
    assert_int_equal(outcome_of(touch_device_memory, {"LS_FAKE_PROTECT=1"}).status, 128 + SIGSEGV);
    assert_int_equal(outcome_of(touch_device_memory).status, 99); // a leak, no more
#endif
}

void test_devices(void **) {
    must_be_good(use_two_devices, {"LS_FAKE_GPUS=3", "LS_FAKE_MEMORY=1M"});
    must_be_good(have_no_device, {"LS_FAKE_GPUS=0"});
    must_be_good(have_no_driver, {"LS_FAKE_NO_DRIVER=1"});
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_copies_outside),
        cmocka_unit_test(test_writes_outside), cmocka_unit_test(test_frees),
        cmocka_unit_test(test_protection),     cmocka_unit_test(test_devices),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
