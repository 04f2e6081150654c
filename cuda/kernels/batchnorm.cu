// Batch normalization (Ioffe, Szegedy 2015). Statistics in two stages: a mean and a sum of squared distances
// from it for each part of the rows, then these of all parts in f64. Forward reads x twice and writes y;
// backward reads x and dy twice and writes dx.
#include "cuda/kernels/batchnorm.h"

#include "cuda/kernels/columns.cuh"

// What lies in the workspace: two sums for each part, then what a pass over x needs of each channel.
struct scratch {
    float *first, *second;           // [parts][channels]
    float *factor, *average, *slope; // [channels]
};

static struct scratch scratch_in(void *workspace, const struct columns &c) {
    float *first = (float *)workspace, *second = first + c.parts * c.channels;
    float *factor = second + c.parts * c.channels;
    return {first, second, factor, factor + c.channels, factor + 2 * c.channels};
}

static struct columns summing(const struct ls_cuda_norm *of) {
    return columns_of(of->rows, of->channels, pack_width(of->type, of->channels), SUMMING_BLOCKS);
}

// Three at a time are what the registers of a processor hold, and the largest GPUs have some 130: none of
// these waits for another to end. They are no more parts than those of `summing`.
enum { STATISTICS_BLOCKS = 384 };

static struct columns taking(const struct ls_cuda_norm *of) {
    return columns_of(of->rows, of->channels, pack_width(of->type, of->channels), STATISTICS_BLOCKS);
}

static struct columns passing(const struct ls_cuda_norm *of) {
    return columns_of(of->rows, of->channels, pack_width(of->type, of->channels), PASSING_BLOCKS);
}

size_t ls_cuda_batchnorm_workspace(const struct ls_cuda_norm *of) {
    return (size_t)((2 * (int64_t)summing(of).parts + 3) * of->channels) * sizeof(float);
}

// ---- statistics

// Mean and sum of squared distances from it, of `rows` numbers.
template <int N> struct moments { float rows, mean[N], square[N]; };

// Takes the moments of others into those of a channel (Chan, Golub, LeVeque 1979): no digits cancel.
// `before`: its rows until then; share: those of the others, of all.
static __device__ __forceinline__ void merge_channel(float &mean, float &square, float other_mean,
                                                     float other_square, float before, float share) {
    float apart = other_mean - mean;
    mean += apart * share;
    square += other_square + apart * apart * before * share;
}

template <int N>
static __device__ __forceinline__ void merge(struct moments<N> &all, float rows, const float *mean,
                                             const float *square, int step) {
    float before = all.rows, share = rows / (before + rows);
#pragma unroll
    for (int k = 0; k < N; k++)
        merge_channel(all.mean[k], all.square[k], mean[k * step], square[k * step], before, share);
    all.rows = before + rows;
}

// ALL: ROWS_AT_ONCE of them, a power of two, so that the product with its inverse is the quotient.
template <bool ALL, typename T, int N>
static __device__ __forceinline__ void take_rows(struct moments<N> &all, const pack<T, N> (&x)[ROWS_AT_ONCE],
                                                 int rows) {
    float before = all.rows, share = (float)rows / (before + (float)rows);
#pragma unroll
    for (int k = 0; k < N; k++) {
        float mean = 0, square = 0;
#pragma unroll
        for (int u = 0; u < ROWS_AT_ONCE; u++) mean += ALL || u < rows ? get(x[u].at[k]) : 0;
        mean = ALL ? mean * (1.0f / ROWS_AT_ONCE) : mean / (float)rows;
#pragma unroll
        for (int u = 0; u < ROWS_AT_ONCE; u++) {
            float apart = get(x[u].at[k]) - mean;
            square += ALL || u < rows ? apart * apart : 0;
        }
        merge_channel(all.mean[k], all.square[k], mean, square, before, share);
    }
    all.rows = before + (float)rows;
}
static_assert((ROWS_AT_ONCE & (ROWS_AT_ONCE - 1)) == 0,
              "take_rows divides by ROWS_AT_ONCE as by a power of two");

