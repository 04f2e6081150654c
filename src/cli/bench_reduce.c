#include "base/clock.h"
#include "base/sort.h"
#include "cli/bench.h"
#include "cli/world.h"
#include "comm/reduce.h"
#include "train/setup.h"
#include "train/transport.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// All-reduces of one buffer a rank, as a run of as many lanes as ranks makes them. What is printed is defined
// in comm/README.md, "Bandwidth".
enum { MOST_SIZES = 64 };
static const double MOST_BYTES = 0x1p36;

struct bench {
    int64_t from, to;          // bytes
    int64_t sizes[MOST_SIZES]; // instead, where n_sizes > 0
    int n_sizes;
    double seconds; // to spend on one size and algorithm
    bool json;
};

enum { ORDERED, FAST, MPI, ALGORITHMS };
static const char *const names[ALGORITHMS] = {"ordered", "fast", "mpi"};

struct reduction {
    struct ls_comm *comm;
    const struct ls_recipe *recipe;
    struct ls_device *device;
    struct ls_queue *queue;
    struct ls_transport *transport;
    struct ls_fold *fold;
    struct ls_reducer *reducers[2]; // ordered, fast
    float *buffers[2];              // of ordered; of fast and MPI
    double *all;                    // [ranks][MOST_CALLS]
};

// MPI is given host memory alone.
static int algorithms_of(const struct reduction *reduction) {
    return reduction->device->host_memory ? ALGORITHMS : MPI;
}

struct figures {
    double p50, p99; // seconds, of the slowest rank of each call
    int calls;
};

// ---- one call ----

enum { LEAST_CALLS = 5, MOST_CALLS = 500 };

// The clock runs in the queue, from a barrier there to the sum: what a thread needs to wake up is no part of
// it.
struct clock {
    struct ls_comm *comm;
    double *seconds; // begun, then taken
    float *buffer;
    size_t floats;
};

// The host has enqueued the call by then, and sleeps.
static const double HOST_FALLS_ASLEEP_S = 1e-4;

static ls_status begin(void *argument) {
    const struct clock *clock = argument;
    ls_sleep(HOST_FALLS_ASLEEP_S);
    LS_TRY(ls_comm_barrier(clock->comm));
    *clock->seconds = ls_now();
    return LS_OK;
}

static ls_status end(void *argument) {
    const struct clock *clock = argument;
    *clock->seconds = ls_now() - *clock->seconds;
    return LS_OK;
}

static ls_status reduce_by_mpi(void *argument) {
    const struct clock *clock = argument;
    return ls_comm_sum_f32(clock->comm, clock->buffer, clock->floats);
}

// *seconds: of this rank, written by the queue's calls.
// NOLINTNEXTLINE(readability-non-const-parameter)
static ls_status one_call(struct reduction *reduction, int algorithm, size_t floats, double *seconds) {
    const struct ls_device_api *api = reduction->device->api;
    float **buffer = &reduction->buffers[algorithm == ORDERED ? ORDERED : FAST];
    const struct clock clock = {reduction->comm, seconds, *buffer, floats};
    // Written by this rank just now, as gradients are, and not by the call before.
    api->zero(reduction->queue, *buffer, floats * sizeof(float));
    api->call(reduction->queue, begin, &clock, sizeof clock);
    if (algorithm == MPI)
        api->call(reduction->queue, reduce_by_mpi, &clock, sizeof clock);
    else
        ls_reduce(reduction->reducers[algorithm], buffer, 0, floats, reduction->queue);
    api->call(reduction->queue, end, &clock, sizeof clock);
    return api->sync(reduction->queue);
}

// ---- many ----

static int calls_for(double budget, double once) {
    const double calls = budget / (once > 1e-6 ? once : 1e-6);
    return calls < LEAST_CALLS ? LEAST_CALLS : calls > MOST_CALLS ? MOST_CALLS : (int)calls;
}

// A call takes as long as on its slowest rank. In place.
static ls_status take_slowest(struct reduction *reduction, double *seconds, int calls) {
    const size_t n = (size_t)calls;
    LS_TRY(ls_comm_gather_all(reduction->comm, seconds, reduction->all, n * sizeof *seconds));
    for (int r = 0; r < reduction->comm->size; r++)
        for (size_t i = 0; i < n; i++) seconds[i] = fmax(seconds[i], reduction->all[(size_t)r * n + i]);
    return LS_OK;
}

