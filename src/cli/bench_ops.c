// What is printed, and how it is defined:
//
//   ms        that a queue had a processor for one run of the op: the best run, all queues running at once
//   GFLOP/s   operations of all queues (the op's `flops`) by that time
//   of peak   of a convolution, a product or a gradient of one: that, by the best rate of one measured here
//   GB/s      bytes of the op's inputs and outputs, each once, of all queues, by that time
//   of copy   that, by the bytes that all queues read and write a second when each copies a value as large as
//             most here, again and again
#include "cli/bench_ops.h"

#include "cli/bench.h"
#include "cli/bench_profile.h"

#include <stdio.h>
#include <string.h>

enum { COPIED = 4 * 8 * 64 * 56 * 56 }; // bytes of most values of the cases

struct bench {
    const char *op;
    int64_t threads, ms;
    bool json;
    struct ls_device *device;
    struct ls_queue *queue[LS_PEAK_QUEUES];
    int queues;
    double copy; // bytes a second
};

// A type of values, and the best rate of a product of them.
struct precision {
    const char *name;
    ls_dtype type;
    struct ls_peak peak;
};

struct figures {
    const struct ls_graph *graph;
    const struct ls_node *node;
    bool backward;
    double flops, bytes; // of all queues
};

// ---- what a copy reaches ----

struct copy {
    void *to, *from;
};

static ls_status make_copy(void *on) {
    const struct copy *copy = on;
    memcpy(copy->to, copy->from, COPIED);
    return LS_OK;
}

static ls_status measure_copy(struct bench *bench) {
    const struct ls_device_api *api = bench->device->api;
    struct copy copies[LS_PEAK_QUEUES] = {0};
    struct ls_timed timed[LS_PEAK_QUEUES];
    ls_status status = LS_OK;
    for (int q = 0; q < bench->queues && status == LS_OK; q++) {
        status = api->alloc(bench->device, COPIED, &copies[q].to);
        if (status == LS_OK) status = api->alloc(bench->device, COPIED, &copies[q].from);
        timed[q] = (struct ls_timed){.work = make_copy, .on = &copies[q]};
    }
    for (int i = 0; i < 20 && status == LS_OK; i++) {
        double seconds;
        status = ls_timed_run(bench->device, bench->queue, bench->queues, timed, &seconds);
        const double rate = 2.0 * COPIED * bench->queues * bench->queues / seconds;
        if (status == LS_OK && rate > bench->copy) bench->copy = rate;
    }
    for (int q = 0; q < bench->queues; q++) {
        api->free(bench->device, copies[q].to);
        api->free(bench->device, copies[q].from);
    }
    return status;
}

// ---- rows ----

static void print_json(const struct bench *bench, const struct precision *precision,
                       const struct figures *figures, const struct ls_op_time *time, double peak,
                       double copy) {
    char shape[96], label[64];
    const struct ls_graph *graph = figures->graph;
    struct ls_text text = {0};
    ls_bench_begin(&text, "op");
    ls_json_text(&text, "of", graph->nodes[0].op->name);
    ls_json_text(&text, "op", figures->node->op->name);
    ls_json_text(&text, "label", ls_label_of(graph, figures->node, label));
    ls_json_text(&text, "pass", figures->backward ? "backward" : "forward");
    ls_json_text(&text, "shape", ls_shape_text(shape, &ls_info(graph, figures->node->out[0])->shape));
    ls_json_text(&text, "precision", precision->name);
    ls_json_text(&text, "kernels", time->library);
    ls_json_count(&text, "queues", bench->queues);
    ls_json_rounded(&text, "ms", time->seconds * 1e3, 6);
    ls_json_rounded(&text, "gflop_per_s", figures->flops / time->seconds / 1e9, 6);
    if (ls_is_product(figures->node->op)) ls_json_rounded(&text, "of_peak", peak, 6);
    ls_json_rounded(&text, "gb_per_s", figures->bytes / time->seconds / 1e9, 6);
    ls_json_rounded(&text, "of_copy", copy, 6);
    ls_bench_print(&text);
}

