// Fingerprints of a lane's gradient. What a lane adds to its output is final when its segment ends, and
// folded away soon after: so the mark is taken in between, a bucket at a time.
#include "train/engine_parts.h"

#include "base/hash.h"

// The metrics behind gradients and statistics carry a rank's wishes, which another rank does not have.
static size_t marked_floats(const struct ls_engine *engine, const struct ls_bucket *bucket) {
    const size_t end = bucket->offset + bucket->count, most = engine->layout->metrics;
    return bucket->offset >= most ? 0 : (end < most ? end : most) - bucket->offset;
}

void ls_engine_mark(struct ls_engine *engine, int q, int s, const float *output) {
    const struct ls_bucket *bucket = &engine->train->buckets[s];
    engine->api->fingerprint(engine->queue[q], output + bucket->offset, marked_floats(engine, bucket),
                             &engine->marks[s]);
}

ls_status ls_engine_mark_of_step(struct ls_engine *engine, uint64_t *mark) {
    const size_t bytes = (size_t)engine->train->n_segments * sizeof *engine->marks;
    engine->api->copy(engine->queue[0], engine->host_marks, engine->marks, bytes);
    LS_TRY(engine->api->sync(engine->queue[0]));
    *mark = ls_hash_of(engine->host_marks, bytes);
    return LS_OK;
}

ls_status ls_engine_recompute(struct ls_engine *engine, const struct ls_batch *batch, uint64_t *mark) {
    const int spare = LS_STEPS_AT_ONCE * (engine->lanes.end - engine->lanes.begin); // its control
    engine->control[spare] = ls_engine_control(engine, batch->first_position);
    struct ls_lane lane = ls_engine_input(engine, engine->train, 0, batch, 0, &engine->control[spare]);
    lane.output = engine->audit_output;
    engine->converted_for = NULL; // what converted a weight wrongly is not to be believed again
    ls_engine_convert(engine, engine->train_program, lane.params);
    for (int s = 0; s < engine->train->n_segments; s++) {
        engine->api->run(engine->queue[0], engine->train_program, s, &lane);
        ls_engine_mark(engine, 0, s, engine->audit_output);
    }
    ls_engine_input_read(engine, 0);
    return ls_engine_mark_of_step(engine, mark);
}
