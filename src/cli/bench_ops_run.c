// A case of `bench ops` on the queues of a device: the graph from its text, values in memory, kernels timed.
#include "cli/bench_ops.h"

#include "base/clock.h"
#include "base/philox.h"
#include "cli/bench_profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RUNS = 12 }; // after one to warm up

// ---- the graph ----

// A graph has any number of parameters, which are numbers, and one input of each other kind.
static void write_input(const char *type, int k, struct ls_text *text) {
    const bool number = type[0] == 'f';
    ls_text_add(text, "%%%d = %s \"x%d\" %s%s\n", k,
                number           ? "param"
                : type[0] == 'u' ? "raw"
                                 : "target",
                k, type, number ? " constant(0)" : "");
}

static void write_case(const struct ls_bench_case *of, const struct ls_op *op, struct ls_text *text) {
    int n = 0;
    ls_text_add(text, "graph eval\n");
    for (; n < LS_MAX_IN && of->in[n]; n++) write_input(of->in[n], n, text);
    for (int k = 0; k < op->n_out; k++) ls_text_add(text, "%s%%%d", k ? ", " : "", n + k);
    ls_text_add(text, " = %s \"%s\" (", op->name, op->name);
    for (int k = 0; k < n; k++) ls_text_add(text, "%s%%%d", k ? ", " : "", k);
    ls_text_add(text, ") %s\n", of->attributes);
}

static ls_status read_case(const struct ls_bench_case *of, struct ls_graph *graph) {
    const struct ls_op *op = ls_op_named(of->op);
    if (!op) return LS_FAIL(LS_SYSTEM, "there is no op \"%s\"", of->op);
    struct ls_text text = {0};
    write_case(of, op, &text);
    const ls_status status = ls_graph_parse(graph, text.data, of->op);
    ls_text_free(&text);
    return status;
}

static bool is_float(const struct ls_graph *graph, ls_value value) {
    return ls_info(graph, value)->dtype == LS_F32;
}

static ls_status add_backward(struct ls_op_trial *trial, ls_dtype type) {
    struct ls_graph *graph = &trial->graph;
    const struct ls_node *node = &graph->nodes[0];
    const int n_in = node->n_in;
    bool wanted[LS_MAX_IN] = {0}, narrow[LS_MAX_IN] = {0};
    for (int k = 0; k < n_in; k++) {
        // What is normalized by running statistics has a gradient where nothing else has.
        wanted[k] = is_float(graph, node->in[k]) && (k == 0 || node->op->id != LS_OP_BATCHNORM_EVAL);
        narrow[k] = is_float(graph, node->in[k]) && ls_info(graph, node->in[k])->shape.rank >= 2;
    }
    LS_TRY(ls_alone_backward(graph, wanted, &trial->alone));
    return type == LS_F32 ? LS_OK : ls_alone_narrow(graph, type, narrow, &trial->alone);
}

// ---- values ----

// Numbers from 1/2 to 3/2, every other one of what may be below 0 negated: variances are positive. Integers
// are classes or rows, and changes of samples are none.
static void fill(const struct ls_value_info *info, void *data) {
    const int64_t count = ls_shape_count(&info->shape);
    const bool change =
        info->dtype == LS_I32 && info->shape.rank == 2 && info->shape.dim[1] == LS_AUGMENT_WORDS;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t word = ls_philox(1, LS_RANDOM_TEST, (uint64_t)i, 0).word[0];
        const float size = 0.5f + (float)(word % 64) / 64;
        const float number = info->shape.rank > 1 && word & 64 ? -size : size;
        if (info->dtype == LS_F32) {
            ((float *)data)[i] = number;
        } else if (info->dtype == LS_BF16) {
            uint32_t bits;
            memcpy(&bits, &number, sizeof bits);
            ((uint16_t *)data)[i] = (uint16_t)(bits >> 16);
        } else if (info->dtype == LS_I32) {
            ((int32_t *)data)[i] = change ? 0 : (int32_t)(word % 1000);
        } else {
            ((unsigned char *)data)[i] = (unsigned char)word;
        }
    }
}

static ls_status alloc_values(struct ls_op_trial *trial) {
    const int n = trial->graph.n_values;
    trial->data = calloc((size_t)trial->queues * (size_t)n, sizeof *trial->data);
    if (!trial->data) return LS_FAIL(LS_SYSTEM, "out of memory");
    for (int i = 0; i < trial->queues * n; i++) {
        const struct ls_value_info *info = ls_info(&trial->graph, i % n);
        const size_t bytes = (size_t)ls_shape_count(&info->shape) * ls_dtype_bytes(info->dtype);
        LS_TRY(trial->device->api->alloc(trial->device, bytes, &trial->data[i]));
        if (info->producer < 0 && i < n) fill(info, trial->data[i]);
        if (info->producer < 0 && i >= n) memcpy(trial->data[i], trial->data[i % n], bytes);
    }
    return LS_OK;
}

