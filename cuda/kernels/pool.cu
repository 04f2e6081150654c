// Pools. A thread makes a pack of channels of a pixel of its result; gradients gather from the windows that
// saw the pixel, in the order of the window's places, so that no two threads add to one number.
#include "cuda/kernels/pool.h"

#include "cuda/kernels/columns.cuh"

// The part of a window that lies inside x, along one axis.
struct span {
    int32_t begin, end;
};

static __device__ __forceinline__ struct span span_inside(int32_t window, int32_t stride, int32_t pad,
                                                          int32_t kernel, int32_t size) {
    int32_t begin = window * stride - pad, end = begin + kernel;
    return {begin > 0 ? begin : 0, end < size ? end : size};
}

// Along one axis, the windows that see a place: `window` sees it at the place `first` of the kernel, the one
// before at first + stride, and so on. They need not be there.
struct taps {
    int32_t window, first;
};

static __device__ __forceinline__ struct taps taps_of(int32_t place, int32_t stride, int32_t pad) {
    uint32_t at = (uint32_t)(place + pad), window = at / (uint32_t)stride;
    return {(int32_t)window, (int32_t)(at - window * (uint32_t)stride)};
}

// ---- max

template <typename T, typename Index, int N>
__global__ void __launch_bounds__(THREADS, 4)
    max_pool(struct columns c, struct ls_cuda_pool q, const T *x, T *y, Index *index) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
        struct pixel to = pixel_at(row, q.out_height, q.out_width);
        struct span h = span_inside(to.h, q.stride_h, q.pad_h, q.kernel_h, q.height);
        struct span w = span_inside(to.w, q.stride_w, q.pad_w, q.kernel_w, q.width);
        int32_t top = to.h * q.stride_h - q.pad_h, left = to.w * q.stride_w - q.pad_w;
        const T *image = x + to.image * q.height * q.width * c.channels + p.channel;
        float best[N] = {}; // a window has a pixel of x, which a compiler cannot know
        int32_t place[N] = {};
        bool first = true;
        for (int32_t i = h.begin; i < h.end; i++)
            for (int32_t j = w.begin; j < w.end; j++) {
                pack<T, N> in = load<T, N>(image + ((int64_t)i * q.width + j) * c.channels);
                int32_t here = (i - top) * q.kernel_w + (j - left);
#pragma unroll
                for (int k = 0; k < N; k++) {
                    float value = get(in.at[k]); // a greater value wins, or the first NaN
                    if (first || value > best[k] || (value != value && best[k] == best[k])) {
                        best[k] = value;
                        place[k] = here;
                    }
                }
                first = false;
            }
        pack<Index, N> places;
#pragma unroll
        for (int k = 0; k < N; k++) places.at[k] = (Index)place[k];
        store_rounded(y + row * c.channels + p.channel, best);
        store<Index, N>(index + row * c.channels + p.channel, places);
    }
}

template <typename T, typename Index, int N>
__global__ void __launch_bounds__(THREADS, 4)
    max_pool_grad(struct columns c, struct ls_cuda_pool q, const T *dy, const Index *index, T *dx) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
        struct pixel to = pixel_at(row, q.height, q.width);
        struct taps h = taps_of(to.h, q.stride_h, q.pad_h), w = taps_of(to.w, q.stride_w, q.pad_w);
        float sum[N] = {};
        for (int32_t kh = h.first, oh = h.window; kh < q.kernel_h && oh >= 0; kh += q.stride_h, oh--) {
            if (oh >= q.out_height) continue;
            for (int32_t kw = w.first, ow = w.window; kw < q.kernel_w && ow >= 0; kw += q.stride_w, ow--) {
                if (ow >= q.out_width) continue;
                int64_t from = ((to.image * q.out_height + oh) * q.out_width + ow) * c.channels + p.channel;
                pack<T, N> in = load<T, N>(dy + from);
                pack<Index, N> place = load<Index, N>(index + from);
                Index here = (Index)(kh * q.kernel_w + kw);
#pragma unroll
                for (int k = 0; k < N; k++) sum[k] += place.at[k] == here ? get(in.at[k]) : 0;
            }
        }
        store_rounded(dx + row * c.channels + p.channel, sum);
    }
}

// ---- average

static __device__ __forceinline__ float divisor_of(const struct ls_cuda_pool &q, struct span h,
                                                   struct span w) {
    return (float)(q.count_padding ? q.kernel_h * q.kernel_w : (h.end - h.begin) * (w.end - w.begin));
}

