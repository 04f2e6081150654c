// Samples on their way from a source into shards: blocks of them in a ring. Every thread reads pieces of the
// oldest block that has some left; whoever reads the last piece of the block whose turn it is gives it on,
// and those behind it that are whole, while the others read on.
//
//   block    | 7, given on | 8, whole | 9, being read | 10, not begun |
//   slot     | 3           | 0        | 1             | 2             |
//
// What is given on, and in which order, does not depend on the threads. Nobody waits for long: a thread
// whose piece has no room yet waits for the block of the turn, whose pieces were all handed out before.
#include "data/crew.h"
#include "data/pack_parts.h"

#include <pthread.h>
#include <stdlib.h>

// Blocks are few beside the processor's cache, many beside what a thread reads at a time.
enum { SLOTS = 4, BLOCK_BYTES = 2 << 20, MOST_BLOCK_BYTES = 8 << 20, LEAST_BLOCK = 4, MOST_PIECES = 4096 };

struct slot {
    struct ls_pack_block block;
    int64_t left; // pieces that are not read yet
};

struct ls_pack_ring {
    struct ls_pack_source *source;
    struct ls_crew *crew;
    void **workers;
    int threads;
    size_t sample_bytes, target_bytes;
    int64_t room; // samples of a block
    struct slot slots[SLOTS];
    pthread_mutex_t lock;
    pthread_cond_t freed; // a slot was, or nothing more is wanted
    const struct ls_pack_run *run;
    int64_t given; // blocks, so far
    bool giving;   // a thread is at it
    struct ls_error error;
};

// ---- memory

static ls_status make_workers(struct ls_pack_ring *ring) {
    struct ls_pack_source *source = ring->source;
    ring->workers = calloc((size_t)ring->threads, sizeof *ring->workers);
    bool whole = ring->workers != NULL;
    for (int i = 0; whole && source->make_worker && i < ring->threads; i++) {
        ring->workers[i] = source->make_worker(source);
        whole = ring->workers[i] != NULL;
    }
    return whole ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory for %d threads", ring->threads);
}

static int64_t room_of(const struct ls_pack_ring *ring) {
    const int64_t piece = ring->source->piece, threads = ring->threads;
    const int64_t most = threads < MOST_BLOCK_BYTES / BLOCK_BYTES ? threads * BLOCK_BYTES : MOST_BLOCK_BYTES;
    int64_t pieces = most / (int64_t)(ring->sample_bytes + ring->target_bytes) / piece;
    const int64_t least = threads > LEAST_BLOCK ? threads : LEAST_BLOCK;
    if (pieces < least) pieces = least;
    if (pieces > MOST_PIECES) pieces = MOST_PIECES;
    return pieces * piece;
}

static ls_status make_block(const struct ls_pack_ring *ring, struct ls_pack_block *block) {
    const size_t n = (size_t)ring->room, pieces = n / (size_t)ring->source->piece;
    block->samples = malloc(n * ring->sample_bytes);
    block->targets = malloc(n * ring->target_bytes);
    block->ids = malloc(n * sizeof *block->ids);
    block->errors = calloc(pieces, sizeof *block->errors);
    if (block->samples && block->targets && block->ids && block->errors) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "out of memory for %zu samples of %zu bytes", n, ring->sample_bytes);
}

static void free_block(struct ls_pack_block *block) {
    free(block->samples);
    free(block->targets);
    free(block->ids);
    free(block->errors);
}

void ls_pack_ring_close(struct ls_pack_ring *ring) {
    if (!ring) return;
    ls_crew_close(ring->crew);
    for (int i = 0; ring->workers && i < ring->threads; i++)
        if (ring->workers[i]) ring->source->drop_worker(ring->workers[i]);
    free(ring->workers);
    for (int i = 0; i < SLOTS; i++) free_block(&ring->slots[i].block);
    pthread_mutex_destroy(&ring->lock);
    pthread_cond_destroy(&ring->freed);
    free(ring);
}

static ls_status fill_in(struct ls_pack_ring *ring) {
    ring->sample_bytes = ls_shard_sample_bytes(&ring->source->shape);
    ring->target_bytes = ls_shard_target_bytes(&ring->source->shape);
    ring->room = room_of(ring);
    LS_TRY(make_workers(ring));
    for (int i = 0; i < SLOTS; i++) LS_TRY(make_block(ring, &ring->slots[i].block));
    return ls_crew_open(ring->threads, &ring->crew);
}

