// Passes over flat f32 buffers: sum, norm, fingerprint, decision, optimizers, running statistics,
// moving averages.
#include "cuda/kernels/flat.h"

#include "cuda/kernels/map.cuh"
#include "graph/plan.h"

#include <float.h>
#include <math.h>

static bool is_wide(const void *memory) {
    return (uintptr_t)memory % 16 == 0;
}

// ---- the sum of two

struct sum_of_two {
    __device__ float operator()(float a, float b) const {
        return a + b;
    }
};

ls_status ls_cuda_add(float *to, const float *a, const float *b, size_t n, cudaStream_t stream) {
    if (n == 0) return LS_OK;
    if (is_wide(to) && is_wide(a) && is_wide(b))
        map_all<2, 4, float, float>(sum_of_two(), a, b, to, (int64_t)n, stream);
    else
        map_all<2, 1, float, float>(sum_of_two(), a, b, to, (int64_t)n, stream);
    return ls_cuda_launched();
}

// ---- sums over a block, always by the same tree; the result is thread 0's

template <typename T> static __device__ __forceinline__ T add_over_block(T mine, T *shared) {
    shared[threadIdx.x] = mine;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    return shared[0];
}

// ---- the norm

// Block b of the data, in which thread t adds elements 4t to 4t + 3 of each 4 * THREADS. Whether they come as
// packs changes nothing.
template <bool WIDE>
__global__ void __launch_bounds__(THREADS)
    square_sums(const float *data, size_t n, size_t begin, double *sums) {
    __shared__ double shared[THREADS];
    size_t block = begin + blockIdx.x, first = block * LS_NORM_BLOCK;
    size_t end = first + LS_NORM_BLOCK < n ? first + LS_NORM_BLOCK : n;
    double sum = 0;
#pragma unroll 4
    for (size_t i = first + 4 * threadIdx.x; i < end; i += 4 * THREADS) {
        pack<float, 4> in = {};
        if (WIDE && i + 4 <= end)
            in = load<float, 4>(data + i);
        else
            for (int k = 0; k < 4; k++)
                if (i + (size_t)k < end) in.at[k] = data[i + (size_t)k];
#pragma unroll
        for (int k = 0; k < 4; k++) sum += (double)in.at[k] * (double)in.at[k];
    }
    sum = add_over_block(sum, shared);
    if (threadIdx.x == 0) sums[block] = sum;
}

cudaError_t ls_cuda_find_code(void) {
    struct cudaFuncAttributes attributes;
    return cudaFuncGetAttributes(&attributes, (const void *)square_sums<true>);
}

ls_status ls_cuda_square_sums(const float *data, size_t n, size_t begin, size_t end, double *sums,
                              cudaStream_t stream) {
    if (begin >= end) return LS_OK;
    auto *kernel = is_wide(data) ? square_sums<true> : square_sums<false>;
    LS_LAUNCH(kernel, (unsigned)(end - begin), THREADS, stream, data, n, begin, sums);
    return ls_cuda_launched();
}

// ---- the fingerprint

// A bijection that spreads every bit (the finalizer of MurmurHash3, A. Appleby).
static __device__ __forceinline__ uint64_t mixed(uint64_t word) {
    word = (word ^ word >> 33) * 0xff51afd7ed558ccdull;
    word = (word ^ word >> 33) * 0xc4ceb9fe1a85ec53ull;
    return word ^ word >> 33;
}

// The sum, modulo 2^64, of a hash of each two floats and their place: one value in whatever order blocks add
// to it.
enum { MARK_PAIRS = 8 }; // of a thread