template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 4)
    avg_pool(struct columns c, struct ls_cuda_pool q, const T *x, T *y) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
        struct pixel to = pixel_at(row, q.out_height, q.out_width);
        struct span h = span_inside(to.h, q.stride_h, q.pad_h, q.kernel_h, q.height);
        struct span w = span_inside(to.w, q.stride_w, q.pad_w, q.kernel_w, q.width);
        const T *image = x + to.image * q.height * q.width * c.channels + p.channel;
        float sum[N] = {}, divisor = divisor_of(q, h, w);
        for (int32_t i = h.begin; i < h.end; i++)
            for (int32_t j = w.begin; j < w.end; j++) {
                pack<T, N> in = load<T, N>(image + ((int64_t)i * q.width + j) * c.channels);
#pragma unroll
                for (int k = 0; k < N; k++) sum[k] += get(in.at[k]);
            }
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] /= divisor;
        store_rounded(y + row * c.channels + p.channel, sum);
    }
}

template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 4)
    avg_pool_grad(struct columns c, struct ls_cuda_pool q, const T *dy, T *dx) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
        struct pixel to = pixel_at(row, q.height, q.width);
        struct taps h = taps_of(to.h, q.stride_h, q.pad_h), w = taps_of(to.w, q.stride_w, q.pad_w);
        float sum[N] = {};
        for (int32_t kh = h.first, oh = h.window; kh < q.kernel_h && oh >= 0; kh += q.stride_h, oh--) {
            if (oh >= q.out_height) continue;
            struct span rows = span_inside(oh, q.stride_h, q.pad_h, q.kernel_h, q.height);
            for (int32_t kw = w.first, ow = w.window; kw < q.kernel_w && ow >= 0; kw += q.stride_w, ow--) {
                if (ow >= q.out_width) continue;
                float share =
                    1 / divisor_of(q, rows, span_inside(ow, q.stride_w, q.pad_w, q.kernel_w, q.width));
                pack<T, N> in = load<T, N>(
                    dy + ((to.image * q.out_height + oh) * q.out_width + ow) * c.channels + p.channel);
#pragma unroll
                for (int k = 0; k < N; k++) sum[k] += get(in.at[k]) * share;
            }
        }
        store_rounded(dx + row * c.channels + p.channel, sum);
    }
}

// ---- launches

static struct columns passing(const struct ls_cuda_pool *q, int64_t height, int64_t width) {
    return columns_of(q->images * height * width, q->channels, pack_width(q->type, q->channels),
                      PASSING_BLOCKS);
}

ls_status ls_cuda_max_pool(const struct ls_cuda_pool *pool, const void *x, void *y, void *index,
                           cudaStream_t stream) {
    struct columns c = passing(pool, pool->out_height, pool->out_width);
    return by_type_and_width(pool->type, pool->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        constexpr int N = decltype(width)::N;
        if (pool->index == LS_U8) {
            auto *kernel = max_pool<T, uint8_t, N>;
            LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, *pool, (const T *)x, (T *)y,
                      (uint8_t *)index);
        } else {
            auto *kernel = max_pool<T, int32_t, N>;
            LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, *pool, (const T *)x, (T *)y,
                      (int32_t *)index);
        }
    });
}

ls_status ls_cuda_max_pool_grad(const struct ls_cuda_pool *pool, const void *dy, const void *index, void *dx,
                                cudaStream_t stream) {
    struct columns c = passing(pool, pool->height, pool->width);
    return by_type_and_width(pool->type, pool->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        constexpr int N = decltype(width)::N;
        if (pool->index == LS_U8) {
            auto *kernel = max_pool_grad<T, uint8_t, N>;
            LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, *pool, (const T *)dy, (const uint8_t *)index,
                      (T *)dx);
        } else {
            auto *kernel = max_pool_grad<T, int32_t, N>;
            LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, *pool, (const T *)dy, (const int32_t *)index,
                      (T *)dx);
        }
    });
}

ls_status ls_cuda_avg_pool(const struct ls_cuda_pool *pool, const void *x, void *y, cudaStream_t stream) {
    struct columns c = passing(pool, pool->out_height, pool->out_width);
    return by_type_and_width(pool->type, pool->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = avg_pool<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, *pool, (const T *)x, (T *)y);
    });
}

ls_status ls_cuda_avg_pool_grad(const struct ls_cuda_pool *pool, const void *dy, void *dx,
                                cudaStream_t stream) {
    struct columns c = passing(pool, pool->height, pool->width);
    return by_type_and_width(pool->type, pool->channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = avg_pool_grad<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, *pool, (const T *)dy, (T *)dx);
    });
}
