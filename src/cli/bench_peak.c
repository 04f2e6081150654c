// The best rate of a convolution or a product: plans of a few shapes that suit such kernels, run on all
// queues at once, each node timed.
#include "cli/bench_profile.h"

#include "cpu/cpu.h"
#include "graph/op.h"
#include "graph/plan.h"
#include "ops/ops.h"

#include <stdio.h>
#include <string.h>

enum { REPEATS = 6 }; // after one to warm up

struct trial {
    struct ls_device *device;
    int queues;
    struct ls_plan *plan;
    struct ls_program *program;
    struct ls_queue *queue[LS_PEAK_QUEUES];
    struct ls_lane lane[LS_PEAK_QUEUES];
    float *params, *states;
    void *raw;
    struct ls_arena memory;
    void *converted;
    double *seconds; // [queues][nodes + 1]
};

// ---- what is run

static ls_value samples(struct ls_graph *graph, int64_t batch, int64_t channels, int64_t size) {
    static const double mean[] = {0}, std[] = {1};
    return ls_input(graph, &(struct ls_input_spec){.batch = batch,
                                                   .channels = channels,
                                                   .height = size,
                                                   .width = size,
                                                   .raw_type = LS_U8,
                                                   .scale = 1.0 / 255,
                                                   .mean = mean,
                                                   .std = std,
                                                   .n_normalize = 1});
}

static ls_value conv(struct ls_graph *graph, ls_value x, int64_t out, int64_t kernel, int64_t stride) {
    const char *name = ls_arena_format(&graph->arena, "conv%d", graph->n_nodes);
    return ls_conv(graph, x, name,
                   &(struct ls_conv_spec){.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2});
}

// Stages of a residual network, at a batch that fills the caches.
static void build_convolutions(struct ls_graph *graph) {
    ls_value x = conv(graph, samples(graph, 8, 64, 56), 64, 3, 1);
    x = conv(graph, conv(graph, x, 256, 1, 1), 64, 1, 1);
    x = conv(graph, conv(graph, x, 128, 3, 2), 128, 3, 1);
    x = conv(graph, conv(graph, x, 512, 1, 1), 128, 1, 1);
    x = conv(graph, conv(graph, x, 256, 3, 2), 256, 3, 1);
    x = conv(graph, conv(graph, x, 1024, 1, 1), 256, 1, 1);
    graph->result = ls_flatten(graph, ls_global_avg_pool(graph, x));
}

static void build_products(struct ls_graph *graph) {
    ls_value x = ls_flatten(graph, samples(graph, 1024, 1024, 1));
    graph->result = ls_linear(graph, ls_linear(graph, x, "square", 1024), "wide", 2048);
}

// ---- running it

static ls_status open_lane(struct trial *trial, int q) {
    const struct ls_device_api *api = trial->device->api;
    const struct ls_plan *plan = trial->plan;
    const struct ls_value_info *result = ls_info(plan->graph, plan->result);
    struct ls_lane *lane = &trial->lane[q];
    *lane = (struct ls_lane){
        .params = trial->params, .states = trial->states, .converted = trial->converted, .raw = trial->raw};
    LS_TRY(api->alloc(trial->device, plan->layout->output_floats * sizeof(float), (void **)&lane->output));
    LS_TRY(api->alloc(trial->device, plan->arena_bytes, &lane->arena));
    return api->alloc(trial->device, (size_t)ls_shape_count(&result->shape) * sizeof(float), &lane->result);
}

static ls_status open_trial(struct trial *trial, void (*build)(struct ls_graph *graph), ls_dtype precision) {
    const struct ls_device_api *api = trial->device->api;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_EVAL);
    build(&graph);
    LS_TRY(
        ls_plan_make(&graph, trial->device, &(struct ls_plan_options){.precision = precision}, &trial->plan));
    const struct ls_layout *layout = trial->plan->layout;
    LS_TRY(api->alloc(trial->device, layout->param_floats * sizeof(float), (void **)&trial->params));
    LS_TRY(api->alloc(trial->device, layout->state_floats * sizeof(float), (void **)&trial->states));
    LS_TRY(api->alloc(trial->device, trial->plan->raw_bytes, &trial->raw));
    LS_TRY(api->alloc(trial->device, trial->plan->converted_bytes, &trial->converted));
    ls_weights_init(layout, 1, trial->params, trial->states);
    memset(trial->raw, 77, trial->plan->raw_bytes);
    for (int q = 0; q < trial->queues; q++) {
        LS_TRY(api->queue_open(trial->device, "peak", &trial->queue[q]));
        LS_TRY(open_lane(trial, q));
    }
    const size_t n = (size_t)trial->queues * ((size_t)trial->plan->graph->n_nodes + 1);
    trial->seconds = LS_ARENA_NEW(&trial->memory, double, n);
    LS_TRY(api->load(trial->device, trial->plan, trial->queue, trial->queues, &trial->program));
    api->profile(trial->program, trial->seconds);
    api->convert(trial->queue[0], trial->program, 0, 1, &trial->lane[0]);
    return api->sync(trial->queue[0]);
}

