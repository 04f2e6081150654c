// A plan made ready: for every node its kernel and what that keeps. A segment of a lane is a sequence of
// launches. It is captured into a graph for each set of buffers that it is run with, and replayed from then
// on; so from a few steps on nothing is captured, and a segment costs the host one call.
#include "cuda/internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/pulse.h"
#include "cuda/kernel.h"
#include "cuda/range.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Of one segment: more sets of buffers than an engine has. Whoever has more runs them without graphs.
enum { MOST_REPLAYS = 256 };

struct replay {
    const struct ls_queue *queue;
    struct ls_lane lane; // its result left out
    cudaGraphExec_t graph;
};

struct segment {
    char name[40];
    bool warm; // has run once: libraries and kernels are loaded then, which must not happen in a capture
    struct replay *replays; // [MOST_REPLAYS]
    int n_replays;
    bool refuses; // it cannot be captured
};

struct ls_program {
    struct ls_cuda_device *cuda;
    const struct ls_plan *plan;
    const struct ls_cuda_kernel **kernels; // [n_nodes]; NULL: a view
    void **made;                           // [n_nodes]
    struct segment *segments;              // [plan->n_segments + 1]: the last has the casts of weights
};

// ---- making it ready

// With the words of the library that refused, where one did.
static ls_status no_kernel(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_error *why = ls_error_last();
    char types[256] = "";
    size_t length = 0;
    for (int i = 0; i < node->n_in + node->n_out && length < sizeof types; i++) {
        const ls_value value = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
        const char *before = i == 0 ? "" : i == node->n_in ? " -> " : ", ";
        const char *name = ls_dtype_name(ls_info(graph, value)->dtype);
        length += (size_t)snprintf(types + length, sizeof types - length, "%s%s", before, name);
    }
    return LS_FAIL(why->status == LS_OK ? LS_INPUT : why->status, "%s: CUDA has no kernel for %s of %s%s%s",
                   node->name, node->op->name, types, why->status == LS_OK ? "" : ": ",
                   why->status == LS_OK ? "" : why->text);
}

static ls_status choose(const struct ls_cuda_device *cuda, const struct ls_graph *graph,
                        const struct ls_node *node, const struct ls_cuda_kernel **kernel, size_t *workspace) {
    *workspace = 0;
    *kernel = NULL;
    if (node->op->flags & LS_OP_VIEW) return LS_OK;
    const struct ls_cuda_kernel *found = ls_cuda_kernel((enum ls_op_id)node->op->id);
    ls_error_clear();
    if (!found || !found->supports(cuda->lib, graph, node, workspace)) return no_kernel(graph, node);
    *kernel = found;
    return LS_OK;
}

ls_status ls_cuda_node_workspace(const struct ls_device *device, const struct ls_graph *graph,
                                 const struct ls_node *node, size_t *workspace) {
    const struct ls_cuda_kernel *kernel;
    return choose(ls_cuda_device_of(device), graph, node, &kernel, workspace);
}

static ls_status make_nodes(struct ls_program *program) {
    const struct ls_plan *plan = program->plan;
    const struct ls_graph *graph = plan->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        size_t workspace = 0;
        LS_TRY(choose(program->cuda, graph, node, &program->kernels[i], &workspace));
        const struct ls_cuda_kernel *kernel = program->kernels[i];
        if (workspace > plan->workspace_bytes[i])
            return LS_FAIL(LS_SYSTEM, "%s: the plan has %zu bytes of workspace, the kernel needs %zu",
                           node->name, plan->workspace_bytes[i], workspace);
        ls_status status =
            kernel && kernel->make ? kernel->make(program->cuda->lib, graph, node, &program->made[i]) : LS_OK;
        if (status != LS_OK) {
            ls_error_prefix("%s", node->name);
            return status;
        }
    }
    return LS_OK;
}

// Adds the program's to those of the programs that the device has loaded before.
static void note_choices(const struct ls_program *program) {
    char *choices = program->cuda->base.choices;
    uint64_t hash = ls_hash_of(choices, strlen(choices));
    for (int i = 0; i < program->plan->graph->n_nodes; i++) {
        const uint64_t of_node[] = {
            hash, program->kernels[i] ? (uint64_t)program->kernels[i]->choice(program->made[i]) : 0};
        hash = ls_hash_of(of_node, sizeof of_node);
    }
    snprintf(choices, sizeof program->cuda->base.choices, "%016" PRIx64, hash);
}

