// A thread moves a pack of channels: of one place of one window, or of one place of dx.
#include "cuda/kernels/im2col.h"

#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/number.cuh"

// Where a place of a window lies in x, along one axis; not inside [0, size) where it is padding.
static __device__ __forceinline__ int64_t inside(int64_t out, int64_t tap, int64_t stride, int64_t pad,
                                                 int64_t dilation) {
    return out * stride - pad + tap * dilation;
}

template <typename T, int N>
static __global__ void im2col_kernel(const T *x, T *matrix, struct ls_columns s, int64_t packs) {
    int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= packs) return;
    int64_t each = s.c / s.groups / N;
    int64_t rest = quotient(at, each), channel = at - rest * each;
    int64_t window = quotient(rest, s.kh * s.kw), tap = rest - window * (s.kh * s.kw);
    int64_t row = quotient(window, s.groups), group = window - row * s.groups;
    int64_t line = quotient(row, s.ow), sample = quotient(line, s.oh), tap_h = quotient(tap, s.kw);
    int64_t h = inside(line - sample * s.oh, tap_h, s.stride_h, s.pad_h, s.dilation_h);
    int64_t w = inside(row - line * s.ow, tap - tap_h * s.kw, s.stride_w, s.pad_w, s.dilation_w);
    pack<T, N> values = {};
    if (h >= 0 && h < s.h && w >= 0 && w < s.w)
        values = load<T, N>(x + ((sample * s.h + h) * s.w + w) * s.c + group * (each * N) + channel * N);
    store<T, N>(matrix + at * N, values);
}

// The window whose place `tap` is at `place`, along one axis; -1: there is none.
static __device__ __forceinline__ int64_t window_of(int64_t place, int64_t tap, int64_t stride, int64_t pad,
                                                    int64_t dilation, int64_t windows) {
    int64_t start = place + pad - tap * dilation;
    if (start < 0) return -1;
    int64_t window = quotient(start, stride);
    return window * stride == start && window < windows ? window : -1;
}

template <typename T, int N>
static __global__ void col2im_kernel(const float *matrix, T *dx, struct ls_columns s, int64_t packs) {
    int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= packs) return;
    int64_t each = s.c / s.groups, channels = s.c / N;
    int64_t place = quotient(at, channels), channel = (at - place * channels) * N;
    int64_t line = quotient(place, s.w), w = place - line * s.w, sample = quotient(line, s.h),
            h = line - sample * s.h;
    int64_t group = quotient(channel, each);
    float sum[N] = {};
    for (int64_t tap_h = 0; tap_h < s.kh; tap_h++) {
        int64_t oh = window_of(h, tap_h, s.stride_h, s.pad_h, s.dilation_h, s.oh);
        for (int64_t tap_w = 0; tap_w < s.kw && oh >= 0; tap_w++) {
            int64_t ow = window_of(w, tap_w, s.stride_w, s.pad_w, s.dilation_w, s.ow);
            if (ow < 0) continue;
            int64_t row = (sample * s.oh + oh) * s.ow + ow;
            int64_t window = (row * s.groups + group) * s.kh * s.kw + tap_h * s.kw + tap_w;
            pack<float, N> values = load<float, N>(matrix + window * each + (channel - group * each));
            for (int i = 0; i < N; i++) sum[i] += values.at[i];
        }
    }
    pack<T, N> out;
    for (int i = 0; i < N; i++) out.at[i] = put<T>(sum[i]);
    store<T, N>(dx + at * N, out);
}

// Packs are of whole groups, and lie at multiples of their size in x and in the matrix.
template <typename T, int N>
static void launch_im2col(const struct ls_columns *s, const void *x, void *matrix, cudaStream_t stream) {
    int64_t packs = s->n * s->oh * s->ow * s->kh * s->kw * (s->c / N);
    LS_LAUNCH((im2col_kernel<T, N>), blocks_for(packs, THREADS), THREADS, stream, (const T *)x, (T *)matrix,
              *s, packs);
}

template <typename T, int N>
static void launch_col2im(const struct ls_columns *s, const float *matrix, void *dx, cudaStream_t stream) {
    int64_t packs = s->n * s->h * s->w * (s->c / N);
    LS_LAUNCH((col2im_kernel<T, N>), blocks_for(packs, THREADS), THREADS, stream, matrix, (T *)dx, *s, packs);
}

ls_status ls_cuda_im2col(ls_dtype type, const struct ls_columns *columns, const void *x, void *matrix,
                         cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        if (columns->c / columns->groups % wide<T>::N == 0)
            launch_im2col<T, wide<T>::N>(columns, x, matrix, stream);
        else
            launch_im2col<T, 1>(columns, x, matrix, stream);
    });
}

ls_status ls_cuda_col2im(ls_dtype type, const struct ls_columns *columns, const float *matrix, void *dx,
                         cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        if (columns->c / columns->groups % 4 == 0)
            launch_col2im<T, 4>(columns, matrix, dx, stream);
        else
            launch_col2im<T, 1>(columns, matrix, dx, stream);
    });
}
