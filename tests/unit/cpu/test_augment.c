// The input op with everything that can be done to a sample, against its definition in f64 (ops.h), written
// without the header that kernels share.
#include "base/philox.h"
#include "conform/trial.h"
#include "cpu/plain/plain.h"
#include "graph/augment.h"
#include "unit/check.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 8, H = 9, W = 7, MOST_CHANNELS = 5 };

// A kind of samples and of output.
struct setting {
    ls_dtype type;
    bool channels_first;
    int channels, out_height, out_width;
};

struct scene {
    struct setting of;
    struct ls_trial trial;
    ls_value raw, words, x;
    struct ls_augment augment[SAMPLES];
    double mean[MOST_CHANNELS], std[MOST_CHANNELS];
};

static uint32_t word(uint64_t what, uint64_t i) {
    return ls_philox(what, LS_RANDOM_TEST, i, 0).word[0];
}

static double number(uint64_t what, uint64_t i, double least, double most) {
    return least + (most - least) * (double)ls_uniform(word(what, i));
}

static int64_t place_of(const struct setting *of, int64_t n, int64_t h, int64_t w, int64_t c) {
    return of->channels_first ? ((n * of->channels + c) * H + h) * W + w
                              : ((n * H + h) * W + w) * of->channels + c;
}

static struct scene scene_open(const struct setting *of) {
    struct scene scene = {.of = *of};
    double list[2 * MOST_CHANNELS];
    for (int c = 0; c < of->channels; c++) {
        list[c] = scene.mean[c] = 0.2 + 0.1 * c;
        list[of->channels + c] = scene.std[c] = 0.3 + 0.05 * c;
    }
    ls_trial_open(&scene.trial);
    scene.raw = ls_trial_input(&scene.trial, "raw", of->type, LS_SHAPE(SAMPLES, of->channels, H, W));
    scene.words = ls_trial_input(&scene.trial, "augment", LS_I32, LS_SHAPE(SAMPLES, LS_AUGMENT_WORDS));
    const union ls_attr attrs[LS_MAX_ATTRS] = {
        [LS_INPUT_AUGMENTED].i = 1,         [LS_INPUT_CHANNELS_FIRST].i = of->channels_first,
        [LS_INPUT_SCALE].f = 1.0 / 255,     [LS_INPUT_HEIGHT].i = of->out_height,
        [LS_INPUT_WIDTH].i = of->out_width,
    };
    const int node = ls_trial_node(&scene.trial, LS_OP_INPUT, (ls_value[]){scene.raw, scene.words}, 2, attrs,
                                   list, 2 * of->channels);
    if (node < 0) fail_msg("%s", ls_error_last()->text);
    scene.x = scene.trial.graph.nodes[0].out[0];
    for (int64_t i = 0; i < ls_trial_count(&scene.trial, scene.raw); i++)
        ls_trial_put(&scene.trial, scene.raw, i,
                     of->type == LS_U8 ? word(1, (uint64_t)i) >> 24 : number(1, (uint64_t)i, -20, 275));
    return scene;
}

static ls_status scene_run(struct scene *scene) {
    for (int n = 0; n < SAMPLES; n++) {
        int32_t words[LS_AUGMENT_WORDS];
        memcpy(words, &scene->augment[n], sizeof words);
        for (int i = 0; i < LS_AUGMENT_WORDS; i++)
            ls_trial_put(&scene->trial, scene->words, n * LS_AUGMENT_WORDS + i, words[i]);
    }
    return ls_trial_run(&scene->trial, LS_CPU_PLAIN, 0, 1);
}

static double raw_at(const struct scene *scene, int n, int64_t h, int64_t w, int c) {
    return ls_trial_get(&scene->trial, scene->raw, place_of(&scene->of, n, h, w, c));
}

// ---- the definition

static double grey(const struct setting *of, const double *value) {
    if (of->channels == 3) return 0.299 * value[0] + 0.587 * value[1] + 0.114 * value[2];
    double sum = 0;
    for (int c = 0; c < of->channels; c++) sum += value[c];
    return sum / of->channels;
}

