// Steps and evaluations.
#include "train/engine_parts.h"

#include "base/pulse.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct ls_event *segment_done(const struct ls_engine *engine, int q, int s) {
    return engine->segment_done[q * engine->train->n_segments + s];
}

// ---- what is looked at

void ls_engine_trace(struct ls_engine *engine, struct ls_trace *trace) {
    engine->trace = trace;
}

int ls_engine_queues(const struct ls_engine *engine) {
    return engine->n_queues;
}

ls_status ls_engine_profile(struct ls_engine *engine, double *seconds) {
    if (!engine->api->profile)
        return LS_FAIL(LS_INPUT, "times of single operations are known on the CPU alone; this is %s",
                       engine->device->name);
    engine->api->profile(engine->train_program, seconds);
    return LS_OK;
}

// Conversions, also of an audit, segments of all lanes and their input, folds of all waves, reductions,
// norms, updates, and what the trainer adds.
int64_t ls_engine_spans_a_step(const struct ls_engine *engine) {
    const int64_t lanes = engine->lanes.end - engine->lanes.begin, segments = engine->train->n_segments;
    return lanes * (segments + 1) + engine->fold->n_waves * segments + segments + 4 * engine->n_queues + 4;
}

// ---- what is enqueued

// Of the step that was last begun.
static struct ls_lane_control *lane_control(const struct ls_engine *engine, int chunk) {
    const int local = engine->lanes.end - engine->lanes.begin;
    return &engine->control[engine->begun * local + chunk];
}

static void set_controls(struct ls_engine *engine, const struct ls_batch *batch,
                         const struct ls_step_control *control) {
    const int local = engine->lanes.end - engine->lanes.begin;
    engine->step = control->step;
    engine->loss_scale = control->loss_scale > 0 ? control->loss_scale : 1;
    for (int i = 0; i < local; i++) {
        struct ls_lane_control *lane = lane_control(engine, i);
        *lane = ls_engine_control(engine,
                                  batch->first_position + (uint64_t)i * (uint64_t)engine->train->lane_batch);
        lane->stop = i == 0 && control->stop ? 1 : 0;
        lane->fault = i == 0 && control->fault ? 1 : 0;
    }
}

// Segment s of each lane of the wave, side by side.
static void enqueue_segment(struct ls_engine *engine, const struct ls_fold_wave *wave,
                            const struct ls_lane *lanes, int s) {
    for (int q = 0; q < wave->width; q++) {
        struct ls_trace_span *span =
            ls_engine_begin_span(engine, engine->queue[q], LS_SPAN_SEGMENT, q, wave->first_lane + q, s);
        engine->api->run(engine->queue[q], engine->train_program, s, &lanes[q]);
        ls_engine_end_span(engine, engine->queue[q], span);
        if (engine->audited == wave->first_lane + q) ls_engine_mark(engine, q, s, lanes[q].output);
        if (s + 1 == engine->train->n_segments) ls_engine_input_read(engine, q);
        engine->api->record(engine->queue[q], segment_done(engine, q, s));
    }
}

static void add_nodes(const struct ls_engine *engine, const struct ls_fold_wave *wave, int s,
                      struct ls_queue *folder) {
    const struct ls_bucket *bucket = &engine->train->buckets[s];
    struct ls_trace_span *span =
        ls_engine_begin_span(engine, folder, LS_SPAN_FOLD, s % engine->n_queues, s, 0);
    for (int i = 0; i < wave->n_adds; i++) {
        float *to = engine->buffers[wave->adds[i].to] + bucket->offset;
        engine->api->add(folder, to, to, engine->buffers[wave->adds[i].from] + bucket->offset, bucket->count);
    }
    ls_engine_end_span(engine, folder, span);
}

// Bucket s is folded on queue s modulo queues, always the same, so that the folds of one bucket are in order.
static void enqueue_fold(struct ls_engine *engine, const struct ls_fold_wave *wave, int s) {
    const struct ls_device_api *api = engine->api;
    struct ls_queue *folder = engine->queue[s % engine->n_queues];
    for (int q = 0; q < wave->width; q++) api->wait(folder, segment_done(engine, q, s));
    if (wave->n_adds > 0) add_nodes(engine, wave, s, folder);
    api->record(folder, engine->folded[s]);
}

// For the watchdog, which sees by it that ranks are in different buckets.
struct reduce_note {
    int bucket;
    uint64_t step, bytes;
};

static ls_status note_reduce_begins(void *argument) {
    const struct reduce_note *note = argument;
    char call[LS_PULSE_TEXT];
    snprintf(call, sizeof call, "the all-reduce of bucket %d", note->bucket);
    ls_pulse_enter_of_step(note->step, call, note->bytes);
    return LS_OK;
}

