#include "gpu/stage.h"

#include "cuda/cuda.h"
#include "graph/plan.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 256, POISON = 0xff };

struct ls_stage {
    struct ls_device *device;
    struct ls_queue *queue;
    const struct ls_trial *trial;
    struct ls_program *program;
    struct ls_plan plan; // a segment for each node; all values and workspaces in the arena
    char *arena;         // device memory
    struct ls_lane_control *control;
    char *before, *after, *first; // the arena on the host: as it was, as it is, and after the first run
};

ls_status ls_stage_device(struct ls_device **device, char why[256]) {
    static struct ls_cuda_gpu gpus[LS_CUDA_MAX_GPUS];
    const char *path = getenv("LOCKSTEP_CUDA_MODULE");
    const struct ls_cuda_module *(*entry)(void) = NULL;
    int n = 0;
    *device = NULL;
    if (!path) return LS_FAIL(LS_INPUT, "LOCKSTEP_CUDA_MODULE names no module");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return LS_FAIL(LS_INPUT, "%s", dlerror());
    *(void **)&entry = dlsym(library, LS_CUDA_ENTRY);
    if (!entry) return LS_FAIL(LS_INPUT, "%s", dlerror());
    const struct ls_cuda_module *module = entry();
    module->gpus(gpus, &n, why);
    return n == 0 ? LS_OK : module->open(&(struct ls_cuda_options){.gpu = gpus[0].index}, device);
}

static size_t bytes_of(const struct ls_trial *trial, ls_value value) {
    return (size_t)ls_trial_count(trial, value) * ls_dtype_bytes(ls_info(&trial->graph, value)->dtype);
}

// The arena has gaps of at least GAP bytes between all that lies in it.
static struct ls_place place(struct ls_plan *plan, size_t bytes) {
    struct ls_place here = {LS_REGION_ARENA, plan->arena_bytes + GAP};
    plan->arena_bytes = (here.offset + bytes + GAP - 1) / GAP * GAP;
    return here;
}

static ls_status lay_out(struct ls_stage *stage, bool in_place) {
    const struct ls_graph *graph = &stage->trial->graph;
    struct ls_plan *plan = &stage->plan;
    plan->graph = graph;
    plan->result = LS_NONE;
    plan->n_segments = graph->n_nodes;
    plan->places = calloc((size_t)graph->n_values + 1, sizeof *plan->places);
    plan->workspace = calloc((size_t)graph->n_nodes + 1, sizeof *plan->workspace);
    plan->workspace_bytes = calloc((size_t)graph->n_nodes + 1, sizeof *plan->workspace_bytes);
    plan->segment_end = calloc((size_t)graph->n_nodes + 1, sizeof *plan->segment_end);
    if (!plan->places || !plan->workspace || !plan->workspace_bytes || !plan->segment_end) abort();
    for (ls_value v = 0; v < graph->n_values; v++) plan->places[v] = place(plan, bytes_of(stage->trial, v));
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        plan->segment_end[i] = i + 1;
        const bool as_large = bytes_of(stage->trial, node->in[0]) == bytes_of(stage->trial, node->out[0]);
        if (in_place && as_large && (node->op->flags & LS_OP_ELEMENTWISE))
            plan->places[node->out[0]] = plan->places[node->in[0]];
        LS_TRY(stage->device->api->node_workspace(stage->device, graph, node, &plan->workspace_bytes[i]));
        plan->workspace[i] = place(plan, plan->workspace_bytes[i]);
    }
    (void)place(plan, 0);
    return LS_OK;
}

ls_status ls_stage_open(struct ls_device *device, const struct ls_trial *trial, bool in_place,
                        struct ls_stage **out) {
    const struct ls_device_api *api = device->api;
    struct ls_stage *stage = *out = calloc(1, sizeof *stage);
    if (!stage) abort();
    stage->device = device;
    stage->trial = trial;
    LS_TRY(api->queue_open(device, "stage", &stage->queue));
    LS_TRY(lay_out(stage, in_place));
    const size_t bytes = stage->plan.arena_bytes;
    stage->before = malloc(bytes), stage->after = malloc(bytes), stage->first = malloc(bytes);
    if (!stage->before || !stage->after || !stage->first) abort();
    LS_TRY(api->alloc(device, bytes, (void **)&stage->arena));
    LS_TRY(api->alloc(device, sizeof *stage->control, (void **)&stage->control));
    api->copy(stage->queue, stage->control, &trial->control, sizeof trial->control);
    LS_TRY(api->sync(stage->queue));
    return api->load(device, &stage->plan, &stage->queue, 1, &stage->program);
}

