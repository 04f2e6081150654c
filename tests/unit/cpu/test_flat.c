// Passes over flat buffers, and the plan of a lane, against straightforward formulas.
#include "base/philox.h"
#include "cpu/cpu.h"
#include "graph/plan.h"
#include "unit/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct ls_device *device;
static const struct ls_device_api *api;
static struct ls_queue *queue;

static int open_device(void **state) {
    (void)state;
    if (ls_cpu_open(&(struct ls_cpu_options){2, LS_CPU_PLAIN}, &device) != LS_OK) return -1;
    api = device->api;
    return api->queue_open(device, "flat", &queue) == LS_OK ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    api->close(device); // and with it the queue
    return 0;
}

static void fill(float *data, size_t n, uint64_t stream) {
    for (size_t i = 0; i < n; i++)
        data[i] = ls_uniform(ls_philox(1, LS_RANDOM_TEST, i, stream).word[0]) - 0.5f;
}

static void sync(void) {
    if (api->sync(queue) != LS_OK) fail_msg("%s", ls_error_last()->text);
}

static void close_to(double found, double expected, double relative) {
    if (!(fabs(found - expected) <= relative * fabs(expected) + 1e-30))
        fail_msg("expected %.9g, found %.9g", expected, found);
}

static void test_add(void **state) {
    (void)state;
    enum { N = 1001 };
    static float a[N], b[N], sum[N + 1], first[N], second[N];
    fill(a, N, 1), fill(b, N, 2);
    memcpy(first, a, sizeof a), memcpy(second, b, sizeof b);
    sum[N] = 42;
    api->add(queue, sum, a, b, N);
    api->add(queue, a, a, b, N);
    api->add(queue, b, first, b, N);
    api->add(queue, sum + N, first, second, 0);
    sync();
    for (int i = 0; i < N; i++) {
        float expected = first[i] + second[i];
        assert_true(sum[i] == expected && a[i] == expected && b[i] == expected);
    }
    assert_true(sum[N] == 42);
}

static void test_square_sums(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 17, LS_NORM_BLOCK, 2 * LS_NORM_BLOCK + 5};
    float *data = calloc(3 * LS_NORM_BLOCK, sizeof *data);
    fill(data, 3 * LS_NORM_BLOCK, 3);
    for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
        size_t n = lengths[l], blocks = (n + LS_NORM_BLOCK - 1) / LS_NORM_BLOCK;
        double sums[4] = {-1, -1, -1, -1}, again[4];
        api->square_sums(queue, data, n, 0, blocks, sums);
        for (size_t b = blocks; b-- > 0;) api->square_sums(queue, data, n, b, b + 1, again);
        sync();
        for (size_t b = 0; b < blocks; b++) {
            double expected = 0;
            for (size_t i = b * LS_NORM_BLOCK; i < n && i < (b + 1) * LS_NORM_BLOCK; i++)
                expected += (double)data[i] * (double)data[i];
            close_to(sums[b], expected, 1e-12);
            assert_true(sums[b] == again[b]);
        }
        assert_true(sums[blocks] == -1);
    }
    free(data);
}

static struct ls_decision decide(double sum, float loss, float scale, float clip) {
    double sums[2] = {sum / 2, sum / 2};
    float metrics[LS_METRICS] = {[LS_METRIC_LOSS] = loss};
    struct ls_decision decision = {0};
    struct ls_decide work = {sums, 2, metrics, scale, clip, &decision};
    api->decide(queue, &work);
    sync();
    return decision;
}

static void test_decide(void **state) {
    (void)state;
    struct ls_decision d = decide(100, 1, 1, 0);
    assert_true(d.skip == 0 && d.grad_norm == 10 && d.grad_factor == 1);
    d = decide(100, 1, 4, 0);
    assert_true(d.skip == 0 && d.grad_norm == 2.5 && d.grad_factor == 0.25f);
    d = decide(100, 1, 4, 2);
    assert_true(d.grad_factor == (float)(2 / (2.5 + 1e-6) / 4));
    d = decide(100, 1, 1, 11); // below the limit: untouched
    assert_true(d.grad_factor == 1);
    assert_int_equal(decide((double)INFINITY, 1, 1, 1).skip, 1);
    assert_int_equal(decide((double)NAN, 1, 1, 0).skip, 1);
    assert_int_equal(decide(1, NAN, 1, 0).skip, 1);
    assert_int_equal(decide(1, -INFINITY, 1, 0).skip, 1);
    assert_int_equal(decide(0, 0, 1, 1).skip, 0);
}

