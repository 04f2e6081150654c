#include "data/leftovers.h"

#include "data/order.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// A row that is kept for a position; slot -1: none is.
struct entry {
    uint64_t position;
    int32_t slot;
};

struct ls_leftovers {
    struct ls_leftovers_spec spec;
    pthread_mutex_t lock;
    uint64_t offset;       // of the positions that are read here, within each stride
    int64_t window;        // in positions that are read here
    struct entry *entries; // [window] of a position, counted as those are: modulo window
    char *rows;            // [slots][row_bytes]
    int32_t *free_slots;
    int32_t n_free;
};

// In positions that are read here.
static int64_t window_of(const struct ls_leftovers_spec *spec, int64_t rows) {
    const double slots = (double)rows;
    const double most = ceil((double)spec->samples * (double)spec->width / (double)spec->stride);
    const double window = slots + sqrt(slots * slots + 2 * slots * (double)spec->chunks);
    return window < most ? (int64_t)window : (int64_t)most;
}

size_t ls_leftovers_bytes(const struct ls_leftovers_spec *spec, int64_t rows) {
    return (size_t)rows * (spec->row_bytes + sizeof(int32_t)) +
           (size_t)window_of(spec, rows) * sizeof(struct entry);
}

// The lists of few rows take more for each of them than those of many, so shrinking in proportion goes no
// further than there is room for.
static int32_t rows_that_fit(const struct ls_leftovers_spec *spec) {
    const int64_t most = spec->samples < INT32_MAX ? spec->samples : INT32_MAX;
    const size_t fit = spec->bytes / spec->row_bytes;
    int64_t rows = fit < (size_t)most ? (int64_t)fit : most;
    for (size_t bytes; rows > 0 && (bytes = ls_leftovers_bytes(spec, rows)) > spec->bytes;)
        rows = (int64_t)((double)rows * ((double)spec->bytes / (double)bytes));
    return (int32_t)rows;
}

static bool allocate(struct ls_leftovers *leftovers, int32_t slots) {
    leftovers->entries = malloc((size_t)leftovers->window * sizeof *leftovers->entries);
    leftovers->free_slots = malloc((size_t)slots * sizeof *leftovers->free_slots);
    leftovers->rows = malloc((size_t)slots * leftovers->spec.row_bytes);
    if (!leftovers->entries || !leftovers->free_slots || !leftovers->rows) return false;
    for (int64_t i = 0; i < leftovers->window; i++) leftovers->entries[i] = (struct entry){.slot = -1};
    // The first ones are used first, so that memory is touched as it is needed.
    for (int32_t i = 0; i < slots; i++) leftovers->free_slots[i] = slots - 1 - i;
    leftovers->n_free = slots;
    return true;
}

ls_status ls_leftovers_open(const struct ls_leftovers_spec *spec, struct ls_leftovers **result) {
    *result = NULL;
    if (spec->width < 1 || spec->stride < spec->width) return LS_OK;
    const int32_t slots = rows_that_fit(spec);
    if (slots < 1) return LS_OK;
    struct ls_leftovers *leftovers = calloc(1, sizeof *leftovers);
    if (!leftovers) return LS_FAIL(LS_SYSTEM, "out of memory");
    leftovers->spec = *spec;
    pthread_mutex_init(&leftovers->lock, NULL);
    leftovers->window = window_of(spec, slots);
    if (allocate(leftovers, slots)) {
        *result = leftovers;
        return LS_OK;
    }
    ls_leftovers_close(leftovers);
    return LS_FAIL(LS_SYSTEM, "out of memory for %d rows of %zu bytes", (int)slots, spec->row_bytes);
}

void ls_leftovers_close(struct ls_leftovers *leftovers) {
    if (!leftovers) return;
    pthread_mutex_destroy(&leftovers->lock);
    free(leftovers->entries);
    free(leftovers->free_slots);
    free(leftovers->rows);
    free(leftovers);
}

void ls_leftovers_begin(struct ls_leftovers *leftovers, uint64_t position) {
    pthread_mutex_lock(&leftovers->lock);
    leftovers->offset = position % (uint64_t)leftovers->spec.stride;
    pthread_mutex_unlock(&leftovers->lock);
}

// Where the sample comes next, from `now` on.
static uint64_t next_position(const struct ls_leftovers_spec *spec, uint64_t now, int64_t sample) {
    const uint64_t samples = (uint64_t)spec->samples, epoch = now / samples;
    const uint64_t position = ls_order_find(spec->seed, spec->samples, epoch, sample);
    return position >= now ? position : ls_order_find(spec->seed, spec->samples, epoch + 1, sample);
}

// Its number among those that are read here; false: it is read elsewhere.
static bool is_read_here(const struct ls_leftovers *leftovers, uint64_t position, uint64_t *number) {
    const uint64_t stride = (uint64_t)leftovers->spec.stride, width = (uint64_t)leftovers->spec.width;
    if (position < leftovers->offset) return false;
    const uint64_t from = position - leftovers->offset;
    *number = from / stride * width + from % stride;
    return from % stride < width;
}

static void let_go(struct ls_leftovers *leftovers, struct entry *entry) {
    leftovers->free_slots[leftovers->n_free++] = entry->slot;
    entry->slot = -1;
}

static char *row_of(const struct ls_leftovers *leftovers, const struct entry *entry) {
    return leftovers->rows + (size_t)entry->slot * leftovers->spec.row_bytes;
}

static struct entry *entry_of(const struct ls_leftovers *leftovers, uint64_t number) {
    return &leftovers->entries[number % (uint64_t)leftovers->window];
}

bool ls_leftovers_take(struct ls_leftovers *leftovers, uint64_t now, int64_t sample, void *row,
                       size_t bytes) {
    const uint64_t position = next_position(&leftovers->spec, now, sample);
    uint64_t number;
    pthread_mutex_lock(&leftovers->lock);
    struct entry *entry = is_read_here(leftovers, position, &number) ? entry_of(leftovers, number) : NULL;
    const bool found = entry && entry->slot >= 0 && entry->position == position;
    if (found) {
        memcpy(row, row_of(leftovers, entry), bytes);
        let_go(leftovers, entry);
    }
    pthread_mutex_unlock(&leftovers->lock);
    return found;
}

static void keep(struct ls_leftovers *leftovers, struct entry *entry, uint64_t position, const void *row,
                 size_t bytes) {
    // Of a position that has gone by, or that no longer is read here.
    if (entry->slot >= 0 && entry->position != position) let_go(leftovers, entry);
    if (entry->slot < 0 && leftovers->n_free == 0) return;
    if (entry->slot < 0) entry->slot = leftovers->free_slots[--leftovers->n_free];
    entry->position = position;
    memcpy(row_of(leftovers, entry), row, bytes);
}

void ls_leftovers_keep(struct ls_leftovers *leftovers, uint64_t now, int64_t sample, const void *row,
                       size_t bytes) {
    const uint64_t position = next_position(&leftovers->spec, now, sample);
    uint64_t number, first;
    pthread_mutex_lock(&leftovers->lock);
    if (is_read_here(leftovers, now, &first) && is_read_here(leftovers, position, &number) &&
        number - first < (uint64_t)leftovers->window)
        keep(leftovers, entry_of(leftovers, number), position, row, bytes);
    pthread_mutex_unlock(&leftovers->lock);
}
