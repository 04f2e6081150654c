// Plans on the CPU device: pointers, segments, queues and results.
#include "base/philox.h"
#include "base/pulse.h"
#include "cpu/cpu.h"
#include "graph/plan.h"
#include "ops/ops.h"
#include "unit/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4, CLASSES = 3, SIDE = 6, RAW = BATCH * SIDE * SIDE * 2 };

static struct ls_device *device;
static const struct ls_device_api *api;

static enum ls_cpu_kernels kernels = LS_CPU_PLAIN;

static int open_device(void **state) {
    (void)state;
    if (ls_cpu_open(&(struct ls_cpu_options){2, kernels}, &device) != LS_OK) return -1;
    api = device->api;
    return 0;
}

static int close_device(void **state) {
    (void)state;
    api->close(device);
    return 0;
}

static float random_at(uint64_t i, uint64_t stream) {
    return ls_uniform(ls_philox(9, LS_RANDOM_TEST, i, stream).word[0]) - 0.5f;
}

static void *alloc(size_t bytes) {
    void *memory;
    assert_ok(api->alloc(device, bytes, &memory));
    return memory;
}

static void build(struct ls_graph *graph, enum ls_mode mode) {
    ls_graph_init(graph, mode);
    static const double mean[] = {0}, std[] = {1};
    const struct ls_input_spec input = {.batch = BATCH,
                                        .channels = 2,
                                        .height = SIDE,
                                        .width = SIDE,
                                        .raw_type = LS_F32,
                                        .scale = 1,
                                        .mean = mean,
                                        .std = std,
                                        .n_normalize = 1};
    ls_value x = ls_input(graph, &input);
    x = ls_conv(graph, x, "conv", &(struct ls_conv_spec){5, 3, 1, 1, 1, 1, false});
    x = ls_relu(graph, ls_batchnorm(graph, x, "bn", 1));
    x = ls_conv_transpose(graph, x, "up",
                          &(struct ls_conv_transpose_spec){.out = 3, .kernel = 2, .stride = 2, .bias = true});
    x = ls_resize(graph, ls_resize(graph, x, 7, 5, true), SIDE, SIDE, false);
    x = ls_linear(graph, ls_flatten(graph, ls_max_pool(graph, x, 2, 2, 0)), "fc", CLASSES);
    if (mode == LS_EVAL) graph->result = ls_softmax(graph, x);
    assert_ok(ls_cross_entropy(graph, x, 0, LS_NONE));
    assert_ok(graph->status);
}

struct run {
    struct ls_plan *plan;
    struct ls_program *program;
    struct ls_queue *queues[2];
    struct ls_lane lane[2];
    float *params;
};

static void open_run_in(struct run *run, enum ls_mode mode, const struct ls_layout *layout,
                        ls_dtype precision) {
    struct ls_graph graph;
    build(&graph, mode);
    struct ls_plan_options options = {precision, 256, layout};
    assert_ok(ls_plan_make(&graph, device, &options, &run->plan));
    for (int q = 0; q < 2; q++) assert_ok(api->queue_open(device, q ? "lane 1" : "lane 0", &run->queues[q]));
    assert_ok(api->load(device, run->plan, run->queues, 2, &run->program));
    const struct ls_layout *l = run->plan->layout;
    run->params = alloc(l->param_floats * sizeof(float));
    for (int i = 0; i < l->n_params; i++)
        for (size_t e = 0; e < l->params[i].count; e++)
            run->params[l->params[i].offset + e] = random_at(e, (uint64_t)i);
    float *states = alloc(l->state_floats * sizeof(float)), *raw = alloc(run->plan->raw_bytes);
    float *weight = alloc(run->plan->weight_bytes);
    int32_t *target = alloc(run->plan->target_bytes);
    struct ls_lane_control *control = alloc(sizeof *control);
    void *converted = alloc(run->plan->converted_bytes);
    for (size_t i = 0; i < l->state_floats; i++) states[i] = 0.5f;
    for (int i = 0; i < RAW; i++) raw[i] = random_at((uint64_t)i, 99);
    for (int i = 0; i < BATCH; i++) target[i] = i % CLASSES, weight[i] = 1;
    *control = (struct ls_lane_control){1, 0, 1, 0, 0};
    for (int q = 0; q < 2; q++)
        run->lane[q] = (struct ls_lane){run->params,
                                        states,
                                        .output = alloc(l->output_floats * sizeof(float)),
                                        .raw = raw,
                                        .target = target,
                                        .weight = weight,
                                        .control = control,
                                        .converted = converted,
                                        .arena = alloc(run->plan->arena_bytes),
                                        .result = alloc(BATCH * CLASSES * sizeof(float))};
}

