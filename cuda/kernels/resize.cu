// Images of another size. A thread makes a pack of channels of a pixel of its result; the gradient gathers
// from the places that saw the pixel, row by row, so that no two threads add to one number.
#include "cuda/kernels/resize.h"

#include "cuda/kernels/columns.cuh"
#include "ops/resample.h"

static __device__ __forceinline__ float weight(int64_t part, int64_t of) {
    return (float)part / (float)of;
}

template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 4)
    resize(struct columns c, struct ls_cuda_sizes q, const T *x, T *y) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    const struct ls_axis down = {q.height, q.out_height, q.bilinear},
                         across = {q.width, q.out_width, q.bilinear};
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
        struct pixel to = pixel_at(row, q.out_height, q.out_width);
        const struct ls_taps h = ls_taps_of(down, to.h), w = ls_taps_of(across, to.w);
        const T *image = x + to.image * q.height * q.width * c.channels + p.channel;
        const T *low = image + h.low * q.width * c.channels, *high = image + h.high * q.width * c.channels;
        pack<T, N> out = load<T, N>(low + w.low * c.channels);
        if (q.bilinear) {
            const float lower = weight(h.part, h.of), right = weight(w.part, w.of);
            const float upper = weight(h.of - h.part, h.of), left = weight(w.of - w.part, w.of);
            pack<T, N> beside = load<T, N>(low + w.high * c.channels);
            pack<T, N> below = load<T, N>(high + w.low * c.channels);
            pack<T, N> beyond = load<T, N>(high + w.high * c.channels);
#pragma unroll
            for (int k = 0; k < N; k++)
                out.at[k] = put<T>(upper * (left * get(out.at[k]) + right * get(beside.at[k])) +
                                   lower * (left * get(below.at[k]) + right * get(beyond.at[k])));
        }
        store<T, N>(y + row * c.channels + p.channel, out);
    }
}

template <typename T, int N>
__global__ void __launch_bounds__(THREADS, 4)
    resize_grad(struct columns c, struct ls_cuda_sizes q, const T *dy, T *dx) {
    struct place p = place_in(c, N);
    if (p.channel >= c.channels) return;
    const struct ls_axis down = {q.height, q.out_height, q.bilinear},
                         across = {q.width, q.out_width, q.bilinear};
    for (int64_t row = p.begin + p.row; row < p.end; row += p.deep) {
        struct pixel to = pixel_at(row, q.height, q.width);
        int64_t top, bottom, left, right;
        ls_places_of(down, to.h, &top, &bottom);
        ls_places_of(across, to.w, &left, &right);
        const T *image = dy + to.image * q.out_height * q.out_width * c.channels + p.channel;
        float sum[N] = {};
        for (int64_t oh = top; oh < bottom; oh++) {
            const struct ls_taps h = ls_taps_of(down, oh);
            const float up = weight(ls_share_of(&h, to.h), h.of);
            for (int64_t ow = left; ow < right; ow++) {
                const struct ls_taps w = ls_taps_of(across, ow);
                const float share = up * weight(ls_share_of(&w, to.w), w.of);
                pack<T, N> in = load<T, N>(image + (oh * q.out_width + ow) * c.channels);
#pragma unroll
                for (int k = 0; k < N; k++) sum[k] += share * get(in.at[k]);
            }
        }
        pack<T, N> out;
#pragma unroll
        for (int k = 0; k < N; k++) out.at[k] = put<T>(sum[k]);
        store<T, N>(dx + row * c.channels + p.channel, out);
    }
}

// ---- launches

static struct columns passing(ls_dtype type, int64_t rows, int64_t channels) {
    return columns_of(rows, channels, pack_width(type, channels), PASSING_BLOCKS);
}

ls_status ls_cuda_resize(const struct ls_cuda_sizes *of, const void *x, void *y, cudaStream_t stream) {
    const struct ls_cuda_sizes q = *of;
    struct columns c = passing(q.type, q.images * q.out_height * q.out_width, q.channels);
    return by_type_and_width(q.type, q.channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = resize<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, q, (const T *)x, (T *)y);
    });
}

ls_status ls_cuda_resize_grad(const struct ls_cuda_sizes *of, const void *dy, void *dx, cudaStream_t stream) {
    const struct ls_cuda_sizes q = *of;
    struct columns c = passing(q.type, q.images * q.height * q.width, q.channels);
    return by_type_and_width(q.type, q.channels, [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = resize_grad<T, decltype(width)::N>;
        LS_LAUNCH(kernel, blocks_of(c), THREADS, stream, c, q, (const T *)dy, (T *)dx);
    });
}