static double mean_grey(const struct scene *scene, int n) {
    double sum = 0, value[MOST_CHANNELS];
    for (int h = 0; h < H; h++)
        for (int w = 0; w < W; w++) {
            for (int c = 0; c < scene->of.channels; c++) value[c] = raw_at(scene, n, h, w, c);
            sum += grey(&scene->of, value);
        }
    return sum / (H * W);
}

static int64_t nearest_inside(double pixel, int64_t pixels) {
    return pixel < 0 ? 0 : pixel > (double)(pixels - 1) ? pixels - 1 : (int64_t)pixel;
}

static double bilinear(const struct scene *scene, int n, double y, double x, int c) {
    y -= 0.5, x -= 0.5; // from the centre of the first pixel
    const double down = y - floor(y), right = x - floor(x);
    double sum = 0;
    for (int corner = 0; corner < 4; corner++) {
        const int below = corner / 2, beside = corner % 2;
        const double part = (below ? down : 1 - down) * (beside ? right : 1 - right);
        sum += part *
               raw_at(scene, n, nearest_inside(floor(y) + below, H), nearest_inside(floor(x) + beside, W), c);
    }
    return sum;
}

// The shown values of all channels; false where nothing of the sample is shown.
static bool shown(const struct scene *scene, int n, int h, int w, double *value) {
    const struct ls_augment *a = &scene->augment[n];
    if (a->flags & LS_AUGMENT_AFFINE) {
        const double y = ((double)a->y + (double)h * a->y_a_row + (double)w * a->y_a_column) / 65536;
        const double x = ((double)a->x + (double)h * a->x_a_row + (double)w * a->x_a_column) / 65536;
        if (y < 0 || y >= H || x < 0 || x >= W) return false;
        for (int c = 0; c < scene->of.channels; c++) value[c] = bilinear(scene, n, y, x, c);
        return true;
    }
    const int y = (a->flags & LS_AUGMENT_FLIP_VERTICAL ? scene->of.out_height - 1 - h : h) + a->dy +
                  (H - scene->of.out_height) / 2;
    const int x = (a->flags & LS_AUGMENT_FLIP ? scene->of.out_width - 1 - w : w) + a->dx +
                  (W - scene->of.out_width) / 2;
    if (y < 0 || y >= H || x < 0 || x >= W) return false;
    for (int c = 0; c < scene->of.channels; c++) value[c] = raw_at(scene, n, y, x, c);
    return true;
}

static double colored(const struct scene *scene, int n, const double *value, int c) {
    const struct ls_augment *a = &scene->augment[n];
    double sum = (double)a->contrast * mean_grey(scene, n);
    if (scene->of.channels == 3)
        for (int from = 0; from < 3; from++) sum += (double)a->color[3 * c + from] * value[from];
    else
        sum += (double)a->color[0] * value[c];
    return scene->of.type == LS_U8 ? fmin(fmax(sum, 0), 255) : sum;
}

static bool inside(const struct ls_augment_box *box, int h, int w) {
    return h >= box->top && h < box->bottom && w >= box->left && w < box->right;
}

static double alone(const struct scene *scene, int n, int h, int w, int c) {
    const struct ls_augment *a = &scene->augment[n];
    double value[MOST_CHANNELS] = {0};
    if ((a->flags & LS_AUGMENT_CUT) && inside(&a->cut, h, w)) return 0;
    const bool any = shown(scene, n, h, w, value);
    const double v = any && (a->flags & LS_AUGMENT_COLOR) ? colored(scene, n, value, c) : value[c];
    return (v / 255 - scene->mean[c]) / scene->std[c];
}

static double defined(const struct scene *scene, int n, int h, int w, int c) {
    const struct ls_augment *a = &scene->augment[n];
    if (a->flags & LS_AUGMENT_MIXUP)
        return (double)a->factor * alone(scene, n, h, w, c) +
               (1 - (double)a->factor) * alone(scene, a->partner, h, w, c);
    return alone(scene, (a->flags & LS_AUGMENT_CUTMIX) && inside(&a->mix, h, w) ? a->partner : n, h, w, c);
}

// Values stay below 16 here, and go through fewer than 32 roundings of 2^-24 on their way.
static const double tolerance = 16 * 32 * 0x1p-24;

