#include "train/engine.h"

#include "base/clock.h"
#include "base/pulse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_QUEUES = 256 };

struct ls_engine {
    struct ls_device *device;
    const struct ls_device_api *api;
    const struct ls_recipe *recipe;
    const struct ls_plan *train, *eval;
    const struct ls_layout *layout;
    struct ls_lane_range lanes;
    int lanes_total;

    int n_queues; // lanes side by side
    struct ls_queue *queue[MAX_QUEUES], *comm_queue;
    void *arena[MAX_QUEUES];
    struct ls_program *train_program, *eval_program;
    struct ls_event **segment_done;      // [queue * segments + segment]
    struct ls_event **folded, **reduced; // [segment]
    struct ls_event *summed[MAX_QUEUES], *decided;

    struct ls_fold *fold;
    struct ls_transport *transport;
    struct ls_reducer *reducer;
    float **buffers; // [fold->n_buffers]: output buffers
    struct ls_replica replica;
    struct ls_lane_control *control; // [lanes of this rank]
    double *block_sums;
    size_t blocks;
    struct ls_decision *decision;
    struct ls_update_range *ranges;
    int n_ranges;
};

// ---- memory
// ---------------------------------------------------------------------------------------------------

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t largest_bucket(const struct ls_plan *plan) {
    size_t most = 0;
    for (int i = 0; i < plan->n_buckets; i++) most = larger(most, plan->buckets[i].count);
    return most;
}

static int slots_of(const struct ls_recipe *recipe) {
    if (recipe->train.optimizer == LS_RECIPE_ADAMW) return 2;
    return recipe->train.momentum != 0 ? 1 : 0;
}

// Generated code is there once programs are loaded, and not known before: they are, for a moment.
static size_t program_bytes(struct ls_device *device, const struct ls_model *model, int queues) {
    const struct ls_device_api *api = device->api;
    struct ls_queue *queue[MAX_QUEUES];
    struct ls_program *train = NULL, *eval = NULL;
    int open = 0;
    while (open < queues && open < MAX_QUEUES && api->queue_open(device, "plan", &queue[open]) == LS_OK)
        open++;
    (void)(api->load(device, model->train, queue, open, &train) == LS_OK &&
           api->load(device, model->eval, queue, open, &eval) == LS_OK);
    const int64_t bytes = ls_resident_bytes();
    if (eval) api->unload(eval);
    if (train) api->unload(train);
    while (open > 0) api->queue_close(queue[--open]);
    return bytes > 0 ? (size_t)bytes : 0;
}

struct ls_memory ls_memory_of(const struct ls_recipe *recipe, const struct ls_model *model,
                              const struct ls_dataset_info *train, const struct ls_dataset_info *test,
                              struct ls_device *device, int rank, int ranks) {
    const struct ls_layout *layout = model->train->layout;
    const int lanes = (int)recipe->train.lanes;
    const struct ls_lane_range range = ls_lanes_of(rank, ranks, lanes);
    const int local = range.end - range.begin;
    const int queues = device->compute_queues < local ? device->compute_queues : local;
    struct ls_memory memory = {0};
    memory.weights = (layout->param_floats + layout->state_floats) * sizeof(float);
    memory.optimizer = (size_t)slots_of(recipe) * layout->param_floats * sizeof(float);
    struct ls_fold *fold = NULL;
    if (ls_fold_make(range.begin, range.end, lanes, queues, &fold) == LS_OK) {
        memory.gradients = (size_t)fold->n_buffers * layout->output_floats * sizeof(float);
        ls_fold_free(fold);
    }
    const size_t arena = larger(model->train->arena_bytes, model->eval->arena_bytes);
    memory.activations =
        (size_t)queues * larger(model->train->activation_bytes, model->eval->activation_bytes);
    memory.workspace = (size_t)queues * arena - memory.activations;
    const int64_t samples = local * model->train->lane_batch;
    const struct ls_reader_spec reading = ls_reader_spec_of(recipe, false, samples);
    const struct ls_reader_spec testing = ls_reader_spec_of(recipe, true, queues * model->train->lane_batch);
    if (train) memory.input += ls_reader_bytes(train, &reading);
    if (test) memory.input += ls_reader_bytes(test, &testing);
    memory.communication =
        ls_reducer_scratch_bytes(rank, ranks, lanes, recipe->train.fast, largest_bucket(model->train));
    if (rank == 0) memory.checkpoint = memory.weights + memory.optimizer;
    memory.program = program_bytes(device, model, queues);
    memory.total = memory.program + memory.weights + memory.gradients + memory.optimizer +
                   memory.activations + memory.workspace + memory.input + memory.communication +
                   memory.checkpoint;
    return memory;
}

