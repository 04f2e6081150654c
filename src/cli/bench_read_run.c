// Rates of reading, taken in turns.
#include "base/clock.h"
#include "base/sort.h"
#include "cli/bench_read.h"
#include "data/order.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, MOST_ROUNDS = 9, WARM_ROUNDS = 7, COLD_ROUNDS = 3 };
static const int64_t COPY_BYTES = INT64_C(256) << 20;

struct run {
    const struct ls_read_bench *bench;
    bool shuffled;
    int64_t among, batches;           // samples that are drawn from; batches of a turn
    char *array, *out;                // [among * sample_bytes], SLOTS batches
    void *targets;                    // a batch
    int64_t *indices;                 // [batches * batch]
    struct ls_reader *alone, *reader; // of one thread, which may be NULL, and of all
};

int64_t ls_read_bench_samples(const struct ls_read_bench *bench) {
    const struct ls_dataset_info *info = ls_dataset_info(bench->set);
    int64_t most = COPY_BYTES / (int64_t)info->sample_bytes;
    if (most > info->samples) most = info->samples;
    return most < bench->batch ? bench->batch < info->samples ? bench->batch : info->samples : most;
}

// ---- one turn

// Where batch b goes: always to the same place, or round the ring.
static char *place_of(const struct run *run, int64_t b, int slots) {
    const size_t bytes = (size_t)run->bench->batch * ls_dataset_info(run->bench->set)->sample_bytes;
    return run->out + (size_t)(b % slots) * bytes;
}

// Every `step`-th batch from the first on.
static void copy(const struct run *run, int64_t first, int64_t step, int slots) {
    const size_t bytes = ls_dataset_info(run->bench->set)->sample_bytes;
    const int64_t batch = run->bench->batch;
    for (int64_t b = first; b < run->batches; b += step) {
        char *out = place_of(run, b, slots);
        for (int64_t i = 0; i < batch; i++)
            memcpy(out + (size_t)i * bytes, run->array + (size_t)run->indices[b * batch + i] * bytes, bytes);
    }
}

struct copier {
    const struct run *run;
    int64_t first;
    pthread_mutex_t *gate; // shut until all threads are there
    pthread_t thread;
};

// Each thread has slots of its own.
static void *copy_share(void *argument) {
    const struct copier *copier = argument;
    const int threads = copier->run->bench->threads;
    pthread_mutex_lock(copier->gate);
    pthread_mutex_unlock(copier->gate);
    copy(copier->run, copier->first, threads, SLOTS / threads * threads);
    return NULL;
}

static ls_status copy_by_threads(const struct run *run, double *seconds) {
    struct copier copiers[SLOTS];
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    int n = 0, error = 0;
    pthread_mutex_lock(&gate);
    for (; n < run->bench->threads && !error; n += !error) {
        copiers[n] = (struct copier){.run = run, .first = n, .gate = &gate};
        error = pthread_create(&copiers[n].thread, NULL, copy_share, &copiers[n]);
    }
    const double start = ls_now();
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < n; i++) pthread_join(copiers[i].thread, NULL);
    *seconds = ls_now() - start;
    return error ? LS_FAIL(LS_SYSTEM, "cannot start a thread: %s", strerror(error)) : LS_OK;
}

static ls_status read_batches(const struct run *run, struct ls_dataset *set, bool verify, int slots) {
    int64_t batch = run->bench->batch;
    for (int64_t b = 0; b < run->batches; b++)
        LS_TRY(ls_dataset_read(set, run->indices + b * batch, batch, place_of(run, b, slots), run->targets,
                               NULL, verify));
    return LS_OK;
}

// The reader has an order of its own over the whole set.
static ls_status read_ahead(const struct run *run, struct ls_reader *reader, int round) {
    enum { AHEAD = 2 };
    uint64_t batch = (uint64_t)run->bench->batch, first = (uint64_t)round * (uint64_t)run->batches * batch;
    for (int64_t b = 0; b < run->batches + AHEAD; b++) {
        if (b < run->batches)
            ls_reader_request(reader, (first + (uint64_t)b * batch) % (uint64_t)run->among,
                              run->bench->batch);
        if (b < AHEAD) continue;
        struct ls_batch *filled;
        ls_status status = ls_reader_next(reader, &filled, NULL);
        ls_reader_release(reader, filled);
        LS_TRY(status);
    }
    return LS_OK;
}