static void expect_definition(const struct scene *scene) {
    int64_t i = 0;
    for (int n = 0; n < SAMPLES; n++)
        for (int h = 0; h < scene->of.out_height; h++)
            for (int w = 0; w < scene->of.out_width; w++)
                for (int c = 0; c < scene->of.channels; c++, i++) {
                    const double expected = defined(scene, n, h, w, c);
                    const double found = ls_trial_get(&scene->trial, scene->x, i);
                    assert_true(fabs(expected) < 16);
                    if (!(fabs(found - expected) <= tolerance))
                        fail_msg("flags %d, %d channels, x[%d][%d][%d][%d]: expected %.9g, found %.9g",
                                 scene->augment[n].flags, scene->of.channels, n, h, w, c, expected, found);
                }
}

// ---- tests

static struct ls_augment_box random_box(uint64_t key) {
    struct ls_augment_box box = {(int)ls_below(word(key, 0), H), (int)ls_below(word(key, 1), W), 0, 0};
    box.bottom = box.top + (int)ls_below(word(key, 2), 5);
    box.right = box.left + (int)ls_below(word(key, 3), 5);
    return box;
}

static struct ls_augment random_augment(uint64_t key, int flags) {
    struct ls_augment a = {
        .flags = flags, .dy = (int)ls_below(word(key, 9), 5) - 2, .dx = 1, .contrast = 0.25f};
    const double turn = number(key, 10, -3, 3), size = number(key, 11, 0.5, 1.5);
    a.y_a_row = (int32_t)(65536 * size * cos(turn));
    a.x_a_column = (int32_t)(65536 * cos(turn));
    a.y_a_column = (int32_t)(-65536 * size * sin(turn));
    a.x_a_row = (int32_t)(65536 * sin(turn));
    a.y = (int32_t)(65536 * number(key, 12, 0, H / 2.0));
    a.x = (int32_t)(65536 * number(key, 13, 0, W / 2.0));
    for (uint64_t i = 0; i < 9; i++) a.color[i] = (float)number(key, 20 + i, -0.3, 0.9);
    a.cut = random_box(key + 1000);
    a.mix = random_box(key + 2000);
    a.partner = (int32_t)ls_below(word(key, 14), SAMPLES);
    a.factor = (float)number(key, 15, 0, 1);
    return a;
}

static const struct setting settings[] = {
    {LS_U8, false, 3, H, W}, {LS_U8, true, 3, 6, 6},   {LS_F32, false, 3, 5, 7},
    {LS_F32, true, 3, H, W}, {LS_U8, false, 1, 8, W},  {LS_F32, true, 1, H, 3},
    {LS_U8, true, 5, 4, 4},  {LS_F32, false, 5, H, W}, {LS_U8, false, 2, H, W},
};
enum { SETTINGS = sizeof settings / sizeof *settings, ALL_FLAGS = 128 };

// Every set of flags, in lanes of samples that have other ones.
static void test_definition(void **state) {
    (void)state;
    for (int s = 0; s < SETTINGS; s++)
        for (int first = 0; first < ALL_FLAGS; first += SAMPLES) {
            struct scene scene = scene_open(&settings[s]);
            for (int n = 0; n < SAMPLES; n++)
                scene.augment[n] =
                    random_augment((uint64_t)(100 * s + first + n), (first + 41 * n) % ALL_FLAGS);
            assert_ok(scene_run(&scene));
            expect_definition(&scene);
            ls_trial_close(&scene.trial);
        }
}

// The base kernel gives the same bits as that of the highest level.
static void test_levels_agree(void **state) {
    (void)state;
    for (int s = 0; s < SETTINGS; s++) {
        struct scene scene = scene_open(&settings[s]);
        for (int n = 0; n < SAMPLES; n++)
            scene.augment[n] = random_augment((uint64_t)n, 4 + 8 + 16 + n % 3 * 32);
        assert_ok(scene_run(&scene));
        static float other[SAMPLES * H * W * MOST_CHANNELS], workspace[1024];
        const struct ls_node *node = &scene.trial.graph.nodes[0];
        struct ls_kernel_call call = {.graph = &scene.trial.graph, .node = node, .workspace = workspace};
        size_t bytes;
        assert_true(ls_plain_base.kernel->supports(&scene.trial.graph, node, &bytes));
        assert_in_range(bytes, 1, sizeof workspace);
        for (int k = 0; k < 2; k++) call.in[k] = scene.trial.data[node->in[k]];
        call.out[0] = other;
        assert_ok(ls_plain_base.kernel->run(&call));
        assert_memory_equal(other, scene.trial.data[scene.x],
                            (size_t)ls_trial_count(&scene.trial, scene.x) * sizeof(float));
        ls_trial_close(&scene.trial);
    }
}