static __global__ void __launch_bounds__(THREADS)
    add_to_mark(const float *data, size_t n, unsigned long long *mark) {
    __shared__ unsigned long long shared[THREADS];
    unsigned long long sum = 0;
    size_t first = (size_t)blockIdx.x * (THREADS * MARK_PAIRS) + threadIdx.x;
#pragma unroll
    for (int p = 0; p < MARK_PAIRS; p++) {
        size_t pair = first + (size_t)p * THREADS;
        uint32_t low = 0, high = 0;
        if (2 * pair < n) memcpy(&low, &data[2 * pair], sizeof low);
        if (2 * pair + 1 < n) memcpy(&high, &data[2 * pair + 1], sizeof high);
        uint64_t word = (uint64_t)high << 32 | low;
        if (2 * pair < n) sum += mixed(word + mixed(pair + 1));
    }
    sum = add_over_block(sum, shared);
    if (threadIdx.x == 0) atomicAdd(mark, sum);
}

ls_status ls_cuda_fingerprint(const float *data, size_t n, uint64_t *mark, cudaStream_t stream) {
    cudaError_t error = cudaMemsetAsync(mark, 0, sizeof *mark, stream);
    if (error != cudaSuccess) return LS_FAIL(LS_SYSTEM, "fingerprint: %s", cudaGetErrorString(error));
    LS_LAUNCH(add_to_mark, blocks_for(((int64_t)n + 1) / 2, THREADS * MARK_PAIRS), THREADS, stream, data, n,
              (unsigned long long *)mark);
    return ls_cuda_launched();
}

// ---- the decision

// Clips as PyTorch's clip_grad_norm_ does.
static __global__ void __launch_bounds__(THREADS) decide(struct ls_decide work) {
    __shared__ double shared[THREADS];
    double sum = 0;
    for (size_t i = threadIdx.x; i < work.blocks; i += THREADS) sum += work.block_sums[i];
    sum = add_over_block(sum, shared);
    if (threadIdx.x > 0) return;
    double norm = sqrt(sum) / (double)work.loss_scale, clip = 1;
    if (work.clip > 0) clip = fmin(1.0, (double)work.clip / (norm + 1e-6));
    work.decision->skip =
        !isfinite(norm) || !isfinite(work.metrics[LS_METRIC_LOSS]) || work.metrics[LS_METRIC_FAULT] > 0;
    work.decision->grad_norm = norm;
    work.decision->grad_factor = (float)(clip / (double)work.loss_scale);
}

ls_status ls_cuda_decide(const struct ls_decide *work, cudaStream_t stream) {
    LS_LAUNCH(decide, 1u, THREADS, stream, *work);
    return ls_cuda_launched();
}

// ---- the optimizers: a rule takes an element from grad, param and slots to new ones, in the order of
// operations of cpu/plain/flat.c and so to the same bits

template <int SLOTS> struct weight { float param, slot[SLOTS > 0 ? SLOTS : 1]; };

// What holds for the elements of a range.
struct setting {
    float lr, decay;
    float keep, step; // AdamW: 1 - lr * decay, lr / correction1
    float rate;       // LARS, LAMB: lr * the trust ratio
};

static __device__ __forceinline__ struct setting setting_of(const struct ls_update &u, int r) {
    float lr = u.lr * u.ranges[r].lr_scale, decay = u.ranges[r].weight_decay;
    return {lr, decay, (float)(1 - (double)lr * (double)decay), (float)((double)lr / u.correction1),
            u.ratios ? lr * u.ratios[r] : lr};
}

struct sgd_rule {
    static constexpr int SLOTS = 0, CHANGES = 0; // slots that it reads, and those that it writes
    __device__ void operator()(weight<0> &w, float grad, float factor, const setting &s) const {
        w.param -= s.lr * (grad * factor + s.decay * w.param);
    }
};

struct momentum_rule {
    static constexpr int SLOTS = 1, CHANGES = 1;
    float momentum;
    bool nesterov;
    __device__ void operator()(weight<1> &w, float grad, float factor, const setting &s) const {
        float g = grad * factor + s.decay * w.param;
        float v = momentum * w.slot[0] + g;
        w.slot[0] = v;
        w.param -= s.lr * (nesterov ? g + momentum * v : v);
    }
};