static ls_status note_reduce_ends(void *argument) {
    (void)argument;
    ls_pulse_leave();
    return LS_OK;
}

static void reduce_bucket(const struct ls_engine *engine, int s) {
    const struct ls_device_api *api = engine->api;
    const struct ls_bucket *bucket = &engine->train->buckets[s];
    const struct reduce_note note = {s, engine->step, bucket->count * sizeof(float)};
    api->call(engine->comm_queue, note_reduce_begins, &note, sizeof note);
    struct ls_trace_span *span = ls_engine_begin_span(engine, engine->comm_queue, LS_SPAN_REDUCE,
                                                      ls_trace_row_of_communication(engine->trace), s, 0);
    if (span) span->bytes = note.bytes;
    ls_reduce(engine->reducer, engine->buffers, bucket->offset, bucket->count, engine->comm_queue);
    ls_engine_end_span(engine, engine->comm_queue, span);
    api->call(engine->comm_queue, note_reduce_ends, NULL, 0);
}

static void enqueue_reduce(struct ls_engine *engine, int s) {
    const struct ls_device_api *api = engine->api;
    struct ls_outcome *outcome = &engine->outcome[engine->begun];
    api->wait(engine->comm_queue, engine->folded[s]);
    if (engine->transport->size > 1) reduce_bucket(engine, s); // a rank alone has the sum
    if (s + 1 < engine->train->n_segments) return;
    // The metrics are in the last bucket, and the queue has reduced all others before it.
    ls_engine_stamp(engine, engine->comm_queue, &outcome->reduce_ended);
    api->copy(engine->comm_queue, outcome->metrics,
              engine->buffers[engine->fold->nodes[0].buffer] + engine->layout->metrics,
              sizeof outcome->metrics);
    api->record(engine->comm_queue, engine->reduced);
}

// The lanes of a wave, then its folds. In the last wave of several ranks a bucket is folded, and travels, as
// soon as its segment ends; elsewhere that would only make the queues wait for each other more often.
static void enqueue_wave(struct ls_engine *engine, const struct ls_fold_wave *wave,
                         const struct ls_batch *batch, bool last) {
    const int segments = engine->train->n_segments;
    const bool overlaps = last && engine->transport->size > 1;
    struct ls_lane lanes[LS_MAX_QUEUES];
    for (int q = 0; q < wave->width; q++) {
        const int chunk = wave->first_lane + q - engine->lanes.begin;
        lanes[q] = ls_engine_input(engine, engine->train, q, batch, chunk, lane_control(engine, chunk));
        lanes[q].output = engine->buffers[wave->buffer[q]];
        // A lane overwrites a buffer only after the folds that read it.
        for (int s = 0; s < segments; s++) engine->api->wait(engine->queue[q], engine->folded[s]);
    }
    for (int s = 0; s < segments; s++) {
        enqueue_segment(engine, wave, lanes, s);
        if (overlaps) enqueue_fold(engine, wave, s);
        if (overlaps) enqueue_reduce(engine, s);
    }
    for (int s = 0; s < segments && !overlaps; s++) {
        enqueue_fold(engine, wave, s);
        if (last) enqueue_reduce(engine, s);
    }
}

// Waits until every queue is empty, or for the last update alone; the first error.
static ls_status wait_for_queues(struct ls_engine *engine, bool empty) {
    const struct ls_device_api *api = engine->api;
    ls_status status = LS_OK;
    struct ls_error first = {0};
    for (int q = 0; q < engine->n_queues + 2; q++) {
        struct ls_queue *queue = q < engine->n_queues    ? engine->queue[q]
                                 : q == engine->n_queues ? engine->comm_queue
                                                         : engine->copy_queue;
        if (!queue) continue;
        ls_status one = empty ? api->sync(queue) : api->await(queue, engine->updated);
        if (one != LS_OK && status == LS_OK) first = *ls_error_last(), status = one;
    }
    return status == LS_OK ? LS_OK : ls_error_adopt(&first);
}

ls_status ls_engine_sync(struct ls_engine *engine) {
    return wait_for_queues(engine, true);
}