// ---- optimizers: three steps against the formulas of device.h in f64 ----
enum { N = 203, STEPS = 3 };
static float params[N], grads[N], slots[2][N];
static const struct ls_update_range ranges[] = {
    {.offset = 0, .count = 64, .weight_decay = 0.01f, .lr_scale = 1},
    {.offset = 64, .count = 48, .weight_decay = 0, .lr_scale = 1},
    {.offset = 112, .count = 48, .weight_decay = 0.01f, .lr_scale = 0.5f},
    {.offset = 160, .count = N - 160, .weight_decay = 0.05f, .lr_scale = 1}};

static struct ls_update update_of(enum ls_optimizer_kind kind, const struct ls_decision *decision) {
    fill(params, N, 4), fill(grads, N, 5);
    memset(slots, 0, sizeof slots);
    return (struct ls_update){.kind = kind,
                              .lr = 0.1f,
                              .momentum = 0.9f,
                              .epsilon = 1e-8f,
                              .beta1 = 0.9,
                              .beta2 = 0.999,
                              .params = params,
                              .grads = grads,
                              .slot = {slots[0], slots[1]},
                              .ranges = ranges,
                              .n_ranges = 4,
                              .begin = 0,
                              .end = N,
                              .decision = decision};
}

static double decay_at(int i) {
    return i < 64 ? (double)0.01f : i < 112 ? 0 : i < 160 ? (double)0.01f : (double)0.05f;
}

static double rate_at(int i) {
    return (double)0.1f * (i >= 112 && i < 160 ? 0.5 : 1);
}

static void check_sgd(bool nesterov, bool momentum) {
    struct ls_decision decision = {1, 0.5f, 0};
    struct ls_update update = update_of(LS_SGD, &decision);
    update.nesterov = nesterov;
    double mu = momentum ? (double)0.9f : 0, p[N], m[N] = {0};
    if (!momentum) update.momentum = 0, update.slot[0] = NULL;
    for (int i = 0; i < N; i++) p[i] = (double)params[i];
    for (int step = 0; step < STEPS; step++) {
        api->update(queue, &update);
        for (int i = 0; i < N; i++) {
            double g = (double)grads[i] * 0.5 + decay_at(i) * p[i];
            m[i] = mu * m[i] + g;
            p[i] -= rate_at(i) * (nesterov ? g + mu * m[i] : m[i]);
        }
    }
    sync();
    for (int i = 0; i < N; i++) {
        assert_true(fabs((double)params[i] - p[i]) < 1e-6);
        if (momentum) assert_true(fabs((double)slots[0][i] - m[i]) < 1e-6);
    }
}

static void test_sgd(void **state) {
    (void)state;
    check_sgd(false, true);
    check_sgd(true, true);
    check_sgd(false, false);
}

