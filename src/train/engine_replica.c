// The replica, and its mirror in host memory: what checkpoints are written from and read into, and what is
// hashed.
#include "train/engine_parts.h"

#include <string.h>

// Each buffer of the replica with its mirror.
struct pair {
    float **device, **host;
    size_t bytes;
};
enum { MOST_PAIRS = 6 };

static int pairs_of(struct ls_engine *engine, struct pair pairs[MOST_PAIRS]) {
    struct ls_replica *replica = &engine->replica, *mirror = &engine->mirror;
    const struct ls_engine_sizes *sizes = &engine->sizes;
    int n = 0;
    pairs[n++] = (struct pair){&replica->params, &mirror->params, sizes->params};
    pairs[n++] = (struct pair){&replica->states, &mirror->states, sizes->states};
    for (int i = 0; i < sizes->slots; i++)
        pairs[n++] = (struct pair){&replica->slot[i], &mirror->slot[i], sizes->slot};
    if (!sizes->averages) return n;
    pairs[n++] = (struct pair){&replica->average, &mirror->average, sizes->params};
    pairs[n++] = (struct pair){&replica->average_states, &mirror->average_states, sizes->states};
    return n;
}

static void name_slots(struct ls_engine *engine) {
    const bool moments = engine->sizes.slots == 2;
    if (engine->sizes.slots > 0) engine->mirror.slot_names[0] = moments ? "first_moment" : "momentum";
    if (moments) engine->mirror.slot_names[1] = "second_moment";
}

ls_status ls_engine_open_replica(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    struct pair pairs[MOST_PAIRS];
    const int n = pairs_of(engine, pairs);
    for (int i = 0; i < n; i++) {
        LS_TRY(api->alloc(engine->device, pairs[i].bytes, (void **)pairs[i].device));
        if (engine->device->host_memory)
            *pairs[i].host = *pairs[i].device;
        else
            LS_TRY(api->alloc_host(engine->device, pairs[i].bytes, (void **)pairs[i].host));
    }
    name_slots(engine);
    ls_weights_init(engine->layout, engine->recipe->seed, engine->mirror.params, engine->mirror.states);
    ls_replica_begin_average(&engine->mirror, engine->layout);
    return ls_engine_upload(engine);
}

void ls_engine_close_replica(struct ls_engine *engine) {
    struct pair pairs[MOST_PAIRS];
    const int n = pairs_of(engine, pairs);
    for (int i = 0; i < n; i++) {
        if (!engine->device->host_memory) engine->api->free_host(engine->device, *pairs[i].host);
        engine->api->free(engine->device, *pairs[i].device);
    }
}

static ls_status copy_all(struct ls_engine *engine, bool up) {
    struct pair pairs[MOST_PAIRS];
    const int n = pairs_of(engine, pairs);
    engine->mirrored = true;
    if (up) engine->converted_for = NULL;
    if (engine->device->host_memory) return LS_OK;
    for (int i = 0; i < n; i++) {
        float *device = *pairs[i].device, *host = *pairs[i].host;
        engine->api->copy(engine->queue[0], up ? device : host, up ? host : device, pairs[i].bytes);
    }
    ls_status status = engine->api->sync(engine->queue[0]);
    if (status != LS_OK) engine->mirrored = false;
    return status;
}

ls_status ls_engine_upload(struct ls_engine *engine) {
    return copy_all(engine, true);
}

ls_status ls_engine_download(struct ls_engine *engine) {
    return engine->mirrored ? LS_OK : copy_all(engine, false);
}

void ls_replica_begin_average(const struct ls_replica *replica, const struct ls_layout *layout) {
    if (!replica->average) return;
    memcpy(replica->average, replica->params, layout->param_floats * sizeof(float));
    if (layout->state_floats > 0)
        memcpy(replica->average_states, replica->states, layout->state_floats * sizeof(float));
}

struct ls_replica ls_engine_replica(const struct ls_engine *engine) {
    return engine->mirror;
}