struct adamw_rule {
    static constexpr int SLOTS = 2, CHANGES = 2;
    float beta1, rest1, beta2, rest2, root, epsilon;
    __device__ void operator()(weight<2> &w, float grad, float factor, const setting &s) const {
        float g = grad * factor;
        float m = beta1 * w.slot[0] + rest1 * g;
        float v = beta2 * w.slot[1] + rest2 * g * g;
        w.slot[0] = m;
        w.slot[1] = v;
        w.param = s.keep * w.param - s.step * m / (sqrtf(v) / root + epsilon);
    }
};

struct lars_rule {
    static constexpr int SLOTS = 1, CHANGES = 1;
    float momentum;
    __device__ void operator()(weight<1> &w, float grad, float factor, const setting &s) const {
        float v = momentum * w.slot[0] + s.rate * (grad * factor + s.decay * w.param);
        w.slot[0] = v;
        w.param -= v;
    }
};

struct lamb_rule { // its moments have moved before, with the norms
    static constexpr int SLOTS = 2, CHANGES = 0;
    float beta1, rest1, beta2, rest2, unbias, root, epsilon;
    __device__ void move_moments(weight<2> &w, float grad, float factor) const {
        float g = grad * factor;
        w.slot[0] = beta1 * w.slot[0] + rest1 * g;
        w.slot[1] = beta2 * w.slot[1] + rest2 * g * g;
    }
    __device__ float direction(const weight<2> &w, float decay) const {
        return w.slot[0] * unbias / (sqrtf(w.slot[1]) / root + epsilon) + decay * w.param;
    }
    __device__ void operator()(weight<2> &w, float, float, const setting &s) const {
        w.param -= s.rate * direction(w, s.decay);
    }
};

// The last of the ranges, which are in order, that starts at or before `element`; the first where none does.
static __device__ __forceinline__ int range_at(const struct ls_update_range *ranges, int n, size_t element) {
    int low = 0, high = n;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (ranges[middle].offset <= element)
            low = middle;
        else
            high = middle;
    }
    return low;
}

enum { UPDATE_PACKS = 2 }; // of a thread: 32 bytes of each of up to four buffers

// Elements [begin, end), in packs at multiples of N.
template <int N, typename Rule>
__global__ void __launch_bounds__(THREADS) update_elements(struct ls_update u, Rule rule) {
    constexpr int SLOTS = Rule::SLOTS;
    __shared__ int first_range;
    __shared__ struct setting first_setting;
    if (u.decision->skip) return; // the same in every thread
    size_t first = u.begin / N * N + (size_t)blockIdx.x * (THREADS * UPDATE_PACKS * N);
    if (threadIdx.x == 0) {
        first_range = range_at(u.ranges, u.n_ranges, first);
        first_setting = setting_of(u, first_range);
    }
    __syncthreads();
    float factor = u.decision->grad_factor;
#pragma unroll
    for (int p = 0; p < UPDATE_PACKS; p++) {
        size_t i = first + (size_t)(p * THREADS + (int)threadIdx.x) * N;
        if (i >= u.end) continue;
        int r = first_range;
        while (r + 1 < u.n_ranges && u.ranges[r + 1].offset <= i) r++;
        struct setting s = r == first_range ? first_setting : setting_of(u, r);
        if (i >= u.begin && i + N <= u.end && u.ranges[r].offset <= i &&
            i + N <= u.ranges[r].offset + u.ranges[r].count) {
            pack<float, N> param = load<float, N>(u.params + i), grad = load<float, N>(u.grads + i);
            pack<float, N> slot[SLOTS > 0 ? SLOTS : 1];
#pragma unroll
            for (int j = 0; j < SLOTS; j++) slot[j] = load<float, N>(u.slot[j] + i);
#pragma unroll
            for (int k = 0; k < N; k++) {
                weight<SLOTS> w = {};
                w.param = param.at[k];
#pragma unroll
                for (int j = 0; j < SLOTS; j++) w.slot[j] = slot[j].at[k];
                rule(w, grad.at[k], factor, s);
                param.at[k] = w.param;
#pragma unroll
                for (int j = 0; j < SLOTS; j++) slot[j].at[k] = w.slot[j];
            }
            store<float, N>(u.params + i, param);
#pragma unroll
            for (int j = 0; j < Rule::CHANGES; j++) store<float, N>(u.slot[j] + i, slot[j]);
            continue;
        }
        for (size_t e = i; e < i + N; e++) { // a border runs through the pack
            while (r + 1 < u.n_ranges && u.ranges[r + 1].offset <= e) s = setting_of(u, ++r);
            if (e < u.begin || e >= u.end || e < u.ranges[r].offset ||
                e - u.ranges[r].offset >= u.ranges[r].count)
                continue;
            weight<SLOTS> w = {};
            w.param = u.params[e];
            for (int j = 0; j < SLOTS; j++) w.slot[j] = u.slot[j][e];
            rule(w, u.grads[e], factor, s);
            u.params[e] = w.param;
            for (int j = 0; j < Rule::CHANGES; j++) u.slot[j][e] = w.slot[j];
        }
    }
}

