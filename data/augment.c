#include "data/augment.h"

#include "base/philox.h"
#include "data/elementary.h"

#include <assert.h>
#include <math.h>

static_assert(sizeof(struct ls_augment) == LS_AUGMENT_WORDS * sizeof(int32_t), "the device counts words");

// Which four words. Each parameter has its own, whether it is asked for or not: turning one off leaves the
// others as they are.
enum draw {
    DRAW_WINDOW, // dy, dx, flip, flip_vertical
    DRAW_COLOR,  // brightness, contrast, saturation, hue
    DRAW_OTHER,  // angle, row and column of the cut
    DRAW_CROP,   // area, ratio, top, left: the first of CROP_TRIES
};
enum { CROP_TRIES = 10, DRAW_SHIFT = 48 };

// A sample in an epoch.
struct stream {
    uint64_t seed, id, epoch;
};

static struct ls_random4 draw_of(const struct stream *stream, int draw) {
    return ls_philox(stream->seed, LS_RANDOM_AUGMENT, stream->id,
                     stream->epoch + ((uint64_t)draw << DRAW_SHIFT));
}

// Uniform in [0, 1), exact.
static double uniform(uint32_t word) {
    return word * 0x1p-32;
}

static double between(uint32_t word, double least, double most) {
    return least + uniform(word) * (most - least);
}

// A sample that is one pixel long that way, as a signal is high, would be shifted out of sight.
static int32_t shift(uint32_t word, int pad, int length) {
    return length == 1 ? 0 : (int32_t)ls_below(word, 2 * (uint32_t)pad + 1) - pad;
}

// ---- places

// Where the shown picture lies in the sample, before it is turned: in pixels, from the outer corner of the
// first one.
struct window {
    double top, left, height, width;
};

static struct window shifted_window(const struct ls_augment_spec *spec, const struct ls_augment *augment) {
    const int top = augment->dy + (spec->height - spec->shown_height) / 2;
    const int left = augment->dx + (spec->width - spec->shown_width) / 2;
    return (struct window){top, left, spec->shown_height, spec->shown_width};
}

// The largest one of a ratio that is allowed, in the middle.
static struct window central_window(const struct ls_augment_spec *spec) {
    double height = spec->height, width = spec->width;
    if (width < spec->ratio.least * height) height = width / spec->ratio.least;
    if (width > spec->ratio.most * height) width = height * spec->ratio.most;
    return (struct window){(spec->height - height) / 2, (spec->width - width) / 2, height, width};
}

// Area and the logarithm of the ratio are uniform; drawn anew where the rectangle is longer than the sample,
// and after CROP_TRIES of that the central one (Szegedy et al. 2015, as torchvision does it, but that nothing
// is rounded to whole pixels).
static struct window resized_window(const struct ls_augment_spec *spec, const struct stream *stream) {
    const double least = ls_log(spec->ratio.least), most = ls_log(spec->ratio.most);
    for (int i = 0; i < CROP_TRIES; i++) {
        const struct ls_random4 random = draw_of(stream, DRAW_CROP + i);
        const double area =
            (double)spec->height * spec->width * between(random.word[0], spec->area.least, spec->area.most);
        const double ratio = ls_exp(between(random.word[1], least, most));
        const double height = sqrt(area / ratio), width = sqrt(area * ratio);
        if (height > spec->height || width > spec->width) continue;
        return (struct window){between(random.word[2], 0, spec->height - height),
                               between(random.word[3], 0, spec->width - width), height, width};
    }
    return central_window(spec);
}

// In 1/65536 pixel, rounded to the nearest.
static int32_t fixed(double pixels) {
    const double scaled = pixels * 65536 + 0.5;
    const int64_t truncated = (int64_t)scaled;
    return (int32_t)(truncated - ((double)truncated > scaled));
}

// The map from output (h, w) to a place: about its centre, the output is flipped back, turned back by
// `turns`, scaled to the window, and moved there.
static void set_map(const struct ls_augment_spec *spec, const struct window *window, double turns,
                    struct ls_augment *augment) {
    double sine, cosine;
    ls_sin_cos(turns, &sine, &cosine);
    const double up = augment->flags & LS_AUGMENT_FLIP_VERTICAL ? -1 : 1;
    const double along = augment->flags & LS_AUGMENT_FLIP ? -1 : 1;
    const double tall = window->height / spec->shown_height, wide = window->width / spec->shown_width;
    const double y_a_row = tall * cosine * up, y_a_column = -tall * sine * along;
    const double x_a_row = wide * sine * up, x_a_column = wide * cosine * along;
    // The centre of output (0, 0) from that of the output.
    const double row = 0.5 - spec->shown_height / 2.0, column = 0.5 - spec->shown_width / 2.0;
    augment->y = fixed(window->top + window->height / 2 + (row * y_a_row + column * y_a_column));
    augment->x = fixed(window->left + window->width / 2 + (row * x_a_row + column * x_a_column));
    augment->y_a_row = fixed(y_a_row);
    augment->y_a_column = fixed(y_a_column);
    augment->x_a_row = fixed(x_a_row);
    augment->x_a_column = fixed(x_a_column);
    augment->flags |= LS_AUGMENT_AFFINE;
}