// Lanes, folds and reductions of a step. The lanes come after the update before: it changes what they read,
// and reads what they write.
static void enqueue_gradients(struct ls_engine *engine, const struct ls_batch *batch,
                              const struct ls_step_control *control) {
    const struct ls_device_api *api = engine->api;
    engine->begun = (engine->begun + 1) % LS_STEPS_AT_ONCE;
    set_controls(engine, batch, control);
    for (int q = 0; q < engine->n_queues; q++) api->wait(engine->queue[q], engine->updated);
    ls_engine_convert(engine, engine->train_program, engine->replica.params);
    for (int w = 0; w < engine->fold->n_waves; w++)
        enqueue_wave(engine, &engine->fold->waves[w], batch, w + 1 == engine->fold->n_waves);
    // Exposed is the time from the end of the last lane to that of the last reduction.
    for (int q = 0; q < engine->n_queues; q++)
        api->wait(engine->queue[0], segment_done(engine, q, engine->train->n_segments - 1));
    ls_engine_stamp(engine, engine->queue[0], &engine->outcome[engine->begun].compute_ended);
}

static struct ls_step_result result_of(const struct ls_engine *engine) {
    const struct ls_outcome *outcome = &engine->outcome[engine->applied];
    const float *metrics = outcome->metrics;
    const double weight = metrics[LS_METRIC_WEIGHT] > 0 ? (double)metrics[LS_METRIC_WEIGHT] : 1.0;
    const double exposed = outcome->reduce_ended - outcome->compute_ended;
    const double loss = (double)metrics[LS_METRIC_LOSS] / weight;
    return (struct ls_step_result){
        .loss = isnan(loss) ? NAN : loss, // whatever its sign: it is printed
        .score = (double)metrics[LS_METRIC_SCORE] / weight,
        .grad_norm = outcome->decision.grad_norm,
        .skipped = outcome->decision.skip != 0,
        .stop = metrics[LS_METRIC_STOP] > 0,
        .fault = metrics[LS_METRIC_FAULT] > 0,
        .comm_exposed = engine->transport->size > 1 && exposed > 0 ? exposed : 0,
    };
}

void ls_engine_begin(struct ls_engine *engine, const struct ls_batch *batch,
                     const struct ls_step_control *control) {
    enqueue_gradients(engine, batch, control);
}

ls_status ls_engine_step(struct ls_engine *engine, const struct ls_batch *batch,
                         const struct ls_step_control *control, struct ls_step_result *result) {
    ls_engine_begin(engine, batch, control);
    ls_engine_apply(engine, control);
    return ls_engine_result(engine, result);
}

ls_status ls_engine_gradients(struct ls_engine *engine, const struct ls_batch *batch,
                              const struct ls_step_control *control, int audited) {
    engine->audited = audited;
    enqueue_gradients(engine, batch, control);
    engine->audited = -1;
    return ls_engine_sync(engine);
}

bool ls_engine_fault(const struct ls_engine *engine) {
    return engine->outcome[engine->begun].metrics[LS_METRIC_FAULT] > 0;
}

void ls_engine_apply(struct ls_engine *engine, const struct ls_step_control *control) {
    ls_engine_update(engine, control);
    engine->applied = engine->begun;
}

void ls_engine_wait(struct ls_engine *engine) {
    (void)engine->api->await(engine->queue[0], engine->updated); // ls_engine_result says what is wrong
}

ls_status ls_engine_result(struct ls_engine *engine, struct ls_step_result *result) {
    const bool goes_on = engine->begun != engine->applied;
    LS_TRY(wait_for_queues(engine, !goes_on));
    *result = result_of(engine);
    return LS_OK;
}

ls_status ls_engine_abandon(struct ls_engine *engine) {
    engine->begun = engine->applied; // its place is free again
    return ls_engine_sync(engine);
}

// ---- evaluation

int ls_engine_chunks_a_round(const struct ls_engine *engine) {
    return engine->sizes.chunks;
}

ls_status ls_engine_evaluate(struct ls_engine *engine, const struct ls_batch *batch, int chunks,
                             float (*metrics)[3], float *results) {
    const struct ls_device_api *api = engine->api;
    const struct ls_plan *plan = engine->eval;
    const size_t result_floats =
        plan->result == LS_NONE ? 0 : (size_t)ls_shape_count(&ls_info(plan->graph, plan->result)->shape);
    const struct ls_replica *replica = &engine->replica;
    ls_engine_convert(engine, engine->eval_program, replica->average ? replica->average : replica->params);
    for (int c = 0; c < chunks; c++) {
        const int q = c % engine->n_queues;
        struct ls_lane lane = ls_engine_input(engine, plan, q, batch, c, engine->control);
        lane.output = engine->buffers[q];
        if (replica->average) lane.params = replica->average, lane.states = replica->average_states;
        if (results) lane.result = results + (size_t)c * result_floats;
        api->run(engine->queue[q], engine->eval_program, 0, &lane);
        ls_engine_input_read(engine, q);
        api->copy(engine->queue[q], metrics[c], lane.output + engine->layout->metrics, sizeof metrics[c]);
    }
    return ls_engine_sync(engine);
}
