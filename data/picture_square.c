// A square of one size out of a picture: filtered down (or up) along each axis, cropped in the middle,
// turned.
#include "data/picture_parts.h"
#include "data/processors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// Weights are integers that add up to 1 << WEIGHT_BITS for each number of the result.
enum { WEIGHT_BITS = 15, HALF = 1 << (WEIGHT_BITS - 1) };
enum { FEW = 6 };                              // lines that are added up in registers
enum { FRACTION_BITS = WEIGHT_BITS + 8 - 16 }; // of their sums
enum { TOGETHER = 4 }; // lines that are added up in one pass, and that are brought to their places in one

// Numbers along one side of the result, each a sum of `taps` neighbours in the picture.
struct axis {
    int taps;
    double scale, support; // numbers of the picture for one of the result; the tent's half width
    int offset;            // numbers of the scaled picture that the crop leaves out in front
    int *first;            // [side] the first neighbour
    uint16_t *weights;     // [side][taps]
};

static struct axis axis_of(int length, int shorter, int side) {
    double scale = (double)shorter / side;
    int whole = (int)((double)length / scale + 0.5);
    struct axis axis = {.scale = scale, .support = scale > 1 ? scale : 1};
    axis.offset = whole > side ? (whole - side) / 2 : 0;
    axis.taps = (int)(2 * axis.support) + 2;
    if (axis.taps > length) axis.taps = length;
    return axis;
}

static double tent(const struct axis *axis, double distance) {
    if (distance < 0) distance = -distance;
    return distance < axis->support ? 1 - distance / axis->support : 0;
}

static int first_of(const struct axis *axis, int length, int i) {
    int first = (int)((i + axis->offset + 0.5) * axis->scale - axis->support + 0.5);
    if (first > length - axis->taps) first = length - axis->taps;
    return first < 0 ? 0 : first;
}

void ls_square_needs(int length, int shorter, int side, int *begin, int *end) {
    struct axis axis = axis_of(length, shorter, side);
    *begin = first_of(&axis, length, 0);
    *end = first_of(&axis, length, side - 1) + axis.taps;
}

// Doubles are only added, multiplied and divided, in one order, and rounded once: the same integers
// everywhere.
static void weigh(const struct axis *axis, int length, int i) {
    double middle = (i + axis->offset + 0.5) * axis->scale, sum = 0;
    int first = first_of(axis, length, i), left = 1 << WEIGHT_BITS, largest = 0;
    uint16_t *weights = axis->weights + (size_t)i * (size_t)axis->taps;
    axis->first[i] = first;
    for (int t = 0; t < axis->taps; t++) sum += tent(axis, first + t + 0.5 - middle);
    for (int t = 0; t < axis->taps; t++) {
        weights[t] = (uint16_t)(tent(axis, first + t + 0.5 - middle) / sum * (1 << WEIGHT_BITS) + 0.5);
        left -= weights[t];
        if (weights[t] > weights[largest]) largest = t;
    }
    weights[largest] = (uint16_t)(weights[largest] + left);
}

// ---- memory

typedef uint8_t bytes_16 __attribute__((vector_size(16)));
typedef uint32_t words_4 __attribute__((vector_size(16)));

struct work {
    int side, channels;
    struct axis down, across;
    int begin, columns; // of the picture, that are wanted
    int32_t *sums;      // [numbers of a line]
    uint8_t *lines;     // TOGETHER of them, `room` bytes from one to the next
    size_t room;
    uint8_t *between; // [columns][side][channels]
};

static size_t place(size_t *used, size_t bytes) {
    size_t at = *used;
    *used += (bytes + 63) / 64 * 64;
    return at;
}

