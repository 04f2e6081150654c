// The transport over MPI: what is enqueued is a host call that starts the messages and waits for them.
#include "comm/add.h"
#include "comm/mpi_calls.h"
#include "comm/transport.h"
#include "device/device.h"

#include <stdio.h>
#include <stdlib.h>

// Pieces of a message, of which so many are under way: each small enough that Open MPI sends it over TCP
// without asking the receiver first (up to 64 KiB), for an answer takes longer where cores are shared;
// together enough for a fast link.
enum { TAG = 1, PIECE_BYTES = 60 << 10, UNDER_WAY = 4 };

struct mpi_transport {
    struct ls_transport transport;
    struct ls_comm *comm;
    struct ls_device *device;
    MPI_Comm mpi;
    size_t piece;  // floats of a message
    size_t bounce; // floats that are copied at once
    ls_add_function *add;
    // Where the host cannot read the device's memory: what is sent, and what was received. [bounce]
    float *sent, *received;
};

// Where `sum` is not NULL, what comes is added to it: to its right where `on_the_left`. `receive` then is
// where pieces wait for that, UNDER_WAY of them in turn, so that what is added lies in a cache.
struct exchange {
    struct mpi_transport *over;
    int to, from;
    const float *send;
    float *receive, *sum;
    size_t n_send, n_receive;
    bool on_the_left;
};
_Static_assert(sizeof(struct exchange) <= LS_CALL_BYTES, "a queue copies the argument");

