// Dropout. Four elements of a sample share a random block; a thread makes one, or as many as fill 16 bytes
// where these divide a sample.
#include "cuda/kernels/dropout.h"

#include "base/philox.h"
#include "cuda/kernels/number.cuh"
#include "graph/plan.h"

struct dropout {
    int64_t samples, each; // elements of a sample
    float rate, factor;
    uint64_t site; // already in its place above the elements
};

static __device__ __forceinline__ float dropped(const struct dropout &d, float x, uint32_t word) {
    return ls_uniform(word) >= d.rate ? x * d.factor : 0;
}

template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    dropout_packs(struct dropout d, const struct ls_lane_control *control, const T *x, T *y) {
    int64_t packs = d.each / N, i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= packs * d.samples) return;
    int64_t sample = quotient(i, packs), element = (i - sample * packs) * N;
    pack<T, N> in = load<T, N>(x + i * N), out;
#pragma unroll
    for (int k = 0; k < N; k += 4) {
        struct ls_random4 random =
            ls_philox(control->seed, LS_RANDOM_DROPOUT, d.site + (uint64_t)(element + k) / 4,
                      control->first_position + (uint64_t)sample);
#pragma unroll
        for (int j = 0; j < 4; j++) out.at[k + j] = put<T>(dropped(d, get(in.at[k + j]), random.word[j]));
    }
    store<T, N>(y + i * N, out);
}

template <typename T>
__global__ void __launch_bounds__(THREADS)
    dropout_fours(struct dropout d, const struct ls_lane_control *control, const T *x, T *y) {
    int64_t fours = (d.each + 3) / 4, i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= fours * d.samples) return;
    int64_t sample = quotient(i, fours), four = i - sample * fours, at = sample * d.each;
    struct ls_random4 random = ls_philox(control->seed, LS_RANDOM_DROPOUT, d.site + (uint64_t)four,
                                         control->first_position + (uint64_t)sample);
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (four * 4 + j < d.each)
            y[at + four * 4 + j] = put<T>(dropped(d, get(x[at + four * 4 + j]), random.word[j]));
}

ls_status ls_cuda_dropout(ls_dtype type, const void *x, void *y, int64_t samples, int64_t each, double rate,
                          int64_t site, const struct ls_lane_control *control, cudaStream_t stream) {
    struct dropout d = {samples, each, (float)rate, (float)(1 / (1 - rate)), (uint64_t)site << 40};
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        constexpr int N = wide<T>::N;
        auto *packs = dropout_packs<T, N>;
        auto *fours = dropout_fours<T>;
        if (each % N == 0)
            LS_LAUNCH(packs, blocks_for(samples * each / N, THREADS), THREADS, stream, d, control,
                      (const T *)x, (T *)y);
        else
            LS_LAUNCH(fours, blocks_for(samples * ((each + 3) / 4), THREADS), THREADS, stream, d, control,
                      (const T *)x, (T *)y);
    });
}
