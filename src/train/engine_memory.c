// What a run takes.
#include "base/resident.h"
#include "data/class_index.h"
#include "train/engine_parts.h"
#include "train/evaluate.h"
#include "train/reading.h"
#include "train/transport.h"

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

size_t ls_largest_bucket(const struct ls_plan *plan) {
    size_t most = 0;
    for (int i = 0; i < plan->n_buckets; i++) most = larger(most, plan->buckets[i].count);
    return most;
}

static int slots_of(const struct ls_recipe *recipe) {
    switch (recipe->train.optimizer) {
    case LS_RECIPE_SGD: return recipe->train.momentum != 0 ? 1 : 0;
    case LS_RECIPE_LARS: return 1;
    case LS_RECIPE_ADAMW:
    case LS_RECIPE_LAMB: break;
    }
    return 2;
}

// Code that a CPU's library generates is there once programs are loaded, and not known before: they are, for
// a moment.
static size_t program_bytes(struct ls_device *device, const struct ls_model *model, int queues) {
    if (!device->host_memory) return (size_t)ls_resident_bytes();
    const struct ls_device_api *api = device->api;
    struct ls_queue *queue[LS_MAX_QUEUES];
    struct ls_program *train = NULL, *eval = NULL;
    int open = 0;
    while (open < queues && open < LS_MAX_QUEUES && api->queue_open(device, "plan", &queue[open]) == LS_OK)
        open++;
    (void)(api->load(device, model->train, queue, open, &train) == LS_OK &&
           api->load(device, model->eval, queue, open, &eval) == LS_OK);
    const int64_t bytes = ls_resident_bytes();
    if (eval) api->unload(eval);
    if (train) api->unload(train);
    while (open > 0) api->queue_close(queue[--open]);
    return bytes > 0 ? (size_t)bytes : 0;
}

// ---- what an engine takes of the device

static size_t rounded(size_t bytes) {
    return (bytes + LS_DEVICE_ALIGN - 1) / LS_DEVICE_ALIGN * LS_DEVICE_ALIGN;
}

// One layout for both plans, whose lanes have as many samples.
static struct ls_stage_layout stage_of(const struct ls_plan *a, const struct ls_plan *b) {
    struct ls_stage_layout at;
    at.augment = rounded(larger(a->raw_bytes, b->raw_bytes));
    at.target = at.augment + rounded(larger(a->augment_bytes, b->augment_bytes));
    at.weight = at.target + rounded(larger(a->target_bytes, b->target_bytes));
    at.control = at.weight + rounded(larger(a->weight_bytes, b->weight_bytes));
    at.bytes = at.control + rounded(sizeof(struct ls_lane_control));
    return at;
}

static int buffers_of(struct ls_lane_range lanes, int lanes_total, int queues) {
    struct ls_fold *fold = NULL;
    if (ls_fold_make(lanes.begin, lanes.end, lanes_total, queues, &fold) != LS_OK) return 0;
    const int buffers = fold->n_buffers;
    ls_fold_free(fold);
    return buffers;
}

struct ls_engine_sizes ls_engine_sizes(const struct ls_recipe *recipe, const struct ls_model *model,
                                       const struct ls_device *device, const struct ls_comm *comm) {
    const struct ls_plan *train = model->train, *eval = model->eval;
    const struct ls_layout *layout = train->layout;
    const int lanes_total = (int)recipe->train.lanes;
    struct ls_engine_sizes sizes = {
        .lanes = ls_lanes_of(comm->rank, comm->size, lanes_total),
        .slots = slots_of(recipe),
        .averages = recipe->train.ema > 0,
        .converted = larger(train->converted_bytes, eval->converted_bytes),
        .arena = larger(train->arena_bytes, eval->arena_bytes),
        .params = layout->param_floats * sizeof(float),
        .states = layout->state_floats * sizeof(float),
        .slot = layout->trained_floats * sizeof(float),
        .output = layout->output_floats * sizeof(float),
        .ranges = (size_t)(layout->n_params + 1) * sizeof(struct ls_update_range),
        .state_table = (size_t)(layout->n_states + 1) * sizeof(struct ls_update_state),
        .stage = stage_of(train, eval),
    };
    const int local = sizes.lanes.end - sizes.lanes.begin;
    sizes.queues = device->compute_queues < local ? device->compute_queues : local;
    if (sizes.queues > LS_MAX_QUEUES) sizes.queues = LS_MAX_QUEUES;
    sizes.buffers = buffers_of(sizes.lanes, lanes_total, sizes.queues);
    sizes.stages = device->host_memory ? 0 : sizes.queues * LS_STAGES_A_QUEUE;
    sizes.chunks = device->host_memory ? sizes.queues : sizes.stages * LS_CHUNKS_A_STAGE;
    const size_t blocks = (layout->trained_floats + LS_NORM_BLOCK - 1) / LS_NORM_BLOCK;
    sizes.block_sums = (blocks + 1) * sizeof(double);
    if (ls_engine_trusts(recipe)) {
        sizes.update_blocks = ls_engine_update_blocks(layout);
        sizes.ratios = (size_t)layout->n_trained * sizeof(float);
    }
    if (recipe->train.audit_every > 0) sizes.marks = (size_t)train->n_segments * sizeof(uint64_t);
    const bool fast = recipe->train.fast, shares = device->host_memory && !fast;
    if (shares && comm->local_size == comm->size)
        sizes.seen = ls_reducer_seen_bytes(comm->rank, comm->size, lanes_total, layout->output_floats);
    else
        sizes.scratch =
            ls_reducer_scratch_bytes(comm->rank, comm->size, lanes_total, fast, ls_largest_bucket(train));
    const int sharing = ls_comm_sharing(comm);
    if (shares && sharing > 1 && sharing < comm->size &&
        ls_reduce_choose(comm->size, lanes_total, fast) == LS_REDUCE_ALIGNED)
        sizes.seen = ls_reducer_seen_bytes(comm->local_rank, sharing, sharing, layout->output_floats);
    return sizes;
}

