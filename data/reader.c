// Batches, read ahead. A slot of the ring goes round:
//
//   free ──request──> pending: parts taken by threads ──last part done──> next ──> the caller's
//     ^                                                                                  │
//     └─────────────────────────────────────release──────────────────────────────────────┘
//
// A batch is cut into parts, so that several threads read one batch; what a part holds is a function of its
// position alone, so it does not matter which thread reads it, or when.
#include "data/reader.h"

#include "base/clock.h"
#include "data/dataset_parts.h"
#include "data/leftovers.h"
#include "data/order.h"
#include "graph/plan.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

// A part is not worth a thread below this many samples.
enum { LEAST_PART = 16 };

struct slot {
    struct ls_batch batch;
    void *memory;
    int64_t part_samples;
    int parts, taken, announced, done; // of its parts
    int failed_part;                   // the first, where error.status is not LS_OK
    struct ls_error error;
};

struct worker {
    struct ls_reader *reader;
    pthread_t thread;
    int64_t *indices; // [most samples of a part]
    uint64_t *passes;
    uint64_t *ids;
    bool cold; // the last part was slow to come: the next ones are announced
};

struct ls_reader {
    struct ls_dataset *dataset;
    struct ls_reader_spec spec;
    struct ls_leftovers *leftovers; // NULL: none
    pthread_mutex_t lock;
    pthread_cond_t work, ready, freed; // for the threads, for next, for request
    bool stop;
    struct slot *slots;
    struct slot **free_slots, **pending; // pending: in the order of the requests, a ring from `first` on
    int n_free, first, n_pending;
    struct worker *workers;
    int n_workers; // running
};

// ---- the memory of a slot

struct slot_layout {
    size_t targets, augment, weight, bytes; // the samples are at 0
};

static size_t align(size_t bytes) {
    return (bytes + LS_ALIGN - 1) / LS_ALIGN * LS_ALIGN;
}

static struct slot_layout layout_of(const struct ls_dataset_info *info, int64_t samples) {
    size_t n = (size_t)samples;
    struct slot_layout layout;
    layout.targets = align(n * info->sample_bytes);
    layout.augment = layout.targets + align(n * info->target_bytes);
    layout.weight = layout.augment + align(n * LS_AUGMENT_WORDS * sizeof(int32_t));
    layout.bytes = layout.weight + align(n * sizeof(float));
    return layout;
}

static int at_least_one(int n) {
    return n < 1 ? 1 : n;
}

static bool leaves_rows(const struct ls_reader_spec *spec) {
    return spec->stride > 0 && !spec->in_order && !spec->balance;
}

size_t ls_reader_bytes(const struct ls_dataset_info *info, const struct ls_reader_spec *spec) {
    return (size_t)at_least_one(spec->slots) * layout_of(info, spec->batch_samples).bytes +
           (leaves_rows(spec) ? info->leftover_bytes : 0);
}

static ls_status make_slot(const struct ls_reader *reader, struct slot *slot) {
    struct slot_layout layout = layout_of(ls_dataset_info(reader->dataset), reader->spec.batch_samples);
    if (reader->spec.alloc)
        LS_TRY(reader->spec.alloc(reader->spec.context, layout.bytes, &slot->memory));
    else
        slot->memory = aligned_alloc(LS_ALIGN, layout.bytes);
    if (!slot->memory)
        return LS_FAIL(LS_SYSTEM, "out of memory for %zu bytes of a batch of %lld samples", layout.bytes,
                       (long long)reader->spec.batch_samples);
    char *memory = slot->memory;
    slot->batch.samples = memory;
    slot->batch.targets = memory + layout.targets;
    slot->batch.augment = (int32_t *)(void *)(memory + layout.augment);
    slot->batch.weight = (float *)(void *)(memory + layout.weight);
    return LS_OK;
}

