// The engine under adverse timing: its queues meet at events alone, so a queue that is late must change
// nothing. A device that sleeps before each task of one queue, of each in turn, or of queues drawn at random,
// must give the bits of one queue that is never kept waiting: losses, norms, evaluations, parameters and
// statistics. Each time a second device does the same whose memory the host cannot reach: an address of it is
// none that a processor has, and only what is enqueued gets at it.
//
// Under mpirun the late engine is spread over the ranks; what it is held to is each rank's own, alone.
#include "base/philox.h"
#include "cpu/cpu.h"
#include "train/engine.h"
#include "unit/check.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STEPS = 3, LANES = 8, QUEUES = 3, LANE_SAMPLES = 2, SAMPLES = LANES * LANE_SAMPLES };
enum { SIZE = 8, PIXELS = SIZE * SIZE, CLASSES = 10, MOST_QUEUES = 8, NAP_MICROSECONDS = 1000 };

#define RECIPE(precision, optimizer)                                                                         \
    "seed: 3\n"                                                                                              \
    "model: {zoo: cnn, classes: 10, dropout: 0.25}\n"                                                        \
    "data: {train: synthetic}\n"                                                                             \
    "train:\n"                                                                                               \
    "  steps: 3\n"                                                                                           \
    "  batch: 16\n"                                                                                          \
    "  lanes: 8\n"                                                                                           \
    "  clip: 0.5\n" /* so the norm and the decision reach the parameters */                                  \
    "  bucket: 64KiB\n"                                                                                      \
    "  precision: " precision "\n"                                                                           \
    "  loss: cross_entropy\n"                                                                                \
    "  optimizer: " optimizer "\n"                                                                           \
    "  ema: 0.9\n"                                                                                           \
    "device: {kernels: plain}\n"

static struct ls_comm world, alone = {.size = 1, .local_size = 1};
static struct ls_recipe recipe;
static struct ls_batch samples[2]; // of two steps at once

// ---- a device that is late
enum { AT_RANDOM = -1 };

static struct {
    const struct ls_device_api *real;
    int starved; // a queue, by the order in which they were opened, or AT_RANDOM
    uint64_t seed, draws;
    struct ls_queue *queue[MOST_QUEUES];
    int n_queues;
    bool far, ahead, drains, closes_early;
    int converted; // parts of the weights, so far
} late;

static ls_status nap(void *argument) {
    (void)argument;
    nanosleep(&(struct timespec){.tv_nsec = NAP_MICROSECONDS * 1000}, NULL);
    return LS_OK;
}

static void delay(struct ls_queue *queue) {
    const bool drawn = ls_philox(late.seed, LS_RANDOM_TEST, late.draws++, 0).word[0] % 4 == 0;
    const bool starved = late.starved != AT_RANDOM && queue == late.queue[late.starved];
    if (starved || (late.starved == AT_RANDOM && drawn)) late.real->call(queue, nap, NULL, 0);
}

static ls_status late_queue_open(struct ls_device *device, const char *name, struct ls_queue **queue) {
    assert_true(late.n_queues < MOST_QUEUES);
    LS_TRY(late.real->queue_open(device, name, queue));
    late.queue[late.n_queues++] = *queue;
    return LS_OK;
}

// Of memory out of reach, an address has this bit; no processor of today has it in one.
static const uintptr_t far_bit = (uintptr_t)1 << 62;

static void *near(const void *memory) {
    return (void *)((uintptr_t)memory & ~far_bit);
}

// What a device reads itself must be its own.
static void *there(const void *memory) {
    if (late.far && memory && !((uintptr_t)memory & far_bit)) fail_msg("%p is memory of the host", memory);
    return near(memory);
}

static ls_status far_alloc(struct ls_device *device, size_t bytes, void **memory) {
    LS_TRY(late.real->alloc(device, bytes, memory));
    *memory = (void *)((uintptr_t)*memory | far_bit);
    return LS_OK;
}

static void far_free(struct ls_device *device, void *memory) {
    late.real->free(device, near(memory));
}

static void late_copy(struct ls_queue *queue, void *to, const void *from, size_t bytes) {
    delay(queue);
    late.real->copy(queue, near(to), near(from), bytes);
}