// `plain`: NULL where the kernel is the plain one itself.
static void print_row(const struct precision *precision, const struct figures *figures,
                      const struct ls_op_time *time, const struct ls_op_time *plain, double peak,
                      double copy) {
    char shape[96], label[64], of_peak[16] = "";
    const struct ls_graph *graph = figures->graph;
    if (ls_is_product(figures->node->op)) snprintf(of_peak, sizeof of_peak, "%.0f %%", peak * 100);
    printf("%s%-*s %-15s %-4s %-8s %9.3f %9.1f %7s %7.1f %6.0f %%", figures->backward ? "  " : "",
           figures->backward ? 30 : 32, ls_label_of(graph, figures->node, label),
           ls_shape_text(shape, &ls_info(graph, figures->node->out[0])->shape), precision->name,
           time->library, time->seconds * 1e3, figures->flops / time->seconds / 1e9, of_peak,
           figures->bytes / time->seconds / 1e9, copy * 100);
    if (plain) printf(" %9.3f %5.1f", plain->seconds * 1e3, plain->seconds / time->seconds);
    printf("\n");
}

static void print_node(const struct bench *bench, const struct precision *precision,
                       const struct figures *figures, const struct ls_op_time *times, int n) {
    const double flops = figures->flops / precision->peak.flops, bytes = figures->bytes / bench->copy;
    for (int i = 0; i < n && bench->json; i++)
        print_json(bench, precision, figures, &times[i], flops / times[i].seconds, bytes / times[i].seconds);
    if (!bench->json)
        print_row(precision, figures, &times[0], n > 1 ? &times[1] : NULL, flops / times[0].seconds,
                  bytes / times[0].seconds);
}

// The kernel that a training would take, and the plain one where that is another.
static ls_status measure_node(const struct bench *bench, const struct precision *precision,
                              struct ls_op_trial *trial, int i) {
    const struct ls_node *node = &trial->graph.nodes[i];
    if (node->op->flags & LS_OP_VIEW) return LS_OK;
    struct ls_op_time times[2];
    const double enough = (double)bench->ms / 1e3;
    int n = 1;
    LS_TRY(ls_op_trial_time(trial, i, LS_CPU_AUTO, enough, &times[0]));
    if (strcmp(times[0].library, "plain") != 0)
        LS_TRY(ls_op_trial_time(trial, i, LS_CPU_PLAIN, enough, &times[n++]));
    const struct figures figures = {
        .graph = &trial->graph,
        .node = node,
        .backward = i > 0 || strstr(node->op->name, "_grad"),
        .flops = ls_node_flops(&trial->graph, node) * bench->queues,
        .bytes = ls_node_bytes(&trial->graph, node) * bench->queues,
    };
    print_node(bench, precision, &figures, times, n);
    return LS_OK;
}

static ls_status measure_case(const struct bench *bench, const struct precision *precision,
                              const struct ls_bench_case *of) {
    struct ls_op_trial trial;
    ls_status status =
        ls_op_trial_open(of, precision->type, bench->device, bench->queue, bench->queues, &trial);
    for (int i = 0; i < trial.graph.n_nodes && status == LS_OK; i++)
        status = measure_node(bench, precision, &trial, i);
    ls_op_trial_close(&trial);
    fflush(stdout);
    return status;
}

// ---- the whole ----

static bool is_wanted(const struct bench *bench, const struct ls_bench_case *of) {
    return !bench->op || strcmp(bench->op, of->op) == 0;
}

// Losses and the input op compute in f32 whatever the precision, and a cast is between the two.
static bool is_narrowed(const struct ls_bench_case *of) {
    const struct ls_op *op = ls_op_named(of->op);
    return op && op->flags & LS_OP_HALF && op->id != LS_OP_CAST;
}

