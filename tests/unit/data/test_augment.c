#include "scene.h"

#include "base/hash.h"
#include "data/augment.h"

#include <math.h>
#include <stdlib.h>

static void test_ranges_and_evenness(void **state) {
    (void)state;
    enum { SAMPLES = 50000, PAD = 2, SHIFTS = 2 * PAD + 1 };
    const struct ls_augment_spec spec = {.crop_pad = PAD, .flip = true};
    int dy[SHIFTS] = {0}, dx[SHIFTS] = {0}, flips = 0;
    for (uint64_t id = 0; id < SAMPLES; id++) {
        struct ls_augment augment = ls_augment_of(&spec, 7, id, 3);
        assert_in_range(augment.dy + PAD, 0, 2 * PAD);
        assert_in_range(augment.dx + PAD, 0, 2 * PAD);
        dy[augment.dy + PAD]++;
        dx[augment.dx + PAD]++;
        assert_true((augment.flags & ~LS_AUGMENT_FLIP) == 0);
        flips += augment.flags;
    }
    // Deviations are about 90 for the shifts and 112 for the flips.
    for (int i = 0; i < SHIFTS; i++) {
        assert_in_range(dy[i], SAMPLES / SHIFTS - 450, SAMPLES / SHIFTS + 450);
        assert_in_range(dx[i], SAMPLES / SHIFTS - 450, SAMPLES / SHIFTS + 450);
    }
    assert_in_range(flips, SAMPLES / 2 - 560, SAMPLES / 2 + 560);
}

// Shifts and flips know nothing of each other: every combination is as frequent.
static void test_independence(void **state) {
    (void)state;
    enum { SAMPLES = 90000 };
    const struct ls_augment_spec spec = {.crop_pad = 1, .flip = true};
    int counts[18] = {0};
    for (uint64_t id = 0; id < SAMPLES; id++) {
        struct ls_augment augment = ls_augment_of(&spec, 1, id, 0);
        counts[(augment.dy + 1) * 6 + (augment.dx + 1) * 2 + augment.flags]++;
    }
    for (int i = 0; i < 18; i++) assert_in_range(counts[i], 5000 - 350, 5000 + 350); // deviation 69
}

static int count_equal(uint64_t seed_a, uint64_t epoch_a, uint64_t seed_b, uint64_t epoch_b) {
    const struct ls_augment_spec spec = {.crop_pad = 4, .flip = true};
    int equal = 0;
    for (uint64_t id = 0; id < 1000; id++) {
        struct ls_augment a = ls_augment_of(&spec, seed_a, id, epoch_a),
                          b = ls_augment_of(&spec, seed_b, id, epoch_b);
        equal += memcmp(&a, &b, sizeof a) == 0;
    }
    return equal;
}

static void test_depends_on_seed_epoch_and_id(void **state) {
    (void)state;
    assert_int_equal(count_equal(1, 5, 1, 5), 1000);
    assert_in_range(count_equal(1, 5, 1, 6), 0, 40); // 1000 / 162 on average
    assert_in_range(count_equal(1, 5, 2, 5), 0, 40);
}

// What is one pixel high (a signal) or wide stays where it is that way.
static void test_one_pixel(void **state) {
    (void)state;
    const struct ls_augment_spec signal = {.height = 1, .width = 50, .crop_pad = 3},
                                 vector = {.height = 1, .width = 1, .crop_pad = 3};
    int moved = 0;
    for (uint64_t id = 0; id < 100; id++) {
        const struct ls_augment a = ls_augment_of(&signal, 1, id, 0), b = ls_augment_of(&vector, 1, id, 0);
        assert_true(a.dy == 0 && b.dy == 0 && b.dx == 0);
        moved += a.dx != 0;
    }
    assert_in_range(moved, 60, 100); // 86 on average
}

