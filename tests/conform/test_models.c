// Whole models through the engine, two lanes, against PyTorch in f64: initial weights, loss, every gradient,
// and twenty steps of each optimizer.
//
// f32 is not f64, and a wrong sign in an early step could grow. So reference.py also trains in f32, a few
// times, with the sums in other orders, and keeps how far that strays from f64: about 1e-6 of what a
// parameter moved, for its seeds keep all units clear of the kinks of their relus. What Lockstep may be off
// is a small multiple of that. LARS and LAMB, which make much of small gradients, train a model without
// kinks.
#include "base/hash.h"
#include "base/philox.h"
#include "conform/digest.h"
#include "cpu/cpu.h"
#include "train/engine.h"
#include "unit/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 64, MOST_PATH = 160 };

// A sum of differences with random signs is as large as their 2-norm; of hundreds of them one is three times
// that. The rest is for another order of sums.
static const double stray_factor = 8;

struct scene {
    struct ls_h5 *file;
    const char *group; // models/lenet/sgd
    int size;          // of a picture, both ways
    struct ls_recipe recipe;
    float rate;
    struct ls_device *device;
    struct ls_model model;
    struct ls_engine *engine;
    struct ls_batch batch;
    float *first; // parameters, then statistics, before the first step
};

// ---- samples: noise below 128, and 128 more in the block, one of 4x4, that the label names
static void make_sample(uint64_t seed, uint64_t position, int size, uint8_t *pixels, int32_t *label,
                        int64_t classes) {
    *label =
        (int32_t)ls_below(ls_philox(seed, LS_RANDOM_TEST, 1ull << 32, position).word[0], (uint32_t)classes);
    for (int i = 0; i < size * size; i++) {
        const uint32_t word = ls_philox(seed, LS_RANDOM_TEST, (uint64_t)i / 16, position).word[i / 4 % 4];
        const int block = i / size / (size / 4) * 4 + i % size / (size / 4);
        pixels[i] = (uint8_t)((word >> i % 4 * 8 & 127) + (block == *label ? 128 : 0));
    }
}

static void make_batch(struct scene *scene) {
    const int64_t n = scene->recipe.train.batch;
    scene->batch = (struct ls_batch){.n = n, .valid = n};
    scene->batch.samples = calloc((size_t)n, (size_t)(scene->size * scene->size));
    scene->batch.targets = calloc((size_t)n, sizeof(int32_t));
    scene->batch.augment = calloc((size_t)n * LS_AUGMENT_WORDS, sizeof(int32_t));
    scene->batch.weight = calloc((size_t)n, sizeof(float));
    assert_true(scene->batch.samples && scene->batch.targets && scene->batch.augment && scene->batch.weight);
    for (int64_t i = 0; i < n; i++) scene->batch.weight[i] = 1;
}

static void fill_batch(struct scene *scene, uint64_t step) {
    struct ls_batch *batch = &scene->batch;
    batch->first_position = step * (uint64_t)batch->n;
    for (int64_t i = 0; i < batch->n; i++)
        make_sample(scene->recipe.seed, batch->first_position + (uint64_t)i, scene->size,
                    (uint8_t *)batch->samples + i * scene->size * scene->size, (int32_t *)batch->targets + i,
                    scene->recipe.model.classes);
}

// ---- a run
static void read_recipe(struct scene *scene, const char *kernels) {
    char text[1024], override[64];
    bool found;
    double rate;
    int n;
    assert_ok(ls_h5_attr_text(scene->file, scene->group, "recipe", text, sizeof text, &found));
    assert_ok(ls_h5_attr_f64(scene->file, scene->group, "rate", &rate, 1, &n));
    if (!found || n != 1) fail_msg("%s has no recipe", scene->group);
    scene->rate = (float)rate;
    snprintf(override, sizeof override, "device.kernels=%s", kernels);
    const char *const overrides[] = {override, "device.threads=2"};
    assert_ok(ls_recipe_parse(text, scene->group, ".", overrides, 2, &scene->recipe));
}

// What starts as a constant becomes random: a block whose last scale is 0 has no gradient inside, and its
// relu starts on the kink.
static void shake(const struct ls_layout *layout, uint64_t seed, float *params) {
    for (int i = 0; i < layout->n_params; i++) {
        const struct ls_item *item = &layout->params[i];
        if (item->init.kind != LS_INIT_CONSTANT) continue;
        const uint64_t name = ls_hash_of(item->name, strlen(item->name));
        for (size_t k = 0; k < item->count; k++)
            params[item->offset + k] =
                0.5f + ls_uniform(ls_philox(seed, LS_RANDOM_TEST, k / 4, name).word[k % 4]);
    }
}

