// The transport over NCCL: what is enqueued goes straight onto the queue's stream. The communicator does not
// block, so that a rank that waits for others can give up: every call that is not done at once is waited for
// by asking.
//
// A thread asks for errors that strike later, while the host may be waiting for the stream. It aborts the
// communicator, which lets the stream go on; a host call at the end of every slice (`settle`) then fails the
// queue. Ranks that die or hang are the watchdog's: it ends this process without a call of NCCL.
#include "comm/nccl/nccl.h"

#include "base/clock.h"
#include "base/pulse.h"
#include "comm/comm.h"
#include "comm/nccl/nccl_api.h"
#include "device/device.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double OPEN_S = 300, CLOSE_S = 10; // for all ranks to come; to leave in good order
static const double ASK_S = 0.05,
                    PAUSE_S = 20e-6; // between looks for late errors; between asking while in a call

struct nccl_transport {
    struct ls_transport transport;
    struct ls_comm *comm;
    struct ls_device *device;
    const struct ls_nccl *api;
    pthread_mutex_t lock; // of NCCL's calls and of `nccl`
    ncclComm_t nccl;      // NULL: never opened, or aborted
    atomic_bool failed;   // then `error` is written and stays
    struct ls_error error;
    atomic_bool closing;
    pthread_t thread;
    bool has_thread;
};

// ---- errors; the lock is held, or there is no thread yet ----

static ls_status fail(struct nccl_transport *over, ncclResult_t code, const char *what) {
    const char *more = over->nccl ? over->api->ncclGetLastError(over->nccl) : NULL;
    return LS_FAIL(LS_COMM, "rank %d on %s: NCCL: %s: %s%s%s", over->comm->rank, over->comm->host, what,
                   over->api->ncclGetErrorString(code), more && more[0] ? ": " : "", more ? more : "");
}

// The first error stays. What the others would wait for does not come any more, nor does this rank wait for
// them.
static void give_up(struct nccl_transport *over) {
    if (over->failed) return;
    over->error = *ls_error_last();
    atomic_store_explicit(&over->failed, true, memory_order_release);
    if (over->nccl) (void)over->api->ncclCommAbort(over->nccl);
    over->nccl = NULL;
}

static ls_status adopt(const struct nccl_transport *over) {
    return ls_error_adopt(&over->error);
}

// Waits until what a call has started is enqueued, or done.
static ls_status complete(struct nccl_transport *over, ncclResult_t code, double seconds, const char *what) {
    const double until = ls_now() + seconds;
    while (code == ncclInProgress) {
        ncclResult_t state = ncclInternalError;
        code = over->api->ncclCommGetAsyncError(over->nccl, &state);
        if (code == ncclSuccess) code = state;
        if (code != ncclInProgress) break;
        if (ls_now() > until)
            return LS_FAIL(LS_COMM, "rank %d on %s: NCCL: %s: not done after %.0f s", over->comm->rank,
                           over->comm->host, what, seconds);
        ls_sleep(PAUSE_S);
    }
    return code == ncclSuccess ? LS_OK : fail(over, code, what);
}

// ---- what is enqueued ----

static ls_status fail_queue(void *argument) {
    struct nccl_transport *over = *(struct nccl_transport **)argument;
    return atomic_load_explicit(&over->failed, memory_order_acquire) ? adopt(over) : LS_OK;
}

static void settle(struct ls_transport *transport, struct ls_queue *queue) {
    struct nccl_transport *over = transport->state;
    over->device->api->call(queue, fail_queue, &over, sizeof over);
}

struct exchange {
    int to, from;
    const float *send;
    float *receive;
    size_t n_send, n_receive;
};

// One group, so that both directions move at once.
static ls_status exchange_on(struct nccl_transport *over, const struct exchange *e, cudaStream_t stream) {
    const struct ls_nccl *api = over->api;
    char what[96];
    snprintf(what, sizeof what, "exchange of gradients, to rank %d and from rank %d", e->to, e->from);
    ncclResult_t code = api->ncclGroupStart();
    if (code != ncclSuccess) return fail(over, code, what);
    if (e->n_send > 0) code = api->ncclSend(e->send, e->n_send, ncclFloat32, e->to, over->nccl, stream);
    if (e->n_receive > 0 && (code == ncclSuccess || code == ncclInProgress))
        code = api->ncclRecv(e->receive, e->n_receive, ncclFloat32, e->from, over->nccl, stream);
    const ncclResult_t end = api->ncclGroupEnd();
    if (code != ncclSuccess && code != ncclInProgress) return fail(over, code, what);
    return complete(over, end, OPEN_S, what);
}

static ls_status sum_on(struct nccl_transport *over, float *data, size_t n, cudaStream_t stream) {
    const ncclResult_t code =
        over->api->ncclAllReduce(data, data, n, ncclFloat32, ncclSum, over->nccl, stream);
    return complete(over, code, OPEN_S, "all-reduce of gradients");
}

static void exchange(struct ls_transport *transport, int to, const float *send, size_t n_send, int from,
                     float *receive, size_t n_receive, struct ls_queue *queue) {
    struct nccl_transport *over = transport->state;
    const struct exchange e = {to, from, send, receive, n_send, n_receive};
    if (n_send == 0 && n_receive == 0) return;
    pthread_mutex_lock(&over->lock);
    if (!over->failed && exchange_on(over, &e, over->device->api->native(queue)) != LS_OK) give_up(over);
    pthread_mutex_unlock(&over->lock);
}