static void expect_same_bits(const struct setting *of, const struct ls_augment *a,
                             const struct ls_augment *b) {
    struct scene one = scene_open(of), other = scene_open(of);
    for (int n = 0; n < SAMPLES; n++) one.augment[n] = *a, other.augment[n] = *b;
    assert_ok(scene_run(&one));
    assert_ok(scene_run(&other));
    assert_memory_equal(one.trial.data[one.x], other.trial.data[other.x],
                        (size_t)ls_trial_count(&one.trial, one.x) * sizeof(float));
    ls_trial_close(&one.trial);
    ls_trial_close(&other.trial);
}

// A shift and flips go row by row; with an empty cut pixel by pixel; as a map through the interpolation.
static void test_three_ways_of_a_shift(void **state) {
    (void)state;
    for (int s = 0; s < SETTINGS; s++)
        for (int flags = 0; flags < 4; flags++)
            for (int dy = -3; dy <= 10; dy += 4) {
                const struct setting *of = &settings[s];
                const struct ls_augment rows = {.dy = dy, .dx = -2, .flags = flags};
                struct ls_augment pixels = rows, map = {.flags = LS_AUGMENT_AFFINE};
                pixels.flags |= LS_AUGMENT_CUT;
                const int down = flags & LS_AUGMENT_FLIP_VERTICAL ? -1 : 1,
                          right = flags & LS_AUGMENT_FLIP ? -1 : 1;
                const int y = (down < 0 ? of->out_height - 1 : 0) + dy + (H - of->out_height) / 2;
                const int x = (right < 0 ? of->out_width - 1 : 0) - 2 + (W - of->out_width) / 2;
                map.y = 65536 * y + 32768, map.y_a_row = 65536 * down;
                map.x = 65536 * x + 32768, map.x_a_column = 65536 * right;
                expect_same_bits(of, &rows, &pixels);
                expect_same_bits(of, &rows, &map);
            }
}

static void test_partner_outside_the_lane(void **state) {
    (void)state;
    for (int kind = LS_AUGMENT_MIXUP; kind <= LS_AUGMENT_CUTMIX; kind *= 2)
        for (int partner = -1; partner <= SAMPLES; partner += SAMPLES + 1) {
            struct scene scene = scene_open(&settings[0]);
            scene.augment[3] = (struct ls_augment){.flags = kind, .partner = partner};
            assert_int_equal(scene_run(&scene), LS_SYSTEM);
            assert_non_null(strstr(ls_error_last()->text, "the partner of the lane's sample 3 is "));
            ls_trial_close(&scene.trial);
        }
}

// Bright f32 pixels whose sum in f32 would lose the faint ones.
static void test_mean_of_floats(void **state) {
    (void)state;
    const struct setting of = {LS_F32, false, 1, H, W};
    struct scene scene = scene_open(&of);
    for (int64_t i = 0; i < SAMPLES * H * W; i++)
        ls_trial_put(&scene.trial, scene.raw, i, i % 2 ? 1 : i % 4 ? 0x1p30 : -0x1p30);
    double sum = 0;
    for (int i = 0; i < H * W; i++) sum += i % 2 ? 1 : i % 4 ? 0x1p30 : -0x1p30;
    scene.augment[0] = (struct ls_augment){.flags = LS_AUGMENT_COLOR, .contrast = 1};
    assert_ok(scene_run(&scene));
    const float a = (float)(1.0 / 255 / scene.std[0]), b = (float)(-scene.mean[0] / scene.std[0]);
    assert_true((float)ls_trial_get(&scene.trial, scene.x, 0) == (float)(sum / (H * W)) * a + b);
    ls_trial_close(&scene.trial);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_levels_agree),
        cmocka_unit_test(test_three_ways_of_a_shift),
        cmocka_unit_test(test_partner_outside_the_lane),
        cmocka_unit_test(test_mean_of_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