static void close_trial(struct trial *trial) {
    const struct ls_device_api *api = trial->device->api;
    if (trial->program) api->unload(trial->program);
    for (int q = 0; q < trial->queues; q++) {
        if (trial->queue[q]) api->queue_close(trial->queue[q]);
        api->free(trial->device, trial->lane[q].output);
        api->free(trial->device, trial->lane[q].arena);
        api->free(trial->device, trial->lane[q].result);
    }
    api->free(trial->device, trial->params);
    api->free(trial->device, trial->states);
    api->free(trial->device, trial->raw);
    api->free(trial->device, trial->converted);
    ls_plan_free(trial->plan);
    ls_arena_free(&trial->memory);
}

// Every queue runs the plan once, all at the same time.
static ls_status run_once(struct trial *trial) {
    const struct ls_device_api *api = trial->device->api;
    const size_t n = (size_t)trial->queues * ((size_t)trial->plan->graph->n_nodes + 1);
    memset(trial->seconds, 0, n * sizeof *trial->seconds);
    for (int q = 0; q < trial->queues; q++)
        for (int s = 0; s < trial->plan->n_segments; s++)
            api->run(trial->queue[q], trial->program, s, &trial->lane[q]);
    for (int q = 0; q < trial->queues; q++) LS_TRY(api->sync(trial->queue[q]));
    return LS_OK;
}

static void describe(const struct ls_graph *graph, const struct ls_node *node, char *what, size_t size) {
    char label[64], shape[96];
    snprintf(what, size, "%s to %s", ls_label_of(graph, node, label),
             ls_shape_text(shape, &ls_info(graph, node->out[0])->shape));
}

static void take_best(const struct trial *trial, struct ls_peak *peak) {
    const struct ls_graph *graph = trial->plan->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (!ls_is_product(graph->nodes[i].op)) continue;
        double seconds = 0; // of all queues together
        for (int q = 0; q < trial->queues; q++) seconds += trial->seconds[q * (graph->n_nodes + 1) + i];
        const double flops = ls_node_flops(graph, &graph->nodes[i]) * trial->queues * trial->queues / seconds;
        if (flops <= peak->flops) continue;
        peak->flops = flops;
        describe(graph, &graph->nodes[i], peak->what, sizeof peak->what);
    }
}

static ls_status try_one(struct ls_device *device, int queues, ls_dtype precision,
                         void (*build)(struct ls_graph *graph), struct ls_peak *peak) {
    struct trial trial = {.device = device, .queues = queues};
    ls_status status = open_trial(&trial, build, precision);
    for (int i = 0; i <= REPEATS && status == LS_OK; i++) {
        status = run_once(&trial);
        if (i > 0 && status == LS_OK) take_best(&trial, peak);
    }
    close_trial(&trial);
    return status;
}

// By oneDNN's kernels, which make every multiplication that is counted, whatever computes the step.
ls_status ls_peak_measure(int queues, ls_dtype precision, struct ls_peak *peak) {
    *peak = (struct ls_peak){0};
    if (queues > LS_PEAK_QUEUES) queues = LS_PEAK_QUEUES;
    struct ls_device *device;
    LS_TRY(ls_cpu_open(&(struct ls_cpu_options){.threads = queues,
                                                .kernels = ls_cpu_library() ? LS_CPU_ONEDNN : LS_CPU_PLAIN},
                       &device));
    ls_status status = try_one(device, queues, precision, build_convolutions, peak);
    if (status == LS_OK) status = try_one(device, queues, precision, build_products, peak);
    device->api->close(device);
    return status;
}
