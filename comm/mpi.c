// The transport over MPI: what is enqueued is a host call that starts the messages and waits for them.
#include "comm/mpi_calls.h"
#include "comm/transport.h"
#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>

enum { TAG = 1 };

struct mpi_transport {
    struct ls_transport transport;
    struct ls_comm *comm;
    struct ls_device *device;
    MPI_Comm mpi;
    size_t piece; // floats
    // Where the host cannot read the device's memory: what is sent, and what was received. [piece]
    float *sent, *received;
};

struct exchange {
    struct mpi_transport *over;
    int to, from;
    const float *send;
    float *receive;
    size_t n_send, n_receive;
};
_Static_assert(sizeof(struct exchange) <= LS_CALL_BYTES, "a queue copies the argument");

static ls_status check_received(struct mpi_transport *over, MPI_Status *status, int from, int expected) {
    int received = 0;
    LS_TRY(ls_mpi_check(over->comm, MPI_Get_count(status, MPI_FLOAT, &received), "MPI_Get_count"));
    if (received == expected) return LS_OK;
    return LS_FAIL(LS_COMM, "rank %d on %s: rank %d sent %d floats where %d were expected: ranks disagree",
                   over->comm->rank, over->comm->host, from, received, expected);
}

// Starts and completes the messages of one piece; a count of 0 is no message.
static ls_status exchange_piece(const struct exchange *e, const float *send, int n_send, float *receive,
                                int n_receive) {
    struct mpi_transport *over = e->over;
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    MPI_Status statuses[2] = {{.MPI_ERROR = MPI_SUCCESS}, {.MPI_ERROR = MPI_SUCCESS}};
    char what[96];
    snprintf(what, sizeof what, "exchange of gradients, to rank %d and from rank %d", e->to, e->from);
    if (n_receive > 0)
        LS_TRY(ls_mpi_check(over->comm,
                            MPI_Irecv(receive, n_receive, MPI_FLOAT, e->from, TAG, over->mpi, &requests[0]),
                            what));
    if (n_send > 0)
        LS_TRY(ls_mpi_check(over->comm,
                            MPI_Isend(send, n_send, MPI_FLOAT, e->to, TAG, over->mpi, &requests[1]), what));
    LS_TRY(ls_mpi_wait(over->comm, 2, requests, statuses, 4.0 * (n_send + n_receive), what));
    return n_receive > 0 ? check_received(over, &statuses[0], e->from, n_receive) : LS_OK;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static ls_status exchange_now(void *argument) {
    struct exchange *e = argument;
    while (e->n_send > 0 || e->n_receive > 0) {
        const size_t n_send = smaller(e->n_send, e->over->piece);
        const size_t n_receive = smaller(e->n_receive, e->over->piece);
        LS_TRY(exchange_piece(e, e->send, (int)n_send, e->receive, (int)n_receive));
        if (n_send > 0) e->send += n_send, e->n_send -= n_send;
        if (n_receive > 0) e->receive += n_receive, e->n_receive -= n_receive;
    }
    return LS_OK;
}

struct sum {
    struct mpi_transport *over;
    float *data;
    size_t n;
};

static ls_status sum_now(void *argument) {
    const struct sum *sum = argument;
    return ls_mpi_sum_f32(sum->over->comm, sum->over->mpi, sum->data, sum->n, "all-reduce of gradients");
}

// NOLINTBEGIN(readability-non-const-parameter): what is received or summed is written by the host calls.
static void enqueue_exchange(struct mpi_transport *over, int to, const float *send, size_t n_send, int from,
                             float *receive, size_t n_receive, struct ls_queue *queue) {
    struct exchange e = {.over = over,
                         .to = to,
                         .from = from,
                         .send = send,
                         .receive = receive,
                         .n_send = n_send,
                         .n_receive = n_receive};
    over->device->api->call(queue, exchange_now, &e, sizeof e);
}

static void enqueue_sum(struct mpi_transport *over, float *data, size_t n, struct ls_queue *queue) {
    struct sum sum = {.over = over, .data = data, .n = n};
    over->device->api->call(queue, sum_now, &sum, sizeof sum);
}

static void exchange(struct ls_transport *transport, int to, const float *send, size_t n_send, int from,
                     float *receive, size_t n_receive, struct ls_queue *queue) {
    struct mpi_transport *over = transport->state;
    if (over->device->host_memory) {
        enqueue_exchange(over, to, send, n_send, from, receive, n_receive, queue);
        return;
    }
    const struct ls_device_api *api = over->device->api;
    while (n_send > 0 || n_receive > 0) {
        const size_t sends = smaller(n_send, over->piece), receives = smaller(n_receive, over->piece);
        if (sends > 0) api->copy(queue, over->sent, send, sends * sizeof(float));
        enqueue_exchange(over, to, over->sent, sends, from, over->received, receives, queue);
        if (receives > 0) api->copy(queue, receive, over->received, receives * sizeof(float));
        if (sends > 0) send += sends, n_send -= sends;
        if (receives > 0) receive += receives, n_receive -= receives;
    }
}

static void all_reduce(struct ls_transport *transport, float *data, size_t n, struct ls_queue *queue) {
    struct mpi_transport *over = transport->state;
    if (over->device->host_memory) {
        enqueue_sum(over, data, n, queue);
        return;
    }
    const struct ls_device_api *api = over->device->api;
    while (n > 0) {
        const size_t some = smaller(n, over->piece);
        api->copy(queue, over->sent, data, some * sizeof(float));
        enqueue_sum(over, over->sent, some, queue);
        api->copy(queue, data, over->sent, some * sizeof(float));
        data += some;
        n -= some;
    }
}
// NOLINTEND(readability-non-const-parameter)

static void close_mpi(struct ls_transport *transport) {
    struct mpi_transport *over = transport->state;
    if (over->sent) over->device->api->free_host(over->device, over->sent);
    if (over->received) over->device->api->free_host(over->device, over->received);
    free(over);
}

static const struct ls_transport_api api = {
    .name = "mpi", .exchange = exchange, .all_reduce = all_reduce, .close = close_mpi};

static ls_status open_bounce(struct mpi_transport *over) {
    const struct ls_device_api *device = over->device->api;
    if (over->device->host_memory) return LS_OK;
    over->piece = LS_TRANSPORT_BOUNCE_BYTES / sizeof(float);
    LS_TRY(device->alloc_host(over->device, LS_TRANSPORT_BOUNCE_BYTES, (void **)&over->sent));
    return device->alloc_host(over->device, LS_TRANSPORT_BOUNCE_BYTES, (void **)&over->received);
}

ls_status ls_transport_open_mpi(struct ls_comm *comm, struct ls_device *device,
                                struct ls_transport **transport) {
    const struct ls_comm_state *state = comm->state;
    if (!state) return LS_FAIL(LS_SYSTEM, "the MPI transport of a program that was started without MPI");
    struct mpi_transport *over = malloc(sizeof *over);
    if (!over) return LS_FAIL(LS_SYSTEM, "out of memory");
    *over = (struct mpi_transport){.transport = {.rank = comm->rank,
                                                 .size = comm->size,
                                                 .api = &api,
                                                 .state = over,
                                                 .segment = device->host_memory ? state->segment : NULL},
                                   .comm = comm,
                                   .device = device,
                                   .mpi = state->data,
                                   .piece = LS_MPI_PIECE_BYTES / sizeof(float)};
    ls_status status = open_bounce(over);
    if (status != LS_OK) {
        close_mpi(&over->transport);
        return status;
    }
    *transport = &over->transport;
    return LS_OK;
}

void ls_transport_mpi_set_piece(struct ls_transport *transport, size_t floats) {
    struct mpi_transport *over = transport->state;
    over->piece = smaller(floats, over->piece);
}