struct ls_reader_spec ls_reader_spec_of(const struct ls_recipe *recipe, bool in_order,
                                        int64_t batch_samples) {
    return (struct ls_reader_spec){
        .in_order = in_order,
        .seed = recipe->seed,
        .augment = {.crop_pad = (int)recipe->data.crop_pad, .flip = recipe->data.flip},
        .batch_samples = batch_samples,
        .threads = (int)recipe->data.threads,
        .slots = (int)recipe->data.prefetch + 1,
    };
}

// The figure of /proc/self/status on the line `key`, in bytes, less what is mapped from files or shared.
static int64_t private_bytes(const char *key) {
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    int64_t figure = 0, files = 0, shared = 0;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (!colon) continue;
        const size_t length = (size_t)(colon - line);
        const int64_t kilobytes = strtoll(colon + 1, NULL, 10);
        if (length == strlen(key) && strncmp(line, key, length) == 0) figure = kilobytes;
        if (strncmp(line, "RssFile", length) == 0) files = kilobytes;
        if (strncmp(line, "RssShmem", length) == 0) shared = kilobytes;
    }
    fclose(file);
    return (figure - files - shared) * 1024;
}

int64_t ls_peak_bytes(void) {
    return private_bytes("VmHWM");
}

int64_t ls_resident_bytes(void) {
    return private_bytes("VmRSS");
}

// ---- opening
// --------------------------------------------------------------------------------------------------

static ls_status open_queues(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    const size_t arena = larger(engine->train->arena_bytes, engine->eval->arena_bytes);
    for (int q = 0; q < engine->n_queues; q++) {
        char name[24];
        snprintf(name, sizeof name, "lane %d", q);
        LS_TRY(api->queue_open(engine->device, name, &engine->queue[q]));
        LS_TRY(api->event_open(engine->device, &engine->summed[q]));
        LS_TRY(api->alloc(engine->device, arena, &engine->arena[q]));
    }
    LS_TRY(api->queue_open(engine->device, "comm", &engine->comm_queue));
    return api->event_open(engine->device, &engine->decided);
}

static ls_status open_events(struct ls_engine *engine) {
    const int segments = engine->train->n_segments;
    engine->segment_done = calloc((size_t)engine->n_queues * (size_t)segments, sizeof(struct ls_event *));
    engine->folded = calloc((size_t)segments, sizeof(struct ls_event *));
    engine->reduced = calloc((size_t)segments, sizeof(struct ls_event *));
    if (!engine->segment_done || !engine->folded || !engine->reduced)
        return LS_FAIL(LS_SYSTEM, "out of memory for events");
    for (int i = 0; i < engine->n_queues * segments; i++)
        LS_TRY(engine->api->event_open(engine->device, &engine->segment_done[i]));
    for (int s = 0; s < segments; s++) {
        LS_TRY(engine->api->event_open(engine->device, &engine->folded[s]));
        LS_TRY(engine->api->event_open(engine->device, &engine->reduced[s]));
    }
    return LS_OK;
}