static void test_adamw(void **state) {
    (void)state;
    struct ls_decision decision = {1, 2, 0};
    struct ls_update update = update_of(LS_ADAMW, &decision);
    double p[N], m[N] = {0}, v[N] = {0};
    for (int i = 0; i < N; i++) p[i] = (double)params[i];
    for (int step = 1; step <= STEPS; step++) {
        double c1 = 1 - pow(0.9, step), c2 = 1 - pow(0.999, step);
        update.correction1 = c1, update.correction2 = c2;
        api->update(queue, &update);
        for (int i = 0; i < N; i++) {
            double g = 2 * (double)grads[i];
            p[i] -= rate_at(i) * decay_at(i) * p[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            p[i] -= rate_at(i) / c1 * m[i] / (sqrt(v[i] / c2) + (double)1e-8f);
        }
    }
    sync();
    for (int i = 0; i < N; i++) {
        assert_true(fabs((double)params[i] - p[i]) < 2e-6);
        close_to((double)slots[1][i], v[i], 2e-6); // 1 - 0.999f would be 1e-5 off
    }
}

static void test_update_of_slices_is_update_of_all(void **state) {
    (void)state;
    struct ls_decision decision = {1, 0.5f, 0};
    float whole[N];
    for (int kind = LS_SGD; kind <= LS_ADAMW; kind++) {
        struct ls_update update = update_of((enum ls_optimizer_kind)kind, &decision);
        update.correction1 = 0.1, update.correction2 = 0.001;
        api->update(queue, &update);
        sync();
        memcpy(whole, params, sizeof whole);
        update = update_of((enum ls_optimizer_kind)kind, &decision);
        update.correction1 = 0.1, update.correction2 = 0.001;
        static const size_t cuts[] = {0, 5, 64, 64, 130, N};
        for (int c = 0; c + 1 < 6; c++) {
            update.begin = cuts[c], update.end = cuts[c + 1];
            api->update(queue, &update);
        }
        sync();
        assert_memory_equal(whole, params, sizeof whole);
    }
}

// ---- LARS and LAMB: a parameter of two blocks, one without a ratio, one whose weights are 0 at first
enum { WIDE = LS_NORM_BLOCK + 3000, NARROW = 48, TOTAL = WIDE + 2 * NARROW };
static float wide_params[TOTAL], wide_grads[TOTAL], wide_slots[2][TOTAL], ratios[3];
static double norms[4][2];
static const struct ls_update_range trusting[] = {
    {.offset = 0, .count = WIDE, .weight_decay = 0.01f, .lr_scale = 1, .first_block = 0, .n_blocks = 2},
    {.offset = WIDE, .count = NARROW, .weight_decay = 0, .lr_scale = 1},
    {.offset = WIDE + NARROW,
     .count = NARROW,
     .weight_decay = 0.01f,
     .lr_scale = 0.5f,
     .first_block = 3,
     .n_blocks = 1}};
static const struct ls_update_block blocks[] = {{0, LS_NORM_BLOCK, 0},
                                                {LS_NORM_BLOCK, WIDE - LS_NORM_BLOCK, 0},
                                                {WIDE, NARROW, 1},
                                                {WIDE + NARROW, NARROW, 2}};

static struct ls_update trusting_update(enum ls_optimizer_kind kind, const struct ls_decision *decision) {
    struct ls_update update = update_of(kind, decision);
    fill(wide_params, TOTAL, 8), fill(wide_grads, TOTAL, 9);
    memset(wide_params + WIDE + NARROW, 0, NARROW * sizeof(float));
    memset(wide_slots, 0, sizeof wide_slots);
    update.params = wide_params, update.grads = wide_grads;
    update.slot[0] = wide_slots[0], update.slot[1] = wide_slots[1];
    update.ranges = trusting, update.n_ranges = 3;
    update.blocks = blocks, update.norms = norms, update.ratios = ratios;
    update.trust = 0.5f, update.epsilon = 1e-6f, update.end = TOTAL;
    return update;
}

struct exact {
    double p[TOTAL], m[TOTAL], v[TOTAL];
};

// One step of a range in f64; returns its ratio.
static double exact_step(const struct ls_update *update, const struct ls_update_range *range,
                         struct exact *x) {
    const bool lamb = update->kind == LS_LAMB;
    const double decay = (double)range->weight_decay, lr = (double)0.1f * (double)range->lr_scale;
    static double move[TOTAL];
    double weights = 0, others = 0, ratio = 1;
    for (size_t i = range->offset; i < range->offset + range->count; i++) {
        const double g = (double)wide_grads[i] * 0.5;
        if (lamb) x->m[i] = 0.9 * x->m[i] + 0.1 * g, x->v[i] = 0.999 * x->v[i] + 0.001 * g * g;
        move[i] = lamb ? x->m[i] / update->correction1 / (sqrt(x->v[i] / update->correction2) + 1e-6) : g;
        if (lamb) move[i] += decay * x->p[i];
        weights += x->p[i] * x->p[i];
        others += move[i] * move[i];
    }
    weights = sqrt(weights), others = sqrt(others);
    if (range->n_blocks > 0 && weights > 0)
        ratio = lamb ? weights / others : 0.5 * weights / (others + decay * weights);
    for (size_t i = range->offset; i < range->offset + range->count; i++) {
        if (!lamb) x->m[i] = (double)0.9f * x->m[i] + lr * ratio * (move[i] + decay * x->p[i]);
        x->p[i] -= lamb ? lr * ratio * move[i] : x->m[i];
    }
    return ratio;
}

static void check_trusting(enum ls_optimizer_kind kind) {
    struct ls_decision decision = {1, 0.5f, 0};
    struct ls_update update = trusting_update(kind, &decision);
    struct exact *x = calloc(1, sizeof *x);
    for (int i = 0; i < TOTAL; i++) x->p[i] = (double)wide_params[i];
    for (int step = 1; step <= STEPS; step++) {
        update.correction1 = 1 - pow(0.9, step), update.correction2 = 1 - pow(0.999, step);
        api->update_norms(queue, &update, 1, 4); // whoever adds up which blocks
        api->update_norms(queue, &update, 0, 1);
        api->update_ratios(queue, &update);
        api->update(queue, &update);
        sync();
        for (int r = 0; r < 3; r++) // a sum of f64 numbers that were f32
            close_to((double)ratios[r], exact_step(&update, &trusting[r], x), 4e-6);
    }
    for (int i = 0; i < TOTAL; i++) {
        assert_true(fabs((double)wide_params[i] - x->p[i]) < 2e-6);
        assert_true(fabs((double)wide_slots[0][i] - x->m[i]) < 2e-6);
    }
    free(x);
}

static void test_trusting(void **state) {
    (void)state;
    check_trusting(LS_LARS);
    check_trusting(LS_LAMB);
}

// A ratio that f32 cannot hold, or that is no number, counts as none: the parameter moves at the rate itself.
static void test_ratios_are_bounded(void **state) {
    (void)state;
    static const struct {
        double weights, others; // squares
        float ratio;
    } cases[] = {
        {4, 16, 0.5f}, {1e76, 1, 1e38f}, {1e78, 1, 1},     {1e60, 1e-60, 1},        {0, 1, 1},   {1, 0, 1},
        {0, 0, 1},     {INFINITY, 1, 1}, {1, INFINITY, 0}, {INFINITY, INFINITY, 1}, {NAN, 1, 1}, {1, NAN, 1},
    };
    const struct ls_decision decision = {1, 1, 0};
    struct ls_update update = trusting_update(LS_LAMB, &decision);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        norms[3][0] = cases[i].weights, norms[3][1] = cases[i].others;
        api->update_ratios(queue, &update);
        sync();
        assert_true(ratios[2] == cases[i].ratio && ratios[1] == 1);
    }
}