static void late_add(struct ls_queue *queue, float *to, const float *a, const float *b, size_t n) {
    delay(queue);
    late.real->add(queue, there(to), there(a), there(b), n);
}

static void late_call(struct ls_queue *queue, ls_status (*function)(void *), const void *argument,
                      size_t bytes) {
    delay(queue);
    late.real->call(queue, function, argument, bytes);
}

static void late_square_sums(struct ls_queue *queue, const float *data, size_t n, size_t begin, size_t end,
                             double *sums) {
    delay(queue);
    late.real->square_sums(queue, there(data), n, begin, end, there(sums));
}

static void late_decide(struct ls_queue *queue, const struct ls_decide *decide) {
    delay(queue);
    struct ls_decide moved = *decide;
    moved.block_sums = there(decide->block_sums);
    moved.metrics = there(decide->metrics);
    moved.decision = there(decide->decision);
    late.real->decide(queue, &moved);
}

static struct ls_update update_there(const struct ls_update *update) {
    struct ls_update moved = *update;
    moved.params = there(update->params);
    moved.grads = there(update->grads);
    for (int i = 0; i < 2; i++) moved.slot[i] = there(update->slot[i]);
    moved.ranges = there(update->ranges);
    moved.blocks = there(update->blocks);
    moved.norms = there(update->norms);
    moved.ratios = there(update->ratios);
    moved.decision = there(update->decision);
    return moved;
}

static void late_update(struct ls_queue *queue, const struct ls_update *update) {
    delay(queue);
    const struct ls_update moved = update_there(update);
    late.real->update(queue, &moved);
}

static void late_update_norms(struct ls_queue *queue, const struct ls_update *update, size_t begin,
                              size_t end) {
    delay(queue);
    const struct ls_update moved = update_there(update);
    late.real->update_norms(queue, &moved, begin, end);
}

static void late_update_ratios(struct ls_queue *queue, const struct ls_update *update) {
    delay(queue);
    const struct ls_update moved = update_there(update);
    late.real->update_ratios(queue, &moved);
}

static void late_update_states(struct ls_queue *queue, const struct ls_update_states *update) {
    delay(queue);
    struct ls_update_states moved = *update;
    moved.table = there(update->table);
    moved.states = there(update->states);
    moved.output = there(update->output);
    moved.decision = there(update->decision);
    late.real->update_states(queue, &moved);
}

static void late_average(struct ls_queue *queue, const struct ls_average *average) {
    delay(queue);
    struct ls_average moved = *average;
    moved.average = there(average->average);
    moved.values = there(average->values);
    moved.decision = there(average->decision);
    late.real->average(queue, &moved);
}

static void late_convert(struct ls_queue *queue, struct ls_program *program, int part, int parts,
                         const struct ls_lane *lane) {
    delay(queue);
    late.converted++;
    struct ls_lane moved = *lane;
    moved.params = there(lane->params);
    moved.converted = there(lane->converted);
    moved.arena = there(lane->arena);
    late.real->convert(queue, program, part, parts, &moved);
}

static void late_run(struct ls_queue *queue, struct ls_program *program, int segment,
                     const struct ls_lane *lane) {
    delay(queue);
    struct ls_lane moved = *lane;
    const void **const inputs[] = {&moved.raw, &moved.augment, &moved.target, &moved.weight};
    for (int i = 0; i < 4; i++) *inputs[i] = there(*inputs[i]);
    moved.params = there(lane->params);
    moved.states = there(lane->states);
    moved.output = there(lane->output);
    moved.control = there(lane->control);
    moved.converted = there(lane->converted);
    moved.arena = there(lane->arena);
    late.real->run(queue, program, segment, &moved);
}

static struct ls_device_api late_api(const struct ls_device_api *real) {
    struct ls_device_api api = *real;
    if (late.far) api.alloc = far_alloc, api.free = far_free;
    api.queue_open = late_queue_open;
    api.copy = late_copy;
    api.add = late_add;
    api.call = late_call;
    api.square_sums = late_square_sums;
    api.decide = late_decide;
    api.update = late_update;
    api.update_norms = late_update_norms;
    api.update_ratios = late_update_ratios;
    api.update_states = late_update_states;
    api.average = late_average;
    api.convert = late_convert;
    api.run = late_run;
    return api;
}

