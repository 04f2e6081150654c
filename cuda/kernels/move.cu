// Values that only move: a thread writes a pack of y where everything divides, else one number.
#include "cuda/kernels/move.h"

#include "cuda/kernels/number.cuh"
#include "ops/move.h"

template <typename T, int N>
__global__ void __launch_bounds__(THREADS) move_runs(struct ls_runs r, const T *x, T *y) {
    int64_t packs = r.count / N, i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= packs * r.times) return;
    int64_t time = quotient(i, packs), at = (i - time * packs) * N, from = r.x_first + at;
    pack<T, N> out;
#pragma unroll
    for (int k = 0; k < N; k++) out.at[k] = put<T>(0);
    if (from >= 0 && from < r.x_count) out = load<T, N>(x + time * r.x_step + from);
    store<T, N>(y + r.y_first + time * r.y_step + at, out);
}

// A pack never reaches over an end: what lies on both sides of one is a multiple of it.
static bool divides(const struct ls_runs *r, int n) {
    return r->count % n == 0 && r->y_first % n == 0 && r->y_step % n == 0 && r->x_first % n == 0 &&
           r->x_count % n == 0 && r->x_step % n == 0;
}

ls_status ls_cuda_move_runs(ls_dtype type, const struct ls_runs *runs, const void *x, void *y,
                            cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        constexpr int N = wide<T>::N;
        bool packs = divides(runs, N);
        auto *kernel = packs ? move_runs<T, N> : move_runs<T, 1>;
        LS_LAUNCH(kernel, blocks_for(runs->times * runs->count / (packs ? N : 1), THREADS), THREADS, stream,
                  *runs, (const T *)x, (T *)y);
    });
}

template <typename T, int N>
__global__ void __launch_bounds__(THREADS) transpose(struct ls_steps s, int64_t packs, const T *x, T *y) {
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, left = i, from = 0;
    if (i >= packs) return;
#pragma unroll
    for (int axis = LS_STEPS - 1; axis >= 0; axis--) {
        int64_t size = axis == LS_STEPS - 1 ? s.size[axis] / N : s.size[axis], outside = quotient(left, size);
        from += (left - outside * size) * s.step[axis] * (axis == LS_STEPS - 1 ? N : 1);
        left = outside;
    }
    store<T, N>(y + i * N, load<T, N>(x + from));
}

// Packs lie whole in x too where the innermost axis stays so, and every other step is a multiple.
static bool keeps_packs(const struct ls_steps *s, int n) {
    if (s->step[LS_STEPS - 1] != 1 || s->size[LS_STEPS - 1] % n != 0) return false;
    for (int axis = 0; axis < LS_STEPS - 1; axis++)
        if (s->step[axis] % n != 0) return false;
    return true;
}

ls_status ls_cuda_transpose(ls_dtype type, const struct ls_steps *steps, const void *x, void *y,
                            cudaStream_t stream) {
    int64_t count = 1;
    for (int axis = 0; axis < LS_STEPS; axis++) count *= steps->size[axis];
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        constexpr int N = wide<T>::N;
        bool packs = keeps_packs(steps, N);
        auto *kernel = packs ? transpose<T, N> : transpose<T, 1>;
        int64_t n = packs ? count / N : count;
        LS_LAUNCH(kernel, blocks_for(n, THREADS), THREADS, stream, *steps, n, (const T *)x, (T *)y);
    });
}