static void test_off(void **state) {
    (void)state;
    const struct ls_augment_spec off = {0}, flip = {.flip = true}, both = {.crop_pad = 3, .flip = true};
    const struct ls_augment nothing = {0};
    for (uint64_t id = 0; id < 100; id++) {
        struct ls_augment augment = ls_augment_of(&off, 1, id, 0);
        assert_memory_equal(&augment, &nothing, sizeof nothing);
        // Turning the crop on leaves the flips as they were.
        assert_int_equal(ls_augment_of(&flip, 1, id, 0).flags, ls_augment_of(&both, 1, id, 0).flags);
        assert_int_equal(ls_augment_of(&flip, 1, id, 0).dy, 0);
    }
}

// ---- everything else

static const struct ls_augment_spec everything = {
    .height = 40,
    .width = 48,
    .channels = 3,
    .shown_height = 32,
    .shown_width = 32,
    .resized_crop = true,
    .area = {0.2, 0.9},
    .ratio = {0.5, 2},
    .rotate = 20,
    .flip = true,
    .flip_vertical = true,
    .brightness = 0.4,
    .contrast = 0.3,
    .saturation = 0.2,
    .hue = 0.1,
    .cutout = 8,
    .mixup = 0.3,
    .cutmix = 1.5,
    .lane_samples = 6,
};

static double place(int32_t origin, int32_t a_row, int32_t a_column, int h, int w) {
    return ((double)origin + (double)h * a_row + (double)w * a_column) / 65536;
}

// Corners of the window that a map without rotation shows, half a pixel out from the centres of the corners.
static void window_of(const struct ls_augment_spec *spec, const struct ls_augment *a, double *top,
                      double *left, double *height, double *width) {
    const double y = place(a->y, a->y_a_row, 0, 0, 0), x = place(a->x, 0, a->x_a_column, 0, 0);
    *height = (double)a->y_a_row / 65536 * spec->shown_height;
    *width = (double)a->x_a_column / 65536 * spec->shown_width;
    *top = y - (double)a->y_a_row / 65536 / 2;
    *left = x - (double)a->x_a_column / 65536 / 2;
}

// Steps are rounded to 2^-17 pixel, of which 32 make a side.
static const double rounding = 33 * 0x1p-17;

static void test_resized_crops(void **state) {
    (void)state;
    enum { SAMPLES = 20000, BINS = 7 };
    struct ls_augment_spec spec = everything;
    spec.rotate = 0, spec.flip = spec.flip_vertical = false;
    spec.height = spec.width = 40;
    int areas[BINS] = {0}, wide = 0;
    double off_centre = 0;
    for (uint64_t id = 0; id < SAMPLES; id++) {
        const struct ls_augment a = ls_augment_of(&spec, 5, id, 0);
        double top, left, height, width;
        window_of(&spec, &a, &top, &left, &height, &width);
        assert_true(a.flags & LS_AUGMENT_AFFINE && a.y_a_column == 0 && a.x_a_row == 0);
        assert_true(top > -rounding && left > -rounding);
        assert_true(top + height < spec.height + rounding && left + width < spec.width + rounding);
        const double area = height * width / (spec.height * spec.width);
        assert_true(area > 0.2 - 0.001 && area < 0.9 + 0.001);
        assert_true(width / height > 0.5 - 0.001 && width / height < 2 + 0.001);
        areas[(int)((area - 0.2) / 0.7001 * BINS)]++;
        wide += width > height;
        off_centre += top + height / 2 - spec.height / 2.0;
    }
    // Small areas are never drawn anew, large ones more often for being longer than the sample.
    for (int i = 1; i < BINS; i++) assert_true(areas[i] < areas[i - 1] + 300);
    assert_in_range(wide, SAMPLES / 2 - 300, SAMPLES / 2 + 300); // deviation 71
    assert_true(fabs(off_centre / SAMPLES) < 0.3);
}