template <typename Rule>
static ls_status launch_update(const struct ls_update *u, Rule rule, cudaStream_t stream) {
    if (u->begin >= u->end || u->n_ranges == 0) return LS_OK;
    bool wide = is_wide(u->params) && is_wide(u->grads) && is_wide(u->slot[0]) && is_wide(u->slot[1]);
    int n = wide ? 4 : 1;
    auto *kernel = wide ? update_elements<4, Rule> : update_elements<1, Rule>;
    int64_t count = (int64_t)(u->end - u->begin / (size_t)n * (size_t)n);
    LS_LAUNCH(kernel, blocks_for(count, THREADS * UPDATE_PACKS * n), THREADS, stream, *u, rule);
    return ls_cuda_launched();
}

static lamb_rule lamb_rule_of(const struct ls_update *u) {
    return {(float)u->beta1,
            (float)(1 - u->beta1),
            (float)u->beta2,
            (float)(1 - u->beta2),
            (float)(1 / u->correction1),
            (float)sqrt(u->correction2),
            u->epsilon};
}

ls_status ls_cuda_update(const struct ls_update *u, cudaStream_t stream) {
    switch (u->kind) {
    case LS_SGD: break;
    case LS_ADAMW: {
        struct adamw_rule rule = {(float)u->beta1,       (float)(1 - u->beta1),       (float)u->beta2,
                                  (float)(1 - u->beta2), (float)sqrt(u->correction2), u->epsilon};
        return launch_update(u, rule, stream);
    }
    case LS_LARS: return launch_update(u, lars_rule{u->momentum}, stream);
    case LS_LAMB: return launch_update(u, lamb_rule_of(u), stream);
    }
    if (u->slot[0]) return launch_update(u, momentum_rule{u->momentum, u->nesterov}, stream);
    return launch_update(u, sgd_rule{}, stream);
}

// ---- the norms of LARS and LAMB, and their ratios

// A block of the table a block of threads.
template <bool IS_LAMB>
__global__ void __launch_bounds__(THREADS) update_norms(struct ls_update u, lamb_rule rule, size_t begin) {
    __shared__ double shared[THREADS];
    if (u.decision->skip) return;
    size_t b = begin + blockIdx.x;
    struct ls_update_block block = u.blocks[b];
    float factor = u.decision->grad_factor, decay = u.ranges[block.range].weight_decay;
    double weights = 0, others = 0;
#pragma unroll 4
    for (size_t i = threadIdx.x; i < block.count; i += THREADS) {
        size_t e = block.offset + i;
        float grad = u.grads[e], param = u.params[e], other = grad * factor;
        if (IS_LAMB) {
            weight<2> w = {param, {u.slot[0][e], u.slot[1][e]}};
            rule.move_moments(w, grad, factor);
            other = rule.direction(w, decay);
            u.slot[0][e] = w.slot[0];
            u.slot[1][e] = w.slot[1];
        }
        weights += (double)param * (double)param;
        others += (double)other * (double)other;
    }
    weights = add_over_block(weights, shared);
    __syncthreads();
    others = add_over_block(others, shared);
    if (threadIdx.x > 0) return;
    u.norms[b][0] = weights;
    u.norms[b][1] = others;
}

