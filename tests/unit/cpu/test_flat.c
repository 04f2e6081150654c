// Passes over flat buffers, and the plan of a lane, against straightforward formulas.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/philox.h"
#include "cpu/cpu.h"
#include "graph/plan.h"

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
    {0, 64, 0.01f, 1}, {64, 48, 0, 1}, {112, 48, 0.01f, 0.5f}, {160, N - 160, 0.05f, 1}};

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
        cmocka_unit_test(test_skip_changes_nothing),
        cmocka_unit_test(test_update_states),
        cmocka_unit_test(test_average),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