static void set_places(const struct ls_augment_spec *spec, const struct stream *stream,
                       struct ls_augment *augment) {
    const struct ls_random4 random = draw_of(stream, DRAW_WINDOW);
    augment->dy = shift(random.word[0], spec->crop_pad, spec->height);
    augment->dx = shift(random.word[1], spec->crop_pad, spec->width);
    if (spec->flip && random.word[2] >> 31) augment->flags |= LS_AUGMENT_FLIP;
    if (spec->flip_vertical && random.word[3] >> 31) augment->flags |= LS_AUGMENT_FLIP_VERTICAL;
    if (!spec->resized_crop && spec->rotate == 0) return;
    const struct window window =
        spec->resized_crop ? resized_window(spec, stream) : shifted_window(spec, augment);
    const double most = spec->rotate / 360;
    set_map(spec, &window, between(draw_of(stream, DRAW_OTHER).word[0], -most, most), augment);
}

// ---- colours

static double factor(uint32_t word, double spread) {
    const double drawn = between(word, 1 - spread, 1 + spread);
    return drawn > 0 ? drawn : 0;
}

static void multiply(double product[9], const double a[9], const double b[9]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            product[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
}

// Of grey, as much as of colour is taken away.
static void saturation_matrix(double saturation, double matrix[9]) {
    static const double grey[3] = {0.299, 0.587, 0.114};
    for (int i = 0; i < 9; i++) matrix[i] = (1 - saturation) * grey[i % 3] + (i % 4 == 0 ? saturation : 0);
}

// Rodrigues' rotation about (1, 1, 1): a third of a turn takes red to green.
static void hue_matrix(double turns, double matrix[9]) {
    double sine, cosine;
    ls_sin_cos(turns, &sine, &cosine);
    const double same = cosine + (1 - cosine) / 3, across = sine * sqrt(1.0 / 3);
    const double before = (1 - cosine) / 3 - across, behind = (1 - cosine) / 3 + across;
    const double rotation[9] = {same, before, behind, behind, same, before, before, behind, same};
    for (int i = 0; i < 9; i++) matrix[i] = rotation[i];
}

// Brightness b: b v. Contrast c: c v + (1 - c) mean. Saturation s: s v + (1 - s) grey of the pixel. Then hue.
// The last two leave grey as it is, so all four are a matrix and a multiple of the sample's mean grey.
static void set_color(const struct ls_augment_spec *spec, const struct stream *stream,
                      struct ls_augment *augment) {
    if (spec->brightness == 0 && spec->contrast == 0 && spec->saturation == 0 && spec->hue == 0) return;
    const struct ls_random4 random = draw_of(stream, DRAW_COLOR);
    const double brightness = factor(random.word[0], spec->brightness);
    const double contrast = factor(random.word[1], spec->contrast);
    double saturated[9], turned[9], matrix[9] = {1};
    if (spec->channels == 3) {
        saturation_matrix(factor(random.word[2], spec->saturation), saturated);
        hue_matrix(between(random.word[3], -spec->hue, spec->hue), turned);
        multiply(matrix, turned, saturated);
    }
    for (int i = 0; i < 9; i++) augment->color[i] = (float)(brightness * contrast * matrix[i]);
    augment->contrast = (float)(brightness * (1 - contrast));
    augment->flags |= LS_AUGMENT_COLOR;
}

// ---- cutout (DeVries, Taylor 2017)

static int32_t held(int64_t place, int most) {
    return (int32_t)(place < 0 ? 0 : place > most ? most : place);
}

static void set_cut(const struct ls_augment_spec *spec, const struct stream *stream,
                    struct ls_augment *augment) {
    if (spec->cutout == 0) return;
    const struct ls_random4 random = draw_of(stream, DRAW_OTHER);
    const int64_t top = (int64_t)ls_below(random.word[1], (uint32_t)spec->shown_height) - spec->cutout / 2;
    const int64_t left = (int64_t)ls_below(random.word[2], (uint32_t)spec->shown_width) - spec->cutout / 2;
    augment->cut.top = held(top, spec->shown_height);
    augment->cut.left = held(left, spec->shown_width);
    augment->cut.bottom = held(top + spec->cutout, spec->shown_height);
    augment->cut.right = held(left + spec->cutout, spec->shown_width);
    augment->flags |= LS_AUGMENT_CUT;
}

struct ls_augment ls_augment_of(const struct ls_augment_spec *spec, uint64_t seed, uint64_t id,
                                uint64_t epoch) {
    const struct stream stream = {seed, id, epoch};
    struct ls_augment augment = {0};
    set_places(spec, &stream, &augment);
    set_color(spec, &stream, &augment);
    set_cut(spec, &stream, &augment);
    return augment;
}
