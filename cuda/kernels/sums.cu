// Sums over rows in two stages: of the parts of the rows in f32, then of all parts in f64.
#include "cuda/kernels/sums.h"

#include "cuda/kernels/columns.cuh"

static struct columns summing(ls_dtype type, int64_t groups, int64_t rows, int64_t channels) {
    int64_t blocks = SUMMING_BLOCKS / groups;
    return columns_of(rows, channels, pack_width(type, channels), blocks > 1 ? blocks : 1);
}

size_t ls_cuda_sums_workspace(ls_dtype type, int64_t groups, int64_t rows, int64_t channels) {
    return (size_t)(groups * summing(type, groups, rows, channels).parts * channels) * sizeof(float);
}

// sums [groups][parts][channels]
template <typename T, int N>
__global__ void __launch_bounds__(THREADS) sums_of_parts(struct columns c, const T *x, float *sums) {
    __shared__ float shared[N * THREADS];
    struct place p = place_in(c, N);
    float sum[N] = {};
    if (p.channel < c.channels)
        for (int64_t row = p.begin + p.row; row < p.end; row += ROWS_AT_ONCE * p.deep) {
            pack<T, N> in[ROWS_AT_ONCE] = {};
            read_rows(c, p, row, x + p.group * c.rows * c.channels, in);
#pragma unroll
            for (int k = 0; k < N; k++)
                sum[k] += (get(in[0].at[k]) + get(in[1].at[k])) + (get(in[2].at[k]) + get(in[3].at[k]));
        }
    add_over_rows(p, sum, shared);
    if (p.row > 0 || p.channel >= c.channels) return;
    write_channels(sums, ((int64_t)p.group * c.parts + p.part) * c.channels + p.channel, sum);
}
static_assert(ROWS_AT_ONCE == 4, "sums_of_parts adds four rows at once");

// out [groups][channels] = sum / divisor
template <typename T>
__global__ void __launch_bounds__(PART_THREADS)
    sums_of_all(struct columns c, int tiles, const float *sums, double divisor, T *out) {
    __shared__ double shared[PART_THREADS];
    int64_t group = blockIdx.x / (unsigned)tiles;
    int64_t channel = (int64_t)(blockIdx.x % (unsigned)tiles) * PART_CHANNELS + threadIdx.x % PART_CHANNELS;
    double sum = sum_of_parts(c, sums + group * c.parts * c.channels, channel, shared);
    if (channel < c.channels && threadIdx.x < PART_CHANNELS)
        out[group * c.channels + channel] = put<T>((float)(sum / divisor));
}

template <typename Out>
static ls_status sums(ls_dtype type, const void *x, Out *out, int64_t groups, int64_t rows, int64_t channels,
                      double divisor, void *workspace, cudaStream_t stream) {
    struct columns c = summing(type, groups, rows, channels);
    LS_TRY(by_type_and_width(type, channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = sums_of_parts<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c, groups), THREADS, stream, c, (const T *)x, (float *)workspace);
    }));
    int tiles = (int)blocks_for(channels, PART_CHANNELS);
    auto *kernel = sums_of_all<Out>;
    LS_LAUNCH(kernel, (unsigned)(groups * tiles), PART_THREADS, stream, c, tiles, (const float *)workspace,
              divisor, out);
    return ls_cuda_launched();
}

template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    add_to_rows(struct columns c, const T *x, const float *bias_of, T *y) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    float bias[N];
    read_channels(bias_of, p.channel, bias);
    for (int64_t row = p.begin + p.row; row < p.end; row += ROWS_AT_ONCE * p.deep) {
        pack<T, N> in[ROWS_AT_ONCE] = {};
        read_rows(c, p, row, x, in);
#pragma unroll
        for (int u = 0; u < ROWS_AT_ONCE; u++) {
            if (row + u * p.deep >= p.end) continue;
            pack<T, N> out;
#pragma unroll
            for (int k = 0; k < N; k++) out.at[k] = put<T>(get(in[u].at[k]) + bias[k]);
            store<T, N>(y + (row + u * p.deep) * c.channels + p.channel, out);
        }
    }
}

ls_status ls_cuda_bias(ls_dtype type, const void *x, const float *bias, void *y, int64_t rows,
                       int64_t channels, cudaStream_t stream) {
    struct columns c = columns_of(rows, channels, pack_width(type, channels), PASSING_BLOCKS);
    return by_type_and_width(type, channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = add_to_rows<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, (const T *)x, bias, (T *)y);
    });
}

ls_status ls_cuda_bias_grad(ls_dtype type, const void *dy, float *grad, int64_t rows, int64_t channels,
                            void *workspace, cudaStream_t stream) {
    return sums(type, dy, grad, 1, rows, channels, 1, workspace, stream);
}

ls_status ls_cuda_global_avg_pool(ls_dtype type, const void *x, void *y, int64_t images, int64_t pixels,
                                  int64_t channels, void *workspace, cudaStream_t stream) {
    ls_status status = LS_OK;
    LS_TRY(by_type(type, [&](auto one) {
        status =
            sums(type, x, (decltype(one) *)y, images, pixels, channels, (double)pixels, workspace, stream);
    }));
    return status;
}

// dx = dy / pixels, the same in every pixel.
template <typename T, int N>
__global__ void __launch_bounds__(THREADS) spread_over_rows(struct columns c, const T *dy, T *dx) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    pack<T, N> value = load<T, N>(dy + p.group * c.channels + p.channel);
    float divisor = (float)c.rows;
#pragma unroll
    for (int k = 0; k < N; k++) value.at[k] = put<T>(get(value.at[k]) / divisor);
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep)
        store<T, N>(dx + (p.group * c.rows + row) * c.channels + p.channel, value);
}

ls_status ls_cuda_global_avg_pool_grad(ls_dtype type, const void *dy, void *dx, int64_t images,
                                       int64_t pixels, int64_t channels, cudaStream_t stream) {
    int64_t blocks = PASSING_BLOCKS / images;
    struct columns c = columns_of(pixels, channels, pack_width(type, channels), blocks > 1 ? blocks : 1);
    return by_type_and_width(type, channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = spread_over_rows<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c, images), THREADS, stream, c, (const T *)dy, (T *)dx);
    });
}