// ---- a run
struct outcome {
    struct {
        double loss, accuracy, norm;
    } steps[STEPS];
    struct {
        bool there;
        float metrics[LANES][3], results[SAMPLES * CLASSES];
    } evaluations[STEPS];
    float *weights; // parameters, momentum, their average, statistics, their average
    size_t n;
};

static const struct ls_batch *fill_samples(int step) {
    struct ls_batch *batch = &samples[step % 2];
    batch->first_position = (uint64_t)step * SAMPLES;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const uint64_t position = batch->first_position + i;
        uint8_t *pixels = (uint8_t *)batch->samples + i * PIXELS;
        for (uint64_t k = 0; k < PIXELS; k++)
            pixels[k] = (uint8_t)ls_philox(1, LS_RANDOM_TEST, k, position).word[0];
        ((int32_t *)batch->targets)[i] =
            (int32_t)ls_below(ls_philox(2, LS_RANDOM_TEST, 0, position).word[0], CLASSES);
    }
    return batch;
}

// The samples of this rank's lanes.
static struct ls_batch share_of(const struct ls_batch *whole, struct ls_lane_range lanes) {
    const int64_t begin = (int64_t)lanes.begin * LANE_SAMPLES;
    return (struct ls_batch){
        .first_position = whole->first_position + (uint64_t)begin,
        .n = (int64_t)(lanes.end - lanes.begin) * LANE_SAMPLES,
        .valid = (int64_t)(lanes.end - lanes.begin) * LANE_SAMPLES,
        .samples = (uint8_t *)whole->samples + begin * PIXELS,
        .targets = (int32_t *)whole->targets + begin,
        .augment = whole->augment + begin * LS_AUGMENT_WORDS,
        .weight = whole->weight + begin,
    };
}

static struct ls_step_control control_of(int step) {
    return (struct ls_step_control){.step = (uint64_t)step, .updates = (uint64_t)step, .lr = 0.1f};
}

static void begin(struct ls_engine *engine, int step, float loss_scale) {
    const struct ls_batch batch = share_of(fill_samples(step), ls_engine_lanes(engine));
    struct ls_step_control control = control_of(step);
    control.loss_scale = loss_scale;
    ls_engine_begin(engine, &batch, &control);
}

// The next one of `step` is begun before the result of `step` is known; the last but one in vain, and again.
static void begin_next(struct ls_engine *engine, int step) {
    if (step + 1 == STEPS) return;
    const bool in_vain = step + 2 == STEPS;
    begin(engine, step + 1, in_vain ? 4 : 1);
    if (in_vain) {
        assert_ok(ls_engine_abandon(engine));
        begin(engine, step + 1, 1);
    }
    for (int q = 0; late.drains && q < late.n_queues; q++) assert_ok(late.real->sync(late.queue[q]));
}

static void evaluate(struct ls_engine *engine, int step, struct outcome *outcome) {
    assert_ok(ls_engine_evaluate(engine, &samples[step % 2], LANES, outcome->evaluations[step].metrics,
                                 outcome->evaluations[step].results));
    outcome->evaluations[step].there = true;
}

static void run_steps(struct ls_engine *engine, struct outcome *outcome) {
    if (late.ahead) begin(engine, 0, 1);
    for (int step = 0; step < STEPS; step++) {
        const struct ls_step_control control = control_of(step);
        struct ls_step_result result;
        if (!late.ahead) begin(engine, step, 1);
        ls_engine_apply(engine, &control);
        if (late.ahead) begin_next(engine, step);
        assert_ok(ls_engine_result(engine, &result));
        assert_false(result.skipped);
        outcome->steps[step].loss = result.loss;
        outcome->steps[step].accuracy = result.score;
        outcome->steps[step].norm = result.grad_norm;
        if (!late.ahead || step + 1 == STEPS) evaluate(engine, step, outcome);
    }
}

static void keep_weights(struct ls_engine *engine, const struct ls_layout *layout, struct outcome *outcome) {
    assert_ok(ls_engine_download(engine));
    const struct ls_replica replica = ls_engine_replica(engine);
    const size_t params = layout->param_floats, states = layout->state_floats;
    outcome->n = 3 * params + 2 * states;
    outcome->weights = malloc(outcome->n * sizeof(float));
    assert_non_null(outcome->weights);
    memcpy(outcome->weights, replica.params, params * sizeof(float));
    memcpy(outcome->weights + params, replica.slot[0], params * sizeof(float));
    memcpy(outcome->weights + 2 * params, replica.average, params * sizeof(float));
    memcpy(outcome->weights + 3 * params, replica.states, states * sizeof(float));
    memcpy(outcome->weights + 3 * params + states, replica.average_states, states * sizeof(float));
}

