// ranks: 1 2 3
// Memory of each rank that all see: what one writes the others read, sizes may differ, and a rank that can
// have none makes all go without, none of them ended by a signal. What is reduced then goes by messages. Out
// of memory for what describes it, one rank ends all with its error.
#include "comm/comm.h"
#include "comm/segment.h"
#include "mpi/check.h"
#include "unit/comm/rehearsal.h"

#include <sys/mman.h>
#include <sys/resource.h>

// The linker gives Lockstep these, and MPI the C library's: the calls of this thread that fail.
static _Thread_local int fails_at; // of calloc; 1: the next
static _Thread_local bool maps_nothing;
void *__real_calloc(size_t n, size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);

void *__wrap_calloc(size_t n, size_t bytes) {
    if (fails_at > 0 && --fails_at == 0) return NULL;
    return __real_calloc(n, bytes);
}

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset);

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
    if (maps_nothing) return MAP_FAILED;
    return __real_mmap(address, bytes, protection, flags, file, offset);
}

static struct ls_group all_of(const struct ls_comm *comm) {
    return (struct ls_group){0, comm->size};
}

static size_t bytes_of(int rank) {
    return 1 + (size_t)rank * 5000;
}

static void check_seen_by_all(struct ls_comm *comm) {
    struct ls_window *window;
    CHECK(ls_window_open(comm, all_of(comm), bytes_of(comm->rank), &window) == LS_OK);
    CHECK(window);
    for (int r = 0; r < comm->size; r++) CHECK(window->bytes[r] == bytes_of(r));
    for (size_t i = 0; i < bytes_of(comm->rank); i++) CHECK(window->memory[comm->rank][i] == 0);
    CHECK(ls_comm_barrier(comm) == LS_OK);
    memset(window->memory[comm->rank], 1 + comm->rank, bytes_of(comm->rank));
    CHECK(ls_comm_barrier(comm) == LS_OK);
    for (int r = 0; r < comm->size; r++)
        for (size_t i = 0; i < bytes_of(r); i++) CHECK(window->memory[r][i] == 1 + r);
    ls_window_close(window);
}

// The last rank gets none for each of the four things that are allocated here.
static void check_out_of_memory(struct ls_comm *comm) {
    for (int at = 1; at <= 4; at++) {
        struct ls_window *window;
        fails_at = comm->rank == comm->size - 1 ? at : 0;
        CHECK(ls_window_open(comm, all_of(comm), 4096, &window) == LS_SYSTEM);
        CHECK(fails_at == 0);
        CHECK(!window);
    }
    fails_at = comm->rank == comm->size - 1 ? 5 : 0; // the window is there; what holds it is not
    struct ls_segment *segment;
    CHECK(ls_segment_open(comm, all_of(comm), &segment) == (comm->size == 1 ? LS_OK : LS_SYSTEM));
    CHECK(!segment);
    fails_at = 0;
}

// The last rank cannot map what it made.
static void check_unmapped(struct ls_comm *comm) {
    struct ls_window *window;
    maps_nothing = comm->rank == comm->size - 1;
    CHECK(ls_window_open(comm, all_of(comm), 4096, &window) == LS_OK);
    CHECK(!window);
    maps_nothing = false;
}

// The last rank may have no file of more than a page.
static void check_limit(struct ls_comm *comm) {
    struct ls_transport *transport;
    struct ls_window *window;
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 4096;
    if (comm->rank == comm->size - 1) CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK(ls_window_open(comm, all_of(comm), 4096, &window) == LS_OK);
    CHECK(!window);

    CHECK(ls_transport_open_mpi(comm, rehearsal_device(), &transport) == LS_OK);
    float *buffers[2];
    CHECK(ls_transport_open_buffers(transport, rehearsal_device(), false, 2, 5000, buffers) == LS_OK);
    CHECK(!transport->segment);
    for (int i = 0; i < 2; i++) memset(buffers[i], 0, 5000 * sizeof(float));
    ls_transport_close_buffers(transport, rehearsal_device(), 2, buffers);
    transport->api->close(transport);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
}

int main(void) {
    struct ls_comm comm;
    CHECK(ls_comm_open(&comm) == LS_OK);
    for (int round = 0; round < 2; round++) {
        check_seen_by_all(&comm);
        check_limit(&comm);
        check_out_of_memory(&comm);
        check_unmapped(&comm);
    }
    ls_comm_close(&comm);
    return 0;
}
