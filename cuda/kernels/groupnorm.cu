// Layer and group normalization. A block has what is normalized together, reads it once for each of mean,
// variance and result, which a cache holds, and adds by one tree. Backward writes dx in the same way, then
// adds over rows, for each channel, what flows into scale and shift.
#include "cuda/kernels/groupnorm.h"

#include "cuda/kernels/columns.cuh"
#include "ops/groupnorm.h"

enum {
    GROUP_THREADS = 128,
    BEFORE_F64 = 32, // numbers that a thread adds in f32 before f64 takes over
};

// ---- a block's group

struct group {
    int64_t first, channel, size, count; // its first number, and its channel; side by side; in all
};

static __device__ __forceinline__ struct group group_of(const struct ls_groups &g) {
    int64_t size = g.channels / g.groups, sample = quotient(blockIdx.x, g.groups);
    int64_t channel = (blockIdx.x - sample * g.groups) * size;
    return {sample * g.pixels * g.channels + channel, channel, size, g.pixels * size};
}

// Where number i of the group lies, and of which channel it is.
struct spot {
    int64_t at, channel;
};

static __device__ __forceinline__ struct spot spot_of(const struct ls_groups &g, const struct group &of,
                                                      int64_t i) {
    int64_t pixel = g.pixels == 1 ? 0 : quotient(i, of.size), inside = i - pixel * of.size;
    return {of.first + pixel * g.channels + inside, of.channel + inside};
}

static __device__ __forceinline__ double over_group(double mine, double *shared) {
    shared[threadIdx.x] = mine;
    for (int half = GROUP_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    }
    __syncthreads();
    double sum = shared[0];
    __syncthreads();
    return sum;
}

// The sum of f(spot) over the group, for all threads.
template <typename F>
static __device__ __forceinline__ double sum_over_group(const struct ls_groups &g, const struct group &of,
                                                        double *shared, F f) {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < of.count;) {
        float few = 0;
        for (int k = 0; k < BEFORE_F64 && i < of.count; k++, i += GROUP_THREADS) few += f(spot_of(g, of, i));
        sum += (double)few;
    }
    return over_group(sum, shared);
}

struct statistics {
    float mean, factor; // 1 / sqrt(variance + epsilon)
};

template <typename T>
static __device__ __forceinline__ struct statistics
statistics_of(const struct ls_groups &g, const struct group &of, const T *x, double *shared) {
    double count = (double)of.count;
    float mean = (float)(sum_over_group(g, of, shared, [&](struct spot s) { return get(x[s.at]); }) / count);
    double square = sum_over_group(g, of, shared, [&](struct spot s) {
        float apart = get(x[s.at]) - mean;
        return apart * apart;
    });
    return {mean, (float)(1 / sqrt(square / count + g.epsilon))};
}

template <typename T>
__global__ void __launch_bounds__(GROUP_THREADS)
    normalize_groups(struct ls_groups g, const T *x, const float *scale, const float *shift, T *y) {
    __shared__ double shared[GROUP_THREADS];
    struct group of = group_of(g);
    struct statistics s = statistics_of(g, of, x, shared);
    for (int64_t i = threadIdx.x; i < of.count; i += GROUP_THREADS) {
        struct spot p = spot_of(g, of, i);
        y[p.at] = put<T>((get(x[p.at]) - s.mean) * s.factor * scale[p.channel] + shift[p.channel]);
    }
}

// ---- backward

// With xhat = (x - mean) factor and averages over the group, dx = factor * (scale dy - average(scale dy) -
// xhat average(scale dy xhat)).
template <typename T>
__global__ void __launch_bounds__(GROUP_THREADS)
    group_inflow_to_input(struct ls_groups g, const T *x, const T *dy, const float *scale, T *dx,
                          struct statistics *statistics) {
    __shared__ double shared[GROUP_THREADS];
    struct group of = group_of(g);
    struct statistics s = statistics_of(g, of, x, shared);
    double flow =
        sum_over_group(g, of, shared, [&](struct spot p) { return get(dy[p.at]) * scale[p.channel]; });
    double product = sum_over_group(g, of, shared, [&](struct spot p) {
        return get(dy[p.at]) * scale[p.channel] * (get(x[p.at]) - s.mean);
    });
    float average = (float)(flow / (double)of.count);
    float slope = (float)(product * (double)s.factor * (double)s.factor / (double)of.count);
    for (int64_t i = threadIdx.x; i < of.count; i += GROUP_THREADS) {
        struct spot p = spot_of(g, of, i);
        dx[p.at] =
            put<T>(s.factor * (get(dy[p.at]) * scale[p.channel] - average - (get(x[p.at]) - s.mean) * slope));
    }
    if (threadIdx.x == 0) statistics[blockIdx.x] = s;
}