static ls_status open_replica(struct ls_engine *engine) {
    const struct ls_layout *layout = engine->layout;
    struct ls_device *device = engine->device;
    const struct ls_device_api *api = engine->api;
    struct ls_replica *replica = &engine->replica;
    const size_t param_bytes = layout->param_floats * sizeof(float);
    LS_TRY(api->alloc(device, param_bytes, (void **)&replica->params));
    LS_TRY(api->alloc(device, layout->state_floats * sizeof(float), (void **)&replica->states));
    const int slots = slots_of(engine->recipe);
    const bool adam = engine->recipe->train.optimizer == LS_RECIPE_ADAMW;
    for (int i = 0; i < slots; i++) {
        LS_TRY(api->alloc(device, param_bytes, (void **)&replica->slot[i]));
        replica->slot_names[i] = !adam ? "momentum" : i == 0 ? "first_moment" : "second_moment";
    }
    engine->buffers = calloc((size_t)engine->fold->n_buffers, sizeof(float *));
    if (!engine->buffers) return LS_FAIL(LS_SYSTEM, "out of memory");
    for (int i = 0; i < engine->fold->n_buffers; i++)
        LS_TRY(api->alloc(device, layout->output_floats * sizeof(float), (void **)&engine->buffers[i]));
    ls_weights_init(layout, engine->recipe->seed, replica->params, replica->states);
    return LS_OK;
}

static ls_status open_decision(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    const int local = engine->lanes.end - engine->lanes.begin;
    engine->blocks = (engine->layout->param_floats + LS_NORM_BLOCK - 1) / LS_NORM_BLOCK;
    LS_TRY(api->alloc(engine->device, (engine->blocks + 1) * sizeof(double), (void **)&engine->block_sums));
    LS_TRY(api->alloc(engine->device, sizeof *engine->decision, (void **)&engine->decision));
    return api->alloc_host(engine->device, (size_t)local * sizeof *engine->control,
                           (void **)&engine->control);
}

// Neighbouring parameters with one setting of weight decay become one range.
static ls_status make_ranges(struct ls_engine *engine) {
    const struct ls_layout *layout = engine->layout;
    engine->ranges = calloc((size_t)layout->n_params + 1, sizeof *engine->ranges);
    if (!engine->ranges) return LS_FAIL(LS_SYSTEM, "out of memory");
    for (int i = 0; i < layout->n_params; i++) {
        const struct ls_item *item = &layout->params[i];
        const size_t end = i + 1 < layout->n_params ? layout->params[i + 1].offset : layout->param_floats;
        struct ls_update_range *last = engine->n_ranges ? &engine->ranges[engine->n_ranges - 1] : NULL;
        if (last && last->decays == item->decays)
            last->count = end - last->offset;
        else
            engine->ranges[engine->n_ranges++] =
                (struct ls_update_range){item->offset, end - item->offset, item->decays};
    }
    return LS_OK;
}

static ls_status open_parts(struct ls_engine *engine, const struct ls_engine_spec *spec) {
    const struct ls_comm *comm = spec->comm;
    LS_TRY(open_queues(engine));
    LS_TRY(open_events(engine));
    LS_TRY(ls_fold_make(engine->lanes.begin, engine->lanes.end, engine->lanes_total, engine->n_queues,
                        &engine->fold));
    LS_TRY(open_replica(engine));
    LS_TRY(open_decision(engine));
    LS_TRY(make_ranges(engine));
    LS_TRY(engine->api->load(engine->device, engine->train, engine->queue, engine->n_queues,
                             &engine->train_program));
    LS_TRY(engine->api->load(engine->device, engine->eval, engine->queue, engine->n_queues,
                             &engine->eval_program));
    if (comm->size > 1)
        LS_TRY(ls_transport_open_mpi(spec->comm, engine->device, &engine->transport));
    else
        LS_TRY(ls_transport_open_self(&engine->transport));
    return ls_reducer_open(engine->transport, engine->device, engine->fold, engine->lanes_total,
                           engine->recipe->train.fast, largest_bucket(engine->train), &engine->reducer);
}