static ls_status make_segments(struct ls_program *program) {
    const int n = program->plan->n_segments;
    for (int s = 0; s <= n; s++) {
        struct segment *segment = &program->segments[s];
        if (s < n)
            snprintf(segment->name, sizeof segment->name, "segment %d of %d", s + 1, n);
        else
            snprintf(segment->name, sizeof segment->name, "casts of weights");
        if (program->cuda->replay) segment->replays = calloc(MOST_REPLAYS, sizeof *segment->replays);
        if (program->cuda->replay && !segment->replays) return LS_FAIL(LS_SYSTEM, "no memory for a program");
    }
    return LS_OK;
}

ls_status ls_cuda_load(struct ls_device *device, const struct ls_plan *plan, struct ls_queue *const *queues,
                       int n_queues, struct ls_program **out) {
    (void)queues, (void)n_queues; // what kernels keep holds nothing of a queue
    const size_t n_nodes = (size_t)plan->graph->n_nodes;
    struct ls_program *program = calloc(1, sizeof *program);
    if (!program) return LS_FAIL(LS_SYSTEM, "no memory for a program");
    program->cuda = ls_cuda_device_of(device);
    program->plan = plan;
    program->kernels = calloc(n_nodes + 1, sizeof(struct ls_cuda_kernel *));
    program->made = calloc(n_nodes + 1, sizeof(void *));
    program->segments = calloc((size_t)plan->n_segments + 1, sizeof *program->segments);
    ls_status status = LS_OK;
    if (!program->kernels || !program->made || !program->segments)
        status = LS_FAIL(LS_SYSTEM, "no memory for a program of %zu nodes", n_nodes);
    if (status == LS_OK) status = make_segments(program);
    if (status == LS_OK) status = make_nodes(program);
    if (status != LS_OK) {
        ls_cuda_unload(program);
        return status;
    }
    note_choices(program);
    *out = program;
    return LS_OK;
}

void ls_cuda_unload(struct ls_program *program) {
    if (!program) return;
    for (int s = 0; program->segments && s <= program->plan->n_segments; s++) {
        struct segment *segment = &program->segments[s];
        for (int i = 0; i < segment->n_replays; i++)
            if (cudaGraphExecDestroy(segment->replays[i].graph) != cudaSuccess) (void)cudaGetLastError();
        free(segment->replays);
    }
    for (int i = 0; program->kernels && program->made && i < program->plan->graph->n_nodes; i++)
        if (program->kernels[i] && program->kernels[i]->unmake) program->kernels[i]->unmake(program->made[i]);
    free(program->segments);
    free(program->made);
    free(program->kernels);
    free(program);
}

// ---- running it

static ls_status launch_node(const struct ls_program *program, int i, const struct ls_lane *lane,
                             char *const base[LS_REGIONS], cudaStream_t stream) {
    const struct ls_plan *plan = program->plan;
    const struct ls_node *node = &plan->graph->nodes[i];
    struct ls_cuda_call call = {
        .graph = plan->graph,
        .node = node,
        .control = lane->control,
        .lib = program->cuda->lib,
        .made = program->made[i],
        .stream = stream,
    };
    for (int k = 0; k < node->n_in; k++) call.in[k] = ls_place_at(base, &plan->places[node->in[k]]);
    for (int k = 0; k < node->n_out; k++) call.out[k] = ls_place_at(base, &plan->places[node->out[k]]);
    if (plan->workspace_bytes[i] > 0) call.workspace = ls_place_at(base, &plan->workspace[i]);
    ls_status status = program->kernels[i]->run(&call);
    if (status != LS_OK) ls_error_prefix("%s", node->name);
    return status;
}

static ls_status launch_segment(const struct ls_program *program, int segment, const struct ls_lane *lane,
                                cudaStream_t stream) {
    const struct ls_plan *plan = program->plan;
    char *base[LS_REGIONS];
    ls_lane_bases(lane, base);
    const bool casts = segment == plan->n_segments;
    const int begin = casts ? 0 : segment > 0 ? plan->segment_end[segment - 1] : plan->n_casts;
    const int end = casts ? plan->n_casts : plan->segment_end[segment];
    for (int i = begin; i < end; i++)
        if (program->kernels[i]) LS_TRY(launch_node(program, i, lane, base, stream));
    return LS_OK;
}

