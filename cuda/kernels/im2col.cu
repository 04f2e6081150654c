// A thread moves packs: of channels, where these are whole packs, of each place of one window or of one place
// of dx; else the same one of the rows of some windows, whose elements it finds one by one, once for all of
// them.
#include "cuda/kernels/im2col.h"

#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/number.cuh"

// The first place of a window, along one axis; outside [0, size) where it is padding.
static __device__ __forceinline__ int32_t first_place(int64_t window, int64_t stride, int64_t pad) {
    return (int32_t)(window * stride - pad);
}

struct window {
    int64_t sample;
    int32_t h, w; // its first place
};

static __device__ __forceinline__ struct window window_at(const struct ls_columns &s, int64_t row) {
    int64_t line = quotient(row, s.ow), sample = quotient(line, s.oh);
    return {sample, first_place(line - sample * s.oh, s.stride_h, s.pad_h),
            first_place(row - line * s.ow, s.stride_w, s.pad_w)};
}

// A place of a window, and the number of channels to it from the start of x; -1: it is padding.
struct tap {
    int32_t h, w;
};

static __device__ __forceinline__ int64_t find(const struct ls_columns &s, const struct window &window,
                                               const struct tap &tap) {
    int32_t h = window.h + tap.h * (int32_t)s.dilation_h, w = window.w + tap.w * (int32_t)s.dilation_w;
    bool inside = h >= 0 && h < (int32_t)s.h && w >= 0 && w < (int32_t)s.w;
    return inside ? ((window.sample * s.h + h) * s.w + w) * s.c : -1;
}

static __device__ __forceinline__ void go_on(const struct ls_columns &s, struct tap &tap) {
    if (++tap.w < (int32_t)s.kw) return;
    tap.w = 0;
    tap.h++;
}

enum { TAPS_AT_ONCE = 3 };

template <typename T, int N>
static __global__ void __launch_bounds__(THREADS)
    im2col_kernel(const T *x, T *matrix, struct ls_columns s, int64_t packs) {
    int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= packs) return;
    int64_t row = quotient(at, s.c / N), channel = (at - row * (s.c / N)) * N;
    int64_t each = s.c / s.groups, group = quotient(channel, each);
    T *to = matrix + (row * s.groups + group) * s.row + (channel - group * each);
    struct window window = window_at(s, row);
    struct tap tap = {};
    int32_t taps = (int32_t)(s.kh * s.kw);
    for (int32_t first = 0; first < taps; first += TAPS_AT_ONCE) {
        pack<T, N> values[TAPS_AT_ONCE] = {};
#pragma unroll
        for (int u = 0; u < TAPS_AT_ONCE; u++) {
            int64_t from = first + u < taps ? find(s, window, tap) : -1;
            if (from >= 0) values[u] = load<T, N>(x + from + channel);
            go_on(s, tap);
        }
#pragma unroll
        for (int u = 0; u < TAPS_AT_ONCE; u++)
            if (first + u < taps) store<T, N>(to + (first + u) * each, values[u]);
    }
}

enum { WINDOWS_AT_ONCE = 8 }; // of a line

// Where an element of a row lies in an image, as if its window began at the first place of a line.
struct spot {
    int32_t line, column; // numbers from the start of the image, -1: none; and from the start of that line
};

// The elements of a pack, `first` being the first; `top`: the line at which the window begins.
template <int N>
static __device__ __forceinline__ void find_spots(const struct ls_columns &s, int32_t group, int32_t first,
                                                  int32_t top, struct spot (&spots)[N]) {
    int32_t each = (int32_t)(s.c / s.groups), count = first / each, channel = first - count * each;
    int32_t taps = (int32_t)(s.kh * s.kw);
    struct tap tap = {count / (int32_t)s.kw, count % (int32_t)s.kw};
#pragma unroll
    for (int k = 0; k < N; k++) {
        int32_t h = top + tap.h * (int32_t)s.dilation_h;
        bool inside = count < taps && h >= 0 && h < (int32_t)s.h; // a row ends in zeros
        spots[k].line = inside ? h * (int32_t)(s.w * s.c) : -1;
        spots[k].column = tap.w * (int32_t)(s.dilation_w * s.c) + group * each + channel;
        if (++channel < each) continue;
        channel = 0;
        count++;
        go_on(s, tap);
    }
}

template <typename T, int N>
static __global__ void __launch_bounds__(THREADS)
    im2col_rows(const T *x, T *matrix, struct ls_columns s, int64_t packs) {
    int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= packs) return;
    int64_t each = s.row / N, of_a_window = s.groups * each;
    int64_t several = quotient(at, of_a_window), some = quotient(s.ow + WINDOWS_AT_ONCE - 1, WINDOWS_AT_ONCE);
    int64_t line = quotient(several, some), sample = quotient(line, s.oh);
    int32_t pack_at = (int32_t)(at - several * of_a_window), group = pack_at / (int32_t)each;
    int32_t window = (int32_t)(several - line * some) * WINDOWS_AT_ONCE, width = (int32_t)(s.w * s.c);
    struct spot spots[N];
    find_spots(s, group, (pack_at - group * (int32_t)each) * N,
               first_place(line - sample * s.oh, s.stride_h, s.pad_h), spots);
    const T *image = x + sample * s.h * width;
    T *to = matrix + ((line * s.ow + window) * of_a_window + pack_at) * N;
    int32_t start = first_place(window, s.stride_w, s.pad_w) * (int32_t)s.c;
    for (int i = 0; i < WINDOWS_AT_ONCE && window + i < s.ow; i++) {
        pack<T, N> values = {};
#pragma unroll
        for (int k = 0; k < N; k++) {
            int32_t column = start + spots[k].column;
            if (spots[k].line >= 0 && (uint32_t)column < (uint32_t)width)
                values.at[k] = image[spots[k].line + column];
        }
        store<T, N>(to, values);
        start += (int32_t)(s.stride_w * s.c);
        to += of_a_window * N;
    }
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

template <typename T, int N>
static void launch_im2col(const struct ls_columns *s, const void *x, void *matrix, cudaStream_t stream) {
    int64_t packs = s->n * s->oh * s->ow * (s->c / N);
    LS_LAUNCH((im2col_kernel<T, N>), blocks_for(packs, THREADS), THREADS, stream, (const T *)x, (T *)matrix,
              *s, packs);
}

template <typename T, int N>
static void launch_im2col_rows(const struct ls_columns *s, const void *x, void *matrix, cudaStream_t stream) {
    int64_t some = (s->ow + WINDOWS_AT_ONCE - 1) / WINDOWS_AT_ONCE;
    int64_t packs = s->n * s->oh * some * s->groups * (s->row / N);
    LS_LAUNCH((im2col_rows<T, N>), blocks_for(packs, THREADS), THREADS, stream, (const T *)x, (T *)matrix, *s,
              packs);
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
            launch_im2col_rows<T, wide<T>::N>(columns, x, matrix, stream);
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

// ---- rows of a small matrix

template <typename T>
static __global__ void copy_rows(const T *from, int64_t from_row, T *to, int64_t to_row, int64_t elements) {
    int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (at >= elements) return;
    int64_t row = quotient(at, to_row), column = at - row * to_row;
    to[at] = column < from_row ? from[row * from_row + column] : T();
}

ls_status ls_cuda_copy_rows(ls_dtype type, int64_t rows, const void *from, int64_t from_row, void *to,
                            int64_t to_row, cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        LS_LAUNCH(copy_rows<T>, blocks_for(rows * to_row, THREADS), THREADS, stream, (const T *)from,
                  from_row, (T *)to, to_row, rows * to_row);
    });
}
