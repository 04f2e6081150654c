// Opening and closing the engine.
#include "base/log.h"
#include "train/engine_parts.h"
#include "train/groups.h"
#include "train/transport.h"

#include <stdio.h>
#include <stdlib.h>

static ls_status open_queues(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    for (int q = 0; q < engine->n_queues; q++) {
        char name[24];
        snprintf(name, sizeof name, "lane %d", q);
        LS_TRY(api->queue_open(engine->device, name, &engine->queue[q]));
        LS_TRY(api->event_open(engine->device, false, &engine->share_done[q]));
        LS_TRY(api->alloc(engine->device, engine->sizes.arena, &engine->arena[q]));
    }
    LS_TRY(api->queue_open(engine->device, "comm", &engine->comm_queue));
    LS_TRY(api->event_open(engine->device, false, &engine->decided));
    return api->event_open(engine->device, true, &engine->updated);
}

static ls_status open_events(struct ls_engine *engine) {
    const int segments = engine->train->n_segments;
    engine->segment_done = calloc((size_t)engine->n_queues * (size_t)segments, sizeof(struct ls_event *));
    engine->folded = calloc((size_t)segments, sizeof(struct ls_event *));
    if (!engine->segment_done || !engine->folded) return LS_FAIL(LS_SYSTEM, "out of memory for events");
    for (int i = 0; i < engine->n_queues * segments; i++)
        LS_TRY(engine->api->event_open(engine->device, false, &engine->segment_done[i]));
    for (int s = 0; s < segments; s++)
        LS_TRY(engine->api->event_open(engine->device, false, &engine->folded[s]));
    return engine->api->event_open(engine->device, false, &engine->reduced);
}

static ls_status open_decision(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    struct ls_device *device = engine->device;
    const size_t local = (size_t)(engine->lanes.end - engine->lanes.begin);
    engine->blocks = engine->sizes.block_sums / sizeof(double) - 1;
    LS_TRY(api->alloc(device, engine->sizes.block_sums, (void **)&engine->block_sums));
    LS_TRY(api->alloc(device, sizeof *engine->decision, (void **)&engine->decision));
    LS_TRY(api->alloc_host(device, LS_STEPS_AT_ONCE * sizeof *engine->outcome, (void **)&engine->outcome));
    return api->alloc_host(device, (LS_STEPS_AT_ONCE * local + 1) * sizeof *engine->control,
                           (void **)&engine->control);
}

// Neighbouring parameters with equal settings become one range, where each has no ratio of its own.
static int ranges_of(const struct ls_engine *engine, struct ls_update_range *ranges) {
    const struct ls_layout *layout = engine->layout;
    const bool single = ls_engine_trusts(engine->recipe);
    int n = 0;
    for (int i = 0; i < layout->n_trained; i++) {
        const struct ls_item *item = &layout->params[i];
        const size_t end = i + 1 < layout->n_trained ? layout->params[i + 1].offset : layout->trained_floats;
        const struct ls_group_setting its = ls_groups_setting(engine->recipe, item);
        struct ls_update_range *last = n && !single ? &ranges[n - 1] : NULL;
        if (last && last->weight_decay == its.weight_decay && last->lr_scale == its.lr_scale)
            last->count = end - last->offset;
        else
            ranges[n++] = (struct ls_update_range){.offset = item->offset,
                                                   .count = end - item->offset,
                                                   .weight_decay = its.weight_decay,
                                                   .lr_scale = its.lr_scale};
    }
    return n;
}

static ls_status open_tables(struct ls_engine *engine) {
    const struct ls_layout *layout = engine->layout;
    struct ls_arena made = {0};
    struct ls_update_range *ranges = LS_ARENA_NEW(&made, struct ls_update_range, layout->n_params + 1);
    struct ls_update_state *states = LS_ARENA_NEW(&made, struct ls_update_state, layout->n_states + 1);
    engine->n_ranges = ranges_of(engine, ranges);
    for (int i = 0; i < layout->n_followed; i++) {
        const struct ls_item *item = &layout->states[i];
        states[i] = (struct ls_update_state){item->offset, item->count, item->output_offset, item->momentum,
                                             item->factor};
    }
    ls_status status = ls_engine_open_trust(engine, ranges);
    if (status == LS_OK)
        status = ls_engine_place(engine, ranges, (size_t)(layout->n_params + 1) * sizeof *ranges,
                                 (void **)&engine->ranges);
    if (status == LS_OK)
        status = ls_engine_place(engine, states, (size_t)(layout->n_states + 1) * sizeof *states,
                                 (void **)&engine->state_table);
    ls_arena_free(&made);
    return status;
}

static ls_status open_audit(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    const size_t marks = engine->sizes.marks;
    engine->audited = -1;
    if (marks == 0) return LS_OK;
    LS_TRY(api->alloc(engine->device, marks, (void **)&engine->marks));
    LS_TRY(api->alloc_host(engine->device, marks, (void **)&engine->host_marks));
    return api->alloc(engine->device, engine->sizes.output, (void **)&engine->audit_output);
}

