// Kernels on the stand-in: right ones give what a GPU gives, whatever the order; wrong ones are caught.
#include "test.h"

namespace {

__global__ void scale(float *x, float factor, int n) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n) x[i] *= factor;
}

__global__ void place(unsigned *out) {
    const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = block * 1000 + thread;
}

// Sums n numbers a block, by a tree in shared memory.
__global__ void sum_tree(const int *in, int *out) {
    __shared__ int partial[256];
    const int t = (int)threadIdx.x;
    partial[t] = in[blockIdx.x * 256 + threadIdx.x];
    for (int half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (t < half) partial[t] += partial[t + half];
    }
    if (t == 0) out[blockIdx.x] = partial[0];
}

template <typename T> __device__ T warp_sum(T value) {
    for (int d = 16; d > 0; d /= 2) value += __shfl_xor_sync(0xffffffffu, value, d);
    return value;
}

// The same by warps.
template <typename T> __global__ void sum_warps(const T *in, T *out) {
    __shared__ T partial[8];
    const T value = warp_sum(in[blockIdx.x * 256 + threadIdx.x]);
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
    __syncthreads();
    if (threadIdx.x != 0) return;
    T total = 0;
    for (int i = 0; i < 8; i++) total += partial[i];
    out[blockIdx.x] = total;
}

__global__ void shuffles(int *out) { // [9][64]
    const int t = (int)threadIdx.x, lane = t % 32;
    const unsigned all = 0xffffffffu;
    out[0 * 64 + t] = __shfl_sync(all, t, 5);
    out[1 * 64 + t] = __shfl_sync(all, t, 9, 8);
    out[2 * 64 + t] = __shfl_up_sync(all, t, 3);
    out[3 * 64 + t] = __shfl_down_sync(all, t, 3, 16);
    out[4 * 64 + t] = __shfl_xor_sync(all, t, 9);
    out[5 * 64 + t] = (int)__ballot_sync(all, lane % 3 == 0);
    out[6 * 64 + t] = __any_sync(all, t == 7) + 2 * __all_sync(all, t < 32);
    int value = t;
    if (lane < 8) value = __shfl_xor_sync(0xffu, value, 7);
    __syncwarp();
    out[7 * 64 + t] = value;
    out[8 * 64 + t] =
        __syncthreads_count(t % 2) + 100 * __syncthreads_or(t == 40) + 1000 * __syncthreads_and(t < 40);
}

// ---- wrong ones

template <bool UP> __global__ void no_barrier(float *out) {
    __shared__ float value[64];
    value[threadIdx.x] = (float)threadIdx.x;
    out[threadIdx.x] = value[UP ? threadIdx.x / 2 : 63 - threadIdx.x / 2];
}

__global__ void stale_shared(float *out) {
    __shared__ float value;
    if (blockIdx.x == 0 && threadIdx.x == 0) value = 1;
    __syncthreads();
    out[blockIdx.x * blockDim.x + threadIdx.x] = value;
}

__global__ void barrier_in_a_branch() {
    if (threadIdx.x < 10) __syncthreads();
}

__global__ void two_barriers() {
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
}

__global__ void absent_lanes(int *out) {
    out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}

__global__ void ended_lanes(int *out) {
    if (threadIdx.x == 3) return;
    out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
}

__global__ void outside_the_mask(int *out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(0xffffu, 1, 16);
}

__global__ void different_shuffles(int *out) {
    if (threadIdx.x % 2)
        out[threadIdx.x] = __shfl_sync(0xffffffffu, 1, 0);
    else
        out[threadIdx.x] = __shfl_sync(0xffffffffu, 2, 1);
}

__global__ void waits_at_both() {
    if (threadIdx.x < 16)
        __syncwarp();
    else
        __syncthreads();
}

__global__ void far_outside(float *out) {
    out[1 << 22] = 1;
}

// ---- cases

cudaStream_t stream;