enum kind { PUNCTUAL, LATE, LATE_AND_FAR };

static struct outcome train(struct ls_comm *comm, int queues, enum kind kind) {
    static const struct ls_sample_shape shape = {.height = SIZE,
                                                 .width = SIZE,
                                                 .channels = 1,
                                                 .type = LS_U8,
                                                 .target_is_class = true,
                                                 .target_values = 1};
    struct outcome outcome = {0};
    struct ls_device *device;
    struct ls_model model;
    struct ls_engine *engine;
    assert_ok(ls_cpu_open(&(struct ls_cpu_options){queues, LS_CPU_PLAIN}, &device));
    late.real = device->api;
    late.n_queues = 0;
    memset(late.queue, 0, sizeof late.queue);
    late.far = kind == LATE_AND_FAR;
    const struct ls_device_api api = late_api(device->api);
    if (kind != PUNCTUAL) device->api = &api;
    device->host_memory = !late.far;
    assert_ok(ls_model_make(&recipe, &shape, device, &model));
    // Fewer, and some of what can go wrong would not show: folds on each queue, and a share of the norm too.
    assert_true(model.train->n_segments > QUEUES);
    assert_true(model.train->layout->param_floats > (size_t)QUEUES * LS_NORM_BLOCK);
    assert_true(model.train->layout->n_states > 0);
    assert_ok(ls_engine_open(&(struct ls_engine_spec){device, comm, &model, &recipe}, &engine));
    if (late.closes_early) {
        begin(engine, 0, 1);
    } else {
        run_steps(engine, &outcome);
        keep_weights(engine, model.train->layout, &outcome);
    }
    ls_engine_close(engine);
    ls_model_free(&model);
    device->api->close(device);
    return outcome;
}

// ---- tests
static struct outcome expected;

static void check(const char *how, int which, enum kind kind) {
    struct outcome found = train(&world, QUEUES, kind);
    for (int i = 0; i < STEPS; i++) {
        if (found.steps[i].loss != expected.steps[i].loss || found.steps[i].norm != expected.steps[i].norm)
            fail_msg("%s %d, step %d: loss %.17g, norm %.17g; expected %.17g, %.17g", how, which, i,
                     found.steps[i].loss, found.steps[i].norm, expected.steps[i].loss,
                     expected.steps[i].norm);
        if (found.steps[i].accuracy != expected.steps[i].accuracy)
            fail_msg("%s %d: the accuracy of step %d differs", how, which, i);
        if (found.evaluations[i].there &&
            memcmp(&found.evaluations[i], &expected.evaluations[i], sizeof found.evaluations[i]) != 0)
            fail_msg("%s %d: the evaluation of step %d differs", how, which, i);
    }
    assert_int_equal(found.n, expected.n);
    for (size_t i = 0; i < found.n; i++)
        if (memcmp(&found.weights[i], &expected.weights[i], sizeof(float)) != 0)
            fail_msg("%s %d: weight %zu of %zu is %.9g, expected %.9g", how, which, i, found.n,
                     (double)found.weights[i], (double)expected.weights[i]);
    free(found.weights);
}

static void starve_queues(void) {
    // Ranks of few lanes have fewer queues; they run along.
    for (late.starved = 0; late.starved <= QUEUES; late.starved++) check("starved queue", late.starved, LATE);
    assert_true(late.n_queues == QUEUES + 1 || world.size > 1);
    for (late.starved = 0; late.starved <= QUEUES + 1; late.starved++)
        check("out of reach, starved queue", late.starved, LATE_AND_FAR);
    assert_true(late.n_queues == QUEUES + 2 || world.size > 1);
}

static void test_starved_queues(void **state) {
    (void)state;
    late.ahead = false;
    starve_queues();
}

static void test_starved_queues_while_the_host_runs_ahead(void **state) {
    (void)state;
    late.ahead = true;
    starve_queues();
}