static void all_reduce(struct ls_transport *transport, float *data, size_t n, struct ls_queue *queue) {
    struct nccl_transport *over = transport->state;
    pthread_mutex_lock(&over->lock);
    if (!over->failed && sum_on(over, data, n, over->device->api->native(queue)) != LS_OK) give_up(over);
    pthread_mutex_unlock(&over->lock);
}

// ---- the thread that asks for errors ----

static void ask(struct nccl_transport *over) {
    ncclResult_t state = ncclSuccess;
    if (!over->nccl) return;
    ncclResult_t code = over->api->ncclCommGetAsyncError(over->nccl, &state);
    if (code == ncclSuccess) code = state;
    if (code == ncclSuccess || code == ncclInProgress) return;
    (void)fail(over, code, "exchange of gradients");
    give_up(over);
}

// Where the lock is taken, a call is under way, and asks by itself.
static void *watch(void *argument) {
    struct nccl_transport *over = argument;
    while (!over->closing) {
        if (pthread_mutex_trylock(&over->lock) == 0) {
            ask(over);
            pthread_mutex_unlock(&over->lock);
        }
        ls_sleep(ASK_S);
    }
    return NULL;
}

// ---- opening and closing ----

const char *ls_nccl_version(char missing[LS_NCCL_MISSING]) {
    const struct ls_nccl *nccl = ls_nccl_load(missing);
    return nccl ? nccl->version : "";
}

// NCCL takes ranks with one host id for processes of one machine, and refuses two of them on one GPU.
static void share_gpu(const struct ls_comm *comm) {
    const char *wanted = getenv("LOCKSTEP_NCCL_SHARE_GPU");
    char id[160];
    if (!wanted || strcmp(wanted, "1") != 0) return;
    snprintf(id, sizeof id, "%s-rank-%d", comm->host, comm->rank);
    setenv("NCCL_HOSTID", id, 1);
    setenv("NCCL_IB_DISABLE", "1", 0);
    setenv("NCCL_SOCKET_IFNAME", "lo", 0);
}

// The same id on all ranks; rank 0 makes it.
static ls_status meet(struct nccl_transport *over, ncclUniqueId *id) {
    ncclResult_t code = ncclSuccess;
    if (over->comm->rank == 0) code = over->api->ncclGetUniqueId(id);
    LS_TRY(ls_comm_agree(over->comm, code == ncclSuccess ? LS_OK : fail(over, code, "ncclGetUniqueId")));
    return ls_comm_broadcast(over->comm, id, sizeof *id, 0);
}

static ls_status join(struct nccl_transport *over, ncclUniqueId id) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    ls_pulse_enter("the opening of NCCL", 0);
    const ncclResult_t code =
        over->api->ncclCommInitRankConfig(&over->nccl, over->comm->size, id, over->comm->rank, &config);
    const ls_status status = complete(over, code, OPEN_S, "opening a communicator");
    ls_pulse_leave();
    ls_pulse_tick();
    return status;
}

static ls_status start_thread(struct nccl_transport *over) {
    const int error = pthread_create(&over->thread, NULL, watch, over);
    if (error != 0) return LS_FAIL(LS_SYSTEM, "no thread for NCCL's errors: %s", strerror(error));
    over->has_thread = true;
    return LS_OK;
}

static void leave(struct nccl_transport *over) {
    if (!over->nccl) return;
    const ncclResult_t code = over->api->ncclCommFinalize(over->nccl);
    if (complete(over, code, CLOSE_S, "closing a communicator") == LS_OK)
        (void)over->api->ncclCommDestroy(over->nccl);
    else
        (void)over->api->ncclCommAbort(over->nccl);
    over->nccl = NULL;
}

static void close_nccl(struct ls_transport *transport) {
    struct nccl_transport *over = transport->state;
    over->closing = true;
    if (over->has_thread) pthread_join(over->thread, NULL);
    leave(over);
    pthread_mutex_destroy(&over->lock);
    free(over);
}

static const struct ls_transport_api api = {
    .name = "nccl", .exchange = exchange, .all_reduce = all_reduce, .settle = settle, .close = close_nccl};

static ls_status make(struct ls_comm *comm, struct ls_device *device, struct nccl_transport **made) {
    char missing[LS_NCCL_TEXT];
    const struct ls_nccl *nccl = ls_nccl_load(missing);
    if (!nccl) return LS_FAIL(LS_INPUT, "gradients over NCCL: %s is not there", missing);
    struct nccl_transport *over = calloc(1, sizeof *over);
    if (!over) return LS_FAIL(LS_SYSTEM, "out of memory");
    over->transport =
        (struct ls_transport){.rank = comm->rank, .size = comm->size, .api = &api, .state = over};
    over->comm = comm;
    over->device = device;
    over->api = nccl;
    pthread_mutex_init(&over->lock, NULL);
    *made = over;
    return LS_OK;
}

static ls_status open_together(struct nccl_transport *over) {
    ncclUniqueId id;
    LS_TRY(meet(over, &id));
    ls_status status = join(over, id);
    if (status == LS_OK) status = start_thread(over);
    return ls_comm_agree(over->comm, status);
}

ls_status ls_transport_open_nccl(struct ls_comm *comm, struct ls_device *device,
                                 struct ls_transport **transport) {
    struct nccl_transport *over = NULL;
    share_gpu(comm);
    ls_status status = ls_comm_agree(comm, make(comm, device, &over));
    if (status == LS_OK) status = open_together(over);
    if (status == LS_OK) {
        *transport = &over->transport;
        return LS_OK;
    }
    const struct ls_error error = *ls_error_last();
    if (over && over->nccl) (void)over->api->ncclCommAbort(over->nccl);
    if (over) over->nccl = NULL;
    if (over) close_nccl(&over->transport);
    return ls_error_adopt(&error);
}
