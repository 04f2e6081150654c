// From the reduced gradient to the weights of the next step: its norm, one decision, and the update, each
// queue doing its share of the flat buffers. No rank needs another for it: all of them have the same
// gradient.
#include "train/engine_parts.h"

#include <math.h>

// What follows on queue 0 starts when all queues have done their shares of what was enqueued.
static void gather_shares(const struct ls_engine *engine) {
    for (int q = 0; q < engine->n_queues; q++) engine->api->record(engine->queue[q], engine->share_done[q]);
    for (int q = 0; q < engine->n_queues; q++) engine->api->wait(engine->queue[0], engine->share_done[q]);
}

static const float *reduced_output(const struct ls_engine *engine) {
    return engine->buffers[engine->fold->nodes[0].buffer];
}

// Sums of squares, of which queue 0 then makes the norm.
static void enqueue_norm(const struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    for (int q = 0; q < engine->n_queues; q++) {
        size_t begin, end;
        api->wait(engine->queue[q], engine->reduced);
        ls_engine_share(engine->blocks, 1, q, engine->n_queues, &begin, &end);
        struct ls_trace_span *span = ls_engine_begin_span(engine, engine->queue[q], LS_SPAN_NORM, q, 0, 0);
        api->square_sums(engine->queue[q], reduced_output(engine), engine->layout->trained_floats, begin, end,
                         engine->block_sums);
        ls_engine_end_span(engine, engine->queue[q], span);
    }
    gather_shares(engine);
}

// Is the step skipped, and by what is its gradient clipped?
static void enqueue_decision(const struct ls_engine *engine) {
    const struct ls_decide decide = {
        .block_sums = engine->block_sums,
        .blocks = engine->blocks,
        .metrics = reduced_output(engine) + engine->layout->metrics,
        .loss_scale = engine->loss_scale,
        .clip = (float)engine->recipe->train.clip,
        .decision = engine->decision,
    };
    engine->api->decide(engine->queue[0], &decide);
    engine->api->record(engine->queue[0], engine->decided);
}

static enum ls_optimizer_kind kind_of(const struct ls_recipe *recipe) {
    switch (recipe->train.optimizer) {
    case LS_RECIPE_SGD: break;
    case LS_RECIPE_ADAMW: return LS_ADAMW;
    case LS_RECIPE_LARS: return LS_LARS;
    case LS_RECIPE_LAMB: return LS_LAMB;
    }
    return LS_SGD;
}

static struct ls_update update_of(const struct ls_engine *engine, const struct ls_step_control *control) {
    const struct ls_recipe *recipe = engine->recipe;
    const double t = (double)(control->updates + 1);
    return (struct ls_update){
        .kind = kind_of(recipe),
        .lr = control->lr,
        .momentum = (float)recipe->train.momentum,
        .beta1 = recipe->train.beta1,
        .beta2 = recipe->train.beta2,
        .epsilon = (float)recipe->train.epsilon,
        .trust = (float)recipe->train.trust,
        .correction1 = 1 - pow(recipe->train.beta1, t),
        .correction2 = 1 - pow(recipe->train.beta2, t),
        .nesterov = recipe->train.nesterov,
        .params = engine->replica.params,
        .grads = reduced_output(engine),
        .slot = {engine->replica.slot[0], engine->replica.slot[1]},
        .ranges = engine->ranges,
        .n_ranges = engine->n_ranges,
        .blocks = engine->update_blocks,
        .norms = engine->norms,
        .ratios = engine->ratios,
        .decision = engine->decision,
    };
}

// Parameters, their slots and their averages.
static void enqueue_params(struct ls_engine *engine, const struct ls_step_control *control) {
    const struct ls_device_api *api = engine->api;
    struct ls_update update = update_of(engine, control);
    ls_engine_trust(engine, &update);
    for (int q = 0; q < engine->n_queues; q++) {
        ls_engine_share(engine->layout->trained_floats, LS_ALIGN_FLOATS, q, engine->n_queues, &update.begin,
                        &update.end);
        api->wait(engine->queue[q], engine->decided);
        struct ls_trace_span *span = ls_engine_begin_span(engine, engine->queue[q], LS_SPAN_UPDATE, q, 0, 0);
        api->update(engine->queue[q], &update);
        ls_engine_average(engine, control, q, update.begin, update.end);
        ls_engine_end_span(engine, engine->queue[q], span);
    }
}

// Running statistics and their averages: few, so that queue 0 does them all.
static void enqueue_states(struct ls_engine *engine, const struct ls_step_control *control) {
    const struct ls_update_states states = {
        .table = engine->state_table,
        .n_states = engine->layout->n_followed,
        .states = engine->replica.states,
        .output = reduced_output(engine),
        .lanes = engine->lanes_total,
        .decision = engine->decision,
    };
    engine->api->update_states(engine->queue[0], &states);
    ls_engine_average_states(engine, control);
}

void ls_engine_update(struct ls_engine *engine, const struct ls_step_control *control) {
    const struct ls_device_api *api = engine->api;
    struct ls_outcome *outcome = &engine->outcome[engine->begun];
    enqueue_norm(engine);
    enqueue_decision(engine);
    enqueue_params(engine, control);
    enqueue_states(engine, control);
    api->copy(engine->queue[0], &outcome->decision, engine->decision, sizeof *engine->decision);
    gather_shares(engine);
    api->record(engine->queue[0], engine->updated);
    engine->mirrored = false;
    engine->converted_for = NULL;
}