static void free_slot(const struct ls_reader *reader, struct slot *slot) {
    if (!slot->memory) return;
    if (reader->spec.alloc)
        reader->spec.free(reader->spec.context, slot->memory);
    else
        free(slot->memory);
}

// ---- what lies at a position

// Samples [begin, end) of a batch, as the caller asked for them.
struct part {
    uint64_t first_position; // of the batch
    int64_t begin, end;
    int64_t valid_end; // of these, the ones from here on are masked
};

static struct part part_of(const struct slot *slot, int index) {
    struct part part = {.first_position = slot->batch.first_position, .begin = index * slot->part_samples};
    part.end =
        part.begin + slot->part_samples < slot->batch.n ? part.begin + slot->part_samples : slot->batch.n;
    part.valid_end = part.end < slot->batch.valid ? part.end : slot->batch.valid;
    if (part.valid_end < part.begin) part.valid_end = part.begin;
    return part;
}

static struct ls_draw draw_at(const struct ls_reader *reader, uint64_t position) {
    if (reader->spec.in_order) return (struct ls_draw){.sample = (int64_t)position};
    const struct ls_order order = {.seed = reader->spec.seed,
                                   .samples = ls_dataset_info(reader->dataset)->samples,
                                   .classes = reader->spec.balance};
    return ls_order_draw(&order, position);
}

// `passes` may be NULL.
static int64_t find_indices(const struct ls_reader *reader, const struct part *part, int64_t *indices,
                            uint64_t *passes) {
    int64_t n = part->valid_end - part->begin;
    for (int64_t i = 0; i < n; i++) {
        struct ls_draw draw = draw_at(reader, part->first_position + (uint64_t)(part->begin + i));
        indices[i] = draw.sample;
        if (passes) passes[i] = draw.pass;
    }
    return n;
}

static void mask(const struct ls_dataset_info *info, const struct part *part, const struct ls_batch *batch) {
    size_t begin = (size_t)part->valid_end, n = (size_t)(part->end - part->valid_end);
    memset((char *)batch->samples + begin * info->sample_bytes, 0, n * info->sample_bytes);
    memset((char *)batch->targets + begin * info->target_bytes, 0, n * info->target_bytes);
}

static float weight_of(const struct ls_reader *reader, const struct ls_batch *batch, int64_t i) {
    if (!reader->spec.class_weights) return 1;
    return reader->spec.class_weights[((const int32_t *)batch->targets)[i]];
}

static void fill_parameters(const struct worker *worker, const struct part *part,
                            const struct ls_batch *batch) {
    const struct ls_reader *reader = worker->reader;
    for (int64_t i = part->begin; i < part->end; i++) {
        struct ls_augment augment = {0};
        if (!reader->spec.in_order) {
            augment = ls_augment_of(&reader->spec.augment, reader->spec.seed, worker->ids[i - part->begin],
                                    worker->passes[i - part->begin]);
            ls_augment_mix(&reader->spec.augment, reader->spec.seed, part->first_position + (uint64_t)i,
                           &augment);
        }
        memcpy(&batch->augment[i * LS_AUGMENT_WORDS], &augment, sizeof augment);
        batch->weight[i] = i < part->valid_end ? weight_of(reader, batch, i) : 0;
    }
}

static ls_status read_part(const struct worker *worker, const struct part *part,
                           const struct ls_batch *batch) {
    const struct ls_reader *reader = worker->reader;
    const struct ls_dataset_info *info = ls_dataset_info(reader->dataset);
    int64_t n = find_indices(reader, part, worker->indices, worker->passes);
    LS_TRY(ls_dataset_read_shuffled(reader->dataset, worker->indices, n,
                                    (char *)batch->samples + (size_t)part->begin * info->sample_bytes,
                                    (char *)batch->targets + (size_t)part->begin * info->target_bytes,
                                    reader->spec.in_order ? NULL : worker->ids, reader->leftovers,
                                    part->first_position + (uint64_t)part->begin));
    mask(info, part, batch);
    fill_parameters(worker, part, batch);
    return LS_OK;
}

