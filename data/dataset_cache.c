#include "data/dataset_parts.h"

#include <stdlib.h>

enum { MOST_WAYS = 16 };

ls_status ls_chunk_cache_init(struct ls_chunk_cache *cache, size_t bytes, size_t chunk_bytes) {
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    if (!bytes) return LS_OK;
    size_t places = (bytes + chunk_bytes - 1) / chunk_bytes;
    const size_t sets = (places + MOST_WAYS - 1) / MOST_WAYS;
    cache->sets = (int)sets;
    cache->ways = (int)((places + sets - 1) / sets);
    cache->places = calloc((size_t)cache->sets * (size_t)cache->ways, sizeof *cache->places);
    if (!cache->places) return LS_FAIL(LS_SYSTEM, "out of memory for %zu decoded chunks", places);
    return LS_OK;
}

void ls_chunk_cache_free(struct ls_chunk_cache *cache) {
    for (int i = 0; cache->places && i < cache->sets * cache->ways; i++) free(cache->places[i].decoded.data);
    free(cache->places);
    pthread_mutex_destroy(&cache->lock);
    pthread_cond_destroy(&cache->changed);
}

void ls_chunk_cache_forget(struct ls_chunk_cache *cache) {
    pthread_mutex_lock(&cache->lock);
    for (int i = 0; i < cache->sets * cache->ways; i++) cache->places[i].of = NULL;
    pthread_mutex_unlock(&cache->lock);
}

static struct ls_chunk_place *set_of(struct ls_chunk_cache *cache, const struct ls_chunking *chunking,
                                     int64_t number) {
    // Neighbours go to different sets, and so do the first chunks of files.
    uint64_t mixed = (uint64_t)number * 0x9e3779b97f4a7c15u + (uint64_t)(uintptr_t)chunking / 64;
    return &cache->places[(int)(mixed % (uint64_t)cache->sets) * cache->ways];
}

// The place of the chunk, pinned: where it is, or else one that was not used for longest, for the caller to
// fill. NULL where all that it may lie in are pinned.
static struct ls_chunk_place *pin_place(struct ls_chunk_cache *cache, const struct ls_chunking *chunking,
                                        int64_t number, bool *to_fill) {
    struct ls_chunk_place *places = set_of(cache, chunking, number), *oldest = NULL;
    for (int i = 0; i < cache->ways; i++) {
        struct ls_chunk_place *place = &places[i];
        if (place->of == chunking && place->number == number) {
            place->pins++;
            place->last_used = ++cache->clock;
            *to_fill = false;
            return place;
        }
        if (place->pins == 0 && (!oldest || place->last_used < oldest->last_used)) oldest = place;
    }
    *to_fill = true;
    if (!oldest) return NULL;
    oldest->of = chunking;
    oldest->number = number;
    oldest->pins = 1;
    oldest->ready = false;
    oldest->last_used = ++cache->clock;
    return oldest;
}

void ls_chunk_cache_unpin(struct ls_chunk_cache *cache, struct ls_chunk_place *place) {
    pthread_mutex_lock(&cache->lock);
    place->pins--;
    pthread_mutex_unlock(&cache->lock);
}

void ls_chunk_cache_settle(struct ls_chunk_cache *cache, struct ls_chunk_place *place,
                           struct ls_buffer *decoded, bool written, ls_status status) {
    pthread_mutex_lock(&cache->lock);
    if (status == LS_OK) {
        struct ls_buffer kept = place->decoded;
        place->decoded = *decoded;
        *decoded = kept;
        place->written = written;
    } else {
        place->of = NULL;
        place->pins--;
    }
    place->ready = true;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
}

struct ls_chunk_place *ls_chunk_cache_find(struct ls_chunk_cache *cache, const struct ls_chunking *chunking,
                                           int64_t number, bool *to_fill) {
    if (!cache->sets) {
        *to_fill = true;
        return NULL;
    }
    pthread_mutex_lock(&cache->lock);
    struct ls_chunk_place *place = pin_place(cache, chunking, number, to_fill);
    while (place && !*to_fill && !place->ready) {
        pthread_cond_wait(&cache->changed, &cache->lock);
        if (place->of == chunking) continue;
        place->pins--; // whoever decoded it failed
        place = pin_place(cache, chunking, number, to_fill);
    }
    pthread_mutex_unlock(&cache->lock);
    return place;
}
