#include "base/clock.h"
#include "cli/doctor.h"
#include "comm/transport.h"
#include "train/setup.h"

#include <stdio.h>
#include <stdlib.h>

enum { FLOATS = 1 << 20, TIMES = 2 };

struct link {
    struct ls_comm *comm;
    struct ls_device *device;
    struct ls_queue *queue;
    struct ls_transport *transport;
    float *send, *receive;
};

static ls_status open_link(struct link *link) {
    const struct ls_device_api *api = link->device->api;
    LS_TRY(api->queue_open(link->device, "link", &link->queue));
    LS_TRY(api->alloc(link->device, FLOATS * sizeof(float), (void **)&link->send));
    LS_TRY(api->alloc(link->device, FLOATS * sizeof(float), (void **)&link->receive));
    return ls_transport_open_mpi(link->comm, link->device, &link->transport);
}

static void close_link(struct link *link) {
    const struct ls_device_api *api = link->device->api;
    if (link->transport) link->transport->api->close(link->transport);
    api->free(link->device, link->send);
    api->free(link->device, link->receive);
    if (link->queue) api->queue_close(link->queue);
    api->close(link->device);
}

static ls_status exchange(const struct link *link, int peer, size_t floats) {
    link->transport->api->exchange(link->transport, peer, link->send, floats, peer, link->receive, floats,
                                   link->queue);
    return link->device->api->sync(link->queue);
}

// One pair at a time, so that no other is in its way. A small message first, for the connection to be there.
static ls_status measure_pair(const struct link *link, int a, int b, double *rate) {
    const int rank = link->comm->rank;
    double seconds = 0;
    LS_TRY(ls_comm_barrier(link->comm));
    if (rank == a || rank == b) {
        const int peer = rank == a ? b : a;
        LS_TRY(exchange(link, peer, 16));
        const double start = ls_now();
        for (int i = 0; i < TIMES; i++) LS_TRY(exchange(link, peer, FLOATS));
        seconds = ls_now() - start;
    }
    LS_TRY(ls_comm_broadcast(link->comm, &seconds, sizeof seconds, a));
    *rate = seconds > 0 ? 2.0 * TIMES * FLOATS * sizeof(float) / seconds : 0;
    return LS_OK;
}

static ls_status measure_all(const struct link *link, const int *first, int n, double *rate) {
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) {
            LS_TRY(measure_pair(link, first[i], first[j], &rate[i * n + j]));
            rate[j * n + i] = rate[i * n + j];
        }
    return LS_OK;
}

ls_status ls_doctor_measure_links(struct ls_comm *comm, const int *first, int n, double *rate) {
    static const char text[] = "model: {zoo: lenet, classes: 2}\ndata: {train: none}\ntrain: {steps: "
                               "1}\ndevice: {kind: cpu, threads: 1}\n";
    struct ls_recipe recipe;
    LS_TRY(ls_comm_agree(comm, ls_recipe_parse(text, "doctor", ".", NULL, 0, &recipe)));
    struct link link = {.comm = comm};
    ls_status status = ls_comm_agree(comm, ls_device_choose(&recipe, comm, false, &link.device));
    if (status == LS_OK) status = ls_comm_agree(comm, open_link(&link));
    if (status == LS_OK) status = measure_all(&link, first, n, rate);
    if (link.device) close_link(&link);
    ls_recipe_free(&recipe);
    return status;
}