static void open_run(struct run *run, enum ls_mode mode, const struct ls_layout *layout) {
    open_run_in(run, mode, layout, LS_F32);
}

static void close_run(struct run *run) {
    const struct ls_lane *lane = &run->lane[0];
    const void *shared[] = {lane->params, lane->states,  lane->raw,      lane->target,
                            lane->weight, lane->control, lane->converted};
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) api->free(device, (void *)shared[i]);
    for (int q = 0; q < 2; q++) {
        api->free(device, run->lane[q].output);
        api->free(device, run->lane[q].arena);
        api->free(device, run->lane[q].result);
        api->queue_close(run->queues[q]);
    }
    api->unload(run->program);
    ls_plan_free(run->plan);
}

static void run_segments(struct run *run, int q) {
    memset(run->lane[q].arena, 0xff, run->plan->arena_bytes);
    for (int s = 0; s < run->plan->n_segments; s++) api->run(run->queues[q], run->program, s, &run->lane[q]);
}

// Each conversion is a sign of life: those of large models take long.
static void convert(struct run *run, int parts) {
    const uint64_t ticks = ls_pulse_read().ticks;
    memset(run->lane[0].converted, 0xff, run->plan->converted_bytes);
    for (int q = 0; q < parts; q++) api->convert(run->queues[q], run->program, q, parts, &run->lane[q]);
    for (int q = 0; q < parts; q++) assert_ok(api->sync(run->queues[q]));
    assert_true(ls_pulse_read().ticks >= ticks + (uint64_t)run->plan->n_conversions);
}

static void run_lane(struct run *run, int q) {
    if (q == 0) convert(run, 1);
    run_segments(run, q);
}

static double loss_of(struct run *run) {
    run_lane(run, 0);
    assert_ok(api->sync(run->queues[0]));
    return (double)run->lane[0].output[run->plan->layout->metrics + LS_METRIC_LOSS];
}

static void test_queues_agree(void **state) {
    (void)state;
    struct run run;
    open_run(&run, LS_TRAIN, NULL);
    assert_true(run.plan->n_segments > 1);
    for (int step = 0; step < 50; step++) {
        run_lane(&run, 0);
        run_lane(&run, 1);
        for (int q = 0; q < 2; q++) assert_ok(api->sync(run.queues[q]));
        assert_memory_equal(run.lane[0].output, run.lane[1].output,
                            run.plan->layout->output_floats * sizeof(float));
    }
    const float *metrics = run.lane[0].output + run.plan->layout->metrics;
    assert_true(metrics[LS_METRIC_WEIGHT] == BATCH);
    assert_true(isfinite(metrics[LS_METRIC_LOSS]) && metrics[LS_METRIC_LOSS] > 0);
    close_run(&run);
}

// Every node reads and writes where the plan says, or the slope along the gradient would be another.
static void test_gradient_is_the_slope(void **state) {
    (void)state;
    struct run run;
    open_run(&run, LS_TRAIN, NULL);
    const struct ls_layout *layout = run.plan->layout;
    loss_of(&run);
    float *gradient = malloc(layout->param_floats * sizeof(float));
    memcpy(gradient, run.lane[0].output, layout->param_floats * sizeof(float));
    for (int p = 0; p < layout->n_params; p++) {
        const struct ls_item *item = &layout->params[p];
        double square = 0, step = 1e-2;
        for (size_t i = 0; i < item->count; i++) square += pow((double)gradient[item->output_offset + i], 2);
        double norm = sqrt(square), loss[2];
        assert_true(norm > 1e-3);
        for (int side = 0; side < 2; side++) {
            float *values = run.params + item->offset, saved[4096];
            memcpy(saved, values, item->count * sizeof(float));
            for (size_t i = 0; i < item->count; i++)
                values[i] +=
                    (float)((side ? -step : step) * (double)gradient[item->output_offset + i] / norm);
            loss[side] = loss_of(&run);
            memcpy(values, saved, item->count * sizeof(float));
        }
        double slope = (loss[0] - loss[1]) / (2 * step);
        if (!(fabs(slope - norm) < 0.03 * norm))
            fail_msg("%s: |gradient| %g, slope %g", item->name, norm, slope);
    }
    free(gradient);
    close_run(&run);
}

// Does a node read this value itself, once its kernel has what it keeps?
static bool is_read(const struct ls_plan *plan, ls_value value) {
    for (int i = plan->n_casts; i < plan->graph->n_nodes; i++)
        for (int k = 0; k < plan->graph->nodes[i].n_in; k++)
            if (plan->graph->nodes[i].in[k] == value && !(k == 1 && plan->kept_bytes[i] > 0)) return true;
    return false;
}