static ls_status capture(const struct ls_program *program, int segment, const struct ls_lane *lane,
                         cudaStream_t stream, cudaGraphExec_t *exec) {
    cudaGraph_t graph = NULL;
    LS_CUDA("beginning a capture", cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    ls_status status = launch_segment(program, segment, lane, stream);
    const struct ls_error error = *ls_error_last();
    // A capture that was begun must end, whatever came of it: while it goes on, much else is forbidden.
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    if (ended != cudaSuccess && cudaStreamEndCapture(stream, &graph) != cudaSuccess) (void)cudaGetLastError();
    if (status == LS_OK)
        status = ls_cuda_check(ended, "ending a capture");
    else
        ls_error_adopt(&error);
    if (status == LS_OK) status = ls_cuda_check(cudaGraphInstantiate(exec, graph, 0), "making a graph");
    if (graph && cudaGraphDestroy(graph) != cudaSuccess) (void)cudaGetLastError();
    return status;
}

// The lane's graph, or NULL where there is none and none can be had.
static struct replay *find_replay(const struct segment *segment, const struct ls_queue *queue,
                                  const struct ls_lane *lane) {
    for (int i = 0; i < segment->n_replays; i++) {
        const struct ls_lane *had = &segment->replays[i].lane;
        if (segment->replays[i].queue == queue && had->params == lane->params &&
            had->states == lane->states && had->output == lane->output && had->raw == lane->raw &&
            had->augment == lane->augment && had->target == lane->target && had->weight == lane->weight &&
            had->control == lane->control && had->converted == lane->converted && had->arena == lane->arena)
            return &segment->replays[i];
    }
    return NULL;
}

// What a library enqueues for some shapes may be forbidden in a capture, and memory may be too short for a
// graph. The same kernels give the same bits when they are launched anew each time, so the run goes on. NULL
// where that is so.
static struct replay *add_replay(const struct ls_program *program, int index, const struct ls_queue *queue,
                                 const struct ls_lane *lane) {
    struct segment *segment = &program->segments[index];
    struct replay *replay = &segment->replays[segment->n_replays];
    if (segment->refuses || segment->n_replays == MOST_REPLAYS) return NULL;
    *replay = (struct replay){.queue = queue, .lane = *lane};
    if (capture(program, index, lane, ls_cuda_stream(queue), &replay->graph) == LS_OK) {
        segment->n_replays++;
        return replay;
    }
    segment->refuses = true;
    // After an error that stays nothing runs at all, and the next launch says so.
    const cudaError_t state = cudaStreamQuery(ls_cuda_stream(queue));
    (void)cudaGetLastError();
    if (state == cudaSuccess || state == cudaErrorNotReady)
        ls_warn("%s cannot be captured in a CUDA graph, and is launched anew each time, which is slower: %s",
                segment->name, ls_error_last()->text);
    ls_error_clear();
    return NULL;
}

static ls_status run_segment(struct ls_queue *queue, struct ls_program *program, int index,
                             const struct ls_lane *lane) {
    struct segment *segment = &program->segments[index];
    cudaStream_t stream = ls_cuda_stream(queue);
    const bool graphs = segment->replays && segment->warm;
    segment->warm = true;
    struct replay *replay = graphs ? find_replay(segment, queue, lane) : NULL;
    if (graphs && !replay) replay = add_replay(program, index, queue, lane);
    if (!replay) return launch_segment(program, index, lane, stream);
    return ls_cuda_check(cudaGraphLaunch(replay->graph, stream), "launching a graph");
}

static ls_status copy_result(const struct ls_plan *plan, const struct ls_lane *lane, cudaStream_t stream) {
    const struct ls_value_info *result = ls_info(plan->graph, plan->result);
    const size_t bytes = ls_dtype_bytes(result->dtype) * (size_t)ls_shape_count(&result->shape);
    char *base[LS_REGIONS];
    ls_lane_bases(lane, base);
    return ls_cuda_check(cudaMemcpyAsync(lane->result, ls_place_at(base, &plan->places[plan->result]), bytes,
                                         cudaMemcpyDefault, stream),
                         "copying a result");
}

// No kernel here keeps what it makes of a weight, so that there are casts alone, and they are the segment
// behind all others.
void ls_cuda_convert(struct ls_queue *queue, struct ls_program *program, int part, int parts,
                     const struct ls_lane *lane) {
    (void)parts;
    if (part > 0 || program->plan->n_casts == 0 || !ls_cuda_sound(queue)) return;
    const int casts = program->plan->n_segments;
    ls_cuda_range_begin(program->segments[casts].name);
    ls_status status = run_segment(queue, program, casts, lane);
    ls_cuda_range_end();
    ls_cuda_note(queue, status);
}

void ls_cuda_run(struct ls_queue *queue, struct ls_program *program, int segment,
                 const struct ls_lane *lane) {
    ls_pulse_tick();
    if (!ls_cuda_sound(queue)) return;
    ls_cuda_range_begin(program->segments[segment].name);
    ls_status status = run_segment(queue, program, segment, lane);
    ls_cuda_range_end();
    const bool last = segment == program->plan->n_segments - 1;
    if (status == LS_OK && last && program->plan->result != LS_NONE && lane->result)
        status = copy_result(program->plan, lane, ls_cuda_stream(queue));
    ls_cuda_note(queue, status);
}