// ---- threads

// The oldest pending slot with a part that nobody took, and the one behind it; both may be NULL.
static struct slot *slot_with_work(const struct ls_reader *reader, struct slot **behind) {
    for (int i = 0; i < reader->n_pending; i++) {
        struct slot *slot = reader->pending[(reader->first + i) % at_least_one(reader->spec.slots)];
        if (slot->taken == slot->parts) continue;
        *behind = i + 1 < reader->n_pending
                      ? reader->pending[(reader->first + i + 1) % at_least_one(reader->spec.slots)]
                      : NULL;
        return slot;
    }
    return NULL;
}

// Did the samples come from the page cache? A read that waits for a disk or a network takes far longer than
// this.
static bool was_cold(double seconds, int64_t samples, size_t sample_bytes) {
    const double per_sample = 20e-6, bytes_per_second = 500e6;
    return seconds > (double)samples * (per_sample + (double)sample_bytes / bytes_per_second);
}

static void record_failure(struct slot *slot, int part) {
    if (slot->error.status != LS_OK && slot->failed_part < part) return;
    slot->error = *ls_error_last();
    slot->failed_part = part;
}

// Called and left with the lock held.
static void do_part(struct worker *worker, struct slot *slot, struct slot *behind) {
    struct ls_reader *reader = worker->reader;
    int index = slot->taken++;
    struct part part = part_of(slot, index), next = {0};
    bool announce = worker->cold && behind && behind->announced < behind->parts;
    if (announce) next = part_of(behind, behind->announced++);
    pthread_mutex_unlock(&reader->lock);

    if (announce)
        ls_dataset_announce(reader->dataset, worker->indices,
                            find_indices(reader, &next, worker->indices, NULL));
    double start = ls_now();
    ls_status status = read_part(worker, &part, &slot->batch);
    worker->cold =
        was_cold(ls_now() - start, part.end - part.begin, ls_dataset_info(reader->dataset)->sample_bytes);

    pthread_mutex_lock(&reader->lock);
    if (status != LS_OK) record_failure(slot, index);
    if (++slot->done == slot->parts) pthread_cond_broadcast(&reader->ready);
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct ls_reader *reader = worker->reader;
    pthread_mutex_lock(&reader->lock);
    while (!reader->stop) {
        struct slot *behind, *slot = slot_with_work(reader, &behind);
        if (slot)
            do_part(worker, slot, behind);
        else
            pthread_cond_wait(&reader->work, &reader->lock);
    }
    pthread_mutex_unlock(&reader->lock);
    return NULL;
}

// ---- opening and closing

static int64_t part_samples_of(const struct ls_reader *reader, int64_t n) {
    int64_t threads = at_least_one(reader->spec.threads), samples = (n + threads - 1) / threads;
    return samples < LEAST_PART ? LEAST_PART : samples;
}

static ls_status make_slots(struct ls_reader *reader) {
    size_t n = (size_t)at_least_one(reader->spec.slots);
    reader->slots = calloc(n, sizeof *reader->slots);
    reader->free_slots = calloc(n, sizeof(struct slot *));
    reader->pending = calloc(n, sizeof(struct slot *));
    if (!reader->slots || !reader->free_slots || !reader->pending)
        return LS_FAIL(LS_SYSTEM, "out of memory for %zu batches", n);
    for (size_t i = 0; i < n; i++) {
        LS_TRY(make_slot(reader, &reader->slots[i]));
        reader->free_slots[reader->n_free++] = &reader->slots[i];
    }
    return LS_OK;
}

