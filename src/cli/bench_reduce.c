#include "base/clock.h"
#include "cli/bench.h"
#include "cli/world.h"
#include "comm/reduce.h"
#include "train/setup.h"
#include "train/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// All-reduces of one buffer a rank, as a run of as many lanes as ranks makes them. What is printed is defined
// in comm/README.md, "Bandwidth".
enum { MOST_SIZES = 64 };

struct bench {
    int64_t from, to;          // bytes
    int64_t sizes[MOST_SIZES]; // instead, where n_sizes > 0
    int n_sizes;
    double seconds; // to spend on one size and algorithm
    bool json;
};

struct reduction {
    struct ls_comm *comm;
    const struct ls_recipe *recipe;
    struct ls_device *device;
    struct ls_queue *queue;
    struct ls_transport *transport;
    struct ls_fold *fold;
    struct ls_reducer *ordered, *fast;
    float *buffer;
};

struct figures {
    double p50, p99; // seconds, of the slowest rank of each call
    int calls;
};

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Seconds from a common start until the slowest rank has the sum.
static ls_status one_call(struct reduction *reduction, struct ls_reducer *reducer, size_t floats, double *all,
                          double *slowest) {
    LS_TRY(ls_comm_barrier(reduction->comm));
    const double start = ls_now();
    ls_reduce(reducer, &reduction->buffer, 0, floats, reduction->queue);
    LS_TRY(reduction->device->api->sync(reduction->queue));
    const double mine = ls_now() - start;
    LS_TRY(ls_comm_gather_all(reduction->comm, &mine, all, sizeof mine));
    *slowest = 0;
    for (int r = 0; r < reduction->comm->size; r++)
        if (all[r] > *slowest) *slowest = all[r];
    return LS_OK;
}

enum { LEAST_CALLS = 5, MOST_CALLS = 500 };

static int calls_for(double budget, double once) {
    const double calls = budget / (once > 1e-6 ? once : 1e-6);
    return calls < LEAST_CALLS ? LEAST_CALLS : calls > MOST_CALLS ? MOST_CALLS : (int)calls;
}

static struct figures figures_of(double *seconds, int calls) {
    qsort(seconds, (size_t)calls, sizeof *seconds, compare);
    return (struct figures){seconds[calls / 2], seconds[(calls * 99 + 99) / 100 - 1], calls};
}

// Ordered and fast take turns, so that whatever else the machine does meets both alike. all [ranks].
static ls_status measure(const struct bench *bench, struct reduction *reduction, size_t floats, double *all,
                         struct figures figures[2]) {
    struct ls_reducer *const reducers[2] = {reduction->ordered, reduction->fast};
    static double seconds[2][MOST_CALLS];
    double warm = 0;
    for (int k = 0; k < 2; k++) {
        double once = 0;
        LS_TRY(one_call(reduction, reducers[k], floats, all, &once));
        if (once > warm) warm = once;
    }
    const int calls = calls_for(bench->seconds, warm); // the slowest rank's time: the same on all
    for (int i = 0; i < 2 * calls; i++)
        LS_TRY(one_call(reduction, reducers[i % 2], floats, all, &seconds[i % 2][i / 2]));
    for (int k = 0; k < 2; k++) figures[k] = figures_of(seconds[k], calls);
    return LS_OK;
}

static void print_heading(const struct reduction *reduction) {
    printf("all-reduce over %d ranks of %s; ordered against the library's own (fast)\n",
           reduction->comm->size, ls_comm_library());
    printf("%10s %9s | %10s %10s %8s %8s | %10s %10s %8s %8s | %s\n", "bytes", "calls", "ordered", "p99 ms",
           "alg GB/s", "bus GB/s", "fast", "p99 ms", "alg GB/s", "bus GB/s", "ordered/fast");
}