int *sums_of(int blocks, bool warps) {
    int *host = new_pinned<int>(256 * blocks), *in = new_device<int>(256 * blocks),
        *out = new_device<int>(blocks);
    for (int i = 0; i < 256 * blocks; i++) host[i] = i;
    MUST(cudaMemcpyAsync(in, host, sizeof(int) * 256 * blocks, cudaMemcpyDefault, stream));
    if (warps)
        LS_LAUNCH(sum_warps<int>, blocks, 256, stream, in, out);
    else
        LS_LAUNCH(sum_tree, blocks, 256, stream, in, out);
    MUST(cudaGetLastError());
    MUST(cudaMemcpyAsync(host, out, sizeof(int) * blocks, cudaMemcpyDefault, stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaFree(in));
    MUST(cudaFree(out));
    return host;
}

void run_right_ones() {
    stream = new_stream();
    float *x = new_device<float>(1000), *host = new_pinned<float>(1000);
    for (int i = 0; i < 1000; i++) host[i] = (float)i;
    MUST(cudaMemcpyAsync(x, host, 4000, cudaMemcpyHostToDevice, stream));
    LS_LAUNCH(scale, dim3(4), dim3(256), stream, x, 3.0f, 999);
    MUST(cudaMemcpyAsync(host, x, 4000, cudaMemcpyDeviceToHost, stream));
    MUST(cudaStreamSynchronize(stream));
    for (int i = 0; i < 1000; i++) EXPECT(host[i] == (float)(i < 999 ? 3 * i : i));
    MUST(cudaFree(x));
    MUST(cudaFreeHost(host));

    for (int warps = 0; warps < 2; warps++) {
        int *sums = sums_of(7, warps != 0);
        for (int i = 0; i < 7; i++) EXPECT(sums[i] == 256 * (256 * i) + 255 * 128);
        MUST(cudaFreeHost(sums));
    }

    unsigned *places = new_device<unsigned>(24 * 60), *seen = new_pinned<unsigned>(24 * 60);
    LS_LAUNCH(place, dim3(2, 3, 4), dim3(5, 4, 3), stream, places);
    MUST(cudaMemcpyAsync(seen, places, 24 * 60 * 4, cudaMemcpyDefault, stream));
    MUST(cudaStreamSynchronize(stream));
    for (unsigned i = 0; i < 24 * 60; i++) EXPECT(seen[i] == i / 60 * 1000 + i % 60);
    MUST(cudaFree(places));
    MUST(cudaFreeHost(seen));
    MUST(cudaStreamDestroy(stream));
}

void run_shuffles() {
    stream = new_stream();
    int *out = new_device<int>(9 * 64), *host = new_pinned<int>(9 * 64);
    LS_LAUNCH(shuffles, 1, 64, stream, out);
    MUST(cudaMemcpyAsync(host, out, sizeof(int) * 9 * 64, cudaMemcpyDefault, stream));
    MUST(cudaStreamSynchronize(stream));
    for (int t = 0; t < 64; t++) {
        const int lane = t % 32, warp = t - lane;
        EXPECT(host[0 * 64 + t] == warp + 5);
        EXPECT(host[1 * 64 + t] == t / 8 * 8 + 1);
        EXPECT(host[2 * 64 + t] == (lane < 3 ? t : t - 3));
        EXPECT(host[3 * 64 + t] == (t % 16 > 12 ? t : t + 3));
        EXPECT(host[4 * 64 + t] == (t ^ 9));
        EXPECT((unsigned)host[5 * 64 + t] == 0x49249249u);
        EXPECT(host[6 * 64 + t] == (t < 32 ? 3 : 0));
        EXPECT(host[7 * 64 + t] == (lane < 8 ? warp + 7 - lane : t));
        EXPECT(host[8 * 64 + t] == 32 + 100);
    }
    MUST(cudaFree(out));
    MUST(cudaFreeHost(host));
    MUST(cudaStreamDestroy(stream));
}

template <auto kernel> void run_wrong() {
    stream = new_stream();
    int *out = new_device<int>(128);
    if constexpr (std::is_same_v<decltype(kernel), void (*)()>)
        LS_LAUNCH(kernel, 1, kernel == two_barriers ? 64 : 32, stream);
    else
        LS_LAUNCH(kernel, 1, 32, stream, out);
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure);
    EXPECT(cudaGetLastError() == cudaErrorLaunchFailure);
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure); // for good
}