ls_status ls_engine_check_ranks(const struct ls_recipe *recipe, const struct ls_comm *comm) {
    if (comm->size <= recipe->train.lanes) return LS_OK;
    return LS_FAIL(
        LS_INPUT,
        "%d ranks share train.lanes: %lld; start at most as many ranks as lanes, or raise train.lanes",
        comm->size, (long long)recipe->train.lanes);
}

ls_status ls_engine_open(const struct ls_engine_spec *spec, struct ls_engine **out) {
    LS_TRY(ls_engine_check_ranks(spec->recipe, spec->comm));
    struct ls_engine *engine = calloc(1, sizeof *engine);
    if (!engine) return LS_FAIL(LS_SYSTEM, "out of memory");
    engine->device = spec->device;
    engine->api = spec->device->api;
    engine->recipe = spec->recipe;
    engine->train = spec->model->train;
    engine->eval = spec->model->eval;
    engine->layout = spec->model->train->layout;
    engine->lanes_total = (int)spec->recipe->train.lanes;
    engine->lanes = ls_lanes_of(spec->comm->rank, spec->comm->size, engine->lanes_total);
    engine->n_queues = spec->device->compute_queues;
    if (engine->n_queues > MAX_QUEUES) engine->n_queues = MAX_QUEUES;
    if (engine->n_queues > engine->lanes.end - engine->lanes.begin)
        engine->n_queues = engine->lanes.end - engine->lanes.begin;
    ls_status status = open_parts(engine, spec);
    if (status != LS_OK) {
        ls_engine_close(engine);
        return status;
    }
    *out = engine;
    return LS_OK;
}

void ls_engine_close(struct ls_engine *engine) {
    if (!engine) return;
    const struct ls_device_api *api = engine->api;
    if (engine->reducer) ls_reducer_close(engine->reducer);
    if (engine->transport) engine->transport->api->close(engine->transport);
    if (engine->train_program) api->unload(engine->train_program);
    if (engine->eval_program) api->unload(engine->eval_program);
    for (int q = 0; q < engine->n_queues; q++)
        if (engine->queue[q]) api->queue_close(engine->queue[q]);
    if (engine->comm_queue) api->queue_close(engine->comm_queue);
    for (int q = 0; q < engine->n_queues; q++) {
        if (engine->summed[q]) api->event_close(engine->summed[q]);
        api->free(engine->device, engine->arena[q]);
    }
    const int segments = engine->train->n_segments;
    for (int i = 0; engine->segment_done && i < engine->n_queues * segments; i++)
        if (engine->segment_done[i]) api->event_close(engine->segment_done[i]);
    for (int s = 0; s < segments; s++) {
        if (engine->folded && engine->folded[s]) api->event_close(engine->folded[s]);
        if (engine->reduced && engine->reduced[s]) api->event_close(engine->reduced[s]);
    }
    if (engine->decided) api->event_close(engine->decided);
    for (int i = 0; engine->buffers && i < engine->fold->n_buffers; i++)
        api->free(engine->device, engine->buffers[i]);
    if (engine->fold) ls_fold_free(engine->fold);
    api->free(engine->device, engine->replica.params);
    api->free(engine->device, engine->replica.states);
    for (int i = 0; i < 2; i++) api->free(engine->device, engine->replica.slot[i]);
    api->free(engine->device, engine->block_sums);
    api->free(engine->device, engine->decision);
    api->free_host(engine->device, engine->control);
    free(engine->segment_done);
    free(engine->folded);
    free(engine->reduced);
    free(engine->buffers);
    free(engine->ranges);
    free(engine);
}

struct ls_lane_range ls_engine_lanes(const struct ls_engine *engine) {
    return engine->lanes;
}

struct ls_replica ls_engine_replica(struct ls_engine *engine) {
    return engine->replica;
}

// ---- a step
// ---------------------------------------------------------------------------------------------------

static struct ls_event *segment_done(const struct ls_engine *engine, int q, int s) {
    return engine->segment_done[q * engine->train->n_segments + s];
}

