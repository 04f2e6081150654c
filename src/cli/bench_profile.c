// What is printed, and how it is defined:
//
//   ms        time that threads had a processor for an op in a step, divided by the rank's lane threads:
//             these add up to the step
//   share     of the step
//   GFLOP/s   operations of all the rank's lanes (LS_OP's `flops`) by that time; of a convolution as it is
//             defined, also where a kernel makes fewer
//   GB/s      bytes of an op's inputs and outputs, each once, by that time
//   waiting   what is left: threads that wait for each other, for the reduction, the host, or a processor
//
// Times of nodes are taken around each kernel; those of folds, norm and update by a trace's spans.
#include "cli/bench_profile.h"

#include "cli/bench.h"
#include "graph/op.h"
#include "train/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum part { WEIGHTS, INPUT, FORWARD, BACKWARD, FOLD, OPTIMIZER, PARTS };

static const char *const part_names[] = {"weights", "input", "forward", "backward", "fold", "optimizer"};

struct row {
    enum part part;
    char label[64];
    bool product;
    int nodes;
    double seconds, flops, bytes; // of a step: thread time, and work of all lanes
};

struct ls_profile {
    const struct ls_graph *graph;
    struct ls_engine *engine;
    struct ls_trace *trace;
    int queues, lanes;
    int64_t steps;
    double *seconds; // [queues][nodes + 1]: behind the nodes, of converting weights
};

ls_status ls_profile_open(struct ls_comm *comm, const struct ls_model *model, struct ls_engine *engine,
                          int64_t steps, struct ls_profile **profile_opened) {
    const int queues = ls_engine_queues(engine), nodes = model->train->graph->n_nodes;
    struct ls_profile *profile = calloc(1, sizeof *profile);
    double *times = calloc((size_t)queues * ((size_t)nodes + 1), sizeof *times);
    ls_status status =
        profile && times ? ls_engine_profile(engine, NULL) : LS_FAIL(LS_SYSTEM, "out of memory");
    status = ls_comm_agree(comm, status);
    if (status != LS_OK || !profile) {
        free(profile);
        free(times);
        return status;
    }
    const struct ls_lane_range lanes = ls_engine_lanes(engine);
    *profile = (struct ls_profile){.graph = model->train->graph,
                                   .engine = engine,
                                   .queues = queues,
                                   .lanes = lanes.end - lanes.begin,
                                   .steps = steps,
                                   .seconds = times};
    *profile_opened = profile;
    return ls_trace_open(comm, profile->queues, false, steps, ls_engine_spans_a_step(engine),
                         &profile->trace);
}

void ls_profile_close(struct ls_profile *profile) {
    if (!profile) return;
    ls_engine_trace(profile->engine, NULL);
    (void)ls_engine_profile(profile->engine, NULL);
    ls_trace_close(profile->trace);
    free(profile->seconds);
    free(profile);
}

// A trace starts LS_TRACE_WARM_UP steps after the first that it hears of.
void ls_profile_step(struct ls_profile *profile, int64_t step) {
    if (!profile) return;
    if (step < 0) {
        ls_engine_trace(profile->engine, profile->trace);
        ls_trace_step(profile->trace, 0);
        return;
    }
    ls_trace_step(profile->trace, (uint64_t)(step + LS_TRACE_WARM_UP));
    (void)ls_engine_profile(profile->engine, profile->seconds);
}

// ---- nodes by op

bool ls_is_product(const struct ls_op *op) {
    static const char *const families[] = {"conv", "linear", "matmul"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strncmp(op->name, families[i], strlen(families[i])) == 0) return true;
    return false;
}

// The weights of a convolution or of its gradient, or their gradient; LS_NONE of another op.
static ls_value window_of(const struct ls_node *node) {
    switch (node->op->id) {
    case LS_OP_CONV:
    case LS_OP_CONV_RELU:
    case LS_OP_CONV_INPUT_GRAD: return node->in[1];
    case LS_OP_CONV_WEIGHT_GRAD: return node->out[0];
    default: return LS_NONE;
    }
}

const char *ls_label_of(const struct ls_graph *graph, const struct ls_node *node, char out[64]) {
    const ls_value window = window_of(node);
    if (window == LS_NONE) {
        snprintf(out, 64, "%s", node->op->name);
        return out;
    }
    const int64_t *dim = ls_info(graph, window)->shape.dim;
    snprintf(out, 64, "%s %lldx%lld%s", node->op->name, (long long)dim[2], (long long)dim[3],
             node->attr[LS_GROUPS].i > 1 ? " grouped" : "");
    return out;
}