static ls_status open_parts(struct ls_engine *engine) {
    LS_TRY(engine->api->reserve(engine->device, ls_engine_device_bytes(&engine->sizes)));
    LS_TRY(open_queues(engine));
    LS_TRY(open_events(engine));
    LS_TRY(ls_engine_open_input(engine));
    LS_TRY(ls_fold_make(engine->lanes.begin, engine->lanes.end, engine->lanes_total, engine->n_queues,
                        &engine->fold));
    engine->buffers = calloc((size_t)engine->sizes.buffers, sizeof(float *));
    if (!engine->buffers) return LS_FAIL(LS_SYSTEM, "out of memory");
    LS_TRY(ls_engine_open_replica(engine));
    if (engine->sizes.converted > 0)
        LS_TRY(engine->api->alloc(engine->device, engine->sizes.converted, &engine->converted));
    LS_TRY(open_decision(engine));
    LS_TRY(open_tables(engine));
    LS_TRY(open_audit(engine));
    LS_TRY(engine->api->load(engine->device, engine->train, engine->queue, engine->n_queues,
                             &engine->train_program));
    return engine->api->load(engine->device, engine->eval, engine->queue, engine->n_queues,
                             &engine->eval_program);
}

// Collective: the ranks that come here all have their other parts.
static ls_status open_reduction(struct ls_engine *engine, const struct ls_engine_spec *spec) {
    LS_TRY(ls_comm_agree_same(spec->comm, LS_INPUT, "what libraries chose for the model's operations",
                              engine->device->choices));
    LS_TRY(ls_comm_agree(spec->comm,
                         ls_transport_choose(spec->recipe, spec->comm, engine->device, &engine->transport)));
    const bool fast = engine->recipe->train.fast;
    LS_TRY(ls_transport_open_buffers(engine->transport, engine->device, fast, engine->sizes.buffers,
                                     engine->sizes.output / sizeof(float), engine->buffers));
    if (engine->sizes.seen > 0 && !engine->transport->segment)
        ls_note("the ranks of this host get no memory that all of them see (ulimit -f, containers, or too "
                "little is "
                "free): they send gradients as messages, which takes longer");
    return ls_reducer_open(engine->transport, engine->device, engine->fold, engine->lanes_total, fast,
                           ls_largest_bucket(engine->train), &engine->reducer);
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
    engine->sizes = ls_engine_sizes(spec->recipe, spec->model, spec->device, spec->comm);
    engine->lanes = engine->sizes.lanes;
    engine->n_queues = engine->sizes.queues;
    ls_status status = ls_comm_agree(spec->comm, open_parts(engine));
    if (status == LS_OK) status = open_reduction(engine, spec);
    if (status != LS_OK) {
        ls_engine_close(engine);
        return status;
    }
    *out = engine;
    return LS_OK;
}

// What is enqueued leads into the transport, the programs and all memory: it goes first. Keeps the last
// error.
static void drain(struct ls_engine *engine) {
    const struct ls_error error = *ls_error_last();
    (void)ls_engine_sync(engine);
    ls_error_adopt(&error);
}

static void close_queues(const struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    for (int q = 0; q < engine->n_queues; q++)
        if (engine->queue[q]) api->queue_close(engine->queue[q]);
    if (engine->comm_queue) api->queue_close(engine->comm_queue);
}

static void close_event(const struct ls_engine *engine, struct ls_event *event) {
    if (event) engine->api->event_close(event);
}

static void close_events(const struct ls_engine *engine) {
    const int segments = engine->train->n_segments;
    for (int q = 0; q < engine->n_queues; q++) close_event(engine, engine->share_done[q]);
    for (int i = 0; engine->segment_done && i < engine->n_queues * segments; i++)
        close_event(engine, engine->segment_done[i]);
    for (int s = 0; engine->folded && s < segments; s++) close_event(engine, engine->folded[s]);
    close_event(engine, engine->reduced);
    close_event(engine, engine->decided);
    close_event(engine, engine->updated);
}

static void free_memory(const struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    for (int q = 0; q < engine->n_queues; q++) api->free(engine->device, engine->arena[q]);
    api->free(engine->device, engine->converted);
    api->free(engine->device, engine->block_sums);
    api->free(engine->device, engine->decision);
    api->free(engine->device, engine->ranges);
    api->free(engine->device, engine->state_table);
    api->free(engine->device, engine->marks);
    api->free(engine->device, engine->audit_output);
    api->free_host(engine->device, engine->outcome);
    api->free_host(engine->device, engine->control);
    api->free_host(engine->device, engine->host_marks);
    free(engine->segment_done);
    free(engine->folded);
    free(engine->buffers);
}

void ls_engine_close(struct ls_engine *engine) {
    if (!engine) return;
    drain(engine);
    if (engine->reducer) ls_reducer_close(engine->reducer);
    if (engine->buffers && engine->transport)
        ls_transport_close_buffers(engine->transport, engine->device, engine->sizes.buffers, engine->buffers);
    if (engine->transport) engine->transport->api->close(engine->transport);
    if (engine->train_program) engine->api->unload(engine->train_program);
    if (engine->eval_program) engine->api->unload(engine->eval_program);
    close_queues(engine);
    close_events(engine);
    ls_engine_close_trust(engine);
    ls_engine_close_input(engine);
    ls_engine_close_replica(engine);
    if (engine->fold) ls_fold_free(engine->fold);
    free_memory(engine);
    free(engine);
}

struct ls_lane_range ls_engine_lanes(const struct ls_engine *engine) {
    return engine->lanes;
}
