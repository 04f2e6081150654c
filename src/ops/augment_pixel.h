// The arithmetic of the input op, a pixel at a time: the one source of its bits on every device. Plain C and
// C++, no library: CUDA kernels include it as well. Places are integers, in 1/65536 pixel; values are f32,
// each product and each sum rounded by itself.
#pragma once

#include "base/philox.h" // LS_ANYWHERE
#include "graph/augment.h"

// Never contracted into one operation: nvcc would.
LS_ANYWHERE float ls_f32_mul(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

LS_ANYWHERE float ls_f32_add(float a, float b) {
#if defined(__CUDA_ARCH__)
    return __fadd_rn(a, b);
#else
    return a + b;
#endif
}

// How a raw sample lies, and how much of it is shown. Steps are distances in elements.
struct ls_raw {
    int32_t height, width, channels;
    int32_t out_height, out_width; // at most height and width
    int32_t bytes;                 // 1: u8, 0: f32
    int64_t row_step, pixel_step, channel_step;
};

// A sample, what is done to it, and what that adds to all its values: ls_color_shift.
struct ls_view {
    const void *sample;
    const struct ls_augment *augment;
    float shift;
};

LS_ANYWHERE float ls_raw_value(const struct ls_raw *raw, const void *sample, int64_t at) {
    return raw->bytes ? (float)((const uint8_t *)sample)[at] : ((const float *)sample)[at];
}

// ---- places

// What an output pixel shows: nothing, one pixel of the sample, or the mean of four with weights. A pixel is
// where its first channel lies, in elements.
struct ls_tap {
    int32_t pixels; // 0, 1 or 4
    int64_t top_left, top_right, bottom_left, bottom_right;
    float down, right; // how far from the top to the bottom and from the left to the right
};

LS_ANYWHERE struct ls_tap ls_tap_one(const struct ls_raw *raw, const struct ls_augment *augment, int32_t h,
                                     int32_t w) {
    struct ls_tap tap;
    int32_t row = augment->flags & LS_AUGMENT_FLIP_VERTICAL ? raw->out_height - 1 - h : h;
    int32_t column = augment->flags & LS_AUGMENT_FLIP ? raw->out_width - 1 - w : w;
    int64_t y = (int64_t)row + augment->dy + (raw->height - raw->out_height) / 2;
    int64_t x = (int64_t)column + augment->dx + (raw->width - raw->out_width) / 2;
    tap.pixels = y >= 0 && y < raw->height && x >= 0 && x < raw->width;
    tap.top_left = tap.pixels ? y * raw->row_step + x * raw->pixel_step : 0;
    tap.top_right = tap.bottom_left = tap.bottom_right = tap.top_left;
    tap.down = tap.right = 0;
    return tap;
}

// Places are between the centres of pixels; beyond those of the outermost ones, these go on to the edge.
LS_ANYWHERE int64_t ls_place_between(int64_t place, int32_t pixels) {
    int64_t between = place - 32768, last = (int64_t)(pixels - 1) * 65536;
    return between < 0 ? 0 : between > last ? last : between;
}

LS_ANYWHERE struct ls_tap ls_tap_four(const struct ls_raw *raw, const struct ls_augment *augment, int32_t h,
                                      int32_t w) {
    struct ls_tap tap;
    int64_t y = augment->y + (int64_t)augment->y_a_row * h + (int64_t)augment->y_a_column * w;
    int64_t x = augment->x + (int64_t)augment->x_a_row * h + (int64_t)augment->x_a_column * w;
    int inside = y >= 0 && y < (int64_t)raw->height * 65536 && x >= 0 && x < (int64_t)raw->width * 65536;
    y = ls_place_between(y, raw->height);
    x = ls_place_between(x, raw->width);
    int64_t below = y % 65536 ? raw->row_step : 0, beside = x % 65536 ? raw->pixel_step : 0;
    tap.pixels = inside ? 4 : 0;
    tap.top_left = y / 65536 * raw->row_step + x / 65536 * raw->pixel_step;
    tap.top_right = tap.top_left + beside;
    tap.bottom_left = tap.top_left + below;
    tap.bottom_right = tap.bottom_left + beside;
    tap.down = ls_f32_mul((float)(y % 65536), 1.0f / 65536.0f);
    tap.right = ls_f32_mul((float)(x % 65536), 1.0f / 65536.0f);
    return tap;
}

LS_ANYWHERE struct ls_tap ls_tap_of(const struct ls_raw *raw, const struct ls_augment *augment, int32_t h,
                                    int32_t w) {
    return augment->flags & LS_AUGMENT_AFFINE ? ls_tap_four(raw, augment, h, w)
                                              : ls_tap_one(raw, augment, h, w);
}

LS_ANYWHERE float ls_between(float from, float to, float part) {
    return ls_f32_add(from, ls_f32_mul(part, ls_f32_add(to, -from)));
}

LS_ANYWHERE float ls_tap_value(const struct ls_raw *raw, const void *sample, const struct ls_tap *tap,
                               int32_t channel) {
    int64_t of = channel * raw->channel_step;
    if (tap->pixels == 0) return 0;
    float top = ls_raw_value(raw, sample, tap->top_left + of);
    if (tap->pixels == 1) return top;
    top = ls_between(top, ls_raw_value(raw, sample, tap->top_right + of), tap->right);
    float bottom = ls_between(ls_raw_value(raw, sample, tap->bottom_left + of),
                              ls_raw_value(raw, sample, tap->bottom_right + of), tap->right);
    return ls_between(top, bottom, tap->down);
}

// ---- colours

LS_ANYWHERE float ls_limited(const struct ls_raw *raw, float value) {
    if (!raw->bytes) return value;
    return value < 0 ? 0 : value > 255 ? 255 : value;
}

// Channel `channel` of the colour (red, green, blue).
LS_ANYWHERE float ls_colored(const struct ls_raw *raw, const struct ls_view *view, const float *value,
                             int32_t channel) {
    const float *row = view->augment->color + (3 * channel);
    float sum = ls_f32_add(ls_f32_mul(row[0], value[0]), ls_f32_mul(row[1], value[1]));
    return ls_limited(raw, ls_f32_add(ls_f32_add(sum, ls_f32_mul(row[2], value[2])), view->shift));
}

// The grey of a pixel of u8, an integer: 299 red + 587 green + 114 blue of three channels, of any other
// number their sum. The sum over a sample has one value in whatever order.
LS_ANYWHERE uint64_t ls_grey_of_bytes(const struct ls_raw *raw, const uint8_t *pixel) {
    if (raw->channels == 3)
        return 299u * (uint32_t)pixel[0] + 587u * (uint32_t)pixel[raw->channel_step] +
               114u * (uint32_t)pixel[2 * raw->channel_step];
    uint64_t sum = 0;
    for (int32_t c = 0; c < raw->channels; c++) sum += pixel[c * raw->channel_step];
    return sum;
}

LS_ANYWHERE float ls_grey_mean_of_bytes(const struct ls_raw *raw, uint64_t sum) {
    double unit = raw->channels == 3 ? 1000 : (double)raw->channels;
    return (float)((double)sum / (unit * ((double)raw->height * (double)raw->width)));
}

// The grey of a pixel of f32. Over a sample it is summed in f64: pixel p (row * width + column), in order,
// into part p % LS_GREY_PARTS; then part i + d is added to part i for i < d, with d = LS_GREY_PARTS / 2, …,
// 2, 1.
enum { LS_GREY_PARTS = 256 };
LS_ANYWHERE float ls_grey_of_floats(const struct ls_raw *raw, const float *pixel) {
    if (raw->channels == 3)
        return ls_f32_add(
            ls_f32_add(ls_f32_mul(0.299f, pixel[0]), ls_f32_mul(0.587f, pixel[raw->channel_step])),
            ls_f32_mul(0.114f, pixel[2 * raw->channel_step]));
    float sum = 0;
    for (int32_t c = 0; c < raw->channels; c++) sum = ls_f32_add(sum, pixel[c * raw->channel_step]);
    return sum / (float)raw->channels;
}

LS_ANYWHERE float ls_grey_mean_of_floats(const struct ls_raw *raw, double sum) {
    return (float)(sum / ((double)raw->height * (double)raw->width));
}

// Is the sample's mean needed at all?
LS_ANYWHERE int ls_needs_grey(const struct ls_augment *augment) {
    return (augment->flags & LS_AUGMENT_COLOR) && augment->contrast != 0;
}

// `mean` is the mean grey of the whole raw sample; not read where it is not needed.
LS_ANYWHERE float ls_color_shift(const struct ls_augment *augment, float mean) {
    return ls_needs_grey(augment) ? ls_f32_mul(augment->contrast, mean) : 0;
}

// ---- pixels

LS_ANYWHERE int ls_in_box(const struct ls_augment_box *box, int32_t h, int32_t w) {
    return h >= box->top && h < box->bottom && w >= box->left && w < box->right;
}

// x, or where `more` what x holds and x, becomes part * value.
LS_ANYWHERE void ls_put_part(float *x, float value, float part, int more) {
    float share = ls_f32_mul(part, value);
    *x = more ? ls_f32_add(*x, share) : share;
}

// Value v of channel c, as the model sees it: v * a[c] + b[c].
LS_ANYWHERE float ls_on_line(float v, const float *a, const float *b, int32_t c) {
    return ls_f32_add(ls_f32_mul(v, a[c]), b[c]);
}

LS_ANYWHERE void ls_put_colors(const struct ls_raw *raw, const struct ls_view *view, const struct ls_tap *tap,
                               const float *a, const float *b, float part, int more, float *x) {
    if (raw->channels == 3) {
        float value[3];
        for (int32_t c = 0; c < 3; c++) value[c] = ls_tap_value(raw, view->sample, tap, c);
        for (int32_t c = 0; c < 3; c++)
            ls_put_part(x + c, ls_on_line(ls_colored(raw, view, value, c), a, b, c), part, more);
        return;
    }
    for (int32_t c = 0; c < raw->channels; c++) {
        float v = ls_f32_mul(view->augment->color[0], ls_tap_value(raw, view->sample, tap, c));
        v = ls_limited(raw, ls_f32_add(v, view->shift));
        ls_put_part(x + c, ls_on_line(v, a, b, c), part, more);
    }
}

// Output pixel (h, w) of one sample, times `part`, into x [channels], or added to it where `more`.
LS_ANYWHERE void ls_put_pixel(const struct ls_raw *raw, const struct ls_view *view, const float *a,
                              const float *b, int32_t h, int32_t w, float part, int more, float *x) {
    const struct ls_augment *augment = view->augment;
    if ((augment->flags & LS_AUGMENT_CUT) && ls_in_box(&augment->cut, h, w)) {
        for (int32_t c = 0; c < raw->channels; c++) ls_put_part(x + c, 0, part, more);
        return;
    }
    struct ls_tap tap = ls_tap_of(raw, augment, h, w);
    if ((augment->flags & LS_AUGMENT_COLOR) && tap.pixels > 0) {
        ls_put_colors(raw, view, &tap, a, b, part, more, x);
        return;
    }
    for (int32_t c = 0; c < raw->channels; c++)
        ls_put_part(x + c, ls_on_line(ls_tap_value(raw, view->sample, &tap, c), a, b, c), part, more);
}

// Output pixel (h, w), mixed with the partner's where the sample has one; `partner` is not read where it has
// none.
LS_ANYWHERE void ls_put_mixed_pixel(const struct ls_raw *raw, const struct ls_view *view,
                                    const struct ls_view *partner, const float *a, const float *b, int32_t h,
                                    int32_t w, float *x) {
    const struct ls_augment *augment = view->augment;
    if (augment->flags & LS_AUGMENT_MIXUP) {
        ls_put_pixel(raw, view, a, b, h, w, augment->factor, 0, x);
        ls_put_pixel(raw, partner, a, b, h, w, ls_f32_add(1, -augment->factor), 1, x);
    } else if ((augment->flags & LS_AUGMENT_CUTMIX) && ls_in_box(&augment->mix, h, w)) {
        ls_put_pixel(raw, partner, a, b, h, w, 1, 0, x);
    } else {
        ls_put_pixel(raw, view, a, b, h, w, 1, 0, x);
    }
}