// A rectangle of the whole area fits only in the sample's own ratio: else the central one is taken.
static void test_resized_crops_that_do_not_fit(void **state) {
    (void)state;
    struct ls_augment_spec spec = everything;
    spec.rotate = 0, spec.flip = spec.flip_vertical = false;
    spec.area = (struct ls_augment_range){1, 1};
    double top, left, height, width;
    for (uint64_t id = 0; id < 100; id++) {
        spec.ratio = (struct ls_augment_range){1, 1};
        const struct ls_augment square = ls_augment_of(&spec, 5, id, 0);
        window_of(&spec, &square, &top, &left, &height, &width);
        assert_true(fabs(top) < rounding && fabs(left - 4) < rounding);
        assert_true(fabs(height - 40) < rounding && fabs(width - 40) < rounding);
        spec.ratio = (struct ls_augment_range){2, 2};
        const struct ls_augment long_one = ls_augment_of(&spec, 5, id, 0);
        window_of(&spec, &long_one, &top, &left, &height, &width);
        assert_true(fabs(height - 24) < rounding && fabs(width - 48) < rounding && fabs(top - 8) < rounding);
    }
    spec.width = 40;
    spec.ratio = (struct ls_augment_range){1, 1};
    spec.shown_height = spec.shown_width = 40;
    const struct ls_augment whole = ls_augment_of(&spec, 5, 1, 0);
    assert_int_equal(whole.y, 32768);
    assert_int_equal(whole.x, 32768);
    assert_int_equal(whole.y_a_row, 65536);
    assert_int_equal(whole.x_a_column, 65536);
}

static void test_rotation(void **state) {
    (void)state;
    enum { SAMPLES = 20000 };
    const struct ls_augment_spec spec = {
        .height = 32, .width = 32, .channels = 1, .shown_height = 32, .shown_width = 32, .rotate = 30};
    int left = 0, far = 0;
    for (uint64_t id = 0; id < SAMPLES; id++) {
        const struct ls_augment a = ls_augment_of(&spec, 9, id, 0);
        assert_int_equal(a.flags, LS_AUGMENT_AFFINE);
        assert_int_equal(a.y_a_row, a.x_a_column);
        assert_int_equal(a.y_a_column, -a.x_a_row);
        const double cosine = a.y_a_row / 65536.0, sine = a.x_a_row / 65536.0;
        assert_true(fabs(cosine * cosine + sine * sine - 1) < 0x1p-15);
        const double degrees = atan2(sine, cosine) * 180 / 3.14159265358979;
        assert_true(fabs(degrees) < 30.001);
        left += degrees > 0;
        far += fabs(degrees) > 15;
        // The corner between the four middle pixels stays where it is.
        double y = 0, x = 0;
        for (int corner = 0; corner < 4; corner++) {
            y += place(a.y, a.y_a_row, a.y_a_column, 15 + corner / 2, 15 + corner % 2) / 4;
            x += place(a.x, a.x_a_row, a.x_a_column, 15 + corner / 2, 15 + corner % 2) / 4;
        }
        assert_true(fabs(y - 16) < rounding && fabs(x - 16) < rounding);
    }
    assert_in_range(left, SAMPLES / 2 - 300, SAMPLES / 2 + 300); // deviation 71
    assert_in_range(far, SAMPLES / 2 - 300, SAMPLES / 2 + 300);
}

// A flip of the map is a flip of the picture: what output (h, w) shows is what its mirror image showed.
static void test_flips_of_a_map(void **state) {
    (void)state;
    struct ls_augment_spec turned = everything, flipped = everything;
    turned.flip = turned.flip_vertical = false;
    int seen[4] = {0};
    for (uint64_t id = 0; id < 200; id++) {
        const struct ls_augment a = ls_augment_of(&turned, 2, id, 1), b = ls_augment_of(&flipped, 2, id, 1);
        const int flags = b.flags & 3, h = flags & LS_AUGMENT_FLIP_VERTICAL ? 31 - 5 : 5,
                  w = flags & LS_AUGMENT_FLIP ? 31 - 9 : 9;
        seen[flags]++;
        assert_true(fabs(place(a.y, a.y_a_row, a.y_a_column, 5, 9) -
                         place(b.y, b.y_a_row, b.y_a_column, h, w)) < 2 * rounding);
        assert_true(fabs(place(a.x, a.x_a_row, a.x_a_column, 5, 9) -
                         place(b.x, b.x_a_row, b.x_a_column, h, w)) < 2 * rounding);
    }
    for (int i = 0; i < 4; i++) assert_in_range(seen[i], 25, 75); // deviation 6
}