// False: no memory.
static bool arrange(struct work *work, struct ls_resize_scratch *scratch) {
    size_t used = 0, side = (size_t)work->side, channels = (size_t)work->channels,
           columns = (size_t)work->columns;
    size_t longest = (columns > side ? columns : side) * channels;
    size_t first_down = place(&used, side * sizeof(int)), first_across = place(&used, side * sizeof(int));
    size_t down = place(&used, side * (size_t)work->down.taps * sizeof(uint16_t));
    size_t across = place(&used, side * (size_t)work->across.taps * sizeof(uint16_t));
    size_t sums = place(&used, longest * sizeof(int32_t)),
           lines = place(&used, TOGETHER * longest + sizeof(bytes_16)); // read to the end of a vector
    size_t between = place(&used, columns * side * channels);
    if (!scratch->memory || scratch->bytes < used) {
        void *memory = realloc(scratch->memory, used);
        if (!memory) return false;
        *scratch = (struct ls_resize_scratch){.memory = memory, .bytes = used};
    }
    char *memory = scratch->memory;
    work->down.first = (int *)(void *)(memory + first_down);
    work->across.first = (int *)(void *)(memory + first_across);
    work->down.weights = (uint16_t *)(void *)(memory + down);
    work->across.weights = (uint16_t *)(void *)(memory + across);
    work->sums = (int32_t *)(void *)(memory + sums);
    work->lines = (uint8_t *)(memory + lines);
    work->room = longest;
    work->between = (uint8_t *)(memory + between);
    return true;
}

// ---- filtering

// Line k of the result is the sum of `taps` lines of n numbers, `stride` bytes from one to the next, times
// their weights. With `taps` known to the compiler the sum stays in registers; products are cut to 16 bits,
// of which 7 are a fraction, so that many fit in one, and what is cut off is made good on average: a sum is
// wrong by taps / 256 at most.
static inline __attribute__((always_inline)) void sum_of(int taps, const uint8_t *restrict from,
                                                         size_t stride, const uint16_t *restrict weights,
                                                         int n, uint8_t *restrict line) {
    for (int k = 0; k < n; k++) {
        uint16_t sum = (uint16_t)((1 << (FRACTION_BITS - 1)) + taps / 2);
        for (int t = 0; t < taps; t++) {
            const uint16_t number = (uint16_t)(from[(size_t)t * stride + (size_t)k] << 8);
            sum = (uint16_t)(sum + ((uint32_t)weights[t] * number >> 16));
        }
        line[k] = (uint8_t)(sum >> FRACTION_BITS);
    }
}

LS_FOR_EACH_PROCESSOR
static void sum_few(int taps, const uint8_t *restrict from, size_t stride, const uint16_t *restrict weights,
                    int n, uint8_t *restrict line) {
    switch (taps) {
    case 1: sum_of(1, from, stride, weights, n, line); break;
    case 2: sum_of(2, from, stride, weights, n, line); break;
    case 3: sum_of(3, from, stride, weights, n, line); break;
    case 4: sum_of(4, from, stride, weights, n, line); break;
    case 5: sum_of(5, from, stride, weights, n, line); break;
    default: sum_of(FEW, from, stride, weights, n, line); break;
    }
}

LS_FOR_EACH_PROCESSOR
static void add_lines(const uint8_t *restrict from, size_t stride, const uint16_t *restrict weights, int n,
                      int32_t *restrict sums) {
    const int32_t a = weights[0], b = weights[1], c = weights[2], d = weights[3];
    const uint8_t *second = from + stride, *third = second + stride, *fourth = third + stride;
    for (int k = 0; k < n; k++) sums[k] += a * from[k] + b * second[k] + c * third[k] + d * fourth[k];
}

LS_FOR_EACH_PROCESSOR
static void add_line(const uint8_t *restrict from, int32_t weight, int n, int32_t *restrict sums) {
    for (int k = 0; k < n; k++) sums[k] += weight * from[k];
}

LS_FOR_EACH_PROCESSOR
static void round_line(const int32_t *restrict sums, int n, uint8_t *restrict line) {
    for (int k = 0; k < n; k++) line[k] = (uint8_t)((sums[k] + HALF) >> WEIGHT_BITS);
}

static void sum_many(const struct work *work, int taps, const uint8_t *from, size_t stride,
                     const uint16_t *weights, int n, uint8_t *line) {
    int t = 0;
    memset(work->sums, 0, (size_t)n * sizeof *work->sums);
    for (; t + TOGETHER <= taps; t += TOGETHER, from += TOGETHER * stride)
        add_lines(from, stride, weights + t, n, work->sums);
    for (; t < taps; t++, from += stride) add_line(from, weights[t], n, work->sums);
    round_line(work->sums, n, line);
}