static ls_status take_turn(const struct run *run, enum ls_read_way way, int round, double *seconds) {
    double start = ls_now();
    ls_status status = LS_OK;
    switch (way) {
    case LS_READ_COPY: copy(run, 0, 1, 1); break;
    case LS_READ_LIBRARY: status = read_batches(run, run->bench->library, false, 1); break;
    case LS_READ_DIRECT: status = read_batches(run, run->bench->set, false, 1); break;
    case LS_READ_CHECKED: status = read_batches(run, run->bench->set, true, 1); break;
    case LS_READ_COPY_RING: copy(run, 0, 1, SLOTS); break;
    case LS_READ_COPY_THREADS: return copy_by_threads(run, seconds);
    case LS_READ_LIBRARY_RING: status = read_batches(run, run->bench->library, false, SLOTS); break;
    case LS_READ_ALONE: status = read_ahead(run, run->alone, round); break;
    case LS_READ_READER: status = read_ahead(run, run->reader, round); break;
    case LS_READ_WAYS: break;
    }
    *seconds = ls_now() - start;
    return status;
}

// ---- rounds

// The samples of a round: the next ones, or the next of a shuffled order.
static void choose_samples(const struct run *run, int round) {
    int64_t n = run->batches * run->bench->batch;
    for (int64_t i = 0; i < n; i++) {
        int64_t position = round * n + i;
        run->indices[i] = run->shuffled ? ls_order_at(run->bench->seed, run->among, (uint64_t)position)
                                        : position % run->among;
    }
}

static bool is_measured(const struct run *run, enum ls_read_way way) {
    if (way == LS_READ_CHECKED) return ls_dataset_info(run->bench->set)->checksums;
    if (way == LS_READ_ALONE) return run->bench->threads > 1;
    if (way == LS_READ_COPY_THREADS) return run->bench->threads > 1 && run->bench->threads <= SLOTS;
    return true;
}

// Like with like: into one batch or into the ring, and by as many threads; the ring's own beside one batch,
// and its threads beside one.
static enum ls_read_way copy_beside(const struct run *run, enum ls_read_way way) {
    if (way == LS_READ_COPY_THREADS || way == LS_READ_LIBRARY_RING || way == LS_READ_ALONE)
        return LS_READ_COPY_RING;
    if (way != LS_READ_READER) return LS_READ_COPY;
    return is_measured(run, LS_READ_COPY_THREADS) ? LS_READ_COPY_THREADS : LS_READ_COPY_RING;
}

static enum ls_read_way library_beside(enum ls_read_way way) {
    const bool ring = way == LS_READ_COPY_RING || way == LS_READ_COPY_THREADS || way >= LS_READ_ALONE;
    return ring ? LS_READ_LIBRARY_RING : LS_READ_LIBRARY;
}

static void summarize(const struct run *run, double seconds[LS_READ_WAYS][MOST_ROUNDS], int rounds,
                      struct ls_read_figures *figures) {
    figures->samples = run->batches * run->bench->batch;
    figures->rounds = rounds;
    double to_copy[MOST_ROUNDS], to_library[MOST_ROUNDS];
    for (int way = 0; way < LS_READ_WAYS; way++) {
        if (!is_measured(run, (enum ls_read_way)way)) continue;
        const double *copied = seconds[copy_beside(run, (enum ls_read_way)way)],
                     *library = seconds[library_beside((enum ls_read_way)way)];
        for (int i = 0; i < rounds; i++) {
            to_copy[i] = copied[i] / seconds[way][i];
            to_library[i] = library[i] / seconds[way][i];
        }
        figures->of_copy[way] = ls_median(to_copy, (size_t)rounds);
        figures->of_library[way] = ls_median(to_library, (size_t)rounds);
    }
    for (int way = 0; way < LS_READ_WAYS; way++) // the median sorts them
        if (is_measured(run, (enum ls_read_way)way))
            figures->seconds[way] = ls_median(seconds[way], (size_t)rounds) / (double)figures->samples;
}