static ls_status start_worker(struct ls_reader *reader, struct worker *worker) {
    size_t most = (size_t)part_samples_of(reader, reader->spec.batch_samples);
    worker->reader = reader;
    worker->cold = true;
    worker->indices = malloc(most * sizeof *worker->indices);
    worker->passes = malloc(most * sizeof *worker->passes);
    worker->ids = malloc(most * sizeof *worker->ids);
    if (!worker->indices || !worker->passes || !worker->ids)
        return LS_FAIL(LS_SYSTEM, "out of memory for a reader thread");
    int error = pthread_create(&worker->thread, NULL, work, worker);
    if (error) return LS_FAIL(LS_SYSTEM, "cannot start a reader thread: %s", strerror(error));
    reader->n_workers++;
    return LS_OK;
}

// The threads take no signals: those are for the threads that the program watches them with.
static ls_status start_workers(struct ls_reader *reader) {
    int n = at_least_one(reader->spec.threads);
    reader->workers = calloc((size_t)n, sizeof *reader->workers);
    if (!reader->workers) return LS_FAIL(LS_SYSTEM, "out of memory for %d reader threads", n);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ls_status status = LS_OK;
    for (int i = 0; i < n && status == LS_OK; i++) status = start_worker(reader, &reader->workers[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

static void size_augmentation(struct ls_augment_spec *augment, const struct ls_dataset_info *info) {
    augment->height = (int)info->height;
    augment->width = (int)info->width;
    augment->channels = (int)info->channels;
    if (augment->shown_height == 0) augment->shown_height = augment->height;
    if (augment->shown_width == 0) augment->shown_width = augment->width;
}

ls_status ls_reader_open(struct ls_dataset *dataset, const struct ls_reader_spec *spec,
                         struct ls_reader **result) {
    *result = NULL;
    if (spec->batch_samples < 1)
        return LS_FAIL(LS_INPUT, "a batch has %lld samples, expected at least 1",
                       (long long)spec->batch_samples);
    struct ls_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return LS_FAIL(LS_SYSTEM, "out of memory for a reader");
    reader->dataset = dataset;
    reader->spec = *spec;
    // The library's lock handed to and fro costs a fifth.
    if (ls_dataset_info(dataset)->one_at_a_time) reader->spec.threads = 1;
    size_augmentation(&reader->spec.augment, ls_dataset_info(dataset));
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->work, NULL);
    pthread_cond_init(&reader->ready, NULL);
    pthread_cond_init(&reader->freed, NULL);
    ls_status status = make_slots(reader);
    if (status == LS_OK && leaves_rows(spec))
        status = ls_dataset_make_leftovers(dataset, spec->seed, spec->stride, spec->batch_samples,
                                           &reader->leftovers);
    if (status == LS_OK) status = start_workers(reader);
    if (status != LS_OK) {
        ls_reader_close(reader);
        return status;
    }
    *result = reader;
    return LS_OK;
}

static void stop_workers(struct ls_reader *reader) {
    pthread_mutex_lock(&reader->lock);
    reader->stop = true;
    pthread_cond_broadcast(&reader->work);
    pthread_mutex_unlock(&reader->lock);
    for (int i = 0; i < reader->n_workers; i++) pthread_join(reader->workers[i].thread, NULL);
    for (int i = 0; reader->workers && i < at_least_one(reader->spec.threads); i++) {
        free(reader->workers[i].indices);
        free(reader->workers[i].passes);
        free(reader->workers[i].ids);
    }
}

void ls_reader_close(struct ls_reader *reader) {
    if (!reader) return;
    stop_workers(reader);
    for (int i = 0; reader->slots && i < at_least_one(reader->spec.slots); i++)
        free_slot(reader, &reader->slots[i]);
    ls_leftovers_close(reader->leftovers);
    free(reader->workers);
    free(reader->slots);
    free(reader->free_slots);
    free(reader->pending);
    pthread_mutex_destroy(&reader->lock);
    pthread_cond_destroy(&reader->work);
    pthread_cond_destroy(&reader->ready);
    pthread_cond_destroy(&reader->freed);
    free(reader);
}

// ---- the caller's side

// How many of n positions exist.
static int64_t valid_of(const struct ls_reader *reader, uint64_t first_position, int64_t n) {
    uint64_t samples = (uint64_t)ls_dataset_info(reader->dataset)->samples;
    if (!reader->spec.in_order) return n;
    if (first_position >= samples) return 0;
    return samples - first_position < (uint64_t)n ? (int64_t)(samples - first_position) : n;
}

static void prepare(const struct ls_reader *reader, struct slot *slot, uint64_t first_position, int64_t n) {
    slot->batch.first_position = first_position;
    slot->batch.n = n;
    slot->batch.valid = valid_of(reader, first_position, n);
    slot->part_samples = part_samples_of(reader, n);
    slot->parts = n > 0 ? (int)((n + slot->part_samples - 1) / slot->part_samples) : 0;
    slot->taken = slot->announced = slot->done = 0;
    slot->error.status = LS_OK;
    if (n >= 0 && n <= reader->spec.batch_samples) return;
    // There is nobody to tell here: the refusal comes out of next, like any other error of the batch.
    LS_FAIL(LS_SYSTEM, "a batch of %lld samples was asked for, expected at most %lld", (long long)n,
            (long long)reader->spec.batch_samples);
    record_failure(slot, 0);
    ls_error_clear();
    slot->parts = 0;
}

void ls_reader_request(struct ls_reader *reader, uint64_t first_position, int64_t n) {
    pthread_mutex_lock(&reader->lock);
    while (reader->n_free == 0) pthread_cond_wait(&reader->freed, &reader->lock);
    struct slot *slot = reader->free_slots[--reader->n_free];
    prepare(reader, slot, first_position, n);
    if (reader->leftovers) ls_leftovers_begin(reader->leftovers, first_position);
    reader->pending[(reader->first + reader->n_pending++) % at_least_one(reader->spec.slots)] = slot;
    pthread_cond_broadcast(&reader->work);
    pthread_cond_broadcast(&reader->ready); // a batch without parts is ready at once
    pthread_mutex_unlock(&reader->lock);
}

static void give_back(struct ls_reader *reader, struct slot *slot) {
    reader->free_slots[reader->n_free++] = slot;
    pthread_cond_signal(&reader->freed);
}

static ls_status next_locked(struct ls_reader *reader, struct ls_batch **batch) {
    if (reader->n_pending == 0) return LS_FAIL(LS_SYSTEM, "no batch was requested from the reader");
    struct slot *slot = reader->pending[reader->first];
    while (slot->done < slot->parts) pthread_cond_wait(&reader->ready, &reader->lock);
    reader->first = (reader->first + 1) % at_least_one(reader->spec.slots);
    reader->n_pending--;
    *batch = &slot->batch;
    if (slot->error.status == LS_OK) return LS_OK;
    memset(slot->batch.weight, 0, (size_t)reader->spec.batch_samples * sizeof *slot->batch.weight);
    return ls_error_adopt(&slot->error);
}

ls_status ls_reader_next(struct ls_reader *reader, struct ls_batch **batch, double *waited) {
    double start = ls_now();
    *batch = NULL;
    pthread_mutex_lock(&reader->lock);
    ls_status status = next_locked(reader, batch);
    pthread_mutex_unlock(&reader->lock);
    if (waited) *waited = ls_now() - start;
    return status;
}

bool ls_reader_ready(struct ls_reader *reader) {
    pthread_mutex_lock(&reader->lock);
    const struct slot *slot = reader->n_pending > 0 ? reader->pending[reader->first] : NULL;
    const bool ready = !slot || slot->done >= slot->parts;
    pthread_mutex_unlock(&reader->lock);
    return ready;
}

void ls_reader_release(struct ls_reader *reader, struct ls_batch *batch) {
    if (!batch) return;
    pthread_mutex_lock(&reader->lock);
    give_back(reader, (struct slot *)(void *)((char *)batch - offsetof(struct slot, batch)));
    pthread_mutex_unlock(&reader->lock);
}