// Line i of the result along an axis, out of lines of n numbers, of which the first is that of the picture's
// `origin`.
static void add_up(const struct work *work, const struct axis *axis, int i, const uint8_t *lines,
                   size_t stride, int origin, int n, uint8_t *line) {
    const uint8_t *from = lines + (size_t)(axis->first[i] - origin) * stride;
    const uint16_t *weights = axis->weights + (size_t)i * (size_t)axis->taps;
    int taps = axis->taps;
    while (taps > 1 && weights[taps - 1] == 0) taps--;
    if (taps <= FEW)
        sum_few(taps, from, stride, weights, n, line);
    else
        sum_many(work, taps, from, stride, weights, n, line);
}

// Pixels of a few lines to their places: `step` bytes from one to the next of a line, `across` from line to
// line. Where lines lie side by side, what is near in memory is written at one time.
static void spread_3(const struct work *work, int n_lines, int begin, int n, ptrdiff_t step, ptrdiff_t across,
                     uint8_t *out) {
    out += begin * step;
    for (int k = begin; k < n; k++, out += step) {
        for (int l = 0; l < n_lines; l++) {
            const uint8_t *from = work->lines + (size_t)l * work->room + 3 * (size_t)k;
            uint8_t *to = out + l * across;
            to[0] = from[0];
            to[1] = from[1];
            to[2] = from[2];
        }
    }
}

static void spread_1(const struct work *work, int n_lines, int n, ptrdiff_t step, ptrdiff_t across,
                     uint8_t *out) {
    for (int k = 0; k < n; k++, out += step)
        for (int l = 0; l < n_lines; l++) out[l * across] = work->lines[(size_t)l * work->room + (size_t)k];
}

// Four pixels of three bytes, each in a word of its own.
static inline words_4 four_pixels(const uint8_t *at) {
    bytes_16 bytes;
    memcpy(&bytes, at, sizeof bytes);
    return (words_4)__builtin_shufflevector(bytes, bytes, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
}

static inline void put_pixels(words_4 pixels, uint8_t *out) {
    const bytes_16 bytes = (bytes_16)pixels;
    const bytes_16 packed =
        __builtin_shufflevector(bytes, bytes, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15);
    memcpy(out, &packed, 12);
}

// The same for four lines that come to lie side by side, four pixels of each at a time. Returns how many
// pixels are done.
LS_FOR_EACH_PROCESSOR
static int spread_blocks(const uint8_t *lines, size_t room, int n, ptrdiff_t step, uint8_t *out) {
    int k = 0;
    for (; k + 4 <= n; k += 4, lines += 12, out += 4 * step) {
        const words_4 a = four_pixels(lines), b = four_pixels(lines + room),
                      c = four_pixels(lines + 2 * room), d = four_pixels(lines + 3 * room);
        const words_4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5),
                      cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
        const words_4 ab_2 = __builtin_shufflevector(a, b, 2, 6, 3, 7),
                      cd_2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
        put_pixels(__builtin_shufflevector(ab, cd, 0, 1, 4, 5), out);
        put_pixels(__builtin_shufflevector(ab, cd, 2, 3, 6, 7), out + step);
        put_pixels(__builtin_shufflevector(ab_2, cd_2, 0, 1, 4, 5), out + 2 * step);
        put_pixels(__builtin_shufflevector(ab_2, cd_2, 2, 3, 6, 7), out + 3 * step);
    }
    return k;
}

static void spread(const struct work *work, int n_lines, int n, ptrdiff_t step, ptrdiff_t across,
                   uint8_t *out) {
    if (work->channels == 3 && n_lines == TOGETHER && across == 3) {
        const int done = spread_blocks(work->lines, work->room, n, step, out);
        spread_3(work, n_lines, done, n, step, across, out);
    } else if (work->channels == 3)
        spread_3(work, n_lines, 0, n, step, across, out);
    else
        spread_1(work, n_lines, n, step, across, out);
}