static void set_weights(struct scene *scene) {
    const struct ls_layout *layout = scene->model.train->layout;
    const struct ls_replica replica = ls_engine_replica(scene->engine);
    ls_weights_init(layout, scene->recipe.seed, replica.params, replica.states);
    shake(layout, scene->recipe.seed, replica.params);
    scene->first = malloc((layout->param_floats + layout->state_floats + 1) * sizeof(float));
    assert_non_null(scene->first);
    memcpy(scene->first, replica.params, layout->param_floats * sizeof(float));
    if (layout->state_floats > 0)
        memcpy(scene->first + layout->param_floats, replica.states, layout->state_floats * sizeof(float));
}

static void open_scene(struct scene *scene, const char *group, int size, const char *kernels) {
    const struct ls_sample_shape sample = {.height = size,
                                           .width = size,
                                           .channels = 1,
                                           .type = LS_U8,
                                           .target_is_class = true,
                                           .target_values = 1};
    static struct ls_comm alone = {.size = 1, .local_size = 1};
    *scene = (struct scene){.group = group, .size = size};
    assert_ok(ls_h5_open(LOCKSTEP_REFERENCE, &scene->file));
    read_recipe(scene, kernels);
    const struct ls_cpu_options options = {2, strcmp(kernels, "plain") == 0 ? LS_CPU_PLAIN : LS_CPU_AUTO};
    assert_ok(ls_cpu_open(&options, &scene->device));
    assert_ok(ls_model_make(&scene->recipe, &sample, scene->device, &scene->model));
    const struct ls_engine_spec spec = {scene->device, &alone, &scene->model, &scene->recipe};
    assert_ok(ls_engine_open(&spec, &scene->engine));
    set_weights(scene);
    make_batch(scene);
}

static void close_scene(struct scene *scene) {
    ls_engine_close(scene->engine);
    ls_model_free(&scene->model);
    scene->device->api->close(scene->device);
    ls_recipe_free(&scene->recipe);
    ls_h5_close(scene->file);
    free(scene->batch.samples);
    free(scene->batch.targets);
    free(scene->batch.augment);
    free(scene->batch.weight);
    free(scene->first);
}

// The loss is a sum over the batch in f32 before it is a mean: it may be off by a few roundings of its own.
static void run_steps(struct scene *scene) {
    char path[2 * MOST_PATH];
    double expected[MOST_STEPS], strayed;
    struct ls_h5_dataset info;
    int n;
    snprintf(path, sizeof path, "%s/loss", scene->group);
    assert_ok(ls_h5_describe(scene->file, path, &info));
    assert_true(info.rank == 1 && info.dim[0] >= 1 && info.dim[0] <= MOST_STEPS);
    assert_ok(ls_h5_read_all(scene->file, path, LS_F64, expected));
    assert_ok(ls_h5_attr_f64(scene->file, path, "strayed", &strayed, 1, &n));
    for (int64_t step = 0; step < info.dim[0]; step++) {
        const struct ls_step_control control = {
            .step = (uint64_t)step, .updates = (uint64_t)step, .lr = scene->rate};
        struct ls_step_result result;
        fill_batch(scene, (uint64_t)step);
        assert_ok(ls_engine_step(scene->engine, &scene->batch, &control, &result));
        const double most = stray_factor * strayed + fabs(expected[step]) * 0x1p-22;
        if (result.skipped || !(fabs(result.loss - expected[step]) <= most))
            fail_msg("%s, step %d: loss %.9g, expected %.9g, give or take %.2g", scene->group, (int)step,
                     result.loss, expected[step], most);
    }
}

// ---- what a run leaves behind, against the file
// An item of `now`, less what it was in `before` (NULL: 0).
static void check_item(struct scene *scene, const char *group, const struct ls_item *item, const float *now,
                       const float *before, double factor, double rounding) {
    char path[2 * MOST_PATH];
    snprintf(path, sizeof path, "%s/%s", group, item->name);
    double *x = malloc(item->count * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < item->count; i++)
        x[i] = (double)now[item->offset + i] - (before ? (double)before[item->offset + i] : 0);
    ls_status status = ls_digest_check(scene->file, path, x, (int64_t)item->count, factor, rounding);
    free(x);
    assert_ok(status);
}