template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 3)
    statistics_of_parts(struct columns c, const T *x, float *mean, float *square) {
    __shared__ float means[N * THREADS], squares[N * THREADS], counts[THREADS];
    struct place p = place_in(c, N);
    struct moments<N> all = {};
    if (p.channel < c.channels)
        for (int64_t row = p.begin + p.row; row < p.end; row += ROWS_AT_ONCE * p.deep) {
            pack<T, N> in[ROWS_AT_ONCE] = {};
            read_rows(c, p, row, x, in);
            int64_t left = (p.end - row + p.deep - 1) / p.deep;
            if (left >= ROWS_AT_ONCE)
                take_rows<true>(all, in, ROWS_AT_ONCE);
            else
                take_rows<false>(all, in, (int)left);
        }
    for (int k = 0; k < N; k++) {
        means[k * THREADS + (int)threadIdx.x] = all.mean[k];
        squares[k * THREADS + (int)threadIdx.x] = all.square[k];
    }
    counts[threadIdx.x] = all.rows;
    for (int half = p.deep / 2; half > 0; half /= 2) {
        __syncthreads();
        int other = (int)threadIdx.x + half * p.across;
        if (p.row >= half || counts[other] == 0) continue;
        merge(all, counts[other], means + other, squares + other, THREADS);
        for (int k = 0; k < N; k++) {
            means[k * THREADS + (int)threadIdx.x] = all.mean[k];
            squares[k * THREADS + (int)threadIdx.x] = all.square[k];
        }
        counts[threadIdx.x] = all.rows;
    }
    if (p.row > 0 || p.channel >= c.channels) return;
    write_channels(mean, p.part * c.channels + p.channel, all.mean);
    write_channels(square, p.part * c.channels + p.channel, all.square);
}

static __device__ __forceinline__ double rows_of_part(const struct columns &c, int part) {
    int64_t left = c.rows - part * c.part_rows;
    return (double)(left < c.part_rows ? left : c.part_rows);
}

static __device__ __forceinline__ float factor_of(float scale, float var, double epsilon) {
    return (float)((double)scale / sqrt((double)var + epsilon));
}

static __global__ void __launch_bounds__(PART_THREADS, 1)
    statistics_of_all(struct columns c, const float *mean_of, const float *square_of, const float *scale,
                      double epsilon, float *mean_out, float *var_out, float *factor) {
    __shared__ double shared[PART_THREADS];
    int64_t channel = (int64_t)blockIdx.x * PART_CHANNELS + threadIdx.x % PART_CHANNELS;
    double mean = sum_over_parts(c, channel, shared, [&](int part) {
        return (double)mean_of[part * c.channels + channel] * rows_of_part(c, part);
    });
    mean /= (double)c.rows;
    double square = sum_over_parts(c, channel, shared, [&](int part) {
        double apart = (double)mean_of[part * c.channels + channel] - mean;
        return (double)square_of[part * c.channels + channel] + apart * apart * rows_of_part(c, part);
    });
    float var = (float)(square / (double)c.rows);
    if (channel >= c.channels || threadIdx.x >= PART_CHANNELS) return;
    mean_out[channel] = (float)mean;
    var_out[channel] = var;
    factor[channel] = factor_of(scale[channel], var, epsilon);
}

static __global__ void __launch_bounds__(THREADS)
    factors_of(int64_t channels, const float *scale, const float *var, double epsilon, float *factor) {
    int64_t channel = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (channel < channels) factor[channel] = factor_of(scale[channel], var[channel], epsilon);
}

// ---- y = (x - mean) * factor + shift

// `most` is NaN where there is no bound: nothing is above that.
static __device__ __forceinline__ float held(float value, float most) {
    return value <= 0 ? 0 : value > most ? most : value;
}

template <typename T, int N, bool RELU, bool ADDS>
__global__ void __launch_bounds__(THREADS)
    normalize(struct columns c, const T *x, const float *mean_of, const float *factor_of,
              const float *shift_of, const T *b, float most, T *y) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    float mean[N], factor[N], shift[N];
    read_channels(mean_of, p.channel, mean);
    read_channels(factor_of, p.channel, factor);
    read_channels(shift_of, p.channel, shift);
    for (int64_t row = p.begin + p.row; row < p.end; row += ROWS_AT_ONCE * p.deep) {
        pack<T, N> in[ROWS_AT_ONCE] = {}, in_b[ROWS_AT_ONCE] = {};
        read_rows(c, p, row, x, in);
        if (ADDS) read_rows(c, p, row, b, in_b);
#pragma unroll
        for (int u = 0; u < ROWS_AT_ONCE; u++) {
            if (row + u * p.deep >= p.end) continue;
            pack<T, N> out;
#pragma unroll
            for (int k = 0; k < N; k++) {
                float value = (get(in[u].at[k]) - mean[k]) * factor[k] + shift[k];
                if (ADDS) value += get(in_b[u].at[k]);
                out.at[k] = put<T>(RELU ? held(value, most) : value);
            }
            store<T, N>(y + (row + u * p.deep) * c.channels + p.channel, out);
        }
    }
}

