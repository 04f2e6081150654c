// Depthwise convolutions. A thread makes a pack of channels of a pixel of y or dx; of dw it adds a few places
// of the window over its part of the pixels of y. Weights are first laid [place][channel], so that a pack of
// them is one access.
#include "cuda/kernels/depthwise.h"

#include "cuda/kernels/columns.cuh"

struct depthwise {
    int64_t images;
    int32_t height, width, out_height, out_width, kernel_h, kernel_w;
    int32_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
};

template <typename T>
__global__ void __launch_bounds__(THREADS) lay_taps(const T *w, int64_t channels, int32_t taps, T *to) {
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= channels * taps) return;
    int64_t tap = quotient(i, channels);
    to[i] = w[(i - tap * channels) * taps + tap];
}

template <int N, typename T>
static __device__ __forceinline__ void multiply_add(float (&sum)[N], const pack<T, N> &a,
                                                    const pack<T, N> &b) {
#pragma unroll
    for (int k = 0; k < N; k++) sum[k] += get(a.at[k]) * get(b.at[k]);
}

// ---- y

template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 4)
    depthwise_forward(struct columns c, struct depthwise q, const T *x, const T *taps, const float *bias,
                      bool relu, T *y) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
        struct pixel to = pixel_at(row, q.out_height, q.out_width);
        int32_t top = to.h * q.stride_h - q.pad_h, left = to.w * q.stride_w - q.pad_w;
        const T *image = x + to.image * q.height * q.width * c.channels + p.channel;
        float sum[N] = {};
        for (int32_t kh = 0; kh < q.kernel_h; kh++) {
            int32_t h = top + kh * q.dilation_h;
            if (h < 0 || h >= q.height) continue;
            for (int32_t kw = 0; kw < q.kernel_w; kw++) {
                int32_t w = left + kw * q.dilation_w;
                if (w < 0 || w >= q.width) continue;
                multiply_add(sum, load<T, N>(image + ((int64_t)h * q.width + w) * c.channels),
                             load<T, N>(taps + ((int64_t)kh * q.kernel_w + kw) * c.channels + p.channel));
            }
        }
        float shift[N] = {};
        if (bias) read_channels(bias, p.channel, shift);
        pack<T, N> out;
#pragma unroll
        for (int k = 0; k < N; k++) {
            float value = sum[k] + shift[k];
            out.at[k] = put<T>(relu && value <= 0 ? 0 : value);
        }
        store<T, N>(y + row * c.channels + p.channel, out);
    }
}

// ---- dx: every pixel gathers from the outputs that saw it

// The window that has its place at `at`, in steps of `stride`; -1 where none has.
static __device__ __forceinline__ int32_t window_at(int32_t at, int32_t stride, int32_t windows) {
    return at < 0 || at % stride != 0 || at / stride >= windows ? -1 : at / stride;
}

template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 4)
    depthwise_to_input(struct columns c, struct depthwise q, const T *dy, const T *taps, T *dx) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
        struct pixel to = pixel_at(row, q.height, q.width);
        const T *image = dy + to.image * q.out_height * q.out_width * c.channels + p.channel;
        float sum[N] = {};
        for (int32_t kh = 0; kh < q.kernel_h; kh++) {
            int32_t oh = window_at(to.h + q.pad_h - kh * q.dilation_h, q.stride_h, q.out_height);
            if (oh < 0) continue;
            for (int32_t kw = 0; kw < q.kernel_w; kw++) {
                int32_t ow = window_at(to.w + q.pad_w - kw * q.dilation_w, q.stride_w, q.out_width);
                if (ow < 0) continue;
                multiply_add(sum, load<T, N>(image + ((int64_t)oh * q.out_width + ow) * c.channels),
                             load<T, N>(taps + ((int64_t)kh * q.kernel_w + kw) * c.channels + p.channel));
            }
        }
        pack<T, N> out;
#pragma unroll
        for (int k = 0; k < N; k++) out.at[k] = put<T>(sum[k]);
        store<T, N>(dx + row * c.channels + p.channel, out);
    }
}

// ---- dw, in two stages

enum { TAPS_AT_ONCE = 4 }; // places of the window that a block adds: dy is read once for them

// sums [taps][parts][channels]; the "groups" of `c` are places of the window, TAPS_AT_ONCE each.
template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 2)
    depthwise_weight_parts(struct columns c, struct depthwise q, const T *x, const T *dy, float *sums) {
    __shared__ float shared[N * THREADS];
    struct place p = place_in(c, N);
    int32_t first = p.group * TAPS_AT_ONCE, taps = q.kernel_h * q.kernel_w;
    float sum[TAPS_AT_ONCE][N] = {};
    if (p.channel < c.channels)
        for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
            struct pixel from = pixel_at(row, q.out_height, q.out_width);
            pack<T, N> flow = load<T, N>(dy + row * c.channels + p.channel), in[TAPS_AT_ONCE] = {};
            const T *image = x + from.image * q.height * q.width * c.channels + p.channel;
#pragma unroll
            for (int t = 0; t < TAPS_AT_ONCE; t++) {
                int32_t kh = (first + t) / q.kernel_w, kw = (first + t) % q.kernel_w;
                int32_t h = from.h * q.stride_h - q.pad_h + kh * q.dilation_h;
                int32_t w = from.w * q.stride_w - q.pad_w + kw * q.dilation_w;
                if (first + t < taps && h >= 0 && h < q.height && w >= 0 && w < q.width)
                    in[t] = load<T, N>(image + ((int64_t)h * q.width + w) * c.channels);
            }
#pragma unroll
            for (int t = 0; t < TAPS_AT_ONCE; t++) multiply_add(sum[t], in[t], flow);
        }
    for (int t = 0; t < TAPS_AT_ONCE; t++) {
        add_over_rows(p, sum[t], shared);
        if (first + t < taps && p.row == 0 && p.channel < c.channels)
            write_channels(sums, ((int64_t)(first + t) * c.parts + p.part) * c.channels + p.channel, sum[t]);
    }
}

