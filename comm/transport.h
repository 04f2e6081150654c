// The data plane: how a slice of gradients goes to another rank. A transport is a few functions; the ordered
// all-reduce is written once over them (reduce.h).
#pragma once

#include "base/status.h"

#include <stddef.h>

struct ls_comm;
struct ls_device;
struct ls_queue;

struct ls_transport {
    int rank, size;
    const struct ls_transport_api *api;
    void *state;
};

struct ls_transport_api {
    const char *name; // "self", "mpi", "nccl"
    // Enqueues: send `n_send` floats to rank `to` while receiving `n_receive` from rank `from`. Either count
    // may be 0.
    void (*exchange)(struct ls_transport *transport, int to, const float *send, size_t n_send, int from,
                     float *receive, size_t n_receive, struct ls_queue *queue);
    // Enqueues the library's own sum over ranks, in place (reduce: fast).
    void (*all_reduce)(struct ls_transport *transport, float *data, size_t n, struct ls_queue *queue);
    void (*close)(struct ls_transport *transport);
};

ls_status ls_transport_open_self(struct ls_transport **transport);
// Over MPI, with host memory. `device` is whose queues carry it.
ls_status ls_transport_open_mpi(struct ls_comm *comm, struct ls_device *device,
                                struct ls_transport **transport);