static struct figures figures_of(double *seconds, int calls) {
    const double median = ls_median(seconds, (size_t)calls);
    return (struct figures){median, seconds[(calls * 99 + 99) / 100 - 1], calls};
}

// The algorithms take turns, so that whatever else the machine does meets all alike.
static ls_status measure(const struct bench *bench, struct reduction *reduction, size_t floats,
                         struct figures figures[ALGORITHMS]) {
    static double seconds[ALGORITHMS][MOST_CALLS];
    double warm[ALGORITHMS] = {0}, longest = 0;
    for (int k = 0; k < algorithms_of(reduction); k++) LS_TRY(one_call(reduction, k, floats, &warm[k]));
    LS_TRY(take_slowest(reduction, warm, ALGORITHMS));
    for (int k = 0; k < algorithms_of(reduction); k++) longest = fmax(longest, warm[k]);
    const int calls = calls_for(bench->seconds, longest); // the same on all ranks
    for (int i = 0; i < calls; i++)
        for (int k = 0; k < algorithms_of(reduction); k++)
            LS_TRY(one_call(reduction, k, floats, &seconds[k][i]));
    for (int k = 0; k < algorithms_of(reduction); k++) {
        LS_TRY(take_slowest(reduction, seconds[k], calls));
        figures[k] = figures_of(seconds[k], calls);
    }
    return LS_OK;
}

static void print_heading(const struct reduction *reduction) {
    printf("all-reduce over %d ranks of %s, ms: ordered, the library's own (fast)%s\n", reduction->comm->size,
           ls_comm_library(), algorithms_of(reduction) > MPI ? ", and a bare MPI_Allreduce (mpi)" : "");
    printf("%10s %6s", "bytes", "calls");
    for (int k = 0; k < algorithms_of(reduction); k++) printf(" | %9s %9s %8s", names[k], "p99", "bus GB/s");
    printf(" | %s%s\n", "ordered/fast", algorithms_of(reduction) > MPI ? " ordered/mpi" : "");
}

static void print_line(const struct reduction *reduction, size_t bytes, const struct figures *figures,
                       const double *bus) {
    printf("%10zu %6d", bytes, figures->calls);
    for (int k = 0; k < algorithms_of(reduction); k++)
        printf(" | %9.4f %9.4f %8.3f", figures[k].p50 * 1e3, figures[k].p99 * 1e3, bus[k]);
    printf(" | %12.2f", figures[ORDERED].p50 / figures[FAST].p50);
    if (algorithms_of(reduction) > MPI) printf(" %11.2f", figures[ORDERED].p50 / figures[MPI].p50);
    printf("\n");
}

static double bandwidth(size_t bytes, const struct figures *figures) {
    return (double)bytes / figures->p50 / 1e9;
}

static void print_json(const struct reduction *reduction, size_t bytes,
                       const struct figures figures[ALGORITHMS], int k, double bus) {
    struct ls_text text = {0};
    ls_bench_begin(&text, "reduce");
    ls_json_text(&text, "algorithm", names[k]);
    ls_json_count(&text, "ranks", reduction->comm->size);
    ls_json_count(&text, "bytes", (int64_t)bytes);
    ls_json_count(&text, "calls", figures[k].calls);
    ls_json_rounded(&text, "p50_ms", figures[k].p50 * 1e3, 6);
    ls_json_rounded(&text, "p99_ms", figures[k].p99 * 1e3, 6);
    ls_json_rounded(&text, "algorithm_gb_s", bandwidth(bytes, &figures[k]), 6);
    ls_json_rounded(&text, "bus_gb_s", bus, 6);
    ls_json_rounded(&text, "ordered_ratio", figures[ORDERED].p50 / figures[k].p50, 6);
    ls_bench_print(&text);
}

