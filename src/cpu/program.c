// A plan made ready: for every node its kernel, and for every queue what the kernels keep. A segment of a
// lane is one task that walks its nodes.
#include "cpu/internal.h"

#include "base/clock.h"
#include "base/pulse.h"

#include <stdlib.h>
#include <string.h>

struct ls_program {
    const struct ls_plan *plan;
    int n_queues;
    struct ls_queue **queues;
    const struct ls_kernel **kernels; // [n_nodes]; NULL: a view
    void **made;                      // [n_queues][n_nodes]
    double *seconds;                  // [n_queues][n_nodes + 1], the caller's; NULL: nobody asks
};

// A segment of a lane, or a part of the weights' conversion.
struct segment {
    const struct ls_program *program;
    int queue; // that runs it: its place among the program's
    int index, parts;
    struct ls_lane lane;
};
_Static_assert(sizeof(struct segment) <= LS_TASK_BYTES, "a segment fits into a task");

ls_status ls_cpu_node_workspace(const struct ls_device *device, const struct ls_graph *graph,
                                const struct ls_node *node, size_t *workspace) {
    const struct ls_kernel *kernel;
    return ls_kernel_choose(ls_cpu_device_of(device)->choice, graph, node, &kernel, workspace);
}

size_t ls_cpu_node_kept(const struct ls_device *device, const struct ls_graph *graph,
                        const struct ls_node *node) {
    const struct ls_kernel *kernel;
    size_t workspace;
    if (ls_kernel_choose(ls_cpu_device_of(device)->choice, graph, node, &kernel, &workspace) != LS_OK)
        return 0;
    return ls_kernel_kept(kernel, graph, node);
}

void ls_cpu_unload(struct ls_program *program) {
    if (!program) return;
    int n_nodes = program->plan->graph->n_nodes;
    for (int q = 0; program->made && program->kernels && q < program->n_queues; q++)
        for (int i = 0; i < n_nodes; i++)
            if (program->kernels[i]) ls_kernel_unmake(program->kernels[i], program->made[q * n_nodes + i]);
    free(program->made);
    free(program->kernels);
    free(program->queues);
    free(program);
}

static ls_status make_for_queue(const struct ls_program *program, void **made) {
    const struct ls_graph *graph = program->plan->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_kernel *kernel = program->kernels[i];
        if (!kernel || !kernel->make) continue;
        ls_status status = kernel->make(graph, &graph->nodes[i], &made[i]);
        if (status != LS_OK) {
            ls_error_prefix("%s", graph->nodes[i].name);
            return status;
        }
    }
    return LS_OK;
}

static ls_status choose_kernels(const struct ls_cpu_device *cpu, struct ls_program *program) {
    const struct ls_plan *plan = program->plan;
    for (int i = 0; i < plan->graph->n_nodes; i++) {
        const struct ls_node *node = &plan->graph->nodes[i];
        size_t workspace = 0;
        LS_TRY(ls_kernel_choose(cpu->choice, plan->graph, node, &program->kernels[i], &workspace));
        if (workspace > plan->workspace_bytes[i])
            return LS_FAIL(LS_SYSTEM, "%s: the plan has %zu bytes of workspace, the kernel needs %zu",
                           node->name, plan->workspace_bytes[i], workspace);
    }
    return LS_OK;
}

ls_status ls_cpu_load(struct ls_device *device, const struct ls_plan *plan, struct ls_queue *const *queues,
                      int n_queues, struct ls_program **program_out) {
    size_t n_nodes = (size_t)plan->graph->n_nodes, n = (size_t)n_queues;
    struct ls_program *program = calloc(1, sizeof *program);
    if (!program) return LS_FAIL(LS_SYSTEM, "no memory for a program");
    ls_status status = LS_OK;
    program->plan = plan;
    program->n_queues = n_queues;
    program->queues = calloc(n + 1, sizeof(struct ls_queue *));
    program->kernels = calloc(n_nodes + 1, sizeof(struct ls_kernel *));
    program->made = calloc(n * n_nodes + 1, sizeof(void *));
    if (!program->queues || !program->kernels || !program->made) {
        status = LS_FAIL(LS_SYSTEM, "no memory for a program of %zu nodes", n_nodes);
        goto failed;
    }
    for (size_t q = 0; q < n; q++) program->queues[q] = queues[q];
    LS_TRY_GOTO(failed, choose_kernels(ls_cpu_device_of(device), program));
    for (size_t q = 0; q < n; q++) LS_TRY_GOTO(failed, make_for_queue(program, program->made + q * n_nodes));
    *program_out = program;
    return LS_OK;
failed:
    ls_cpu_unload(program);
    return status;
}

