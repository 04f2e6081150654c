// Batch normalization (Ioffe, Szegedy 2015). Statistics in two stages: a mean and a sum of squared distances
// from it for each part of the rows, then these of all parts in f64. Forward reads x twice and writes y;
// backward reads x and dy twice and writes dx. The second pass begins where the first ended. Products are
// added without rounding in between (fmaf) where the plain kernel rounds: no bits are promised here but the
// same ones for the same call.
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

enum { PAIR = 2 }; // rows at once, where a thread holds three tensors or more, or four numbers a channel
enum { STATISTICS_ROWS = 8 };

// Two blocks at a time are what the registers of a processor hold, and the largest GPUs have some 130: none
// of these waits for another to end.
enum { SUM_BLOCKS = 256 };

static struct columns summing(const struct ls_cuda_norm *of, int at_once) {
    return turns_of(of->rows, of->channels, pack_width(of->type, of->channels), SUM_BLOCKS, at_once);
}

static struct columns passing(const struct ls_cuda_norm *of) {
    return columns_of(of->rows, of->channels, pack_width(of->type, of->channels), PASSING_BLOCKS);
}

size_t ls_cuda_batchnorm_workspace(const struct ls_cuda_norm *of) {
    return (size_t)((2 * (int64_t)summing(of, PAIR).parts + 3) * of->channels) * sizeof(float);
}

// ---- statistics

// Mean and sum of squared distances from it, of `rows` numbers.
template <int N> struct moments { float rows, mean[N], square[N]; };