static ls_status check_received(struct mpi_transport *over, MPI_Status *status, int from, int expected) {
    int received = 0;
    LS_TRY(ls_mpi_check(over->comm, MPI_Get_count(status, MPI_FLOAT, &received), "MPI_Get_count"));
    if (received == expected) return LS_OK;
    return LS_FAIL(LS_COMM, "rank %d on %s: rank %d sent %d floats where %d were expected: ranks disagree",
                   over->comm->rank, over->comm->host, from, received, expected);
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

// ---- exchanges ----

enum { RECEIVED, SENT };

struct piece {
    size_t begin;
    float *place; // of what is received
    int n_send, n_receive;
    MPI_Request requests[2];
};

static int part(size_t n, size_t begin, size_t most) {
    return begin < n ? (int)smaller(n - begin, most) : 0;
}

// A count of 0 is no message.
static ls_status start_piece(const struct exchange *e, size_t k, const char *what, struct piece *piece) {
    const struct mpi_transport *over = e->over;
    const size_t begin = k * over->piece, place = e->sum ? k % UNDER_WAY * over->piece : begin;
    const bool receives = begin < e->n_receive; // else there may be no memory to receive in
    *piece = (struct piece){.begin = begin,
                            .place = receives ? e->receive + place : NULL,
                            .n_send = part(e->n_send, begin, over->piece),
                            .n_receive = part(e->n_receive, begin, over->piece),
                            .requests = {MPI_REQUEST_NULL, MPI_REQUEST_NULL}};
    if (receives)
        LS_TRY(ls_mpi_check(over->comm,
                            MPI_Irecv(piece->place, piece->n_receive, MPI_FLOAT, e->from, TAG, over->mpi,
                                      &piece->requests[RECEIVED]),
                            what));
    if (piece->n_send > 0)
        LS_TRY(ls_mpi_check(over->comm,
                            MPI_Isend(e->send + begin, piece->n_send, MPI_FLOAT, e->to, TAG, over->mpi,
                                      &piece->requests[SENT]),
                            what));
    return LS_OK;
}

static ls_status end_piece(const struct exchange *e, const char *what, struct piece *piece) {
    struct mpi_transport *over = e->over;
    MPI_Status statuses[2] = {{.MPI_ERROR = MPI_SUCCESS}, {.MPI_ERROR = MPI_SUCCESS}};
    const double bytes = 4.0 * (piece->n_send + piece->n_receive);
    LS_TRY(ls_mpi_wait(over->comm, 2, piece->requests, statuses, bytes, what));
    if (piece->n_receive == 0) return LS_OK;
    LS_TRY(check_received(over, &statuses[RECEIVED], e->from, piece->n_receive));
    if (!e->sum) return LS_OK;
    float *sum = e->sum + piece->begin;
    over->add(sum, e->on_the_left ? sum : piece->place, e->on_the_left ? piece->place : sum,
              (size_t)piece->n_receive);
    return LS_OK;
}

static ls_status exchange_now(void *argument) {
    const struct exchange *e = argument;
    const size_t longest = e->n_send > e->n_receive ? e->n_send : e->n_receive;
    const size_t n = (longest + e->over->piece - 1) / e->over->piece;
    struct piece pieces[UNDER_WAY];
    char what[96];
    snprintf(what, sizeof what, "exchange of gradients, to rank %d and from rank %d", e->to, e->from);
    for (size_t k = 0, started = 0; k < n; k++) {
        for (; started < n && started < k + UNDER_WAY; started++)
            LS_TRY(start_piece(e, started, what, &pieces[started % UNDER_WAY]));
        LS_TRY(end_piece(e, what, &pieces[k % UNDER_WAY]));
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

static void enqueue_exchange(struct mpi_transport *over, struct exchange e, struct ls_queue *queue) {
    e.over = over;
    over->device->api->call(queue, exchange_now, &e, sizeof e);
}

// NOLINTBEGIN(readability-non-const-parameter): what is received or summed is written by the host calls.
static void enqueue_sum(struct mpi_transport *over, float *data, size_t n, struct ls_queue *queue) {
    struct sum sum = {.over = over, .data = data, .n = n};
    over->device->api->call(queue, sum_now, &sum, sizeof sum);
}

static void exchange(struct ls_transport *transport, int to, const float *send, size_t n_send, int from,
                     float *receive, size_t n_receive, struct ls_queue *queue) {
    struct mpi_transport *over = transport->state;
    struct exchange e = {
        .to = to, .from = from, .send = send, .receive = receive, .n_send = n_send, .n_receive = n_receive};
    if (over->device->host_memory) {
        enqueue_exchange(over, e, queue);
        return;
    }
    const struct ls_device_api *api = over->device->api;
    e.send = over->sent, e.receive = over->received;
    while (n_send > 0 || n_receive > 0) {
        e.n_send = smaller(n_send, over->bounce), e.n_receive = smaller(n_receive, over->bounce);
        if (e.n_send > 0) api->copy(queue, over->sent, send, e.n_send * sizeof(float));
        enqueue_exchange(over, e, queue);
        if (e.n_receive > 0) api->copy(queue, receive, over->received, e.n_receive * sizeof(float));
        if (e.n_send > 0) send += e.n_send, n_send -= e.n_send;
        if (e.n_receive > 0) receive += e.n_receive, n_receive -= e.n_receive;
    }
}

// Where the host reads the device's memory.
static void exchange_add(struct ls_transport *transport, int partner, const float *send, size_t n_send,
                         float *sum, size_t n_receive, bool on_the_left, float *scratch,
                         struct ls_queue *queue) {
    const struct exchange e = {.to = partner,
                               .from = partner,
                               .send = send,
                               .receive = scratch,
                               .sum = sum,
                               .n_send = n_send,
                               .n_receive = n_receive,
                               .on_the_left = on_the_left};
    enqueue_exchange(transport->state, e, queue);
}

static void all_reduce(struct ls_transport *transport, float *data, size_t n, struct ls_queue *queue) {
    struct mpi_transport *over = transport->state;
    if (over->device->host_memory) {
        enqueue_sum(over, data, n, queue);
        return;
    }
    const struct ls_device_api *api = over->device->api;
    while (n > 0) {
        const size_t some = smaller(n, over->bounce);
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
static const struct ls_transport_api host_api = {.name = "mpi",
                                                 .exchange = exchange,
                                                 .exchange_add = exchange_add,
                                                 .all_reduce = all_reduce,
                                                 .close = close_mpi};

static ls_status open_bounce(struct mpi_transport *over) {
    const struct ls_device_api *device = over->device->api;
    if (over->device->host_memory) return LS_OK;
    over->bounce = LS_TRANSPORT_BOUNCE_BYTES / sizeof(float);
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
                                                 .api = device->host_memory ? &host_api : &api,
                                                 .state = over,
                                                 .segment = device->host_memory ? state->segment : NULL},
                                   .comm = comm,
                                   .device = device,
                                   .mpi = state->data,
                                   .piece = PIECE_BYTES / sizeof(float),
                                   .add = ls_choose_add()};
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
    over->bounce = smaller(floats, over->bounce);
}