// ---- dx = dy * factor, where the statistics do not depend on x

template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    scale_columns(struct columns c, const T *dy, const float *factor_of, T *dx) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    float factor[N];
    read_channels(factor_of, p.channel, factor);
    for (int64_t row = p.begin + p.row; row < p.end; row += ROWS_AT_ONCE * p.deep) {
        pack<T, N> in[ROWS_AT_ONCE] = {};
        read_rows(c, p, row, dy, in);
#pragma unroll
        for (int u = 0; u < ROWS_AT_ONCE; u++) {
            if (row + u * p.deep >= p.end) continue;
            pack<T, N> out;
#pragma unroll
            for (int k = 0; k < N; k++) out.at[k] = put<T>(factor[k] * get(in[u].at[k]));
            store<T, N>(dx + (row + u * p.deep) * c.channels + p.channel, out);
        }
    }
}

// ---- backward

// What flows into the normalization: dy where what came after let y through, which is computed again.
template <bool RELU>
static __device__ __forceinline__ float inflow(float dy, float apart, float factor, float shift, float most) {
    float y = apart * factor + shift;
    return RELU && (y <= 0 || y >= most) ? 0 : dy;
}

// For each part: Σ inflow and Σ inflow (x - mean).
template <typename T, int N, bool RELU>
__global__ void __launch_bounds__(THREADS, 2)
    inflow_of_parts(struct columns c, const T *x, const T *dy, const float *mean_of, const float *factor_of,
                    const float *shift_of, float most, float *sum_out, float *product_out) {
    __shared__ float shared[N * THREADS];
    struct place p = place_in(c, N);
    float mean[N] = {}, factor[N] = {}, shift[N] = {}, sum[N] = {}, product[N] = {};
    if (p.channel < c.channels) {
        read_channels(mean_of, p.channel, mean);
        if (RELU) read_channels(factor_of, p.channel, factor);
        if (RELU) read_channels(shift_of, p.channel, shift);
        for (int64_t row = p.begin + p.row; row < p.end; row += ROWS_AT_ONCE * p.deep) {
            pack<T, N> in_x[ROWS_AT_ONCE] = {}, in_dy[ROWS_AT_ONCE] = {};
            read_rows(c, p, row, x, in_x);
            read_rows(c, p, row, dy, in_dy);
#pragma unroll
            for (int k = 0; k < N; k++) {
                float few = 0, few_products = 0; // rows that are not there hold dy = 0
#pragma unroll
                for (int u = 0; u < ROWS_AT_ONCE; u++) {
                    float apart = get(in_x[u].at[k]) - mean[k];
                    float flow = inflow<RELU>(get(in_dy[u].at[k]), apart, factor[k], shift[k], most);
                    few += flow;
                    few_products += flow * apart;
                }
                sum[k] += few;
                product[k] += few_products;
            }
        }
    }
    add_over_rows(p, sum, shared);
    add_over_rows(p, product, shared);
    if (p.row > 0 || p.channel >= c.channels) return;
    write_channels(sum_out, p.part * c.channels + p.channel, sum);
    write_channels(product_out, p.part * c.channels + p.channel, product);
}

enum { PAIR = 2 }; // rows at once, where a thread holds three tensors or more, and four numbers a channel

// The same where a sum and a relu came after.
template <typename T, int N, bool MORE>
__global__ void __launch_bounds__(THREADS, 2)
    inflow_of_sum(struct columns c, const T *x, const T *y, const T *dy, const T *more, const float *mean_of,
                  T *db, float *sum_out, float *product_out) {
    __shared__ float shared[N * THREADS];
    struct place p = place_in(c, N);
    float mean[N] = {}, sum[N] = {}, product[N] = {};
    if (p.channel < c.channels) {
        read_channels(mean_of, p.channel, mean);
        for (int64_t row = p.begin + p.row; row < p.end; row += PAIR * p.deep) {
            pack<T, N> in_x[PAIR] = {}, in_y[PAIR] = {}, in_dy[PAIR] = {}, in_more[PAIR] = {};
            read_rows(c, p, row, x, in_x);
            read_rows(c, p, row, y, in_y);
            read_rows(c, p, row, dy, in_dy);
            if (MORE) read_rows(c, p, row, more, in_more);
#pragma unroll
            for (int u = 0; u < PAIR; u++) {
                if (row + u * p.deep >= p.end) continue;
                pack<T, N> out;
#pragma unroll
                for (int k = 0; k < N; k++) {
                    float flow = get(in_dy[u].at[k]);
                    if (MORE) flow += get(in_more[u].at[k]);
                    out.at[k] = put<T>(get(in_y[u].at[k]) <= 0 ? 0 : flow);
                    sum[k] += get(out.at[k]);
                    product[k] += get(out.at[k]) * (get(in_x[u].at[k]) - mean[k]);
                }
                store<T, N>(db + (row + u * p.deep) * c.channels + p.channel, out);
            }
        }
    }
    add_over_rows(p, sum, shared);
    add_over_rows(p, product, shared);
    if (p.row > 0 || p.channel >= c.channels) return;
    write_channels(sum_out, p.part * c.channels + p.channel, sum);
    write_channels(product_out, p.part * c.channels + p.channel, product);
}

