// ranks: 1 2 3 4 5 8
// The ordered all-reduce, in memory that the ranks share and by messages of MPI: on every rank the bits of
// the tree, for buckets of many sizes enqueued back to back, run by a thread that is not the one that opened
// MPI.
#include "comm/comm.h"
#include "comm/reducer.h"
#include "comm/segment.h"
#include "mpi/check.h"
#include "unit/comm/lanes.h"
#include "unit/comm/rehearsal.h"

#include <pthread.h>

enum { BUCKETS = 9 };
static const size_t bucket_count[BUCKETS] = {1000, 0, 1, 65537, 2, 3, 7, 1000, 5};

struct world {
    struct ls_comm comm;
    struct ls_transport *transport;
    size_t few; // where not 0: up to so many floats are staged
    struct ls_queue queue;
    ls_status status; // of the queue's thread
    struct ls_error error;
};

static void *run_queue(void *argument) {
    struct world *world = argument;
    world->status = queue_run(&world->queue);
    world->error = *ls_error_last();
    return NULL;
}

static ls_status sync_queue(struct world *world) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run_queue, world) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return world->status == LS_OK ? LS_OK : ls_error_adopt(&world->error);
}

// What a rank holds before the reduction: its fold, and the folded lanes.
struct holding {
    struct ls_fold *fold;
    float **buffers;
};

static struct holding fold_lanes(const struct world *world, int lanes, int width, bool fast, size_t floats) {
    const int rank = world->comm.rank, ranks = world->comm.size;
    struct holding holding;
    CHECK(ls_fold_make(ls_lane_begin(rank, ranks, lanes), ls_lane_begin(rank + 1, ranks, lanes), lanes, width,
                       &holding.fold) == LS_OK);
    holding.buffers = calloc((size_t)holding.fold->n_buffers, sizeof *holding.buffers);
    CHECK(holding.buffers);
    CHECK(ls_transport_open_buffers(world->transport, rehearsal_device(), fast, holding.fold->n_buffers,
                                    floats, holding.buffers) == LS_OK);
    for (int w = 0; w < holding.fold->n_waves; w++) {
        const struct ls_fold_wave *wave = &holding.fold->waves[w];
        for (int q = 0; q < wave->width; q++)
            for (size_t e = 0; e < floats; e++)
                holding.buffers[wave->buffer[q]][e] = lane_value(wave->first_lane + q, e);
        for (int i = 0; i < wave->n_adds; i++)
            for (size_t e = 0; e < floats; e++)
                holding.buffers[wave->adds[i].to][e] =
                    add_left(holding.buffers[wave->adds[i].to][e], holding.buffers[wave->adds[i].from][e]);
    }
    return holding;
}

static void let_go(const struct world *world, struct holding *holding) {
    ls_transport_close_buffers(world->transport, rehearsal_device(), holding->fold->n_buffers,
                               holding->buffers);
    free(holding->buffers);
    ls_fold_free(holding->fold);
}

static size_t total_count(void) {
    size_t total = 0;
    for (int b = 0; b < BUCKETS; b++) total += bucket_count[b];
    return total;
}

static struct holding reduce_all(struct world *world, int lanes, int width, bool fast) {
    struct holding holding = fold_lanes(world, lanes, width, fast, total_count());
    struct ls_reducer *reducer;
    CHECK(ls_reducer_open(world->transport, rehearsal_device(), holding.fold, lanes, fast, 65537, &reducer) ==
          LS_OK);
    if (world->few > 0) reducer->few = world->few;
    size_t offset = 0;
    for (int b = 0; b < BUCKETS; b++) {
        ls_reduce(reducer, holding.buffers, offset, bucket_count[b], &world->queue);
        offset += bucket_count[b];
    }
    CHECK(sync_queue(world) == LS_OK);
    ls_reducer_close(reducer);
    return holding;
}

static void check_ordered(struct world *world, int lanes, int width) {
    struct holding holding = reduce_all(world, lanes, width, false);
    const float *sum = holding.buffers[holding.fold->nodes[0].buffer];
    for (size_t e = 0; e < total_count(); e++) CHECK(same_number(sum[e], tree_sum(lanes, e)));
    let_go(world, &holding);
}