static ls_status count_one(void *context, const char *name, const struct ls_h5_dataset *info) {
    (void)name, (void)info;
    ++*(int *)context;
    return LS_OK;
}

// The file has as many items as the layout: each of the layout is looked up, so they are the same.
static void check_group(struct scene *scene, const char *kind, const struct ls_item *items, int n,
                        const float *now, const float *before, double factor) {
    char group[MOST_PATH];
    int stored = 0;
    snprintf(group, sizeof group, "%s/%s", scene->group, kind);
    assert_ok(ls_h5_visit(scene->file, group, count_one, &stored));
    assert_int_equal(stored, n);
    for (int i = 0; i < n; i++) check_item(scene, group, &items[i], now, before, factor, 0);
}

// ---- tests
static const struct {
    const char *name;
    int size;
    bool smooth; // no unit has a kink: the file has steps of LARS and LAMB
} models[] = {{"lenet", 28, false}, {"resnet8", 8, false}, {"vit_s16", 32, true}};
static const char *const kernels[] = {"plain", "auto"};
enum { MODELS = sizeof models / sizeof models[0] };

static int kernel_kinds(void) {
    return ls_cpu_library() ? 2 : 1;
}

static void test_initial_weights(void **state) {
    (void)state;
    for (int m = 0; m < MODELS; m++) {
        struct scene scene;
        char group[MOST_PATH], run[MOST_PATH];
        snprintf(run, sizeof run, "models/%s/sgd", models[m].name);
        snprintf(group, sizeof group, "models/%s/initial", models[m].name);
        open_scene(&scene, run, models[m].size, "plain");
        const struct ls_layout *layout = scene.model.train->layout;
        const struct ls_replica replica = ls_engine_replica(scene.engine);
        ls_weights_init(layout, scene.recipe.seed, replica.params, replica.states);
        // The values are equal; norm and sums, in f64, depend on the order.
        for (int i = 0; i < layout->n_params; i++)
            check_item(&scene, group, &layout->params[i], replica.params, NULL, 0, 1e-12);
        for (int i = 0; i < layout->n_states; i++)
            check_item(&scene, group, &layout->states[i], replica.states, NULL, 0, 1e-12);
        close_scene(&scene);
    }
}

// The recipe's momentum without decay holds the gradient after its first step.
static void test_gradients(void **state) {
    (void)state;
    for (int m = 0; m < MODELS; m++)
        for (int k = 0; k < kernel_kinds(); k++) {
            struct scene scene;
            char run[MOST_PATH];
            snprintf(run, sizeof run, "models/%s/gradient", models[m].name);
            open_scene(&scene, run, models[m].size, kernels[k]);
            run_steps(&scene);
            const struct ls_layout *layout = scene.model.train->layout;
            assert_ok(ls_engine_download(scene.engine));
            check_group(&scene, "params", layout->params, layout->n_params,
                        ls_engine_replica(scene.engine).slot[0], NULL, stray_factor);
            close_scene(&scene);
        }
}

static void check_training(const char *optimizer, bool kinked) {
    for (int m = 0; m < MODELS; m++)
        for (int k = 0; k < kernel_kinds() && (kinked || models[m].smooth); k++) {
            struct scene scene;
            char run[MOST_PATH];
            snprintf(run, sizeof run, "models/%s/%s", models[m].name, optimizer);
            open_scene(&scene, run, models[m].size, kernels[k]);
            run_steps(&scene);
            const struct ls_layout *layout = scene.model.train->layout;
            assert_ok(ls_engine_download(scene.engine));
            const struct ls_replica replica = ls_engine_replica(scene.engine);
            check_group(&scene, "params", layout->params, layout->n_params, replica.params, scene.first,
                        stray_factor);
            check_group(&scene, "states", layout->states, layout->n_states, replica.states,
                        scene.first + layout->param_floats, stray_factor);
            close_scene(&scene);
        }
}

static void test_sgd(void **state) {
    (void)state;
    check_training("sgd", true);
}

static void test_adamw(void **state) {
    (void)state;
    check_training("adamw", true);
}

static void test_lars(void **state) {
    (void)state;
    check_training("lars", false);
}

static void test_lamb(void **state) {
    (void)state;
    check_training("lamb", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial_weights), cmocka_unit_test(test_gradients), cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_adamw),           cmocka_unit_test(test_lars),      cmocka_unit_test(test_lamb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
