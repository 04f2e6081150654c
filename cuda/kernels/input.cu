// The input op, with the arithmetic of ops/augment_pixel.h: a thread a pixel where there are three channels,
// whose colours mix, else a thread an element.
#include "cuda/kernels/input.h"

#include "cuda/kernels/launch.cuh"
#include "ops/augment_pixel.h"

#include <math.h>

struct samples {
    struct ls_raw raw;
    int64_t n, bytes; // how many, and bytes of one
    const char *from;
    const struct ls_augment *augment; // NULL: all 0
    const float *shift;
};

// ---- what a sample's colours need: its mean grey, times its contrast

static __device__ __forceinline__ float mean_grey(const struct ls_raw &raw, const void *sample) {
    __shared__ uint64_t integers[THREADS];
    __shared__ double numbers[THREADS];
    int64_t pixels = (int64_t)raw.height * raw.width;
    uint64_t integer = 0;
    double number = 0;
    for (int64_t p = threadIdx.x; p < pixels; p += THREADS) {
        int64_t h = quotient(p, raw.width), at = h * raw.row_step + (p - h * raw.width) * raw.pixel_step;
        if (raw.bytes)
            integer += ls_grey_of_bytes(&raw, (const uint8_t *)sample + at);
        else
            number += (double)ls_grey_of_floats(&raw, (const float *)sample + at);
    }
    integers[threadIdx.x] = integer;
    numbers[threadIdx.x] = number;
    for (int distance = THREADS / 2; distance > 0; distance /= 2) {
        __syncthreads();
        if ((int)threadIdx.x >= distance) continue;
        integers[threadIdx.x] += integers[threadIdx.x + distance];
        numbers[threadIdx.x] += numbers[threadIdx.x + distance];
    }
    return raw.bytes ? ls_grey_mean_of_bytes(&raw, integers[0]) : ls_grey_mean_of_floats(&raw, numbers[0]);
}
static_assert((int)THREADS == (int)LS_GREY_PARTS, "a thread makes each part of the sum");

static __global__ void __launch_bounds__(THREADS, 3) color_shifts(struct samples of, float *shift) {
    const struct ls_augment *augment = &of.augment[blockIdx.x];
    float mean = ls_needs_grey(augment) ? mean_grey(of.raw, of.from + blockIdx.x * of.bytes) : 0;
    if (threadIdx.x == 0) shift[blockIdx.x] = ls_color_shift(augment, mean);
}

// ---- pixels

static __device__ __forceinline__ bool is_mixed(const struct ls_augment *augment) {
    return (augment->flags & (LS_AUGMENT_MIXUP | LS_AUGMENT_CUTMIX)) != 0;
}

// Pixel (h, w) of a sample into x [raw.channels]. `first`: bytes from a sample's start to its first channel.
static __device__ __forceinline__ void put_pixel(const struct samples &of, const struct ls_raw &raw,
                                                 int64_t first, const float *a, const float *b,
                                                 int64_t sample, int32_t h, int32_t w, float *x) {
    static const struct ls_augment nothing = {};
    struct ls_view view = {of.from + sample * of.bytes + first, &nothing, 0}, partner = view;
    if (of.augment) {
        view.augment = &of.augment[sample];
        view.shift = of.shift[sample];
        if (is_mixed(view.augment)) {
            int64_t other = view.augment->partner;
            if (other < 0 || other >= of.n) {
                for (int32_t c = 0; c < raw.channels; c++) x[c] = NAN;
                return;
            }
            partner = {of.from + other * of.bytes + first, &of.augment[other], of.shift[other]};
        }
    }
    ls_put_mixed_pixel(&raw, &view, &partner, a, b, h, w, x);
}

enum { COLORS = 3 };

// Pixels of three channels: put together in shared memory, so that they leave side by side.
static __global__ void __launch_bounds__(THREADS, 3)
    put_colors(struct samples of, const float *line, float *x) {
    __shared__ float pixels[COLORS * THREADS];
    int64_t first = (int64_t)blockIdx.x * THREADS, pixel = first + threadIdx.x;
    int64_t all = of.n * of.raw.out_height * of.raw.out_width;
    if (pixel < all) {
        int64_t row = quotient(pixel, of.raw.out_width), sample = quotient(row, of.raw.out_height);
        put_pixel(of, of.raw, 0, line, line + COLORS, sample, (int32_t)(row - sample * of.raw.out_height),
                  (int32_t)(pixel - row * of.raw.out_width), pixels + COLORS * threadIdx.x);
    }
    __syncthreads();
    int count = COLORS * (int)(all - first < THREADS ? all - first : (int64_t)THREADS);
    for (int i = (int)threadIdx.x; i < count; i += THREADS) x[first * COLORS + i] = pixels[i];
}

// Elements of any other number of channels, each as a pixel of one channel, which has the same value.
static __global__ void __launch_bounds__(THREADS, 3)
    put_elements(struct samples of, const float *line, float *x) {
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, channels = of.raw.channels;
    if (i >= of.n * of.raw.out_height * of.raw.out_width * channels) return;
    int64_t pixel = quotient(i, channels), c = i - pixel * channels;
    int64_t row = quotient(pixel, of.raw.out_width), sample = quotient(row, of.raw.out_height);
    struct ls_raw one = of.raw;
    one.channels = 1;
    int64_t first = c * of.raw.channel_step * (of.raw.bytes ? 1 : (int64_t)sizeof(float));
    put_pixel(of, one, first, line + c, line + channels + c, sample,
              (int32_t)(row - sample * of.raw.out_height), (int32_t)(pixel - row * of.raw.out_width), x + i);
}

ls_status ls_cuda_input(const struct ls_raw *raw, int64_t samples, const void *from, const float *line,
                        const struct ls_augment *augment, float *shift, float *x, cudaStream_t stream) {
    int64_t each = (int64_t)raw->height * raw->width * raw->channels;
    struct samples of = {
        *raw, samples, each * (raw->bytes ? 1 : (int64_t)sizeof(float)), (const char *)from, augment, shift};
    int64_t pixels = samples * raw->out_height * raw->out_width;
    if (augment) LS_LAUNCH(color_shifts, (unsigned)samples, THREADS, stream, of, shift);
    LS_TRY(ls_cuda_launched());
    if (raw->channels == COLORS)
        LS_LAUNCH(put_colors, blocks_for(pixels, THREADS), THREADS, stream, of, line, x);
    else
        LS_LAUNCH(put_elements, blocks_for(pixels * raw->channels, THREADS), THREADS, stream, of, line, x);
    return ls_cuda_launched();
}