static double sum_of_row(const struct ls_augment *a, int row) {
    return (double)a->color[3 * row] + (double)a->color[3 * row + 1] + (double)a->color[3 * row + 2];
}

// Grey stays grey, whatever saturation and hue: the rows' sums are brightness times contrast, and with
// `contrast` the brightness. f32 rounds to 2^-24.
static void test_colors(void **state) {
    (void)state;
    const struct ls_augment_spec spec = everything;
    struct ls_augment_spec bright = spec, washed = {.channels = 3, .saturation = 0.9},
                           turned = {.channels = 3, .hue = 0.5};
    bright.contrast = bright.saturation = bright.hue = 0;
    int above = 0;
    for (uint64_t id = 0; id < 1000; id++) {
        const struct ls_augment a = ls_augment_of(&spec, 4, id, 0), b = ls_augment_of(&bright, 4, id, 0);
        const double brightness = (double)b.color[0];
        assert_true(brightness > 0.6 - 1e-6 && brightness < 1.4 + 1e-6 && b.contrast == 0);
        for (int i = 0; i < 9; i++) assert_true(b.color[i] == (i % 4 == 0 ? b.color[0] : 0));
        for (int row = 0; row < 3; row++)
            assert_true(fabs(sum_of_row(&a, row) + (double)a.contrast - brightness) < 1e-6);
        const double contrast = sum_of_row(&a, 0) / brightness;
        assert_true(contrast > 0.7 - 1e-6 && contrast < 1.3 + 1e-6);
        above += brightness > 1;
        // Saturation leaves the grey of a pixel as it is.
        const struct ls_augment c = ls_augment_of(&washed, 4, id, 0);
        for (int from = 0; from < 3; from++) {
            static const double grey[3] = {0.299, 0.587, 0.114};
            double sum = 0;
            for (int to = 0; to < 3; to++) sum += grey[to] * (double)c.color[3 * to + from];
            assert_true(fabs(sum - grey[from]) < 1e-6);
        }
        // Hue is a rotation: it keeps lengths.
        const struct ls_augment d = ls_augment_of(&turned, 4, id, 0);
        for (int from = 0; from < 3; from++) {
            double length = 0;
            for (int to = 0; to < 3; to++)
                length += (double)d.color[3 * to + from] * (double)d.color[3 * to + from];
            assert_true(fabs(length - 1) < 1e-6);
        }
    }
    assert_in_range(above, 430, 570); // deviation 16
}

// Spread above 1 does not turn colours into their opposites.
static void test_factors_are_not_negative(void **state) {
    (void)state;
    const struct ls_augment_spec spec = {.channels = 1, .brightness = 3};
    int zeros = 0;
    for (uint64_t id = 0; id < 600; id++) {
        const struct ls_augment a = ls_augment_of(&spec, 4, id, 0);
        assert_true(a.color[0] >= 0 && a.color[0] <= 4);
        zeros += a.color[0] == 0;
    }
    assert_in_range(zeros, 150, 250); // a third, deviation 12
}