// The library's sum is of these values in some order: near the sum in f64, as far as that is finite.
static void check_fast(struct world *world, int lanes) {
    struct holding holding = reduce_all(world, lanes, 2, true);
    const float *sum = holding.buffers[holding.fold->nodes[0].buffer];
    for (size_t e = 0; e < total_count(); e++) {
        double exact = 0, size = 0;
        for (int lane = 0; lane < lanes; lane++) {
            exact += (double)lane_value(lane, e);
            size += fabs((double)lane_value(lane, e));
        }
        CHECK(isfinite(exact) ? fabs((double)sum[e] - exact) <= 1e-6 * size : !isfinite(sum[e]));
    }
    let_go(world, &holding);
}

// Ranks that disagree on a length hear of it instead of adding what was never sent.
static void check_disagreement(struct world *world) {
    const int rank = world->comm.rank;
    if (world->comm.size < 2) return;
    float buffer[8] = {0};
    const struct ls_transport_api *api = world->transport->api;
    if (rank == 0) api->exchange(world->transport, 1, buffer, 3, 1, NULL, 0, &world->queue);
    if (rank == 1) api->exchange(world->transport, 0, NULL, 0, 0, buffer, 4, &world->queue);
    const ls_status status = sync_queue(world);
    CHECK(status == (rank == 1 ? LS_COMM : LS_OK));
    if (rank == 1) CHECK(strstr(ls_error_last()->text, "rank 0 sent 3 floats where 4 were expected"));
}

// The same in shared memory, where each rank hears of it.
static void check_counts_that_differ(struct world *world) {
    const int rank = world->comm.rank, ranks = world->comm.size;
    struct ls_fold *fold;
    struct ls_reducer *reducer;
    float buffer[8] = {0}, *buffers[] = {buffer};
    CHECK(ls_fold_make(rank, rank + 1, ranks, 1, &fold) == LS_OK);
    CHECK(ls_reducer_open(world->transport, rehearsal_device(), fold, ranks, false, 8, &reducer) == LS_OK);
    ls_reduce(reducer, buffers, 0, rank == 1 ? 3 : 8, &world->queue);
    CHECK(sync_queue(world) == LS_COMM);
    if (rank != 1) CHECK(strstr(ls_error_last()->text, "rank 1 reduces 3 floats where 8 were expected"));
    ls_reducer_close(reducer);
    ls_fold_free(fold);
}

static void check_sums(struct world *world) {
    static const int lane_counts[] = {8, 9, 13, 16};
    for (int v = 0; v < 4; v++) check_ordered(world, lane_counts[v], 1 + v);
    check_ordered(world, world->comm.size, 1);
}

// As on hosts of `each` ranks: memory that some of them share, and messages between those who do not.
static void check_hosts(struct world *world, int each) {
    struct ls_comm *comm = &world->comm;
    struct ls_segment *whole = world->transport->segment;
    if (comm->size % each != 0 || comm->size <= each) return;
    CHECK(ls_segment_open(comm, (struct ls_group){comm->rank / each * each, each},
                          &world->transport->segment) == LS_OK);
    CHECK(world->transport->segment);
    check_sums(world); // few, staged, and many
    world->few = 2;
    check_sums(world);
    world->few = 0;
    ls_segment_close(world->transport->segment);
    world->transport->segment = whole;
}

int main(void) {
    struct world world = {0};
    CHECK(ls_comm_open(&world.comm) == LS_OK);
    CHECK(ls_transport_open_mpi(&world.comm, rehearsal_device(), &world.transport) == LS_OK);
    CHECK(strcmp(world.transport->api->name, "mpi") == 0);
    struct ls_segment *segment = world.transport->segment;
    const bool on_one_host = world.comm.size > 1 && world.comm.local_size == world.comm.size;
    CHECK((segment != NULL) == on_one_host);
    if (segment) check_ordered(&world, 11, 2);
    world.few = 2; // and of three floats where they are, some ranks' slices being empty
    if (segment) check_sums(&world);
    if (segment) check_counts_that_differ(&world);
    world.few = 0;
    if (segment) check_hosts(&world, 2);
    if (segment) check_hosts(&world, 4);
    world.transport->segment = NULL;
    for (int round = 0; round < 2; round++) {
        check_sums(&world);
        check_fast(&world, 11);
        ls_transport_mpi_set_piece(world.transport, 999); // and once more, in pieces
    }
    check_disagreement(&world);
    world.transport->api->close(world.transport);
    ls_comm_close(&world.comm);
    return 0;
}
