// y = op(a, b), element by element, or op(a) where INPUTS is 1. Each thread loads all its packs of N elements
// before it computes, so that enough bytes are on their way; the few elements behind the last pack are taken
// one by one. Not __restrict__: y may be a.
#pragma once

#include "cuda/kernels/number.cuh"

enum { PACKS = 4 }; // of a thread: 64 bytes of each input

template <int INPUTS, int N, typename From, typename To, typename Op>
__global__ void __launch_bounds__(THREADS)
    map_elements(Op op, const From *a, const From *b, To *y, int64_t n) {
    int64_t packs = n / N, first = (int64_t)blockIdx.x * (THREADS * PACKS) + threadIdx.x;
    pack<From, N> in_a[PACKS] = {}, in_b[PACKS] = {};
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        int64_t i = first + p * THREADS;
        if (i >= packs) continue;
        in_a[p] = load<From, N>(a + i * N);
        if (INPUTS == 2) in_b[p] = load<From, N>(b + i * N);
    }
#pragma unroll
    for (int p = 0; p < PACKS; p++) {
        int64_t i = first + p * THREADS;
        if (i >= packs) continue;
        pack<To, N> out;
#pragma unroll
        for (int k = 0; k < N; k++) out.at[k] = put<To>(op(get(in_a[p].at[k]), get(in_b[p].at[k])));
        store<To, N>(y + i * N, out);
    }
    int64_t behind = packs * N + threadIdx.x;
    if (blockIdx.x == 0 && behind < n)
        y[behind] = put<To>(op(get(a[behind]), INPUTS == 2 ? get(b[behind]) : 0));
}

template <int INPUTS, int N, typename From, typename To, typename Op>
static void map_all(Op op, const void *a, const void *b, void *y, int64_t n, cudaStream_t stream) {
    auto *kernel = map_elements<INPUTS, N, From, To, Op>;
    LS_LAUNCH(kernel, blocks_for(n / N, THREADS * PACKS), THREADS, stream, op, (const From *)a,
              (const From *)b, (To *)y, n);
}