// What a step leaves for the host is there until it is asked for, though the next step's lanes are done.
static void test_a_host_that_is_late(void **state) {
    (void)state;
    late.ahead = late.drains = true;
    late.starved = 0;
    check("late host", 0, LATE);
    check("late host, out of reach", 0, LATE_AND_FAR);
    late.drains = false;
}

// However many lanes a queue has, it converts its part of the weights once a step, and once an evaluation.
// The queue that has no lanes is the one of communication.
static void test_weights_are_converted_once(void **state) {
    (void)state;
    const int times = recipe.train.precision == LS_BF16 ? 2 * STEPS : 0;
    late.ahead = false;
    late.starved = 0;
    late.converted = 0;
    check("converted", 0, LATE);
    assert_int_equal(late.converted, times * (late.n_queues - 1));
}

// What is enqueued runs before what it leads to is freed; freed memory is overwritten (main).
static void test_closed_with_work_under_way(void **state) {
    (void)state;
    late.ahead = false;
    late.closes_early = true;
    for (late.starved = 0; late.starved <= QUEUES; late.starved++) {
        train(&world, QUEUES, LATE);
        train(&world, QUEUES, LATE_AND_FAR);
    }
    late.closes_early = false;
}

static void test_random_delays(void **state) {
    (void)state;
    late.starved = AT_RANDOM;
    for (late.seed = 0; late.seed < 8; late.seed++) {
        late.ahead = late.seed >= 4;
        check("delays of seed", (int)late.seed, late.seed % 2 ? LATE_AND_FAR : LATE);
    }
}

static int set_up(const char *text) {
    assert_ok(ls_recipe_parse(text, "recipe", ".", NULL, 0, &recipe));
    assert_int_equal(recipe.train.lanes, LANES);
    assert_int_equal(recipe.train.batch, SAMPLES);
    for (int s = 0; s < 2; s++) {
        samples[s] = (struct ls_batch){.n = SAMPLES, .valid = SAMPLES};
        samples[s].samples = calloc(SAMPLES, PIXELS);
        samples[s].targets = calloc(SAMPLES, sizeof(int32_t));
        samples[s].augment = calloc((size_t)SAMPLES * LS_AUGMENT_WORDS, sizeof(int32_t));
        samples[s].weight = calloc(SAMPLES, sizeof(float));
        assert_true(samples[s].samples && samples[s].targets && samples[s].augment && samples[s].weight);
        for (int i = 0; i < SAMPLES; i++) samples[s].weight[i] = 1;
    }
    late.ahead = false; // as the tests of another recipe have left it
    expected = train(&alone, 1, PUNCTUAL);
    return 0;
}

static int set_up_sgd(void **state) {
    (void)state;
    return set_up(RECIPE("bf16", "{sgd: {momentum: 0.9, weight_decay: 0.001}}"));
}

// With a pass over blocks before the update, and ratios that all queues wait for.
static int set_up_lamb(void **state) {
    (void)state;
    return set_up(RECIPE("fp32", "{lamb: {weight_decay: 0.001}}"));
}

static int tear_down(void **state) {
    (void)state;
    free(expected.weights);
    for (int s = 0; s < 2; s++) {
        free(samples[s].samples);
        free(samples[s].targets);
        free(samples[s].augment);
        free(samples[s].weight);
    }
    ls_recipe_free(&recipe);
    return 0;
}

int main(void) {
#ifdef M_PERTURB
    mallopt(M_PERTURB, 0x5a);
#endif
    if (ls_comm_open(&world) != LS_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starved_queues),
        cmocka_unit_test(test_starved_queues_while_the_host_runs_ahead),
        cmocka_unit_test(test_a_host_that_is_late),
        cmocka_unit_test(test_weights_are_converted_once),
        cmocka_unit_test(test_closed_with_work_under_way),
        cmocka_unit_test(test_random_delays),
    };
    int failed = cmocka_run_group_tests(tests, set_up_sgd, tear_down);
    if (!failed) failed = cmocka_run_group_tests(tests, set_up_lamb, tear_down);
    // Where a check fails on one rank, the others wait for it: they are ended too.
    ls_comm_end(&world, failed ? LS_SYSTEM : LS_OK);
    return failed;
}
