// Weights as kernels want them: made once after each update, for all lanes, by all queues together. The
// training and the evaluation plan take turns in the same memory.
#include "train/engine_parts.h"

// What follows on any queue starts when all queues have come here.
static void meet(const struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    for (int q = 1; q < engine->n_queues; q++) api->record(engine->queue[q], engine->share_done[q]);
    for (int q = 1; q < engine->n_queues; q++) api->wait(engine->queue[0], engine->share_done[q]);
    api->record(engine->queue[0], engine->share_done[0]);
    for (int q = 1; q < engine->n_queues; q++) api->wait(engine->queue[q], engine->share_done[0]);
}

// Of a step: a trace has an evaluation as one span, of the host.
static void convert_share(struct ls_engine *engine, struct ls_program *program, const float *params, int q) {
    const struct ls_lane lane = {.params = params, .converted = engine->converted, .arena = engine->arena[q]};
    const bool of_step = program == engine->train_program;
    struct ls_queue *queue = engine->queue[q];
    struct ls_trace_span *span =
        of_step ? ls_engine_begin_span(engine, queue, LS_SPAN_CONVERT, q, 0, 0) : NULL;
    engine->api->convert(queue, program, q, engine->n_queues, &lane);
    if (of_step) ls_engine_end_span(engine, queue, span);
}

void ls_engine_convert(struct ls_engine *engine, struct ls_program *program, const float *params) {
    if (engine->converted_for == program) return;
    engine->converted_for = program;
    if (engine->sizes.converted == 0) return;
    meet(engine);
    for (int q = 0; q < engine->n_queues; q++) convert_share(engine, program, params, q);
    meet(engine);
}