ls_status ls_op_trial_open(const struct ls_bench_case *of, ls_dtype type, struct ls_device *device,
                           struct ls_queue *const *queue, int queues, struct ls_op_trial *trial) {
    *trial = (struct ls_op_trial){.device = device, .queue = queue, .queues = queues};
    LS_TRY(read_case(of, &trial->graph));
    LS_TRY(add_backward(trial, type));
    return alloc_values(trial);
}

void ls_op_trial_close(struct ls_op_trial *trial) {
    for (int i = 0; trial->data && i < trial->queues * trial->graph.n_values; i++)
        trial->device->api->free(trial->device, trial->data[i]);
    free(trial->data);
    ls_graph_free(&trial->graph);
    *trial = (struct ls_op_trial){0};
}

// ---- runs ----

static ls_status time_work(void *argument) {
    struct ls_timed *timed = *(struct ls_timed **)argument;
    const double start = ls_thread_time();
    LS_TRY(timed->work(timed->on));
    timed->seconds = ls_thread_time() - start;
    return LS_OK;
}

ls_status ls_timed_run(struct ls_device *device, struct ls_queue *const *queue, int queues,
                       struct ls_timed *timed, double *seconds) {
    for (int q = 0; q < queues; q++) {
        struct ls_timed *one = &timed[q];
        device->api->call(queue[q], time_work, &one, sizeof(struct ls_timed *));
    }
    *seconds = 0;
    for (int q = 0; q < queues; q++) {
        LS_TRY(device->api->sync(queue[q]));
        *seconds += timed[q].seconds;
    }
    return LS_OK;
}

// A node on one queue.
struct run {
    const struct ls_kernel *kernel;
    struct ls_kernel_call call;
};

static ls_status run_kernel(void *on) {
    const struct run *run = on;
    return run->kernel->run(&run->call);
}

static ls_status make_run(const struct ls_op_trial *trial, int node, int q, const struct ls_kernel *kernel,
                          size_t workspace, struct run *run) {
    static const struct ls_lane_control control = {.seed = 1, .loss_seed = 1};
    const struct ls_graph *graph = &trial->graph;
    const struct ls_node *of = &graph->nodes[node];
    void **data = trial->data + q * graph->n_values;
    *run = (struct run){.kernel = kernel, .call = {.graph = graph, .node = of, .control = &control}};
    for (int k = 0; k < of->n_in; k++) run->call.in[k] = data[of->in[k]];
    for (int k = 0; k < of->n_out; k++) run->call.out[k] = data[of->out[k]];
    const size_t kept = ls_kernel_kept(kernel, graph, of);
    if (workspace > 0) LS_TRY(trial->device->api->alloc(trial->device, workspace, &run->call.workspace));
    if (kept > 0) LS_TRY(trial->device->api->alloc(trial->device, kept, &run->call.kept));
    if (kernel->make) LS_TRY(kernel->make(graph, of, &run->call.made));
    return kept > 0 ? kernel->convert(&run->call) : LS_OK;
}

static ls_status run_all(const struct ls_op_trial *trial, struct run *runs, double *seconds) {
    struct ls_timed timed[LS_PEAK_QUEUES];
    for (int q = 0; q < trial->queues; q++) timed[q] = (struct ls_timed){.work = run_kernel, .on = &runs[q]};
    return ls_timed_run(trial->device, trial->queue, trial->queues, timed, seconds);
}

static ls_status take_best(const struct ls_op_trial *trial, struct run *runs, double enough, double *best) {
    double seconds, all = 0;
    LS_TRY(run_all(trial, runs, &seconds));
    *best = INFINITY;
    for (int i = 0; i == 0 || (i < MOST_RUNS && all < enough * trial->queues); i++) {
        LS_TRY(run_all(trial, runs, &seconds));
        all += seconds;
        if (seconds < *best) *best = seconds;
    }
    return LS_OK;
}

ls_status ls_op_trial_time(struct ls_op_trial *trial, int node, enum ls_cpu_kernels kernels, double enough,
                           struct ls_op_time *time) {
    const struct ls_kernel *kernel;
    size_t workspace;
    LS_TRY(ls_kernel_choose(kernels, &trial->graph, &trial->graph.nodes[node], &kernel, &workspace));
    struct run *runs = calloc((size_t)trial->queues, sizeof *runs);
    if (!runs) return LS_FAIL(LS_SYSTEM, "out of memory");
    ls_status status = LS_OK;
    for (int q = 0; q < trial->queues && status == LS_OK; q++)
        status = make_run(trial, node, q, kernel, workspace, &runs[q]);
    double best = 0;
    if (status == LS_OK) status = take_best(trial, runs, enough, &best);
    for (int q = 0; q < trial->queues; q++) {
        ls_kernel_unmake(kernel, runs[q].call.made);
        trial->device->api->free(trial->device, runs[q].call.workspace);
        trial->device->api->free(trial->device, runs[q].call.kept);
    }
    free(runs);
    *time = (struct ls_op_time){.library = kernel->library, .seconds = best / trial->queues};
    return status;
}