static __global__ void __launch_bounds__(PART_THREADS, 1)
    inflow_of_all(struct columns c, const float *sum_of, const float *product_of, const float *scale,
                  const float *var, double epsilon, float *dscale, float *dshift, float *factor,
                  float *average, float *slope) {
    __shared__ double shared[PART_THREADS];
    int64_t channel = (int64_t)blockIdx.x * PART_CHANNELS + threadIdx.x % PART_CHANNELS;
    double sum = sum_of_parts(c, sum_of, channel, shared),
           product = sum_of_parts(c, product_of, channel, shared);
    if (channel >= c.channels || threadIdx.x >= PART_CHANNELS) return;
    double variance = (double)var[channel] + epsilon;
    dscale[channel] = (float)(product / sqrt(variance));
    dshift[channel] = (float)sum;
    average[channel] = (float)(sum / (double)c.rows);
    slope[channel] = (float)(product / variance / (double)c.rows);
    factor[channel] = factor_of(scale[channel], var[channel], epsilon);
}

// With xhat = (x - mean) / deviation and averages over the rows,
// dx = scale / deviation * (inflow - average(inflow) - xhat * average(inflow xhat)).
template <typename T, int N, bool RELU>
__global__ void __launch_bounds__(THREADS, 2)
    inflow_to_input(struct columns c, const T *x, const T *dy, const float *mean_of, const float *factor_of,
                    const float *shift_of, const float *average_of, const float *slope_of, float most,
                    T *dx) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    float mean[N], factor[N], shift[N] = {}, average[N], slope[N];
    read_channels(mean_of, p.channel, mean);
    read_channels(factor_of, p.channel, factor);
    if (RELU) read_channels(shift_of, p.channel, shift);
    read_channels(average_of, p.channel, average);
    read_channels(slope_of, p.channel, slope);
    for (int64_t row = p.begin + p.row; row < p.end; row += PAIR * p.deep) {
        pack<T, N> in_x[PAIR] = {}, in_dy[PAIR] = {};
        read_rows(c, p, row, x, in_x);
        read_rows(c, p, row, dy, in_dy);
#pragma unroll
        for (int u = 0; u < PAIR; u++) {
            if (row + u * p.deep >= p.end) continue;
            pack<T, N> out;
#pragma unroll
            for (int k = 0; k < N; k++) {
                float apart = get(in_x[u].at[k]) - mean[k];
                float flow = inflow<RELU>(get(in_dy[u].at[k]), apart, factor[k], shift[k], most);
                out.at[k] = put<T>(factor[k] * (flow - average[k] - apart * slope[k]));
            }
            store<T, N>(dx + (row + u * p.deep) * c.channels + p.channel, out);
        }
    }
}

// ---- launches

static ls_status launch_normalize(const struct ls_cuda_norm *of, const void *x, const float *mean,
                                  const float *factor, const float *shift, const void *b, void *y,
                                  cudaStream_t stream) {
    struct columns c = passing(of);
    return by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        constexpr int N = decltype(width)::N;
        if (b) { // a relu follows every sum
            auto *kernel = normalize<T, N, true, true>;
            LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)x, mean, factor, shift,
                      (const T *)b, of->most, (T *)y);
            return;
        }
        auto *kernel = of->relu ? normalize<T, N, true, false> : normalize<T, N, false, false>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)x, mean, factor, shift,
                  (const T *)nullptr, of->most, (T *)y);
    });
}