static void print_size(const struct bench *bench, int ranks, size_t bytes, const struct figures figures[2]) {
    static const char *const names[] = {"ordered", "fast"};
    double algorithm[2], bus[2];
    for (int k = 0; k < 2; k++) {
        algorithm[k] = (double)bytes / figures[k].p50 / 1e9;
        bus[k] = algorithm[k] * 2 * (ranks - 1) / ranks;
    }
    if (!bench->json) {
        printf("%10zu %9d | %10.4f %10.4f %8.3f %8.3f | %10.4f %10.4f %8.3f %8.3f | %.2f\n", bytes,
               figures[0].calls, figures[0].p50 * 1e3, figures[0].p99 * 1e3, algorithm[0], bus[0],
               figures[1].p50 * 1e3, figures[1].p99 * 1e3, algorithm[1], bus[1],
               figures[0].p50 / figures[1].p50);
        return;
    }
    for (int k = 0; k < 2; k++)
        printf("{\"bench\": \"reduce\", \"algorithm\": \"%s\", \"ranks\": %d, \"bytes\": %zu, \"calls\": %d, "
               "\"p50_ms\": %.6f, \"p99_ms\": %.6f, \"algorithm_gb_s\": %.6f, \"bus_gb_s\": %.6f}\n",
               names[k], ranks, bytes, figures[k].calls, figures[k].p50 * 1e3, figures[k].p99 * 1e3,
               algorithm[k], bus[k]);
}

static ls_status one_size(const struct bench *bench, struct reduction *reduction, int64_t bytes) {
    struct figures figures[2] = {{0}};
    const size_t floats = (size_t)bytes / sizeof(float);
    double *all = calloc((size_t)reduction->comm->size, sizeof *all);
    ls_status status =
        all ? measure(bench, reduction, floats, all, figures) : LS_FAIL(LS_SYSTEM, "out of memory");
    free(all);
    LS_TRY(status);
    if (reduction->comm->rank == 0) print_size(bench, reduction->comm->size, floats * sizeof(float), figures);
    fflush(stdout);
    return LS_OK;
}

static ls_status all_sizes(const struct bench *bench, struct reduction *reduction) {
    if (reduction->comm->rank == 0 && !bench->json) print_heading(reduction);
    for (int i = 0; i < bench->n_sizes; i++) LS_TRY(one_size(bench, reduction, bench->sizes[i]));
    return LS_OK;
}

// A lane a rank: every rank holds one node of the tree.
static ls_status open_reduction(const struct bench *bench, struct reduction *reduction) {
    const struct ls_comm *comm = reduction->comm;
    const size_t floats = (size_t)bench->to / sizeof(float);
    LS_TRY(reduction->device->api->queue_open(reduction->device, "comm", &reduction->queue));
    LS_TRY(reduction->device->api->alloc(reduction->device, floats * sizeof(float),
                                         (void **)&reduction->buffer));
    LS_TRY(ls_fold_make(comm->rank, comm->rank + 1, comm->size, 1, &reduction->fold));
    LS_TRY(ls_transport_choose(reduction->recipe, reduction->comm, reduction->device, &reduction->transport));
    LS_TRY(ls_reducer_open(reduction->transport, reduction->device, reduction->fold, comm->size, false,
                           floats, &reduction->ordered));
    return ls_reducer_open(reduction->transport, reduction->device, reduction->fold, comm->size, true, floats,
                           &reduction->fast);
}

static void close_reduction(struct reduction *reduction) {
    const struct ls_device_api *api = reduction->device->api;
    if (reduction->ordered) ls_reducer_close(reduction->ordered);
    if (reduction->fast) ls_reducer_close(reduction->fast);
    if (reduction->transport) reduction->transport->api->close(reduction->transport);
    if (reduction->fold) ls_fold_free(reduction->fold);
    api->free(reduction->device, reduction->buffer);
    if (reduction->queue) api->queue_close(reduction->queue);
    api->close(reduction->device);
}

