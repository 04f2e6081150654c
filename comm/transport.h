// The data plane: how a slice of gradients goes to another rank. A transport is a few functions; the ordered
// all-reduce is written once over them (reduce.h).
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/begin.h"

struct ls_comm;
struct ls_device;
struct ls_queue;
struct ls_segment;

struct ls_transport {
    int rank, size;
    const struct ls_transport_api *api;
    void *state;
    // Memory that ranks of this host share, used in place of exchanges among them; NULL: there is none.
    struct ls_segment *segment;
};

struct ls_transport_api {
    const char *name; // "self", "mpi", "nccl"
    // Enqueues: send `n_send` floats to rank `to` while receiving `n_receive` from rank `from`. Either count
    // may be 0: then nothing goes that way. Exchanges of two ranks meet in the order they were enqueued.
    void (*exchange)(struct ls_transport *transport, int to, const float *send, size_t n_send, int from,
                     float *receive, size_t n_receive, struct ls_queue *queue);
    // Enqueues the same with one partner, and adds what comes to `sum`, [n_receive]: where `on_the_left`, sum
    // + received, else received + sum. Piece by piece, so that one is added while the next is under way.
    // `send` may be `sum`. `scratch`: [n_receive]. NULL: the transport has no better way than an exchange and
    // an addition.
    void (*exchange_add)(struct ls_transport *transport, int partner, const float *send, size_t n_send,
                         float *sum, size_t n_receive, bool on_the_left, float *scratch,
                         struct ls_queue *queue);
    // Enqueues the library's own sum over ranks, in place (reduce: fast).
    void (*all_reduce)(struct ls_transport *transport, float *data, size_t n, struct ls_queue *queue);
    // Enqueues, after the exchanges of one slice: an error of theirs comes out of the queue. NULL where it
    // does so anyway.
    void (*settle)(struct ls_transport *transport, struct ls_queue *queue);
    void (*close)(struct ls_transport *transport);
};

// For a world of one, which has no one to exchange with.
ls_status ls_transport_open_self(struct ls_transport **transport);
// Over MPI. `device` is whose queues carry it, as host calls; an error (LS_COMM) comes out of the queue.
// Where the host cannot read the device's memory, what is sent goes through pinned host memory,
// LS_TRANSPORT_BOUNCE_BYTES in each direction. One at a time, closed before `comm` and `device` are. Opening
// and closing need no other rank.
enum { LS_TRANSPORT_BOUNCE_BYTES = 4 << 20 };
ls_status ls_transport_open_mpi(struct ls_comm *comm, struct ls_device *device,
                                struct ls_transport **transport);
// Messages, and what is copied at once, are of at most so many floats; for tests. All ranks alike.
void ls_transport_mpi_set_piece(struct ls_transport *transport, size_t floats);

// Collective. What ls_reduce will be given: `n` buffers of `floats` each, on this rank; `fast` as
// ls_reducer_open will be told, before which this is called. Ordered sums of ranks that share memory take
// place in buffers that those of a host see; where one of them can have none, `segment` becomes NULL, and
// they send messages.
ls_status ls_transport_open_buffers(struct ls_transport *transport, struct ls_device *device, bool fast,
                                    int n, size_t floats, float **buffers);
// Before the transport is closed. Buffers that are NULL were not opened.
void ls_transport_close_buffers(struct ls_transport *transport, struct ls_device *device, int n,
                                float **buffers);

#include "base/end.h"
