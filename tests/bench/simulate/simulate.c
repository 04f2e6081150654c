// A step of data-parallel training on GPUs that are not there: the project's own all-reduce (comm/), its
// buckets and the times at which backward finishes them, over MPI messages that SimGrid's SMPI simulates. The
// GPU is a clock: a bucket is ready when its share of the step's compute time is over; adding takes the time
// of three passes over memory. One rank is one GPU with one lane.
//
//     simulate BUCKETS COMPUTE_S ordered|ring STEPS        BUCKETS: the output of buckets.c
//
// Rank 0 prints: ranks, algorithm, seconds a step, seconds of it exposed.
#include "comm/reduce.h"
#include "device/device.h"

#include <mpi.h>
#include <smpi/smpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BUCKETS = 64 };
static const double MEMORY_BYTES_PER_S = 3e12, UPDATE_SHARE = 0.01;

struct bucket {
    size_t count, offset;
    double ready; // share of the step
};

static struct bucket buckets[MOST_BUCKETS];
static int n_buckets;
static size_t floats;

// ---- a device whose queue is this process, and whose memory is one block that all simulated ranks share
// ----

static ls_status take(struct ls_device *device, size_t bytes, void **memory) {
    (void)device;
    *memory = SMPI_SHARED_MALLOC(bytes);
    return LS_OK;
}

static void give(struct ls_device *device, void *memory) {
    (void)device;
    SMPI_SHARED_FREE(memory);
}

static void pass_time(double seconds) {
    if (seconds > 0) smpi_execute(seconds);
}

static void add(struct ls_queue *queue, float *to, const float *a, const float *b, size_t n) {
    (void)queue, (void)to, (void)a, (void)b;
    pass_time(3.0 * (double)n * sizeof(float) / MEMORY_BYTES_PER_S);
}

static const struct ls_device_api device_api = {.kind = "simulated", .alloc = take, .free = give, .add = add};
static struct ls_device device = {.api = &device_api};

// ---- a transport over MPI ----

static void exchange(struct ls_transport *transport, int to, const float *send, size_t n_send, int from,
                     float *receive, size_t n_receive, struct ls_queue *queue) {
    (void)transport, (void)queue;
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    if (n_receive) MPI_Irecv(receive, (int)n_receive, MPI_FLOAT, from, 0, MPI_COMM_WORLD, &requests[0]);
    if (n_send) MPI_Isend(send, (int)n_send, MPI_FLOAT, to, 0, MPI_COMM_WORLD, &requests[1]);
    MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
}

static const struct ls_transport_api transport_api = {.name = "simulated", .exchange = exchange};

// ---- the peer: a ring, as NCCL's, over the same messages ----

static void ring(struct ls_transport *transport, float *data, const struct bucket *bucket) {
    const int ranks = transport->size, next = (transport->rank + 1) % ranks,
              before = (transport->rank + ranks - 1) % ranks;
    const size_t part = (bucket->count + (size_t)ranks - 1) / (size_t)ranks;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < ranks - 1; i++) {
            exchange(transport, next, data, part, before, data, part, NULL);
            if (pass == 0) add(NULL, data, data, data, part);
        }
}

static double step(struct ls_transport *transport, struct ls_reducer *reducer, float *data, double compute,
                   bool ordered) {
    const double start = MPI_Wtime();
    for (int b = 0; b < n_buckets; b++) {
        pass_time(start + compute * buckets[b].ready - MPI_Wtime()); // or it is ready long since
        if (ordered)
            ls_reduce(reducer, &data, buckets[b].offset, buckets[b].count, NULL);
        else
            ring(transport, data, &buckets[b]);
    }
    const double exposed = MPI_Wtime() - start - compute;
    pass_time(compute * UPDATE_SHARE);
    return exposed;
}

static void read_buckets(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) MPI_Abort(MPI_COMM_WORLD, 1);
    while (n_buckets < MOST_BUCKETS &&
           fscanf(file, "%zu %lf", &buckets[n_buckets].count, &buckets[n_buckets].ready) == 2) {
        buckets[n_buckets].offset = floats;
        floats += buckets[n_buckets++].count;
    }
    fclose(file);
}

int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    if (argc != 5) MPI_Abort(MPI_COMM_WORLD, 2);
    read_buckets(argv[1]);
    const double compute = atof(argv[2]);
    const bool ordered = strcmp(argv[3], "ordered") == 0;
    const int steps = atoi(argv[4]);
    struct ls_transport transport = {.api = &transport_api};
    MPI_Comm_rank(MPI_COMM_WORLD, &transport.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &transport.size);
    struct ls_fold *fold = NULL;
    struct ls_reducer *reducer = NULL;
    size_t most = 0;
    for (int b = 0; b < n_buckets; b++) most = buckets[b].count > most ? buckets[b].count : most;
    float *data = SMPI_SHARED_MALLOC(floats * sizeof *data);
    if (ls_fold_make(transport.rank, transport.rank + 1, transport.size, 1, &fold) != LS_OK ||
        ls_reducer_open(&transport, &device, fold, transport.size, false, most, &reducer) != LS_OK)
        MPI_Abort(MPI_COMM_WORLD, 3);
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    double exposed = 0;
    for (int s = 0; s < steps; s++) exposed += step(&transport, reducer, data, compute, ordered);
    const double seconds = MPI_Wtime() - start;
    if (transport.rank == 0)
        printf("%d %s %.9f %.9f\n", transport.size, argv[3], seconds / steps, exposed / steps);
    MPI_Finalize();
    return 0;
}