static void print_size(const struct bench *bench, const struct reduction *reduction, size_t bytes,
                       const struct figures figures[ALGORITHMS]) {
    const int ranks = reduction->comm->size;
    double bus[ALGORITHMS];
    for (int k = 0; k < algorithms_of(reduction); k++)
        bus[k] = bandwidth(bytes, &figures[k]) * 2 * (ranks - 1) / ranks;
    if (!bench->json) print_line(reduction, bytes, figures, bus);
    for (int k = 0; bench->json && k < algorithms_of(reduction); k++)
        print_json(reduction, bytes, figures, k, bus[k]);
    fflush(stdout);
}

static ls_status all_sizes(const struct bench *bench, struct reduction *reduction) {
    if (reduction->comm->rank == 0 && !bench->json) print_heading(reduction);
    struct figures unused[ALGORITHMS]; // the first calls find processors asleep
    LS_TRY(measure(bench, reduction, (size_t)bench->sizes[0] / sizeof(float), unused));
    for (int i = 0; i < bench->n_sizes; i++) {
        struct figures figures[ALGORITHMS] = {{0}};
        const size_t floats = (size_t)bench->sizes[i] / sizeof(float);
        LS_TRY(measure(bench, reduction, floats, figures));
        if (reduction->comm->rank == 0) print_size(bench, reduction, floats * sizeof(float), figures);
    }
    return LS_OK;
}

// A lane a rank: every rank holds one node of the tree.
static ls_status open_reduction(const struct bench *bench, struct reduction *reduction) {
    const struct ls_comm *comm = reduction->comm;
    const size_t floats = (size_t)bench->to / sizeof(float);
    LS_TRY(reduction->device->api->queue_open(reduction->device, "comm", &reduction->queue));
    LS_TRY(ls_fold_make(comm->rank, comm->rank + 1, comm->size, 1, &reduction->fold));
    LS_TRY(ls_transport_choose(reduction->recipe, reduction->comm, reduction->device, &reduction->transport));
    for (int k = ORDERED; k <= FAST; k++) {
        LS_TRY(ls_transport_open_buffers(reduction->transport, reduction->device, k == FAST, 1, floats,
                                         &reduction->buffers[k]));
        LS_TRY(ls_reducer_open(reduction->transport, reduction->device, reduction->fold, comm->size,
                               k == FAST, floats, &reduction->reducers[k]));
    }
    reduction->all = calloc((size_t)comm->size * MOST_CALLS, sizeof *reduction->all);
    return reduction->all ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory");
}

static void close_reduction(struct reduction *reduction) {
    const struct ls_device_api *api = reduction->device->api;
    for (int k = ORDERED; k <= FAST; k++) ls_reducer_close(reduction->reducers[k]);
    for (int k = ORDERED; reduction->transport && k <= FAST; k++)
        ls_transport_close_buffers(reduction->transport, reduction->device, 1, &reduction->buffers[k]);
    if (reduction->transport) reduction->transport->api->close(reduction->transport);
    if (reduction->fold) ls_fold_free(reduction->fold);
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
    free(reduction.all);
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
        if (end == at || (*end && *end != ',') || (*end && !end[1]) || bytes < 4 ||
            (double)bytes > MOST_BYTES || bench->n_sizes == MOST_SIZES)
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
        {"--from", NULL, LS_INTEGER(4, MOST_BYTES), &bench.from, "BYTES",
         "smallest buffer (default 1024); each next one is four times larger"},
        {"--to", NULL, LS_INTEGER(4, MOST_BYTES), &bench.to, "BYTES", "largest buffer (default 104857600)"},
        {"--sizes", NULL, LS_WORD, &sizes, "A,B,…", "these sizes instead, in bytes"},
        {"--ms", NULL, LS_INTEGER(1, 3600000), &milliseconds, "MS",
         "time for each size and algorithm (default 300; 5 to 500 calls)"},
        {"--json", NULL, LS_FLAG, &bench.json, NULL, "print one JSON object a measurement"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n != 0) return LS_FAIL(LS_INPUT, "bench reduce takes no further argument, found \"%s\"", argv[0]);
    if (bench.to < bench.from)
        return LS_FAIL(LS_INPUT, "--to: expected at least %lld, which is --from, found %lld",
                       (long long)bench.from, (long long)bench.to);
    LS_TRY(sizes ? read_sizes(sizes, &bench) : (fill_sizes(&bench), LS_OK));
    bench.seconds = (double)milliseconds / 1e3;
    return ls_with_world(work, &bench);
}
