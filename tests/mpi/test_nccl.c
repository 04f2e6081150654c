// ranks: 1 2 3 4 8
// The ordered all-reduce over NCCL, between GPUs of the CUDA module: on every rank the bits of the tree, for
// slices of many sizes enqueued back to back. Then one rank's NCCL fails, and all hear of it instead of
// waiting.
#include "comm/comm.h"
#include "comm/reduce.h"
#include "cuda/cuda.h"
#include "device/device.h"
#include "mpi/check.h"
#include "unit/comm/lanes.h"

#include <dlfcn.h>

enum { SLICES = 9, FLOATS = 67985 };
static const size_t slice_count[SLICES] = {1000, 0, 1, 65537, 2, 3, 7, 1000, 435};

struct world {
    struct ls_comm comm;
    struct ls_device *device;
    struct ls_queue *queue;
    struct ls_transport *transport;
};

static const struct ls_cuda_module *open_module(void) {
    void *library = dlopen(getenv("LOCKSTEP_CUDA_MODULE"), RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    CHECK(library);
    const struct ls_cuda_module *(*entry)(void) = NULL;
    *(void **)&entry = dlsym(library, LS_CUDA_ENTRY);
    CHECK(entry);
    return entry();
}

static void copy(struct world *world, void *to, const void *from, size_t bytes) {
    world->device->api->copy(world->queue, to, from, bytes);
    CHECK(world->device->api->sync(world->queue) == LS_OK);
}

// What a rank holds: its fold, and in device memory its lanes' sums.
static struct ls_fold *fold_lanes(struct world *world, int lanes, float **buffers, float *host) {
    const int rank = world->comm.rank, ranks = world->comm.size;
    const struct ls_device_api *api = world->device->api;
    struct ls_fold *fold;
    CHECK(ls_fold_make(ls_lane_begin(rank, ranks, lanes), ls_lane_begin(rank + 1, ranks, lanes), lanes, 1,
                       &fold) == LS_OK);
    for (int b = 0; b < fold->n_buffers; b++)
        CHECK(api->alloc(world->device, FLOATS * sizeof(float), (void **)&buffers[b]) == LS_OK);
    for (int w = 0; w < fold->n_waves; w++) {
        const struct ls_fold_wave *wave = &fold->waves[w];
        for (size_t e = 0; e < FLOATS; e++) host[e] = lane_value(wave->first_lane, e);
        copy(world, buffers[wave->buffer[0]], host, FLOATS * sizeof(float));
        for (int i = 0; i < wave->n_adds; i++) {
            float *to = buffers[wave->adds[i].to];
            api->add(world->queue, to, to, buffers[wave->adds[i].from], FLOATS);
        }
    }
    CHECK(api->sync(world->queue) == LS_OK);
    return fold;
}

// Reduces all slices and returns what the queue says; the sum is in `host`.
static ls_status reduce(struct world *world, int lanes, bool fast, float *host) {
    const struct ls_device_api *api = world->device->api;
    float *buffers[LS_MAX_NODES];
    struct ls_fold *fold = fold_lanes(world, lanes, buffers, host);
    struct ls_reducer *reducer;
    size_t offset = 0;
    CHECK(ls_reducer_open(world->transport, world->device, fold, lanes, fast, 65537, &reducer) == LS_OK);
    for (int s = 0; s < SLICES; s++) {
        ls_reduce(reducer, buffers, offset, slice_count[s], world->queue);
        offset += slice_count[s];
    }
    CHECK(offset == FLOATS);
    const ls_status status = api->sync(world->queue);
    if (status == LS_OK) copy(world, host, buffers[fold->nodes[0].buffer], FLOATS * sizeof(float));
    ls_reducer_close(reducer);
    for (int b = 0; b < fold->n_buffers; b++) api->free(world->device, buffers[b]);
    ls_fold_free(fold);
    return status;
}

static void check_ordered(struct world *world, int lanes, float *host) {
    CHECK(reduce(world, lanes, false, host) == LS_OK);
    for (size_t e = 0; e < FLOATS; e++) CHECK(same_number(host[e], tree_sum(lanes, e)));
}

// In whatever order: near the sum in f64, as far as that is finite.
static void check_fast(struct world *world, int lanes, float *host) {
    CHECK(reduce(world, lanes, true, host) == LS_OK);
    for (size_t e = 0; e < FLOATS; e++) {
        double exact = 0, size = 0;
        for (int lane = 0; lane < lanes; lane++) {
            exact += (double)lane_value(lane, e);
            size += fabs((double)lane_value(lane, e));
        }
        CHECK(isfinite(exact) ? fabs((double)host[e] - exact) <= 1e-6 * size : !isfinite(host[e]));
    }
}

// The last rank's exchanges fail from some call on, named by the environment: it says so, and no rank hangs.
static void check_failure(struct world *world, float *host) {
    const bool last = world->comm.rank == world->comm.size - 1;
    ls_status status = LS_OK;
    for (int i = 0; i < 100 && status == LS_OK; i++) status = reduce(world, 16, false, host);
    CHECK(status == LS_COMM);
    CHECK(strstr(ls_error_last()->text, "NCCL"));
    if (last) CHECK(strstr(ls_error_last()->text, "exchange of gradients"));
}

int main(void) {
    struct world world = {0};
    CHECK(ls_comm_open(&world.comm) == LS_OK);
    const struct ls_cuda_options options = {.gpu = getenv("LOCKSTEP_NCCL_SHARE_GPU") ? 0
                                                                                     : world.comm.local_rank};
    const bool last = world.comm.rank == world.comm.size - 1;
    if (getenv("NCCL_FAILS") && last) setenv("LS_FAKE_FAIL", getenv("NCCL_FAILS"), 1);
    const struct ls_cuda_module *module = open_module();
    CHECK(module->open(&options, &world.device) == LS_OK);
    CHECK(world.device->api->queue_open(world.device, "comm", &world.queue) == LS_OK);
    CHECK(module->open_nccl(&world.comm, world.device, &world.transport) == LS_OK);
    CHECK(strcmp(world.transport->api->name, "nccl") == 0);
    float *host = malloc(FLOATS * sizeof *host);
    CHECK(host);
    if (getenv("NCCL_FAILS")) {
        check_failure(&world, host);
    } else {
        static const int lane_counts[] = {8, 9, 13, 16};
        for (int v = 0; v < 4; v++) check_ordered(&world, lane_counts[v], host);
        check_ordered(&world, world.comm.size, host);
        check_fast(&world, 11, host);
    }
    free(host);
    world.transport->api->close(world.transport);
    world.device->api->queue_close(world.queue);
    world.device->api->close(world.device);
    ls_comm_close(&world.comm);
    return 0;
}
