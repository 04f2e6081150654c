#include "base/hash.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct ls_hash {
    XXH64_state_t *state;
};

struct ls_hash *ls_hash_open(void) {
    struct ls_hash *hash = malloc(sizeof *hash);
    XXH64_state_t *state = XXH64_createState();
    if (!hash || !state) ls_out_of_memory(sizeof *hash);
    hash->state = state;
    XXH64_reset(state, 0);
    return hash;
}

void ls_hash_add(struct ls_hash *hash, const void *data, size_t bytes) {
    XXH64_update(hash->state, data, bytes);
}

uint64_t ls_hash_value(const struct ls_hash *hash) {
    return XXH64_digest(hash->state);
}

void ls_hash_close(struct ls_hash *hash) {
    if (!hash) return;
    XXH64_freeState(hash->state);
    free(hash);
}

uint64_t ls_hash_of(const void *data, size_t bytes) {
    return XXH64(data, bytes, 0);
}