double ls_node_bytes(const struct ls_graph *graph, const struct ls_node *node) {
    double bytes = 0;
    for (int k = 0; k < node->n_in + node->n_out; k++) {
        const struct ls_value_info *info =
            ls_info(graph, k < node->n_in ? node->in[k] : node->out[k - node->n_in]);
        bytes += (double)ls_shape_count(&info->shape) * (double)ls_dtype_bytes(info->dtype);
    }
    return bytes;
}

// Backward is what depends on the seed of the loss.
static void mark_backward(const struct ls_graph *graph, bool *depends, bool *backward) {
    for (ls_value v = 0; v < graph->n_values; v++) depends[v] = ls_info(graph, v)->kind == LS_INPUT_SEED;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_in; k++) backward[i] |= depends[node->in[k]];
        for (int k = 0; k < node->n_out; k++) depends[node->out[k]] = backward[i];
    }
}

static struct row *row_of(struct row *rows, int *n, enum part part, const char *label) {
    for (int i = 0; i < *n; i++)
        if (rows[i].part == part && strcmp(rows[i].label, label) == 0) return &rows[i];
    struct row *row = &rows[(*n)++];
    *row = (struct row){.part = part};
    snprintf(row->label, sizeof row->label, "%s", label);
    return row;
}

static void add_node(const struct ls_profile *profile, int i, bool backward, struct row *rows, int *n) {
    const struct ls_graph *graph = profile->graph;
    const struct ls_node *node = &graph->nodes[i];
    if ((node->op->flags & LS_OP_VIEW) || ls_graph_casts_weight(graph, node)) return;
    char label[64];
    const enum part part = node->op->id == LS_OP_INPUT ? INPUT : backward ? BACKWARD : FORWARD;
    struct row *row = row_of(rows, n, part, ls_label_of(graph, node, label));
    row->nodes++;
    row->product = ls_is_product(node->op);
    row->flops += ls_node_flops(graph, node) * profile->lanes;
    row->bytes += ls_node_bytes(graph, node) * profile->lanes;
    for (int q = 0; q < profile->queues; q++)
        row->seconds += profile->seconds[q * (graph->n_nodes + 1) + i] / (double)profile->steps;
}

// Once for all lanes: casts, and what kernels keep.
static void add_conversions(const struct ls_profile *profile, struct row *rows, int *n) {
    const int place = profile->graph->n_nodes;
    struct row *row = row_of(rows, n, WEIGHTS, "conversions");
    for (int q = 0; q < profile->queues; q++)
        row->seconds += profile->seconds[q * (place + 1) + place] / (double)profile->steps;
}

// ---- folds, norm and update