// For each part of the rows: Σ dy xhat and Σ dy.
template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 2)
    group_inflow_of_parts(struct columns c, struct ls_groups g, const T *x, const T *dy,
                          const struct statistics *statistics, float *product_out, float *sum_out) {
    __shared__ float shared[N * THREADS];
    struct place p = place_in(c, N);
    float product[N] = {}, sum[N] = {};
    if (p.channel < c.channels) {
        int32_t group[N];
#pragma unroll
        for (int k = 0; k < N; k++) group[k] = (int32_t)quotient(p.channel + k, g.channels / g.groups);
        for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
            pack<T, N> in_x = load<T, N>(x + row * c.channels + p.channel);
            pack<T, N> in_dy = load<T, N>(dy + row * c.channels + p.channel);
            const struct statistics *s = statistics + quotient(row, g.pixels) * g.groups;
#pragma unroll
            for (int k = 0; k < N; k++) {
                float flow = get(in_dy.at[k]);
                product[k] += flow * ((get(in_x.at[k]) - s[group[k]].mean) * s[group[k]].factor);
                sum[k] += flow;
            }
        }
    }
    add_over_rows(p, product, shared);
    add_over_rows(p, sum, shared);
    if (p.row > 0 || p.channel >= c.channels) return;
    write_channels(product_out, p.part * c.channels + p.channel, product);
    write_channels(sum_out, p.part * c.channels + p.channel, sum);
}

static __global__ void __launch_bounds__(PART_THREADS)
    group_inflow_of_all(struct columns c, const float *product_of, const float *sum_of, float *dscale,
                        float *dshift) {
    __shared__ double shared[PART_THREADS];
    int64_t channel = (int64_t)blockIdx.x * PART_CHANNELS + threadIdx.x % PART_CHANNELS;
    double product = sum_of_parts(c, product_of, channel, shared),
           sum = sum_of_parts(c, sum_of, channel, shared);
    if (channel >= c.channels || threadIdx.x >= PART_CHANNELS) return;
    dscale[channel] = (float)product;
    dshift[channel] = (float)sum;
}

// ---- launches

static unsigned blocks_of(const struct ls_groups *g) {
    return (unsigned)(g->samples * g->groups);
}

static struct columns summing(ls_dtype type, const struct ls_groups *g) {
    return columns_of(g->samples * g->pixels, g->channels, pack_width(type, g->channels), SUMMING_BLOCKS);
}

ls_status ls_cuda_groupnorm(ls_dtype type, const struct ls_groups *groups, const void *x, const float *scale,
                            const float *shift, void *y, cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        auto *kernel = normalize_groups<T>;
        LS_LAUNCH(kernel, blocks_of(groups), GROUP_THREADS, stream, *groups, (const T *)x, scale, shift,
                  (T *)y);
    });
}

// The sums of the parts, then the statistics of the groups.
size_t ls_cuda_groupnorm_grad_workspace(ls_dtype type, const struct ls_groups *groups) {
    return (size_t)(2 * (int64_t)summing(type, groups).parts * groups->channels) * sizeof(float) +
           (size_t)(groups->samples * groups->groups) * sizeof(struct statistics);
}

ls_status ls_cuda_groupnorm_grad(ls_dtype type, const struct ls_groups *groups, const void *x, const void *dy,
                                 const float *scale, void *dx, float *dscale, float *dshift, void *workspace,
                                 cudaStream_t stream) {
    struct columns c = summing(type, groups);
    float *products = (float *)workspace, *sums = products + c.parts * c.channels;
    struct statistics *statistics = (struct statistics *)(sums + c.parts * c.channels);
    LS_TRY(by_type(type, [&](auto one) {
        typedef decltype(one) T;
        auto *kernel = group_inflow_to_input<T>;
        LS_LAUNCH(kernel, blocks_of(groups), GROUP_THREADS, stream, *groups, (const T *)x, (const T *)dy,
                  scale, (T *)dx, statistics);
    }));
    LS_TRY(by_type_and_width(type, groups->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = group_inflow_of_parts<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, *groups, (const T *)x, (const T *)dy, statistics,
                  products, sums);
    }));
    LS_LAUNCH(group_inflow_of_all, blocks_for(c.channels, PART_CHANNELS), PART_THREADS, stream, c, products,
              sums, dscale, dshift);
    return ls_cuda_launched();
}