static struct ls_kernel_call call_of(const struct segment *segment, int i, char *const base[LS_REGIONS]) {
    const struct ls_plan *plan = segment->program->plan;
    const struct ls_node *node = &plan->graph->nodes[i];
    struct ls_kernel_call call = {.graph = plan->graph, .node = node, .control = segment->lane.control};
    for (int k = 0; k < node->n_in; k++) call.in[k] = ls_place_at(base, &plan->places[node->in[k]]);
    for (int k = 0; k < node->n_out; k++) call.out[k] = ls_place_at(base, &plan->places[node->out[k]]);
    if (plan->workspace_bytes[i] > 0) call.workspace = ls_place_at(base, &plan->workspace[i]);
    if (plan->kept_bytes[i] > 0) call.kept = ls_place_at(base, &plan->converted[i]);
    call.made = segment->program->made[segment->queue * plan->graph->n_nodes + i];
    return call;
}

static ls_status run_node(const struct segment *segment, int i, char *const base[LS_REGIONS]) {
    const struct ls_kernel_call call = call_of(segment, i, base);
    ls_pulse_tick();
    return segment->program->kernels[i]->run(&call);
}

// Where the seconds of node i are added up, or, i being the number of nodes, those of `convert`.
static double *seconds_at(const struct segment *segment, int i) {
    return &segment->program->seconds[segment->queue * (segment->program->plan->graph->n_nodes + 1) + i];
}

static ls_status run_timed_node(const struct segment *segment, int i, char *const base[LS_REGIONS]) {
    const double start = ls_thread_time();
    ls_status status = run_node(segment, i, base);
    *seconds_at(segment, i) += ls_thread_time() - start;
    return status;
}

static void copy_result(const struct ls_plan *plan, const struct ls_lane *lane,
                        char *const base[LS_REGIONS]) {
    const struct ls_value_info *result = ls_info(plan->graph, plan->result);
    size_t bytes = ls_dtype_bytes(result->dtype);
    for (int i = 0; i < result->shape.rank; i++) bytes *= (size_t)result->shape.dim[i];
    memcpy(lane->result, ls_place_at(base, &plan->places[plan->result]), bytes);
}

static ls_status run_segment(void *argument) {
    const struct segment *segment = argument;
    const struct ls_plan *plan = segment->program->plan;
    char *base[LS_REGIONS];
    ls_lane_bases(&segment->lane, base);
    ls_status (*const run)(const struct segment *, int, char *const[LS_REGIONS]) =
        segment->program->seconds ? run_timed_node : run_node;
    int begin = segment->index > 0 ? plan->segment_end[segment->index - 1] : plan->n_casts;
    for (int i = begin; i < plan->segment_end[segment->index]; i++)
        if (segment->program->kernels[i]) LS_TRY(run(segment, i, base));
    bool last = segment->index == plan->n_segments - 1;
    if (last && plan->result != LS_NONE && segment->lane.result) copy_result(plan, &segment->lane, base);
    return LS_OK;
}

// The part that takes the byte at which the weight's begin, of what all take together. So a weight's
// conversions are all of one part.
static ls_status convert_part(void *argument) {
    const struct segment *segment = argument;
    const struct ls_program *program = segment->program;
    const struct ls_plan *plan = program->plan;
    const double start = program->seconds ? ls_thread_time() : 0;
    char *base[LS_REGIONS];
    ls_lane_bases(&segment->lane, base);
    for (int c = 0; c < plan->n_conversions; c++) {
        const struct ls_conversion *conversion = &plan->conversions[c];
        const size_t part = conversion->before * (size_t)segment->parts / (plan->converted_bytes + 1);
        if (part != (size_t)segment->index) continue;
        const struct ls_kernel_call call = call_of(segment, conversion->node, base);
        const struct ls_kernel *kernel = program->kernels[conversion->node];
        ls_pulse_tick();
        LS_TRY(conversion->node < plan->n_casts ? kernel->run(&call) : kernel->convert(&call));
    }
    if (program->seconds) *seconds_at(segment, plan->graph->n_nodes) += ls_thread_time() - start;
    return LS_OK;
}

static ls_status not_loaded(void *argument) {
    (void)argument;
    return LS_FAIL(LS_SYSTEM, "a plan was run on a queue for which it was not loaded");
}

static void enqueue(struct ls_queue *queue, struct ls_program *program, ls_status (*function)(void *),
                    struct segment *task) {
    task->program = program;
    for (int q = 0; q < program->n_queues; q++) {
        if (program->queues[q] != queue) continue;
        task->queue = q;
        ls_queue_enqueue(queue, function, task, sizeof *task);
        return;
    }
    ls_queue_enqueue(queue, not_loaded, NULL, 0);
}

void ls_cpu_convert(struct ls_queue *queue, struct ls_program *program, int part, int parts,
                    const struct ls_lane *lane) {
    if (program->plan->n_conversions == 0) return;
    enqueue(queue, program, convert_part, &(struct segment){.index = part, .parts = parts, .lane = *lane});
}

void ls_cpu_run(struct ls_queue *queue, struct ls_program *program, int segment, const struct ls_lane *lane) {
    enqueue(queue, program, run_segment, &(struct segment){.index = segment, .lane = *lane});
}

void ls_cpu_profile(struct ls_program *program, double *seconds) {
    program->seconds = seconds;
}
