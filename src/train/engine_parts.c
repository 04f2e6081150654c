// What the engine's parts share: memory that is filled, the queues' shares, times.
#include "train/engine_parts.h"

#include "base/clock.h"

ls_status ls_engine_place(struct ls_engine *engine, const void *made, size_t bytes, void **memory) {
    const struct ls_device_api *api = engine->api;
    LS_TRY(api->alloc(engine->device, bytes, memory));
    api->copy(engine->queue[0], *memory, made, bytes);
    return api->sync(engine->queue[0]);
}

void ls_engine_share(size_t n, size_t unit, int q, int queues, size_t *begin, size_t *end) {
    const size_t units = (n + unit - 1) / unit;
    *begin = units * (size_t)q / (size_t)queues * unit;
    *end = units * ((size_t)q + 1) / (size_t)queues * unit;
    if (*end > n) *end = n;
}

static ls_status note_time(void *argument) {
    double *time = *(double **)argument;
    *time = ls_now();
    return LS_OK;
}

void ls_engine_stamp(const struct ls_engine *engine, struct ls_queue *queue, double *time) {
    engine->api->call(queue, note_time, &time, sizeof time);
}

void ls_engine_phase_begin(const struct ls_engine *engine, enum ls_trace_kind kind) {
    if (engine->api->range_begin) engine->api->range_begin(ls_trace_kind_name(kind));
}

void ls_engine_phase_end(const struct ls_engine *engine) {
    if (engine->api->range_end) engine->api->range_end();
}

struct ls_trace_span *ls_engine_begin_span(const struct ls_engine *engine, struct ls_queue *queue,
                                           enum ls_trace_kind kind, int row, int first, int second) {
    ls_engine_phase_begin(engine, kind);
    struct ls_trace_span *span = ls_trace_add(engine->trace, kind, row, first, second);
    if (span) ls_engine_stamp(engine, queue, &span->begin);
    return span;
}

void ls_engine_end_span(const struct ls_engine *engine, struct ls_queue *queue, struct ls_trace_span *span) {
    if (span) ls_engine_stamp(engine, queue, &span->end);
    ls_engine_phase_end(engine);
}

struct ls_lane_control ls_engine_control(const struct ls_engine *engine, uint64_t first_position) {
    return (struct ls_lane_control){
        .seed = engine->recipe->seed,
        .first_position = first_position,
        .loss_seed = (float)((double)engine->loss_scale / (double)engine->recipe->train.batch),
    };
}