static ls_status measure(struct run *run, bool cold, struct ls_read_figures *figures) {
    static double seconds[LS_READ_WAYS][MOST_ROUNDS];
    int rounds = cold ? COLD_ROUNDS : WARM_ROUNDS;
    for (int round = 0; round < rounds; round++) {
        choose_samples(run, round);
        for (int way = 0; way < LS_READ_WAYS; way++) {
            if (!is_measured(run, (enum ls_read_way)way)) continue;
            ls_dataset_forget(run->bench->set, cold);
            LS_TRY(take_turn(run, (enum ls_read_way)way, round, &seconds[way][round]));
        }
    }
    summarize(run, seconds, rounds, figures);
    return LS_OK;
}

// ---- all of it

// Fills the array, and finds how many batches the slowest way reads in its time.
static ls_status warm_up(struct run *run) {
    const struct ls_read_bench *bench = run->bench;
    size_t bytes = ls_dataset_info(bench->set)->sample_bytes;
    double slowest = 0;
    for (int64_t begin = 0; begin < run->among; begin += bench->batch) {
        int64_t n = run->among - begin < bench->batch ? run->among - begin : bench->batch;
        for (int64_t i = 0; i < n; i++) run->indices[i] = begin + i;
        LS_TRY(ls_dataset_read(bench->set, run->indices, n, run->array + (size_t)begin * bytes, run->targets,
                               NULL, true));
    }
    run->batches = 1;
    for (int way = 0; way < LS_READ_WAYS; way++) {
        double seconds;
        choose_samples(run, 1);
        if (!is_measured(run, (enum ls_read_way)way)) continue;
        LS_TRY(take_turn(run, (enum ls_read_way)way, 0, &seconds));
        if (seconds > slowest) slowest = seconds;
    }
    double batches = bench->seconds / WARM_ROUNDS / (slowest > 1e-6 ? slowest : 1e-6);
    int64_t most = run->among / bench->batch;
    run->batches = batches < 1 || most < 1 ? 1 : batches > (double)most ? most : (int64_t)batches;
    return LS_OK;
}

static ls_status open_reader(const struct run *run, int threads, struct ls_reader **reader) {
    const struct ls_reader_spec spec = {.in_order = !run->shuffled,
                                        .seed = run->bench->seed,
                                        .augment = {.flip = true},
                                        .batch_samples = run->bench->batch,
                                        .stride = run->bench->batch,
                                        .threads = threads,
                                        .slots = SLOTS};
    return ls_reader_open(run->bench->set, &spec, reader);
}

static ls_status allocate(struct run *run) {
    const struct ls_dataset_info *info = ls_dataset_info(run->bench->set);
    size_t batch = (size_t)run->bench->batch, among = (size_t)run->among;
    run->array = malloc(among * info->sample_bytes);
    run->out = malloc(SLOTS * batch * info->sample_bytes);
    run->targets = malloc(batch * info->target_bytes + 1);
    run->indices = malloc((among > batch ? among : batch) * sizeof *run->indices);
    if (!run->array || !run->out || !run->targets || !run->indices)
        return LS_FAIL(LS_SYSTEM, "out of memory to measure with %zu samples of %zu bytes", among,
                       info->sample_bytes);
    memset(run->out, 0, SLOTS * batch * info->sample_bytes);
    if (is_measured(run, LS_READ_ALONE)) LS_TRY(open_reader(run, 1, &run->alone));
    return open_reader(run, run->bench->threads, &run->reader);
}

ls_status ls_read_bench_run(const struct ls_read_bench *bench, bool shuffled, bool cold,
                            struct ls_read_figures *figures) {
    *figures = (struct ls_read_figures){0};
    struct run run = {.bench = bench, .shuffled = shuffled, .among = ls_read_bench_samples(bench)};
    ls_status status = allocate(&run);
    if (status == LS_OK) status = warm_up(&run);
    if (status == LS_OK) status = measure(&run, cold, figures);
    ls_reader_close(run.alone);
    ls_reader_close(run.reader);
    free(run.array);
    free(run.out);
    free(run.targets);
    free(run.indices);
    return status;
}