static void test_cuts(void **state) {
    (void)state;
    enum { SAMPLES = 32000, SIDE = 32 };
    struct ls_augment_spec spec = {
        .height = 40, .width = 40, .shown_height = SIDE, .shown_width = SIDE, .cutout = 9};
    int rows[SIDE] = {0};
    for (uint64_t id = 0; id < SAMPLES; id++) {
        const struct ls_augment a = ls_augment_of(&spec, 4, id, 0);
        assert_int_equal(a.flags, LS_AUGMENT_CUT);
        assert_true(a.cut.top >= 0 && a.cut.left >= 0 && a.cut.bottom <= SIDE && a.cut.right <= SIDE);
        const int height = a.cut.bottom - a.cut.top, width = a.cut.right - a.cut.left;
        assert_true(height >= 5 && height <= 9 && width >= 5 && width <= 9);
        rows[a.cut.top == 0 ? a.cut.bottom - 5 : a.cut.top + 4]++;
    }
    for (int i = 0; i < SIDE; i++) assert_in_range(rows[i], 1000 - 150, 1000 + 150); // deviation 31
    spec.cutout = 1000;
    const struct ls_augment all = ls_augment_of(&spec, 4, 1, 0);
    assert_true(all.cut.top == 0 && all.cut.left == 0 && all.cut.bottom == SIDE && all.cut.right == SIDE);
}

// What is turned off leaves all else as it was.
static void test_each_has_its_own_words(void **state) {
    (void)state;
    struct ls_augment_spec no_color = everything, no_place = everything, no_cut = everything;
    no_color.brightness = no_color.contrast = no_color.saturation = no_color.hue = 0;
    no_place.resized_crop = no_place.flip = no_place.flip_vertical = false, no_place.rotate = 0;
    no_cut.cutout = 0;
    for (uint64_t id = 0; id < 50; id++) {
        const struct ls_augment all = ls_augment_of(&everything, 6, id, 2);
        struct ls_augment a = ls_augment_of(&no_color, 6, id, 2), b = ls_augment_of(&no_place, 6, id, 2),
                          c = ls_augment_of(&no_cut, 6, id, 2);
        memcpy(a.color, all.color, sizeof a.color);
        a.contrast = all.contrast;
        a.flags |= LS_AUGMENT_COLOR;
        assert_memory_equal(&a, &all, sizeof a);
        assert_memory_equal(&b.color, &all.color, sizeof b.color);
        assert_memory_equal(&b.cut, &all.cut, sizeof b.cut);
        c.cut = all.cut;
        c.flags |= LS_AUGMENT_CUT;
        assert_memory_equal(&c, &all, sizeof c);
    }
}

// ---- mixing

static struct ls_augment mix_of(const struct ls_augment_spec *spec, uint64_t position) {
    struct ls_augment augment = {0};
    ls_augment_mix(spec, 8, position, &augment);
    return augment;
}

static void test_partners(void **state) {
    (void)state;
    enum { LANE = 5, SAMPLES = 20000 };
    const struct ls_augment_spec spec = {.mixup = 1, .lane_samples = LANE},
                                 alone = {.mixup = 1, .lane_samples = 1};
    int seen[LANE][LANE] = {{0}};
    for (uint64_t position = 0; position < SAMPLES; position++) {
        const struct ls_augment augment = mix_of(&spec, position);
        assert_int_equal(augment.flags, LS_AUGMENT_MIXUP);
        assert_in_range(augment.partner, 0, LANE - 1);
        seen[position % LANE][augment.partner]++;
    }
    for (int i = 0; i < LANE; i++)
        for (int k = 0; k < LANE; k++)
            assert_in_range(seen[i][k], i == k ? 0 : 1000 - 150, i == k ? 0 : 1000 + 150);
    const struct ls_augment none = {0}, lone = mix_of(&alone, 3);
    assert_memory_equal(&lone, &none, sizeof none);
}