// What lane-sized chunk `chunk` of a batch looks like to queue q.
static struct ls_lane lane_on(const struct ls_engine *engine, const struct ls_plan *plan, int q,
                              const struct ls_batch *batch, int chunk, float *output) {
    return (struct ls_lane){
        .params = engine->replica.params,
        .states = engine->replica.states,
        .output = output,
        .raw = (const char *)batch->samples + (size_t)chunk * plan->raw_bytes,
        .augment = batch->augment + (size_t)chunk * (size_t)plan->lane_batch * LS_AUGMENT_WORDS,
        .target = (const char *)batch->targets + (size_t)chunk * plan->target_bytes,
        .weight = batch->weight + (size_t)chunk * (size_t)plan->lane_batch,
        .control = engine->control + chunk,
        .arena = engine->arena[q],
    };
}

static void set_controls(struct ls_engine *engine, const struct ls_batch *batch,
                         const struct ls_step_control *control) {
    const int local = engine->lanes.end - engine->lanes.begin;
    for (int i = 0; i < local; i++) {
        engine->control[i] = (struct ls_lane_control){
            .seed = engine->recipe->seed,
            .first_position = batch->first_position + (uint64_t)i * (uint64_t)engine->train->lane_batch,
            .loss_seed = (float)(1.0 / (double)engine->recipe->train.batch),
            .stop = i == 0 && control->stop ? 1 : 0,
            .fault = i == 0 && control->fault ? 1 : 0,
        };
    }
}

// Segment s of each lane of the wave, side by side.
static void enqueue_segment(struct ls_engine *engine, const struct ls_fold_wave *wave,
                            const struct ls_batch *batch, int s) {
    for (int q = 0; q < wave->width; q++) {
        const int chunk = wave->first_lane + q - engine->lanes.begin;
        const struct ls_lane lane =
            lane_on(engine, engine->train, q, batch, chunk, engine->buffers[wave->buffer[q]]);
        engine->api->run(engine->queue[q], engine->train_program, s, &lane);
        engine->api->record(engine->queue[q], segment_done(engine, q, s));
    }
}

// Bucket s is folded on queue s modulo queues, always the same, so that the folds of one bucket are in order.
static void enqueue_fold(struct ls_engine *engine, const struct ls_fold_wave *wave, int s) {
    const struct ls_device_api *api = engine->api;
    const struct ls_bucket *bucket = &engine->train->buckets[s];
    struct ls_queue *folder = engine->queue[s % engine->n_queues];
    for (int q = 0; q < wave->width; q++) api->wait(folder, segment_done(engine, q, s));
    for (int i = 0; i < wave->n_adds; i++) {
        float *to = engine->buffers[wave->adds[i].to] + bucket->offset;
        api->add(folder, to, to, engine->buffers[wave->adds[i].from] + bucket->offset, bucket->count);
    }
    api->record(folder, engine->folded[s]);
}

// For the watchdog, which sees by it that ranks are in different buckets.
struct reduce_note {
    int bucket;
    uint64_t bytes;
};

static ls_status note_reduce_begins(void *argument) {
    const struct reduce_note *note = argument;
    char call[LS_PULSE_TEXT];
    snprintf(call, sizeof call, "the all-reduce of bucket %d", note->bucket);
    ls_pulse_enter(call, note->bytes);
    return LS_OK;
}

static ls_status note_reduce_ends(void *argument) {
    (void)argument;
    ls_pulse_leave();
    return LS_OK;
}

static void enqueue_reduce(struct ls_engine *engine, int s) {
    const struct ls_device_api *api = engine->api;
    const struct ls_bucket *bucket = &engine->train->buckets[s];
    const struct reduce_note note = {s, bucket->count * sizeof(float)};
    const bool watched = engine->transport->size > 1;
    api->wait(engine->comm_queue, engine->folded[s]);
    if (watched) api->call(engine->comm_queue, note_reduce_begins, &note, sizeof note);
    ls_reduce(engine->reducer, engine->buffers, bucket->offset, bucket->count, engine->comm_queue);
    if (watched) api->call(engine->comm_queue, note_reduce_ends, NULL, 0);
    api->record(engine->comm_queue, engine->reduced[s]);
}