static ls_status measure_precision(const struct bench *bench, const struct precision *precision) {
    for (int i = 0; i < ls_bench_case_count; i++) {
        const struct ls_bench_case *of = &ls_bench_cases[i];
        if (!is_wanted(bench, of) || (precision->type != LS_F32 && !is_narrowed(of))) continue;
        LS_TRY(measure_case(bench, precision, of));
    }
    return LS_OK;
}

static ls_status measure(struct bench *bench) {
    struct precision precisions[] = {{.name = "fp32", .type = LS_F32}, {.name = "bf16", .type = LS_BF16}};
    const int n = ls_cpu_library() && !ls_cpu_has_bf16() ? 1 : 2;
    LS_TRY(measure_copy(bench));
    for (int i = 0; i < n; i++)
        LS_TRY(ls_peak_measure(bench->queues, precisions[i].type, &precisions[i].peak));
    if (!bench->json) {
        printf("%s\ncopies: %.1f GB/s read and written\n", bench->device->name, bench->copy / 1e9);
        for (int i = 0; i < n; i++)
            printf("best product, %s: %.1f GFLOP/s (%s)\n", precisions[i].name,
                   precisions[i].peak.flops / 1e9, precisions[i].peak.what);
        if (n < 2) printf("bf16 is left out: this processor has no instructions for it\n");
        printf("\n%-32s %-15s %-4s %-8s %9s %9s %7s %7s %8s %9s %5s\n", "op", "to", "", "by", "ms", "GFLOP/s",
               "of peak", "GB/s", "of copy", "plain ms", "times");
    }
    for (int i = 0; i < n; i++) LS_TRY(measure_precision(bench, &precisions[i]));
    return LS_OK;
}

static ls_status with_queues(struct bench *bench) {
    const struct ls_device_api *api = bench->device->api;
    ls_status status = LS_OK;
    for (int q = 0; q < bench->queues && status == LS_OK; q++)
        status = api->queue_open(bench->device, "op", &bench->queue[q]);
    if (status == LS_OK) status = measure(bench);
    for (int q = 0; q < bench->queues; q++)
        if (bench->queue[q]) api->queue_close(bench->queue[q]);
    return status;
}

static ls_status check_op(const struct bench *bench) {
    for (int i = 0; i < ls_bench_case_count; i++)
        if (is_wanted(bench, &ls_bench_cases[i])) return LS_OK;
    struct ls_text known = {0};
    for (int i = 0; i < ls_bench_case_count; i++)
        if (i == 0 || strcmp(ls_bench_cases[i].op, ls_bench_cases[i - 1].op) != 0)
            ls_text_add(&known, "%s%s", known.length ? ", " : "", ls_bench_cases[i].op);
    const ls_status status =
        LS_FAIL(LS_INPUT, "--op: expected one of %s (gradients come with their ops), found %.80s", known.data,
                bench->op);
    ls_text_free(&known);
    return status;
}

ls_status ls_bench_ops(const struct ls_command *command, int argc, char **argv) {
    struct bench bench = {.threads = ls_cpu_cores(), .ms = 30};
    bool helped = false;
    const struct ls_option options[] = {
        {"--op", NULL, LS_WORD, &bench.op, "OP", "this one alone, with its gradient (default: all)"},
        {"--threads", NULL, LS_INTEGER(1, LS_PEAK_QUEUES), &bench.threads, "T",
         "queues that run the op at once, each by itself (default: the cores it may use)"},
        {"--ms", NULL, LS_INTEGER(1, 60000), &bench.ms, "MS", "time for each kernel (default 30)"},
        {"--json", NULL, LS_FLAG, &bench.json, NULL, "print one JSON object an op, precision and kernel"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n != 0) return LS_FAIL(LS_INPUT, "bench ops takes no further argument, found \"%s\"", argv[0]);
    LS_TRY(check_op(&bench));
    bench.queues = (int)bench.threads;
    LS_TRY(ls_cpu_open(&(struct ls_cpu_options){.threads = bench.queues}, &bench.device));
    const ls_status status = with_queues(&bench);
    bench.device->api->close(bench.device);
    return status;
}