// Mean 1/2 and variance 1 / (4 (2 a + 1)) of Beta(a, a), and its part below 1/4 where that has a short
// formula.
static void test_parts(void **state) {
    (void)state;
    enum { SAMPLES = 40000 };
    static const double alphas[] = {0.01, 0.2, 0.5, 1, 2, 8, 500};
    for (size_t k = 0; k < sizeof alphas / sizeof *alphas; k++) {
        const double a = alphas[k], variance = 1 / (4 * (2 * a + 1));
        const struct ls_augment_spec spec = {.mixup = a, .lane_samples = 2};
        double sum = 0, squares = 0;
        int quarter = 0;
        for (uint64_t position = 0; position < SAMPLES; position++) {
            const double part = (double)mix_of(&spec, position).factor;
            assert_true(part >= 0 && part <= 1);
            sum += part;
            squares += (part - 0.5) * (part - 0.5);
            quarter += part < 0.25;
        }
        // Five deviations of the mean; the squares' deviation is below the variance times sqrt(2).
        assert_true(fabs(sum / SAMPLES - 0.5) < 5 * sqrt(variance / SAMPLES));
        assert_true(fabs(squares / SAMPLES - variance) < 5 * variance * sqrt(2.0 / SAMPLES));
        const double below = a == 0.5 ? 1.0 / 3 : a == 1 ? 0.25 : a == 2 ? 10.0 / 64 : -1;
        if (below > 0) assert_true(fabs((double)quarter / SAMPLES - below) < 5 * sqrt(below / SAMPLES));
    }
}

static void test_cutmix(void **state) {
    (void)state;
    enum { SAMPLES = 20000, H = 24, W = 32 };
    const struct ls_augment_spec cut = {.cutmix = 1, .lane_samples = 4, .shown_height = H, .shown_width = W};
    struct ls_augment_spec both = cut;
    both.mixup = 1;
    int cuts = 0, columns[W] = {0};
    for (uint64_t position = 0; position < SAMPLES; position++) {
        const struct ls_augment a = mix_of(&cut, position), b = mix_of(&both, position);
        assert_int_equal(a.flags, LS_AUGMENT_CUTMIX);
        assert_true(a.mix.top >= 0 && a.mix.left >= 0 && a.mix.bottom <= H && a.mix.right <= W);
        assert_true(a.mix.top <= a.mix.bottom && a.mix.left <= a.mix.right);
        const double area = (double)(a.mix.bottom - a.mix.top) * (a.mix.right - a.mix.left);
        assert_true(a.factor == (float)(1 - area / (H * W)));
        for (int w = a.mix.left; w < a.mix.right; w++) columns[w] += a.mix.top < a.mix.bottom;
        assert_true(b.flags == LS_AUGMENT_CUTMIX || b.flags == LS_AUGMENT_MIXUP);
        cuts += b.flags == LS_AUGMENT_CUTMIX;
    }
    assert_in_range(cuts, SAMPLES / 2 - 350, SAMPLES / 2 + 350); // deviation 71
    for (int w = 1; w < W - 1; w++) // the middle is covered more often than the rim, both sides alike
        assert_true(abs(columns[w] - columns[W - 1 - w]) < 600);
    assert_true(columns[W / 2] > columns[0]);
}

// What one machine drew, for every other one.
static void test_bits(void **state) {
    (void)state;
    struct ls_hash *hash = ls_hash_open();
    assert_non_null(hash);
    for (uint64_t id = 0; id < 1000; id++) {
        struct ls_augment augment = ls_augment_of(&everything, 11, id, id % 7);
        ls_augment_mix(&everything, 11, id, &augment);
        ls_hash_add(hash, &augment, sizeof augment);
    }
    assert_int_equal(ls_hash_value(hash), 0x16efea055383c9cd);
    ls_hash_close(hash);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_and_evenness),
        cmocka_unit_test(test_independence),
        cmocka_unit_test(test_depends_on_seed_epoch_and_id),
        cmocka_unit_test(test_one_pixel),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_resized_crops),
        cmocka_unit_test(test_resized_crops_that_do_not_fit),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_flips_of_a_map),
        cmocka_unit_test(test_colors),
        cmocka_unit_test(test_factors_are_not_negative),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_each_has_its_own_words),
        cmocka_unit_test(test_partners),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_cutmix),
        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