void run_absent_lanes() {
    stream = new_stream();
    LS_LAUNCH(absent_lanes, 1, 48, stream, new_device<int>(128));
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure);
}

void run_far_outside() {
    stream = new_stream();
    LS_LAUNCH(far_outside, 1, 1, stream, new_device<float>(128));
    EXPECT(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress);
}

// What a thread before this one wrote, or one behind it, is there or is still poison: as the block runs
// upwards or downwards, which is drawn.
template <bool UP> void run_no_barrier() {
    stream = new_stream();
    float *out = new_device<float>(64), *host = new_pinned<float>(64);
    int wrong = 0;
    for (int i = 0; i < 20; i++) {
        LS_LAUNCH(no_barrier<UP>, 1, 64, stream, out);
        MUST(cudaMemcpyAsync(host, out, 64 * 4, cudaMemcpyDefault, stream));
        MUST(cudaStreamSynchronize(stream));
        for (int t = 0; t < 64; t++) wrong += std::isnan(host[t]);
    }
    EXPECT(wrong > 0);
    _exit(0);
}

void run_stale_shared() {
    stream = new_stream();
    float *out = new_device<float>(64), *host = new_pinned<float>(64);
    LS_LAUNCH(stale_shared, 2, 32, stream, out);
    MUST(cudaMemcpyAsync(host, out, 64 * 4, cudaMemcpyDefault, stream));
    MUST(cudaStreamSynchronize(stream));
    EXPECT(host[0] == 1 && std::isnan(host[32]));
    _exit(0);
}

void launch_illegal() {
    stream = new_stream();
    const dim3 grids[] = {dim3(0), dim3(1, 65536), dim3(1, 1, 65536), dim3(0x80000000u),
                          dim3(1), dim3(1),        dim3(1),           dim3(1)};
    const dim3 blocks[] = {dim3(1), dim3(1),    dim3(1),      dim3(1),
                           dim3(0), dim3(1025), dim3(64, 32), dim3(1, 1, 65)};
    for (int i = 0; i < 8; i++) {
        LS_LAUNCH(place, grids[i], blocks[i], stream, (unsigned *)nullptr);
        EXPECT(cudaPeekAtLastError() == cudaErrorInvalidConfiguration);
        EXPECT(cudaGetLastError() == cudaErrorInvalidConfiguration);
        EXPECT(cudaGetLastError() == cudaSuccess);
    }
    fake::launch("big", nullptr, dim3(1), dim3(1), (48 << 10) + 1, stream, [] {});
    EXPECT(cudaGetLastError() == cudaErrorInvalidValue);
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaStreamDestroy(stream));
}

void test_right(void **) {
    for (const char *schedule : {"LS_FAKE_SCHEDULE=fifo", "LS_FAKE_SCHEDULE=eager", "LS_FAKE_SCHEDULE=seed:1",
                                 "LS_FAKE_SCHEDULE=seed:2", "LS_FAKE_SCHEDULE=starve:0"}) {
        must_be_good(run_right_ones, {schedule});
        must_be_good(run_shuffles, {schedule});
    }
}

void test_wrong(void **) {
    must_report("10 of 32 threads come to the barrier in test_kernels.cu", run_wrong<barrier_in_a_branch>);
    must_report("waits at the barrier", run_wrong<two_barriers>);
    must_report("which is not in the block", run_absent_lanes);
    must_report("names lane 3, which has ended", run_wrong<ended_lanes>);
    must_report("which mask 0000ffff does not name", run_wrong<outside_the_mask>);
    must_report("meet in different warp functions", run_wrong<different_shuffles>);
    must_report("for lanes of mask ffffffff that do not come", run_wrong<waits_at_both>);
}

void test_shared(void **) {
    must_be_good(run_no_barrier<false>);
    must_be_good(run_no_barrier<true>);
    must_be_good(run_stale_shared);
}

void test_configuration(void **) {
    must_be_good(launch_illegal);
}

void test_far_outside(void **) {
#if !defined(__SANITIZE_ADDRESS__) // which ends the process
    must_report("an illegal access", run_far_outside);
#endif
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),       cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_shared),      cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_far_outside),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