ls_status ls_pack_ring_open(struct ls_pack_source *source, int threads, struct ls_pack_ring **result) {
    *result = NULL;
    struct ls_pack_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return LS_FAIL(LS_SYSTEM, "out of memory");
    ring->source = source;
    ring->threads = threads;
    pthread_mutex_init(&ring->lock, NULL);
    pthread_cond_init(&ring->freed, NULL);
    ls_status status = fill_in(ring);
    if (status == LS_OK)
        *result = ring;
    else
        ls_pack_ring_close(ring);
    return status;
}

// ---- reading

// Lays block `number` of the run out in its slot; one behind the last has no samples.
static void begin_block(struct ls_pack_ring *ring, int64_t number) {
    const struct ls_pack_run *run = ring->run;
    const int64_t begin = number * ring->room, left = run->n - begin, piece = ring->source->piece;
    struct slot *slot = &ring->slots[number % SLOTS];
    slot->block.which = begin < run->n ? run->which + begin : NULL;
    slot->block.n = left < 0 ? 0 : left < ring->room ? left : ring->room;
    slot->block.pieces = slot->left = (slot->block.n + piece - 1) / piece;
}

static void read_piece(struct ls_pack_ring *ring, struct ls_pack_block *block, int thread, int64_t item) {
    struct ls_pack_source *source = ring->source;
    const int64_t begin = item * source->piece, left = block->n - begin;
    struct ls_pack_batch batch = {.which = block->which + begin,
                                  .n = left < source->piece ? left : source->piece,
                                  .samples = block->samples + (size_t)begin * ring->sample_bytes,
                                  .targets = block->targets + (size_t)begin * ring->target_bytes,
                                  .ids = block->ids + begin};
    for (int64_t i = 0; i < batch.n; i++) batch.ids[i] = (uint64_t)batch.which[i];
    block->errors[item].status = LS_OK;
    if (source->read(source, ring->workers[thread], &batch) == LS_OK) return;
    block->errors[item] = *ls_error_last();
    ls_error_clear();
}

// ---- giving on

static bool is_at_end(const struct ls_pack_ring *ring) {
    return ring->error.status != LS_OK || ring->given * ring->room >= ring->run->n;
}

// The lock is held, but for the time that the caller's function takes.
static void give_whole_blocks(struct ls_pack_ring *ring) {
    if (ring->giving) return; // whoever does comes to this one too
    ring->giving = true;
    for (struct slot *slot; !is_at_end(ring);) {
        slot = &ring->slots[ring->given % SLOTS];
        if (slot->left > 0) break;
        pthread_mutex_unlock(&ring->lock);
        const ls_status status = ring->run->take(ring->run->context, &slot->block);
        pthread_mutex_lock(&ring->lock);
        if (status != LS_OK) ring->error = *ls_error_last();
        if (status != LS_OK) ls_error_clear();
        begin_block(ring, ring->given++ + SLOTS);
        pthread_cond_broadcast(&ring->freed);
    }
    ring->giving = false;
}

static void take_item(void *context, int thread, int64_t item) {
    struct ls_pack_ring *ring = context;
    const int64_t pieces = ring->room / ring->source->piece, number = item / pieces;
    struct slot *slot = &ring->slots[number % SLOTS];
    pthread_mutex_lock(&ring->lock);
    while (ring->error.status == LS_OK && number >= ring->given + SLOTS)
        pthread_cond_wait(&ring->freed, &ring->lock);
    if (ring->error.status == LS_OK) {
        pthread_mutex_unlock(&ring->lock);
        read_piece(ring, &slot->block, thread, item % pieces);
        pthread_mutex_lock(&ring->lock);
        if (--slot->left == 0) give_whole_blocks(ring);
    }
    pthread_mutex_unlock(&ring->lock);
}

ls_status ls_pack_ring_run(struct ls_pack_ring *ring, const struct ls_pack_run *run) {
    ring->run = run;
    ring->given = 0;
    ring->error.status = LS_OK;
    for (int i = 0; i < SLOTS; i++) begin_block(ring, i);
    ls_crew_run(ring->crew, (run->n + ring->source->piece - 1) / ring->source->piece, take_item, ring);
    return ring->error.status == LS_OK ? LS_OK : ls_error_adopt(&ring->error);
}
