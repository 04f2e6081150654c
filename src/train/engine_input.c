// How a lane's input comes to the device. Where the host's memory is the device's, lanes read the batch
// itself. Elsewhere it is staged: the copy queue fills one of a queue's two stages while the queue's lane
// reads the other.
//
//   copy      fill 0 | fill 1 |      fill 0 |       fill 1 …      each waits until its stage was read,
//   lanes            lane a     | lane b      | lane c …          each lane until its stage is filled
#include "train/engine_parts.h"

#include <stdlib.h>

ls_status ls_engine_open_input(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    if (engine->device->host_memory) return LS_OK;
    LS_TRY(api->queue_open(engine->device, "copy", &engine->copy_queue));
    engine->stages = calloc((size_t)engine->sizes.stages, sizeof *engine->stages);
    if (!engine->stages) return LS_FAIL(LS_SYSTEM, "out of memory");
    for (int i = 0; i < engine->sizes.stages; i++) {
        struct ls_stage *stage = &engine->stages[i];
        LS_TRY(api->alloc(engine->device, engine->sizes.stage.bytes, (void **)&stage->memory));
        LS_TRY(api->event_open(engine->device, false, &stage->filled));
        LS_TRY(api->event_open(engine->device, false, &stage->emptied));
    }
    return LS_OK;
}

void ls_engine_close_input(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    for (int i = 0; engine->stages && i < engine->sizes.stages; i++) {
        struct ls_stage *stage = &engine->stages[i];
        if (stage->filled) api->event_close(stage->filled);
        if (stage->emptied) api->event_close(stage->emptied);
        api->free(engine->device, stage->memory);
    }
    free(engine->stages);
    if (engine->copy_queue) api->queue_close(engine->copy_queue);
}

static struct ls_stage *stage_of(const struct ls_engine *engine, int q) {
    return &engine->stages[q * LS_STAGES_A_QUEUE + engine->turn[q]];
}

// Fills the queue's next stage with the input that the lane has in host memory, and points the lane there.
static void stage(struct ls_engine *engine, const struct ls_plan *plan, int q, struct ls_lane *lane) {
    const struct ls_device_api *api = engine->api;
    const struct ls_stage_layout *at = &engine->sizes.stage;
    const struct ls_stage *stage = stage_of(engine, q);
    struct ls_queue *copy = engine->copy_queue;
    api->wait(copy, stage->emptied);
    struct ls_trace_span *span =
        ls_engine_begin_span(engine, copy, LS_SPAN_COPY, ls_trace_row_of_copies(engine->trace), 0, 0);
    if (span) span->bytes = plan->raw_bytes + plan->augment_bytes + plan->target_bytes + plan->weight_bytes;
    api->copy(copy, stage->memory, lane->raw, plan->raw_bytes);
    api->copy(copy, stage->memory + at->augment, lane->augment, plan->augment_bytes);
    api->copy(copy, stage->memory + at->target, lane->target, plan->target_bytes);
    api->copy(copy, stage->memory + at->weight, lane->weight, plan->weight_bytes);
    api->copy(copy, stage->memory + at->control, lane->control, sizeof *lane->control);
    ls_engine_end_span(engine, copy, span);
    api->record(copy, stage->filled);
    api->wait(engine->queue[q], stage->filled);
    lane->raw = stage->memory;
    lane->augment = stage->memory + at->augment;
    lane->target = stage->memory + at->target;
    lane->weight = stage->memory + at->weight;
    lane->control = (const void *)(stage->memory + at->control);
}

struct ls_lane ls_engine_input(struct ls_engine *engine, const struct ls_plan *plan, int q,
                               const struct ls_batch *batch, int chunk,
                               const struct ls_lane_control *control) {
    struct ls_lane lane = {
        .params = engine->replica.params,
        .states = engine->replica.states,
        .raw = (const char *)batch->samples + (size_t)chunk * plan->raw_bytes,
        .augment = batch->augment + (size_t)chunk * (size_t)plan->lane_batch * LS_AUGMENT_WORDS,
        .target = (const char *)batch->targets + (size_t)chunk * plan->target_bytes,
        .weight = batch->weight + (size_t)chunk * (size_t)plan->lane_batch,
        .control = control,
        .converted = engine->converted,
        .arena = engine->arena[q],
    };
    if (!engine->device->host_memory) stage(engine, plan, q, &lane);
    return lane;
}

void ls_engine_input_read(struct ls_engine *engine, int q) {
    if (engine->device->host_memory) return;
    engine->api->record(engine->queue[q], stage_of(engine, q)->emptied);
    engine->turn[q] = (engine->turn[q] + 1) % LS_STAGES_A_QUEUE;
}