static void add_spans(const struct ls_profile *profile, struct row *rows, int *n) {
    static const struct {
        enum ls_trace_kind kind;
        enum part part;
        const char *label;
    } kinds[] = {{LS_SPAN_FOLD, FOLD, "sums of lanes"},
                 {LS_SPAN_NORM, OPTIMIZER, "norm"},
                 {LS_SPAN_UPDATE, OPTIMIZER, "update"}};
    int64_t n_spans;
    const struct ls_trace_span *spans = ls_trace_spans(profile->trace, &n_spans);
    for (int64_t i = 0; i < n_spans; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (spans[i].kind == kinds[k].kind)
                row_of(rows, n, kinds[k].part, kinds[k].label)->seconds +=
                    (spans[i].end - spans[i].begin) / (double)profile->steps;
}

static int compare(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    if (x->part != y->part) return (int)x->part - (int)y->part;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

enum { MORE_ROWS = 8 };

static int rows_of(const struct ls_profile *profile, struct ls_arena *memory, struct row **rows) {
    const struct ls_graph *graph = profile->graph;
    bool *depends = LS_ARENA_NEW(memory, bool, graph->n_values);
    bool *backward = LS_ARENA_NEW(memory, bool, graph->n_nodes + 1);
    *rows = LS_ARENA_NEW(memory, struct row, graph->n_nodes + MORE_ROWS);
    mark_backward(graph, depends, backward);
    int n = 0;
    for (int i = 0; i < graph->n_nodes; i++) add_node(profile, i, backward[i], *rows, &n);
    add_conversions(profile, *rows, &n);
    add_spans(profile, *rows, &n);
    qsort(*rows, (size_t)n, sizeof **rows, compare);
    return n;
}

// ---- what is printed

static void begin_json_row(struct ls_text *text, const char *part, double seconds, double share) {
    ls_bench_begin(text, "step profile");
    ls_json_text(text, "part", part);
    ls_json_rounded(text, "ms", seconds * 1e3, 6);
    ls_json_rounded(text, "share", share, 6);
}

static void print_json_row(const struct row *row, double seconds, double share, double rate,
                           double bandwidth) {
    struct ls_text text = {0};
    begin_json_row(&text, part_names[row->part], seconds, share);
    ls_json_text(&text, "op", row->label);
    ls_json_count(&text, "nodes", row->nodes);
    ls_json_rounded(&text, "gflop", row->flops / 1e9, 6);
    ls_json_rounded(&text, "gbytes", row->bytes / 1e9, 6);
    ls_json_rounded(&text, "gflop_per_s", rate, 6);
    ls_json_rounded(&text, "gb_per_s", bandwidth, 6);
    ls_bench_print(&text);
}

static void print_row(const struct ls_profile *profile, const struct row *row, double step, bool json) {
    const double seconds = row->seconds / profile->queues, time = seconds > 0 ? seconds : 1;
    const double rate = row->flops / time / 1e9, bandwidth = row->bytes / time / 1e9;
    if (json)
        print_json_row(row, seconds, seconds / step, rate, bandwidth);
    else if (row->nodes > 0)
        printf("%-10s %-30s %5d %9.2f %6.1f %% %9.1f %8.1f\n", part_names[row->part], row->label, row->nodes,
               seconds * 1e3, seconds / step * 100, rate, bandwidth);
    else
        printf("%-10s %-30s %5s %9.2f %6.1f %%\n", part_names[row->part], row->label, "", seconds * 1e3,
               seconds / step * 100);
}

struct totals {
    double seconds, product_seconds, product_flops; // a step; seconds by thread
};

static struct totals totals_of(const struct ls_profile *profile, const struct row *rows, int n) {
    struct totals all = {0};
    for (int i = 0; i < n; i++) {
        all.seconds += rows[i].seconds / profile->queues;
        if (!rows[i].product) continue;
        all.product_seconds += rows[i].seconds / profile->queues;
        all.product_flops += rows[i].flops;
    }
    return all;
}

static void print_json_whole(const struct totals *all, const struct ls_peak *peak, double step,
                             double waiting, double rate) {
    struct ls_text text = {0};
    begin_json_row(&text, "waiting", waiting, waiting / step);
    ls_json_text(&text, "op", "");
    ls_json_count(&text, "nodes", 0);
    ls_bench_print(&text);
    begin_json_row(&text, "products", all->product_seconds, all->product_seconds / step);
    ls_json_rounded(&text, "gflop_per_s", rate / 1e9, 6);
    ls_json_rounded(&text, "peak_gflop_per_s", peak->flops / 1e9, 6);
    ls_json_text(&text, "peak_of", peak->what);
    ls_json_rounded(&text, "of_peak", rate / peak->flops, 6);
    ls_json_rounded(&text, "step_of_peak", all->product_flops / step / peak->flops, 6);
    ls_bench_print(&text);
}

static void print_whole(const struct totals *all, const struct ls_peak *peak, double step, bool json) {
    const double waiting = step > all->seconds ? step - all->seconds : 0;
    const double rate = all->product_seconds > 0 ? all->product_flops / all->product_seconds : 0;
    if (json) {
        print_json_whole(all, peak, step, waiting, rate);
        return;
    }
    printf("%-10s %-30s %5s %9.2f %6.1f %%\n", "waiting", "", "", waiting * 1e3, waiting / step * 100);
    printf("%-10s %-30s %5s %9.2f\n", "step", "", "", step * 1e3);
    printf("convolutions and products: %.1f %% of the step, at %.1f GFLOP/s. The best rate measured here is "
           "%.1f (%s):\n"
           "they run at %.1f %% of it, and the whole step at %.1f %%\n",
           all->product_seconds / step * 100, rate / 1e9, peak->flops / 1e9, peak->what,
           rate / peak->flops * 100, all->product_flops / step / peak->flops * 100);
}

void ls_profile_print(const struct ls_profile *profile, const struct ls_peak *peak, double seconds,
                      bool json) {
    struct ls_arena memory = {0};
    struct row *rows;
    const int n = rows_of(profile, &memory, &rows);
    if (!json)
        printf("%-10s %-30s %5s %9s %8s %9s %8s\n", "part", "op", "nodes", "ms", "share", "GFLOP/s", "GB/s");
    for (int i = 0; i < n; i++) print_row(profile, &rows[i], seconds, json);
    const struct totals all = totals_of(profile, rows, n);
    print_whole(&all, peak, seconds, json);
    ls_arena_free(&memory);
}