// The lanes of a wave, then its folds. In the last wave of several ranks a bucket is folded, and travels, as
// soon as its segment ends; elsewhere that would only make the queues wait for each other more often.
static void enqueue_wave(struct ls_engine *engine, const struct ls_fold_wave *wave,
                         const struct ls_batch *batch, bool last) {
    const int segments = engine->train->n_segments;
    const bool overlaps = last && engine->transport->size > 1;
    // A lane overwrites a buffer only after the folds that read it.
    for (int q = 0; q < wave->width; q++)
        for (int s = 0; s < segments; s++) engine->api->wait(engine->queue[q], engine->folded[s]);
    for (int s = 0; s < segments; s++) {
        enqueue_segment(engine, wave, batch, s);
        if (overlaps) enqueue_fold(engine, wave, s);
        if (overlaps) enqueue_reduce(engine, s);
    }
    for (int s = 0; s < segments && !overlaps; s++) {
        enqueue_fold(engine, wave, s);
        if (last) enqueue_reduce(engine, s);
    }
}

static ls_status note_time(void *argument) {
    double *time = *(double **)argument;
    *time = ls_now();
    return LS_OK;
}

static struct ls_update update_of(const struct ls_engine *engine, const struct ls_step_control *control) {
    const struct ls_recipe *recipe = engine->recipe;
    const double t = (double)(control->updates + 1);
    return (struct ls_update){
        .kind = recipe->train.optimizer == LS_RECIPE_ADAMW ? LS_ADAMW : LS_SGD,
        .lr = control->lr,
        .weight_decay = (float)recipe->train.weight_decay,
        .momentum = (float)recipe->train.momentum,
        .beta1 = recipe->train.beta1,
        .beta2 = recipe->train.beta2,
        .epsilon = (float)recipe->train.epsilon,
        .correction1 = 1 - pow(recipe->train.beta1, t),
        .correction2 = 1 - pow(recipe->train.beta2, t),
        .nesterov = recipe->train.nesterov,
        .params = engine->replica.params,
        .grads = engine->buffers[engine->fold->nodes[0].buffer],
        .slot = {engine->replica.slot[0], engine->replica.slot[1]},
        .ranges = engine->ranges,
        .n_ranges = engine->n_ranges,
        .decision = engine->decision,
    };
}

// The part of [0, n) that falls to queue q, in multiples of `unit`.
static void share(size_t n, size_t unit, int q, int queues, size_t *begin, size_t *end) {
    const size_t units = (n + unit - 1) / unit;
    *begin = units * (size_t)q / (size_t)queues * unit;
    *end = units * ((size_t)q + 1) / (size_t)queues * unit;
    if (*end > n) *end = n;
}

static void enqueue_update(struct ls_engine *engine, const struct ls_step_control *control) {
    const struct ls_device_api *api = engine->api;
    const struct ls_layout *layout = engine->layout;
    const float *reduced = engine->buffers[engine->fold->nodes[0].buffer];
    for (int q = 0; q < engine->n_queues; q++) {
        for (int s = 0; s < engine->train->n_segments; s++) api->wait(engine->queue[q], engine->reduced[s]);
        size_t begin, end;
        share(engine->blocks, 1, q, engine->n_queues, &begin, &end);
        api->square_sums(engine->queue[q], reduced, layout->param_floats, begin, end, engine->block_sums);
        api->record(engine->queue[q], engine->summed[q]);
    }
    for (int q = 0; q < engine->n_queues; q++) api->wait(engine->queue[0], engine->summed[q]);
    const struct ls_decide decide = {
        .block_sums = engine->block_sums,
        .blocks = engine->blocks,
        .metrics = reduced + layout->metrics,
        .loss_scale = 1,
        .clip = (float)engine->recipe->train.clip,
        .decision = engine->decision,
    };
    api->decide(engine->queue[0], &decide);
    api->record(engine->queue[0], engine->decided);
    struct ls_update update = update_of(engine, control);
    for (int q = 0; q < engine->n_queues; q++) {
        share(layout->param_floats, LS_ALIGN_FLOATS, q, engine->n_queues, &update.begin, &update.end);
        api->wait(engine->queue[q], engine->decided);
        api->update(engine->queue[q], &update);
    }
    const struct ls_update_states states = {
        .layout = layout,
        .states = engine->replica.states,
        .output = reduced,
        .lanes = engine->lanes_total,
        .decision = engine->decision,
    };
    api->update_states(engine->queue[0], &states);
}

