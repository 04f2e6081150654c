// Samples that lie in memory, through the model of a session.
#include "train/session_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Memory for one round of chunks: a batch as the engine takes it, and what comes out.
struct ls_session_room {
    int chunks;
    size_t sample_bytes, outputs;
    struct ls_batch batch;
    float (*metrics)[3];
    float *results;
};

struct ls_session_sample ls_session_sample(const struct ls_session *session) {
    const struct ls_sample_shape *sample = &session->sample;
    const struct ls_session_sample lies = {
        .height = sample->height,
        .width = sample->width,
        .channels = sample->channels,
        .channels_first = sample->channels_first,
        .bytes = sample->type == LS_U8,
        .tokens = session->recipe.model.vocabulary,
    };
    return lies;
}

void ls_session_leave_room(struct ls_session *session) {
    struct ls_session_room *room = session->room;
    if (!room) return;
    void *const memory[] = {room->batch.samples, room->batch.targets, room->batch.augment,
                            room->batch.weight,  room->metrics,       room->results};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        session->device->api->free_host(session->device, memory[i]);
    free(room);
    session->room = NULL;
}

static ls_status take(const struct ls_session *session, size_t bytes, void **memory) {
    LS_TRY(session->device->api->alloc_host(session->device, bytes, memory));
    memset(*memory, 0, bytes);
    return LS_OK;
}

// Zero: the weights too, so that no loss is counted.
static ls_status make_room(struct ls_session *session) {
    const struct ls_plan *plan = session->model.eval;
    struct ls_session_room *room = calloc(1, sizeof *room);
    if (!room) return LS_FAIL(LS_SYSTEM, "out of memory");
    session->room = room;
    room->chunks = ls_engine_chunks_a_round(session->engine);
    room->outputs = (size_t)ls_session_outputs(session);
    room->sample_bytes = plan->raw_bytes / (size_t)plan->lane_batch;
    const size_t chunks = (size_t)room->chunks, samples = chunks * (size_t)plan->lane_batch;
    LS_TRY(take(session, chunks * plan->raw_bytes, &room->batch.samples));
    LS_TRY(take(session, chunks * plan->target_bytes, &room->batch.targets));
    LS_TRY(take(session, samples * sizeof(struct ls_augment), (void **)&room->batch.augment));
    LS_TRY(take(session, samples * sizeof *room->batch.weight, (void **)&room->batch.weight));
    LS_TRY(take(session, chunks * sizeof *room->metrics, (void **)&room->metrics));
    return take(session, samples * room->outputs * sizeof *room->results, (void **)&room->results);
}

// Made when it is first wanted; NULL, with an error, where it cannot be.
static struct ls_session_room *find_room(struct ls_session *session) {
    if (!session->room && make_room(session) != LS_OK) ls_session_leave_room(session);
    return session->room;
}

// What is behind the samples in their last chunk is left from before, and nothing of it is handed on.
static ls_status apply_round(struct ls_session *session, int64_t n, const char *samples, float *values) {
    struct ls_session_room *room = session->room;
    const int64_t lane = session->model.eval->lane_batch;
    memcpy(room->batch.samples, samples, (size_t)n * room->sample_bytes);
    room->batch.n = room->batch.valid = n;
    LS_TRY(ls_engine_evaluate(session->engine, &room->batch, (int)((n + lane - 1) / lane), room->metrics,
                              room->results));
    memcpy(values, room->results, (size_t)n * room->outputs * sizeof *values);
    return LS_OK;
}

static ls_status check_tokens(const struct ls_session *session, int64_t n, const int32_t *tokens) {
    const int64_t each = session->sample.channels, most = session->recipe.model.vocabulary - 1;
    for (int64_t i = 0; i < n * each; i++)
        if (tokens[i] < 0 || tokens[i] > most)
            return LS_FAIL(LS_INPUT,
                           "sample %" PRId64 " is not of tokens: value %" PRId64 " of %" PRId64 " is %" PRId32
                           ", expected 0 to %" PRId64,
                           i / each, i % each, each, tokens[i], most);
    return LS_OK;
}

ls_status ls_session_apply(struct ls_session *session, int64_t n, const void *samples, float *values) {
    if (session->sample.type == LS_I32) LS_TRY(check_tokens(session, n, samples));
    const struct ls_session_room *room = find_room(session);
    if (!room) return ls_error_last()->status;
    const int64_t most = room->chunks * session->model.eval->lane_batch;
    for (int64_t at = 0, some; at < n; at += some) {
        some = n - at < most ? n - at : most;
        LS_TRY(apply_round(session, some, (const char *)samples + (size_t)at * room->sample_bytes,
                           values + (size_t)at * room->outputs));
    }
    return LS_OK;
}