// dw [channels][taps]
static __global__ void __launch_bounds__(PART_THREADS)
    depthwise_weight_all(struct columns c, int tiles, int32_t taps, const float *sums, float *dw) {
    __shared__ double shared[PART_THREADS];
    int64_t tap = blockIdx.x / (unsigned)tiles;
    int64_t channel = (int64_t)(blockIdx.x % (unsigned)tiles) * PART_CHANNELS + threadIdx.x % PART_CHANNELS;
    double sum = sum_of_parts(c, sums + tap * c.parts * c.channels, channel, shared);
    if (channel < c.channels && threadIdx.x < PART_CHANNELS) dw[channel * taps + tap] = (float)sum;
}

// ---- launches

static int32_t places(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    return (int32_t)((size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1);
}

static struct depthwise describe(const struct ls_lib_conv *conv) {
    return {conv->n,
            (int32_t)conv->h,
            (int32_t)conv->w,
            places(conv->h, conv->kh, conv->stride_h, conv->pad_h, conv->dilation_h),
            places(conv->w, conv->kw, conv->stride_w, conv->pad_w, conv->dilation_w),
            (int32_t)conv->kh,
            (int32_t)conv->kw,
            (int32_t)conv->stride_h,
            (int32_t)conv->stride_w,
            (int32_t)conv->pad_h,
            (int32_t)conv->pad_w,
            (int32_t)conv->dilation_h,
            (int32_t)conv->dilation_w};
}

static struct columns columns_for(const struct ls_lib_conv *conv, int64_t height, int64_t width,
                                  int64_t blocks) {
    return columns_of(conv->n * height * width, conv->c, pack_width(conv->type, conv->c), blocks);
}

static int64_t tap_groups(const struct ls_lib_conv *conv) {
    return (conv->kh * conv->kw + TAPS_AT_ONCE - 1) / TAPS_AT_ONCE;
}

// Of the first stage of dw.
static struct columns summing(const struct ls_lib_conv *conv, const struct depthwise &q) {
    int64_t blocks = SUMMING_BLOCKS / tap_groups(conv);
    return columns_for(conv, q.out_height, q.out_width, blocks > 1 ? blocks : 1);
}

size_t ls_cuda_depthwise_workspace(const struct ls_lib_conv *conv) {
    size_t weights = (size_t)(conv->kh * conv->kw * conv->c);
    if (conv->direction != LS_LIB_WEIGHT_GRAD) return weights * ls_dtype_bytes(conv->type);
    return weights * (size_t)summing(conv, describe(conv)).parts * sizeof(float);
}

static ls_status weight_grad(const struct ls_lib_conv *conv, const void *x, const void *dy, float *dw,
                             float *sums, cudaStream_t stream) {
    struct depthwise q = describe(conv);
    struct columns c = summing(conv, q);
    LS_TRY(by_type_and_width(conv->type, conv->c, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = depthwise_weight_parts<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c, tap_groups(conv)), THREADS, stream, c, q, (const T *)x, (const T *)dy,
                  sums);
    }));
    int taps = q.kernel_h * q.kernel_w, tiles = (int)blocks_for(conv->c, PART_CHANNELS);
    LS_LAUNCH(depthwise_weight_all, (unsigned)(taps * tiles), PART_THREADS, stream, c, tiles, taps, sums, dw);
    return ls_cuda_launched();
}

ls_status ls_cuda_depthwise(const struct ls_lib_conv *conv, const void *a, const void *b, const float *bias,
                            void *out, void *workspace, cudaStream_t stream) {
    if (conv->direction == LS_LIB_WEIGHT_GRAD)
        return weight_grad(conv, a, b, (float *)out, (float *)workspace, stream);
    struct depthwise q = describe(conv);
    int32_t taps = q.kernel_h * q.kernel_w;
    bool forward = conv->direction == LS_LIB_FORWARD, relu = conv->relu;
    struct columns c =
        columns_for(conv, forward ? q.out_height : q.height, forward ? q.out_width : q.width, PASSING_BLOCKS);
    return by_type_and_width(conv->type, conv->c, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *lay = lay_taps<T>;
        auto *to_y = depthwise_forward<T, decltype(width)::N>;
        auto *to_dx = depthwise_to_input<T, decltype(width)::N>;
        T *laid = (T *)workspace;
        LS_LAUNCH(lay, blocks_for(conv->c * taps, THREADS), THREADS, stream, (const T *)b, conv->c, taps,
                  laid);
        if (forward)
            LS_LAUNCH(to_y, blocks_of(c), THREADS, stream, c, q, (const T *)a, (const T *)laid, bias, relu,
                      (T *)out);
        else
            LS_LAUNCH(to_dx, blocks_of(c), THREADS, stream, c, q, (const T *)a, (const T *)laid, (T *)out);
    });
}