ls_status ls_cuda_batchnorm(const struct ls_cuda_norm *of, const void *x, const float *scale,
                            const float *shift, const void *b, void *y, float *mean, float *var,
                            void *workspace, cudaStream_t stream) {
    struct columns c = taking(of);
    struct scratch s = scratch_in(workspace, c);
    LS_TRY(by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = statistics_of_parts<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)x, s.first, s.second);
    }));
    LS_LAUNCH(statistics_of_all, blocks_for(c.channels, PART_CHANNELS), PART_THREADS, stream, c, s.first,
              s.second, scale, of->epsilon, mean, var, s.factor);
    LS_TRY(ls_cuda_launched());
    return launch_normalize(of, x, mean, s.factor, shift, b, y, stream);
}

static ls_status launch_factors(const struct ls_cuda_norm *of, const float *scale, const float *var,
                                float *factor, cudaStream_t stream) {
    LS_LAUNCH(factors_of, blocks_for(of->channels, THREADS), THREADS, stream, of->channels, scale, var,
              of->epsilon, factor);
    return ls_cuda_launched();
}

ls_status ls_cuda_batchnorm_eval(const struct ls_cuda_norm *of, const void *x, const float *scale,
                                 const float *shift, const float *mean, const float *var, void *y,
                                 void *workspace, cudaStream_t stream) {
    struct scratch s = scratch_in(workspace, summing(of));
    LS_TRY(launch_factors(of, scale, var, s.factor, stream));
    return launch_normalize(of, x, mean, s.factor, shift, nullptr, y, stream);
}

ls_status ls_cuda_batchnorm_eval_grad(const struct ls_cuda_norm *of, const void *dy, const float *scale,
                                      const float *var, void *dx, void *workspace, cudaStream_t stream) {
    struct scratch s = scratch_in(workspace, summing(of));
    LS_TRY(launch_factors(of, scale, var, s.factor, stream));
    struct columns c = passing(of);
    return by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = scale_columns<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)dy, s.factor, (T *)dx);
    });
}

static ls_status launch_inflow_of_all(const struct ls_cuda_norm *of, const struct scratch &s,
                                      const float *scale, const float *var, float *dscale, float *dshift,
                                      cudaStream_t stream) {
    struct columns c = summing(of);
    LS_LAUNCH(inflow_of_all, blocks_for(c.channels, PART_CHANNELS), PART_THREADS, stream, c, s.first,
              s.second, scale, var, of->epsilon, dscale, dshift, s.factor, s.average, s.slope);
    return ls_cuda_launched();
}

static ls_status launch_to_input(const struct ls_cuda_norm *of, const struct scratch &s, const void *x,
                                 const void *dy, const float *shift, const float *mean, void *dx,
                                 cudaStream_t stream) {
    struct columns c = passing(of);
    return by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = of->relu ? inflow_to_input<T, decltype(width)::N, true>
                                : inflow_to_input<T, decltype(width)::N, false>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)x, (const T *)dy, mean, s.factor,
                  shift, s.average, s.slope, of->most, (T *)dx);
    });
}

ls_status ls_cuda_batchnorm_grad(const struct ls_cuda_norm *of, const void *x, const void *dy,
                                 const float *scale, const float *shift, const float *mean, const float *var,
                                 void *dx, float *dscale, float *dshift, void *workspace,
                                 cudaStream_t stream) {
    struct columns c = summing(of);
    struct scratch s = scratch_in(workspace, c);
    if (of->relu) LS_TRY(launch_factors(of, scale, var, s.factor, stream));
    LS_TRY(by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = of->relu ? inflow_of_parts<T, decltype(width)::N, true>
                                : inflow_of_parts<T, decltype(width)::N, false>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)x, (const T *)dy, mean, s.factor,
                  shift, of->most, s.first, s.second);
    }));
    LS_TRY(launch_inflow_of_all(of, s, scale, var, dscale, dshift, stream));
    return launch_to_input(of, s, x, dy, shift, mean, dx, stream);
}

ls_status ls_cuda_batchnorm_add_relu_grad(const struct ls_cuda_norm *of, const struct ls_cuda_norm_sum *sum,
                                          void *workspace, cudaStream_t stream) {
    struct columns c = summing(of);
    struct scratch s = scratch_in(workspace, c);
    LS_TRY(by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        constexpr int N = decltype(width)::N;
        auto *kernel = sum->more ? inflow_of_sum<T, N, true> : inflow_of_sum<T, N, false>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)sum->x, (const T *)sum->y,
                  (const T *)sum->dy, (const T *)sum->more, sum->mean, (T *)sum->db, s.first, s.second);
    }));
    LS_TRY(launch_inflow_of_all(of, s, sum->scale, sum->var, sum->dscale, sum->dshift, stream));
    return launch_to_input(of, s, sum->x, sum->db, nullptr, sum->mean, sum->dx, stream);
}