// Parameters that all readers have converted become NaN; returns how many.
static int spoil_converted(struct run *run) {
    const struct ls_plan *plan = run->plan;
    int n = 0;
    for (ls_value v = 0; v < plan->graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(plan->graph, v);
        if (info->kind != LS_PARAM || is_read(plan, v)) continue;
        memset((char *)run->params + plan->places[v].offset, 0xff,
               (size_t)ls_shape_count(&info->shape) * sizeof(float));
        n++;
    }
    return n;
}

// No lane converts a weight again: it finds what was made of it before, by whichever queue.
static void test_lanes_share_what_is_converted(void **state) {
    (void)state;
    for (int how = 0; how < 4; how++) {
        if ((how & 1) && kernels != LS_CPU_PLAIN && !ls_cpu_has_bf16()) continue;
        struct run run;
        open_run_in(&run, LS_TRAIN, NULL, how & 1 ? LS_BF16 : LS_F32);
        const size_t bytes = run.plan->layout->output_floats * sizeof(float);
        convert(&run, 1);
        run_segments(&run, 0);
        assert_ok(api->sync(run.queues[0]));
        float *expected = malloc(bytes);
        assert_non_null(expected);
        memcpy(expected, run.lane[0].output, bytes);
        convert(&run, 1 + how / 2);
        const int spoiled = spoil_converted(&run);
        assert_true(spoiled > 2 || !(how & 1));
        for (int lane = 0; lane < 4; lane++) {
            memset(run.lane[lane % 2].output, 0, bytes);
            run_segments(&run, lane % 2);
            assert_ok(api->sync(run.queues[lane % 2]));
            assert_memory_equal(run.lane[lane % 2].output, expected, bytes);
        }
        free(expected);
        close_run(&run);
    }
}

static void test_result_of_evaluation(void **state) {
    (void)state;
    struct run train, eval;
    open_run(&train, LS_TRAIN, NULL);
    open_run(&eval, LS_EVAL, train.plan->layout);
    loss_of(&eval);
    const float *p = eval.lane[0].result;
    for (int n = 0; n < BATCH; n++) assert_true(fabsf(p[3 * n] + p[3 * n + 1] + p[3 * n + 2] - 1) < 1e-5f);
    double loss = 0;
    for (int n = 0; n < BATCH; n++) loss -= log((double)p[3 * n + n % CLASSES]);
    float metric = eval.lane[0].output[train.plan->layout->metrics + LS_METRIC_LOSS];
    assert_true(fabs(loss - (double)metric) < 1e-4);
    void *result = eval.lane[1].result;
    eval.lane[1].result = NULL; // not wanted
    run_segments(&eval, 1);
    assert_ok(api->sync(eval.queues[1]));
    eval.lane[1].result = result;
    close_run(&eval);
    close_run(&train);
}

static void test_other_queue_is_refused(void **state) {
    (void)state;
    struct run run;
    struct ls_queue *other;
    open_run(&run, LS_TRAIN, NULL);
    assert_ok(api->queue_open(device, "other", &other));
    api->run(other, run.program, 0, &run.lane[0]);
    assert_int_equal(api->sync(other), LS_SYSTEM);
    assert_non_null(strstr(ls_error_last()->text, "not loaded"));
    api->queue_close(other);
    close_run(&run);
}

static void test_bad_target_names_the_node(void **state) {
    (void)state;
    struct run run;
    open_run(&run, LS_TRAIN, NULL);
    ((int32_t *)run.lane[0].target)[2] = CLASSES;
    run_lane(&run, 0);
    assert_int_equal(api->sync(run.queues[0]), LS_INPUT);
    assert_non_null(strstr(ls_error_last()->text, "target 3"));
    close_run(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queues_agree),
        cmocka_unit_test(test_gradient_is_the_slope),
        cmocka_unit_test(test_lanes_share_what_is_converted),
        cmocka_unit_test(test_result_of_evaluation),
        cmocka_unit_test(test_other_queue_is_refused),
        cmocka_unit_test(test_bad_target_names_the_node),
    };
    const struct CMUnitTest library_tests[] = {cmocka_unit_test(test_lanes_share_what_is_converted)};
    const int failed = cmocka_run_group_tests(tests, open_device, close_device);
    kernels = LS_CPU_AUTO;
    return failed + cmocka_run_group_tests(library_tests, open_device, close_device);
}