void ls_stage_close(struct ls_stage *stage) {
    if (!stage) return;
    const struct ls_device_api *api = stage->device->api;
    api->unload(stage->program);
    if (stage->queue) api->queue_close(stage->queue);
    if (stage->arena) api->free(stage->device, stage->arena);
    if (stage->control) api->free(stage->device, stage->control);
    free(stage->plan.places);
    free(stage->plan.workspace);
    free(stage->plan.workspace_bytes);
    free(stage->plan.segment_end);
    free(stage->before);
    free(stage->after);
    free(stage->first);
    free(stage);
}

static ls_status run_once(struct ls_stage *stage, int i) {
    const struct ls_device_api *api = stage->device->api;
    const struct ls_trial *trial = stage->trial;
    const struct ls_node *node = &trial->graph.nodes[i];
    const size_t bytes = stage->plan.arena_bytes;
    memset(stage->before, POISON, bytes);
    for (int k = 0; k < node->n_in; k++)
        memcpy(stage->before + stage->plan.places[node->in[k]].offset, trial->data[node->in[k]],
               bytes_of(trial, node->in[k]));
    api->copy(stage->queue, stage->arena, stage->before, bytes);
    api->run(stage->queue, stage->program, i,
             &(struct ls_lane){.arena = stage->arena, .control = stage->control});
    api->copy(stage->queue, stage->after, stage->arena, bytes);
    return api->sync(stage->queue);
}

// What the node may write becomes alike in both.
static void take_written(const struct ls_stage *stage, const struct ls_node *node, int i) {
    for (int k = 0; k <= node->n_out; k++) {
        const struct ls_place *at =
            k < node->n_out ? &stage->plan.places[node->out[k]] : &stage->plan.workspace[i];
        const size_t bytes =
            k < node->n_out ? bytes_of(stage->trial, node->out[k]) : stage->plan.workspace_bytes[i];
        memcpy(stage->before + at->offset, stage->after + at->offset, bytes);
    }
}

static int64_t find_unwritten(const struct ls_stage *stage, ls_value value) {
    const ls_dtype type = ls_info(&stage->trial->graph, value)->dtype;
    const size_t size = ls_dtype_bytes(type);
    const unsigned char poison[8] = {POISON, POISON, POISON, POISON, POISON, POISON, POISON, POISON};
    const char *at = stage->after + stage->plan.places[value].offset;
    if (type != LS_F32 && type != LS_BF16 && type != LS_F16) return -1;
    for (int64_t i = 0; i < ls_trial_count(stage->trial, value); i++)
        if (memcmp(at + (size_t)i * size, poison, size) == 0) return i;
    return -1;
}

static ls_status check(struct ls_stage *stage, int i) {
    const struct ls_node *node = &stage->trial->graph.nodes[i];
    for (int k = 0; k < node->n_out; k++) {
        int64_t unwritten = find_unwritten(stage, node->out[k]);
        if (unwritten >= 0)
            return LS_FAIL(LS_SYSTEM, "%s left element %lld of output %d unwritten", node->op->name,
                           (long long)unwritten, k);
    }
    take_written(stage, node, i);
    for (size_t b = 0; b < stage->plan.arena_bytes; b++)
        if (stage->before[b] != stage->after[b])
            return LS_FAIL(LS_SYSTEM,
                           "%s wrote to byte %zu of the arena: into an input, or beside its outputs",
                           node->op->name, b);
    return LS_OK;
}

ls_status ls_stage_run(struct ls_stage *stage, int i) {
    const struct ls_node *node = &stage->trial->graph.nodes[i];
    LS_TRY(run_once(stage, i));
    LS_TRY(check(stage, i));
    memcpy(stage->first, stage->after, stage->plan.arena_bytes);
    LS_TRY(run_once(stage, i));
    for (int k = 0; k < node->n_out; k++) {
        const size_t at = stage->plan.places[node->out[k]].offset;
        if (memcmp(stage->first + at, stage->after + at, bytes_of(stage->trial, node->out[k])) != 0)
            return LS_FAIL(LS_SYSTEM, "%s: output %d differs from run to run", node->op->name, k);
    }
    return LS_OK;
}

double ls_stage_get(const struct ls_stage *stage, ls_value value, int64_t i) {
    return ls_number_at(ls_info(&stage->trial->graph, value)->dtype,
                        stage->after + stage->plan.places[value].offset, i);
}