static ls_status work(struct ls_comm *comm, void *context) {
    const struct bench *bench = context;
    if (comm->size < 2)
        return LS_FAIL(LS_INPUT,
                       "bench reduce measures between ranks: mpirun -n 2 lockstep bench reduce, for one");
    struct ls_recipe recipe;
    static const char text[] =
        "model: {zoo: lenet, classes: 2}\ndata: {train: none}\ntrain: {steps: 1}\ndevice: {threads: 1}\n";
    LS_TRY(ls_comm_agree(comm, ls_recipe_parse(text, "bench reduce", ".", NULL, 0, &recipe)));
    struct reduction reduction = {.comm = comm, .recipe = &recipe};
    ls_status status = ls_comm_agree(comm, ls_device_choose(&recipe, comm, false, &reduction.device));
    if (status == LS_OK) status = ls_device_agree(&recipe, comm, reduction.device);
    if (status == LS_OK) status = ls_comm_agree(comm, open_reduction(bench, &reduction));
    if (status == LS_OK) status = all_sizes(bench, &reduction);
    if (reduction.device) close_reduction(&reduction);
    ls_recipe_free(&recipe);
    return status;
}

static void fill_sizes(struct bench *bench) {
    for (int64_t bytes = bench->from; bytes < bench->to && bench->n_sizes < MOST_SIZES - 1; bytes *= 4)
        bench->sizes[bench->n_sizes++] = bytes;
    bench->sizes[bench->n_sizes++] = bench->to;
}

static ls_status read_sizes(const char *text, struct bench *bench) {
    bench->to = 0;
    for (const char *at = text; *at;) {
        char *end = NULL;
        const long long bytes = strtoll(at, &end, 10);
        if (end == at || (*end && *end != ',') || bytes < 4 || bytes > 1LL << 36 ||
            bench->n_sizes == MOST_SIZES)
            return LS_FAIL(LS_INPUT,
                           "--sizes: expected up to %d numbers of bytes like 4096,1048576, found \"%s\"",
                           MOST_SIZES, text);
        bench->sizes[bench->n_sizes++] = bytes;
        if (bytes > bench->to) bench->to = bytes;
        at = *end ? end + 1 : end;
    }
    return bench->n_sizes ? LS_OK : LS_FAIL(LS_INPUT, "--sizes: expected numbers of bytes, found none");
}

ls_status ls_bench_reduce(const struct ls_command *command, int argc, char **argv) {
    struct bench bench = {.from = 1024, .to = (int64_t)100 << 20};
    const char *sizes = NULL;
    int64_t milliseconds = 300;
    bool helped = false;
    const struct ls_option options[] = {
        {"--from", NULL, LS_INTEGER, &bench.from, "BYTES",
         "smallest buffer (default 1024); each next one is four times larger"},
        {"--to", NULL, LS_INTEGER, &bench.to, "BYTES", "largest buffer (default 104857600)"},
        {"--sizes", NULL, LS_WORD, &sizes, "A,B,…", "these sizes instead, in bytes"},
        {"--ms", NULL, LS_INTEGER, &milliseconds, "MS",
         "time for each size and algorithm (default 300; 5 to 500 calls)"},
        {"--json", NULL, LS_FLAG, &bench.json, NULL, "print one JSON object a measurement"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n != 0) return LS_FAIL(LS_INPUT, "bench reduce takes no further argument, found \"%s\"", argv[0]);
    if (bench.from < 4 || bench.to < bench.from || bench.to > (int64_t)1 << 36)
        return LS_FAIL(LS_INPUT, "--from and --to: expected 4 <= from <= to <= 2^36, found %lld and %lld",
                       (long long)bench.from, (long long)bench.to);
    if (milliseconds < 1 || milliseconds > 3600000)
        return LS_FAIL(LS_INPUT, "--ms: expected 1 to 3600000, found %lld", (long long)milliseconds);
    LS_TRY(sizes ? read_sizes(sizes, &bench) : (fill_sizes(&bench), LS_OK));
    bench.seconds = (double)milliseconds / 1e3;
    return ls_with_world(work, &bench);
}