static void test_trusting_skips(void **state) {
    (void)state;
    for (int kind = LS_LARS; kind <= LS_LAMB; kind++) {
        struct ls_decision decision = {NAN, NAN, 1};
        struct ls_update update = trusting_update((enum ls_optimizer_kind)kind, &decision);
        static float before[TOTAL];
        memcpy(before, wide_params, sizeof before);
        memset(ratios, 0, sizeof ratios);
        api->update_norms(queue, &update, 0, 4);
        api->update_ratios(queue, &update);
        api->update(queue, &update);
        sync();
        assert_memory_equal(before, wide_params, sizeof before);
        for (int i = 0; i < TOTAL; i++) assert_true(wide_slots[0][i] == 0 && wide_slots[1][i] == 0);
        for (int r = 0; r < 3; r++) assert_true(ratios[r] == 0);
    }
}

static void test_skip_changes_nothing(void **state) {
    (void)state;
    struct ls_decision decision = {NAN, NAN, 1};
    float before[N], state_before[2] = {3, 4}, states[2] = {3, 4}, output[2] = {NAN, NAN};
    struct ls_update update = update_of(LS_ADAMW, &decision);
    memcpy(before, params, sizeof before);
    api->update(queue, &update);
    const struct ls_update_state item = {.count = 2, .momentum = 0.5f, .factor = 1};
    const struct ls_update_states work = {&item, 1, states, output, 2, &decision};
    api->update_states(queue, &work);
    sync();
    assert_memory_equal(before, params, sizeof before);
    assert_memory_equal(state_before, states, sizeof states);
    for (int i = 0; i < N; i++) assert_true(slots[0][i] == 0 && slots[1][i] == 0);
}

static void test_average(void **state) {
    (void)state;
    struct ls_decision decision = {1, 1, 0};
    float values[N + 1], average[N + 1], before[N + 1];
    fill(values, N + 1, 6), fill(average, N + 1, 7);
    memcpy(before, average, sizeof before);
    const struct ls_average work = {average, values, N, 0.125f, &decision};
    api->average(queue, &work);
    sync();
    for (int i = 0; i < N; i++) assert_true(average[i] == before[i] + 0.125f * (values[i] - before[i]));
    assert_true(average[N] == before[N]);
    memcpy(before, average, sizeof before);
    decision.skip = 1;
    values[3] = NAN;
    api->average(queue, &work);
    sync();
    assert_memory_equal(average, before, sizeof before);
}

static void test_update_states(void **state) {
    (void)state;
    struct ls_decision decision = {1, 1, 0};
    float states[20] = {[0] = 1, [1] = 2, [2] = 77, [16] = 10}, output[40] = {[8] = 6, [9] = 9, [32] = 3};
    const struct ls_update_state items[] = {
        {.offset = 0, .count = 2, .momentum = 0.25f, .factor = 1, .output_offset = 8},
        {.offset = 16, .count = 1, .momentum = 0.5f, .factor = 2, .output_offset = 32}};
    const struct ls_update_states work = {items, 2, states, output, 3, &decision};
    api->update_states(queue, &work);
    sync();
    assert_true(states[0] == 0.75f + 0.25f * 2 && states[1] == 1.5f + 0.25f * 3);
    assert_true(states[2] == 77);
    assert_true(states[16] == 5 + 0.5f * 2 * 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_square_sums),
        cmocka_unit_test(test_decide),
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_update_of_slices_is_update_of_all),
        cmocka_unit_test(test_trusting),
        cmocka_unit_test(test_ratios_are_bounded),
        cmocka_unit_test(test_trusting_skips),
        cmocka_unit_test(test_skip_changes_nothing),
        cmocka_unit_test(test_update_states),
        cmocka_unit_test(test_average),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