static size_t trust_bytes(const struct ls_engine_sizes *sizes) {
    const size_t n = sizes->update_blocks;
    return rounded(n * sizeof(struct ls_update_block)) + rounded(n * 2 * sizeof(double)) +
           rounded(sizes->ratios);
}

// Of the device's memory, by kind.
static struct ls_memory device_memory(const struct ls_engine_sizes *sizes) {
    const size_t queues = (size_t)sizes->queues, audits = sizes->marks > 0;
    struct ls_memory memory = {
        .weights = rounded(sizes->params) + rounded(sizes->states),
        .converted = rounded(sizes->converted),
        .gradients = ((size_t)sizes->buffers + audits) * rounded(sizes->output) + rounded(sizes->marks),
        .optimizer = (size_t)sizes->slots * rounded(sizes->slot) +
                     sizes->averages * (rounded(sizes->params) + rounded(sizes->states)) +
                     rounded(sizes->block_sums) + rounded(sizeof(struct ls_decision)) +
                     rounded(sizes->ranges) + rounded(sizes->state_table) + trust_bytes(sizes),
        .workspace = queues * rounded(sizes->arena), // the activations' part of it is not told apart here
        .staging = (size_t)sizes->stages * rounded(sizes->stage.bytes),
        .communication = rounded(sizes->scratch) + rounded(sizes->seen),
    };
    memory.device = memory.weights + memory.converted + memory.gradients + memory.optimizer +
                    memory.workspace + memory.staging + memory.communication;
    return memory;
}

size_t ls_engine_device_bytes(const struct ls_engine_sizes *sizes) {
    return device_memory(sizes).device;
}

// ---- what a run takes

// Host memory of the readers: of the training set, of audits, of the test set.
static size_t input_bytes(const struct ls_recipe *recipe, const struct ls_engine_sizes *sizes,
                          int64_t lane_batch, const struct ls_dataset_info *train,
                          const struct ls_dataset_info *test) {
    const int64_t local = sizes->lanes.end - sizes->lanes.begin;
    struct ls_reader_spec reading = ls_reader_spec_of(recipe, false, local * lane_batch);
    const struct ls_reader_spec auditing = ls_reader_spec_of(recipe, false, lane_batch);
    const struct ls_reader_spec testing = ls_reader_spec_of(recipe, true, sizes->chunks * lane_batch);
    size_t bytes = 0;
    if (!recipe->data.balanced) reading.stride = recipe->train.batch;
    if (train) bytes += ls_reader_bytes(train, &reading) + train->cache_bytes;
    if (train && recipe->data.balanced) bytes += ls_class_index_bytes(train->samples, recipe->model.classes);
    if (train && recipe->train.audit_every > 0) bytes += ls_reader_bytes(train, &auditing);
    if (test) bytes += ls_reader_bytes(test, &testing) + test->cache_bytes;
    return bytes;
}

struct ls_memory ls_memory_of(const struct ls_recipe *recipe, const struct ls_model *model,
                              const struct ls_dataset_info *train, const struct ls_dataset_info *test,
                              struct ls_device *device, const struct ls_comm *comm) {
    const struct ls_engine_sizes sizes = ls_engine_sizes(recipe, model, device, comm);
    struct ls_memory memory = device_memory(&sizes);
    memory.activations =
        (size_t)sizes.queues * larger(model->train->activation_bytes, model->eval->activation_bytes);
    memory.workspace -= memory.activations;
    const size_t replica =
        (sizes.params + sizes.states) * (size_t)(1 + sizes.averages) + (size_t)sizes.slots * sizes.slot;
    memory.input = input_bytes(recipe, &sizes, model->train->lane_batch, train, test);
    if (test) memory.input += ls_evaluator_bytes(model->eval, test, recipe->train.lanes, comm->size);
    if (comm->rank == 0) memory.checkpoint = replica;
    if (!device->host_memory) memory.mirror = replica + ls_transport_host_bytes(recipe, device, comm->size);
    memory.program = program_bytes(device, model, sizes.queues);
    memory.host = memory.input + memory.checkpoint + memory.mirror + memory.program;
    memory.total = memory.device + memory.host;
    if (device->host_memory) memory.device = memory.total, memory.host = 0;
    return memory;
}