ls_status ls_cuda_update_norms(const struct ls_update *u, size_t begin, size_t end, cudaStream_t stream) {
    if (begin >= end) return LS_OK;
    auto *kernel = u->kind == LS_LAMB ? update_norms<true> : update_norms<false>;
    LS_LAUNCH(kernel, (unsigned)(end - begin), THREADS, stream, *u, lamb_rule_of(u), begin);
    return ls_cuda_launched();
}

// A range a block of threads.
static __global__ void __launch_bounds__(THREADS) update_ratios(struct ls_update u) {
    __shared__ double shared[THREADS];
    if (u.decision->skip) return;
    struct ls_update_range range = u.ranges[blockIdx.x];
    double weights = 0, others = 0;
    for (int i = (int)threadIdx.x; i < range.n_blocks; i += THREADS) {
        weights += u.norms[range.first_block + i][0];
        others += u.norms[range.first_block + i][1];
    }
    weights = sqrt(add_over_block(weights, shared));
    __syncthreads();
    others = sqrt(add_over_block(others, shared));
    if (threadIdx.x > 0) return;
    double ratio = weights / others;
    if (u.kind == LS_LARS)
        ratio = (double)u.trust * weights / (others + (double)range.weight_decay * weights);
    u.ratios[blockIdx.x] = weights == 0 || others == 0 || !(ratio <= (double)FLT_MAX) ? 1 : (float)ratio;
}

ls_status ls_cuda_update_ratios(const struct ls_update *u, cudaStream_t stream) {
    if (u->n_ranges == 0) return LS_OK;
    LS_LAUNCH(update_ratios, (unsigned)u->n_ranges, THREADS, stream, *u);
    return ls_cuda_launched();
}

// ---- running statistics: a block a state

static __global__ void __launch_bounds__(THREADS) update_states(struct ls_update_states u) {
    if (u.decision->skip) return;
    struct ls_update_state entry = u.table[blockIdx.x];
    float lanes = (float)u.lanes;
    for (size_t i = threadIdx.x; i < entry.count; i += THREADS) {
        float *state = u.states + entry.offset + i, mean = u.output[entry.output_offset + i] / lanes;
        *state = (1 - entry.momentum) * *state + entry.momentum * (entry.factor * mean);
    }
}

ls_status ls_cuda_update_states(const struct ls_update_states *u, cudaStream_t stream) {
    if (u->n_states == 0) return LS_OK;
    LS_LAUNCH(update_states, (unsigned)u->n_states, THREADS, stream, *u);
    return ls_cuda_launched();
}

// ---- moving averages

struct toward_value {
    const struct ls_decision *decision;
    float rest;
    __device__ float operator()(float average, float value) const {
        return decision->skip ? average : average + rest * (value - average);
    }
};

ls_status ls_cuda_average(const struct ls_average *work, cudaStream_t stream) {
    if (work->n == 0) return LS_OK;
    toward_value rule = {work->decision, work->rest};
    auto *map = is_wide(work->average) && is_wide(work->values) ? map_all<2, 4, float, float, toward_value>
                                                                : map_all<2, 1, float, float, toward_value>;
    map(rule, work->average, work->values, work->average, (int64_t)work->n, stream);
    return ls_cuda_launched();
}