static ls_status sync_all(struct ls_engine *engine) {
    ls_status status = LS_OK;
    struct ls_error first = {0};
    for (int q = 0; q <= engine->n_queues; q++) {
        ls_status one = engine->api->sync(q < engine->n_queues ? engine->queue[q] : engine->comm_queue);
        if (one != LS_OK && status == LS_OK) first = *ls_error_last(), status = one;
    }
    return status == LS_OK ? LS_OK : ls_error_adopt(&first);
}

ls_status ls_engine_step(struct ls_engine *engine, const struct ls_batch *batch,
                         const struct ls_step_control *control, struct ls_step_result *result) {
    const struct ls_device_api *api = engine->api;
    set_controls(engine, batch, control);
    for (int w = 0; w < engine->fold->n_waves; w++)
        enqueue_wave(engine, &engine->fold->waves[w], batch, w + 1 == engine->fold->n_waves);
    // Exposed is the time from the end of the last lane to that of the last reduction.
    double compute_ended = 0, reduce_ended = 0;
    double *const ends[2] = {&compute_ended, &reduce_ended};
    for (int q = 0; q < engine->n_queues; q++)
        api->wait(engine->queue[0], segment_done(engine, q, engine->train->n_segments - 1));
    api->call(engine->queue[0], note_time, &ends[0], sizeof ends[0]);
    api->call(engine->comm_queue, note_time, &ends[1], sizeof ends[1]);
    enqueue_update(engine, control);
    LS_TRY(sync_all(engine));
    const float *metrics = engine->buffers[engine->fold->nodes[0].buffer] + engine->layout->metrics;
    const double weight = metrics[LS_METRIC_WEIGHT] > 0 ? (double)metrics[LS_METRIC_WEIGHT] : 1.0;
    *result = (struct ls_step_result){
        .loss = (double)metrics[LS_METRIC_LOSS] / weight,
        .accuracy = (double)metrics[LS_METRIC_CORRECT] / weight,
        .grad_norm = engine->decision->grad_norm,
        .skipped = engine->decision->skip != 0,
        .stop = metrics[LS_METRIC_STOP] > 0,
        .fault = metrics[LS_METRIC_FAULT] > 0,
        .comm_exposed =
            engine->transport->size > 1 && reduce_ended > compute_ended ? reduce_ended - compute_ended : 0,
    };
    return LS_OK;
}

// ---- evaluation
// -----------------------------------------------------------------------------------------------

ls_status ls_engine_evaluate(struct ls_engine *engine, const struct ls_batch *batch, int chunks,
                             float (*metrics)[3], float *results) {
    const struct ls_device_api *api = engine->api;
    const struct ls_plan *plan = engine->eval;
    const size_t result_floats =
        plan->result == LS_NONE ? 0 : (size_t)ls_shape_count(&ls_info(plan->graph, plan->result)->shape);
    for (int c = 0; c < chunks; c++) {
        const int q = c % engine->n_queues;
        float *output = engine->buffers[q];
        struct ls_lane lane = lane_on(engine, plan, q, batch, c, output);
        lane.control = engine->control;
        if (results) lane.result = results + (size_t)c * result_floats;
        api->run(engine->queue[q], engine->eval_program, 0, &lane);
        api->copy(engine->queue[q], metrics[c], output + engine->layout->metrics, sizeof metrics[c]);
    }
    return sync_all(engine);
}