// ---- orientation

// Where number (i, j) of the square goes, by EXIF's orientation: mirrored, turned by quarters.
static size_t turned(int orientation, int side, int i, int j) {
    int last = side - 1, row = i, column = j;
    switch (orientation) {
    case 2: column = last - j; break;
    case 3: row = last - i, column = last - j; break;
    case 4: row = last - i; break;
    case 5: row = j, column = i; break;
    case 6: row = j, column = last - i; break;
    case 7: row = last - j, column = last - i; break;
    case 8: row = last - j, column = i; break;
    default: break;
    }
    return (size_t)row * (size_t)side + (size_t)column;
}

// Lines of the picture into columns of `between`.
static void filter_down(const struct work *work, const struct ls_picture *picture) {
    const size_t pixel = (size_t)work->channels, column = (size_t)work->side * pixel;
    const uint8_t *wanted = picture->pixels + (size_t)(work->begin - picture->left) * pixel;
    for (int i = 0, n; i < work->side; i += n) {
        n = work->side - i < TOGETHER ? work->side - i : TOGETHER;
        for (int l = 0; l < n; l++)
            add_up(work, &work->down, i + l, wanted, (size_t)picture->columns * pixel, picture->top,
                   work->columns * work->channels, work->lines + (size_t)l * work->room);
        spread(work, n, work->columns, (ptrdiff_t)column, (ptrdiff_t)pixel,
               work->between + (size_t)i * pixel);
    }
}

// Columns of the square, each to its place.
static void filter_across(const struct work *work, int orientation, uint8_t *out) {
    const int side = work->side, next = side > 1;
    const size_t pixel = (size_t)work->channels, column = (size_t)side * pixel;
    const ptrdiff_t origin = (ptrdiff_t)(turned(orientation, side, 0, 0) * pixel);
    const ptrdiff_t step = (ptrdiff_t)(turned(orientation, side, next, 0) * pixel) - origin;
    const ptrdiff_t across = (ptrdiff_t)(turned(orientation, side, 0, next) * pixel) - origin;
    for (int j = 0, n; j < side; j += n) {
        n = side - j < TOGETHER ? side - j : TOGETHER;
        for (int l = 0; l < n; l++)
            add_up(work, &work->across, j + l, work->between, column, work->begin, (int)column,
                   work->lines + (size_t)l * work->room);
        spread(work, n, side, step, across, out + origin + j * across);
    }
}

// Those of the picture before serve again where it was of the same size: they lie at the same places then.
static bool has_weights(const struct ls_resize_scratch *scratch, const struct ls_picture *picture, int side) {
    return scratch->width == picture->width && scratch->height == picture->height && scratch->side == side &&
           scratch->channels == picture->channels;
}

static void remember_weights(struct ls_resize_scratch *scratch, const struct ls_picture *picture, int side) {
    scratch->width = picture->width;
    scratch->height = picture->height;
    scratch->side = side;
    scratch->channels = picture->channels;
}

ls_status ls_picture_square(const struct ls_picture *picture, int side, struct ls_resize_scratch *scratch,
                            uint8_t *out) {
    int shorter = picture->width < picture->height ? picture->width : picture->height;
    struct work work = {.side = side,
                        .channels = picture->channels,
                        .down = axis_of(picture->height, shorter, side),
                        .across = axis_of(picture->width, shorter, side)};
    int end;
    ls_square_needs(picture->width, shorter, side, &work.begin, &end);
    work.columns = end - work.begin;
    if (!arrange(&work, scratch)) return LS_FAIL(LS_SYSTEM, "out of memory to scale a picture with");
    if (!has_weights(scratch, picture, side)) {
        for (int i = 0; i < side; i++) {
            weigh(&work.down, picture->height, i);
            weigh(&work.across, picture->width, i);
        }
        remember_weights(scratch, picture, side);
    }
    filter_down(&work, picture);
    filter_across(&work, picture->orientation, out);
    return LS_OK;
}