// Takes the moments of others into those of a channel (Chan, Golub, LeVeque 1979): no digits cancel.
// `before`: its rows until then; share: those of the others, of all.
static __device__ __forceinline__ void merge_channel(float &mean, float &square, float other_mean,
                                                     float other_square, float before, float share) {
    float apart = other_mean - mean;
    mean = fmaf(apart, share, mean);
    square = fmaf(apart * apart, before * share, square + other_square);
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

// ALL: STATISTICS_ROWS of them, a power of two, so that the product with its inverse is the quotient.
template <bool ALL, typename T, int N>
static __device__ __forceinline__ void take_rows(struct moments<N> &all,
                                                 const pack<T, N> (&x)[STATISTICS_ROWS], int rows) {
    float before = all.rows, share = (float)rows / (before + (float)rows);
#pragma unroll
    for (int k = 0; k < N; k++) {
        float mean = 0, square = 0;
#pragma unroll
        for (int u = 0; u < STATISTICS_ROWS; u++) mean += ALL || u < rows ? get(x[u].at[k]) : 0;
        mean = ALL ? mean * (1.0f / STATISTICS_ROWS) : mean / (float)rows;
#pragma unroll
        for (int u = 0; u < STATISTICS_ROWS; u++) {
            float apart = get(x[u].at[k]) - mean;
            square = ALL || u < rows ? fmaf(apart, apart, square) : square;
        }
        merge_channel(all.mean[k], all.square[k], mean, square, before, share);
    }
    all.rows = before + (float)rows;
}
static_assert((STATISTICS_ROWS & (STATISTICS_ROWS - 1)) == 0,
              "take_rows divides by STATISTICS_ROWS as by a power of two");

template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 2)
    statistics_of_parts(struct columns c, const T *x, float *mean, float *square) {
    __shared__ float means[N * THREADS], squares[N * THREADS], counts[THREADS];
    struct place p = place_in_turn(c, N);
    struct moments<N> all = {};
    if (p.channel < c.channels)
        for (int64_t row = p.begin + p.row; row < p.end; row += p.step) {
            pack<T, N> in[STATISTICS_ROWS] = {};
            read_rows(c, p, row, x, in);
            if (row + (STATISTICS_ROWS - 1) * p.deep < p.end)
                take_rows<true>(all, in, STATISTICS_ROWS);
            else
                take_rows<false>(all, in, (int)((p.end - row + p.deep - 1) / p.deep));
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

// Rows of the parts: whole steps, but for the last step of all, which is that of part `last`.
struct shares {
    int64_t turns, last, last_rows;
};

static __device__ __forceinline__ struct shares shares_of(const struct columns &c) {
    int64_t before = quotient(c.rows - 1, c.part_rows), turns = quotient(before, c.parts);
    return {turns, before - turns * c.parts, c.rows - before * c.part_rows};
}

static __device__ __forceinline__ double rows_of_part(const struct columns &c, const struct shares &s,
                                                      int part) {
    int64_t rows = (s.turns + (part < s.last)) * c.part_rows + (part == s.last ? s.last_rows : 0);
    return (double)rows;
}

static __device__ __forceinline__ float factor_of(float scale, float var, double epsilon) {
    return (float)((double)scale / sqrt((double)var + epsilon));
}

static __global__ void __launch_bounds__(PART_THREADS, 1)
    statistics_of_all(struct columns c, const float *mean_of, const float *square_of, const float *scale,
                      double epsilon, float *mean_out, float *var_out, float *factor) {
    __shared__ double shared[2 * PART_THREADS];
    int64_t channel = (int64_t)blockIdx.x * PART_CHANNELS + threadIdx.x % PART_CHANNELS;
    struct shares shares = shares_of(c);
    // Distances are taken from the mean of the first part: no digits cancel.
    double origin = channel < c.channels ? (double)mean_of[channel] : 0;
    struct two sum = sum_two_over_parts(
        c, channel, mean_of, square_of,
        shared, [&](int part, double part_mean, double part_square) -> struct two {
            double rows = rows_of_part(c, shares, part);
            double apart = part_mean - origin;
            return {apart * rows, part_square + apart * apart * rows};
        });
    double apart = sum.first / (double)c.rows, mean = origin + apart;
    double square = sum.second - apart * sum.first; // 0 at least, but for rounding
    float var = (float)((square > 0 || square != square ? square : 0) / (double)c.rows);
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

static __device__ __forceinline__ float normalized(float apart, float factor, float shift) {
    return fmaf(apart, factor, shift);
}

// `most` is NaN where there is no bound: nothing is above that.
static __device__ __forceinline__ float held(float value, float most) {
    return value <= 0 ? 0 : value > most ? most : value;
}

template <typename T, int N, bool RELU, bool ADDS>
__global__ void __launch_bounds__(THREADS)
    normalize(struct columns c, const T *x, const float *mean_of, const float *factor_of,
              const float *shift_of, const T *b, float most, T *y) {
    struct place p = place_from_end(c, N);
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
                float value = normalized(get(in[u].at[k]) - mean[k], factor[k], shift[k]);
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
    float y = normalized(apart, factor, shift);
    return RELU && (y <= 0 || y >= most) ? 0 : dy;
}

// For each part: Σ inflow and Σ inflow (x - mean).
template <typename T, int N, bool RELU>
__global__ void __launch_bounds__(THREADS, 2)
    inflow_of_parts(struct columns c, const T *x, const T *dy, const float *mean_of, const float *factor_of,
                    const float *shift_of, float most, float *sum_out, float *product_out) {
    __shared__ float shared[N * THREADS];
    struct place p = place_in_turn(c, N);
    float mean[N] = {}, factor[N] = {}, shift[N] = {}, sum[N] = {}, product[N] = {};
    if (p.channel < c.channels) {
        read_channels(mean_of, p.channel, mean);
        if (RELU) read_channels(factor_of, p.channel, factor);
        if (RELU) read_channels(shift_of, p.channel, shift);
        for (int64_t row = p.begin + p.row; row < p.end; row += p.step) {
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
                    few_products = fmaf(flow, apart, few_products);
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

// The same where a sum and a relu came after.
template <typename T, int N, bool MORE>
__global__ void __launch_bounds__(THREADS, 2)
    inflow_of_sum(struct columns c, const T *x, const T *y, const T *dy, const T *more, const float *mean_of,
                  T *db, float *sum_out, float *product_out) {
    __shared__ float shared[N * THREADS];
    struct place p = place_in_turn(c, N);
    float mean[N] = {}, sum[N] = {}, product[N] = {};
    if (p.channel < c.channels) {
        read_channels(mean_of, p.channel, mean);
        for (int64_t row = p.begin + p.row; row < p.end; row += p.step) {
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
                    product[k] = fmaf(get(out.at[k]), get(in_x[u].at[k]) - mean[k], product[k]);
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
    __shared__ double shared[2 * PART_THREADS];
    int64_t channel = (int64_t)blockIdx.x * PART_CHANNELS + threadIdx.x % PART_CHANNELS;
    struct two all = sum_two_over_parts(
        c, channel, sum_of, product_of, shared, [](int, double part_sum, double part_product) -> struct two {
            return {part_sum, part_product};
        });
    double sum = all.first, product = all.second;
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
    struct place p = place_from_end(c, N);
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
                out.at[k] = put<T>(factor[k] * fmaf(-apart, slope[k], flow - average[k]));
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
    struct columns c = summing(of, STATISTICS_ROWS);
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
    struct scratch s = scratch_in(workspace, summing(of, STATISTICS_ROWS));
    LS_TRY(launch_factors(of, scale, var, s.factor, stream));
    return launch_normalize(of, x, mean, s.factor, shift, nullptr, y, stream);
}

ls_status ls_cuda_batchnorm_eval_grad(const struct ls_cuda_norm *of, const void *dy, const float *scale,
                                      const float *var, void *dx, void *workspace, cudaStream_t stream) {
    struct scratch s = scratch_in(workspace, summing(of, STATISTICS_ROWS));
    LS_TRY(launch_factors(of, scale, var, s.factor, stream));
    struct columns c = passing(of);
    return by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = scale_columns<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)dy, s.factor, (T *)dx);
    });
}

static ls_status launch_inflow_of_all(const struct ls_cuda_norm *of, const struct columns &c,
                                      const struct scratch &s, const float *scale, const float *var,
                                      float *dscale, float *dshift, cudaStream_t stream) {
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
    struct columns c = summing(of, ROWS_AT_ONCE);
    struct scratch s = scratch_in(workspace, c);
    if (of->relu) LS_TRY(launch_factors(of, scale, var, s.factor, stream));
    LS_TRY(by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = of->relu ? inflow_of_parts<T, decltype(width)::N, true>
                                : inflow_of_parts<T, decltype(width)::N, false>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)x, (const T *)dy, mean, s.factor,
                  shift, of->most, s.first, s.second);
    }));
    LS_TRY(launch_inflow_of_all(of, c, s, scale, var, dscale, dshift, stream));
    return launch_to_input(of, s, x, dy, shift, mean, dx, stream);
}

ls_status ls_cuda_batchnorm_add_relu_grad(const struct ls_cuda_norm *of, const struct ls_cuda_norm_sum *sum,
                                          void *workspace, cudaStream_t stream) {
    struct columns c = summing(of, PAIR);
    struct scratch s = scratch_in(workspace, c);
    LS_TRY(by_type_and_width(of->type, of->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        constexpr int N = decltype(width)::N;
        auto *kernel = sum->more ? inflow_of_sum<T, N, true> : inflow_of_sum<T, N, false>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)sum->x, (const T *)sum->y,
                  (const T *)sum->dy, (const T *)sum->more, sum->mean, (T *)sum->db, s.first, s.second);
    }));
    LS_TRY(launch_inflow_of_all(of, c, s, sum->scale, sum->var, sum->dscale, sum->dshift, stream));
    return launch_to_input(of, s, sum->x, sum->db, nullptr, sum->mean, sum->dx, stream);
}
