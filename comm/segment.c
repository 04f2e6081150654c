#define _GNU_SOURCE // memfd_create
#include "comm/segment.h"

#include "base/pulse.h"
#include "comm/patience.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- opening ----

// Rank 0 makes the memory, and says where the others find it.
struct offer {
    int pid, fd; // fd < 0: there is none
    uint64_t device, inode;
};

static size_t bytes_of_boards(int size) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size_t)size * sizeof(struct ls_board);
    return (bytes + page - 1) / page * page;
}

static void make_offer(size_t bytes, struct offer *offer) {
    struct stat found;
    *offer = (struct offer){.pid = (int)getpid(), .fd = memfd_create("lockstep", MFD_CLOEXEC)};
    if (offer->fd < 0) return;
    if (ftruncate(offer->fd, (off_t)bytes) != 0 || fstat(offer->fd, &found) != 0) {
        close(offer->fd);
        offer->fd = -1;
        return;
    }
    offer->device = found.st_dev;
    offer->inode = found.st_ino;
}

// The offered file, or -1. In another container the same number may be another process's.
static int take_offer(const struct offer *offer) {
    char path[64];
    struct stat found;
    if (offer->fd < 0) return -1;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", offer->pid, offer->fd);
    const int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    if (fstat(fd, &found) == 0 && found.st_dev == offer->device && found.st_ino == offer->inode) return fd;
    close(fd);
    return -1;
}

// False where the system does not give the memory. Each rank asks for its own area, near its own processor;
// asked for now, so that it is not missing later.
static bool map(struct ls_segment *segment, int fd) {
    const size_t boards = bytes_of_boards(segment->size), area = LS_SEGMENT_PLACES * sizeof(struct ls_area);
    if (segment->rank == 0 && posix_fallocate(fd, 0, (off_t)boards) != 0) return false;
    if (posix_fallocate(fd, (off_t)(boards + (size_t)segment->rank * area), (off_t)area) != 0) return false;
    void *memory = mmap(NULL, segment->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return false;
    segment->memory = memory;
    segment->boards = memory;
    segment->areas = (struct ls_area *)((char *)memory + boards);
    return true;
}

// Ends with the same on all ranks.
static ls_status join(struct ls_comm *comm, struct ls_segment *segment) {
    struct offer offer = {.fd = -1};
    if (comm->rank == 0) make_offer(segment->bytes, &offer);
    ls_status status = ls_comm_broadcast(comm, &offer, sizeof offer, 0);
    int fd = -1;
    if (comm->rank == 0)
        fd = offer.fd;
    else if (status == LS_OK)
        fd = take_offer(&offer);
    uint64_t without = !(fd >= 0 && map(segment, fd));
    if (status == LS_OK) status = ls_comm_sum_u64(comm, &without, 1); // after which all have opened it
    if (fd >= 0) close(fd);
    if (without > 0 && segment->memory) munmap(segment->memory, segment->bytes), segment->memory = NULL;
    return status;
}

ls_status ls_segment_open(struct ls_comm *comm, struct ls_segment **opened) {
    *opened = NULL;
    if (comm->size == 1) return LS_OK;
    uint64_t apart = comm->local_size != comm->size;
    LS_TRY(ls_comm_sum_u64(comm, &apart, 1));
    if (apart > 0) return LS_OK;
    struct ls_segment *segment = calloc(1, sizeof *segment);
    if (!segment) return LS_FAIL(LS_SYSTEM, "out of memory");
    segment->rank = comm->rank;
    segment->size = comm->size;
    segment->host = comm->host;
    segment->staged = LS_SEGMENT_STAGED;
    segment->bytes =
        bytes_of_boards(comm->size) + (size_t)comm->size * LS_SEGMENT_PLACES * sizeof(struct ls_area);
    const ls_status status = join(comm, segment);
    if (status == LS_OK && segment->memory)
        *opened = segment;
    else
        ls_segment_close(segment);
    return status;
}

void ls_segment_close(struct ls_segment *segment) {
    if (!segment) return;
    if (segment->memory) munmap(segment->memory, segment->bytes);
    free(segment);
}

// ---- rounds ----

// What comes within a microsecond is not worth giving the core away.
enum { QUICK_LOOKS = 40 };

static inline void pause_processor(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void await(const _Atomic uint64_t *word, uint64_t round) {
    for (int look = 0; look < QUICK_LOOKS; look++) {
        if (atomic_load_explicit(word, memory_order_acquire) >= round) return;
        pause_processor();
    }
    struct ls_patience patience = ls_patience_for(sizeof(struct ls_area));
    while (atomic_load_explicit(word, memory_order_acquire) < round) ls_patience_pass(&patience);
}

void ls_segment_staged(struct ls_segment *segment, uint64_t round, size_t count) {
    struct ls_board *mine = &segment->boards[segment->rank];
    mine->count[round % LS_SEGMENT_PLACES] = count;
    atomic_store_explicit(&mine->staged, round, memory_order_release);
}

void ls_segment_summed(struct ls_segment *segment, uint64_t round) {
    atomic_store_explicit(&segment->boards[segment->rank].summed, round, memory_order_release);
}

ls_status ls_segment_await_staged(struct ls_segment *segment, uint64_t round) {
    const size_t place = round % LS_SEGMENT_PLACES;
    const uint64_t expected = segment->boards[segment->rank].count[place];
    for (int d = 1; d < segment->size; d++) {
        const int r = (segment->rank + d) % segment->size;
        await(&segment->boards[r].staged, round);
        const uint64_t found = segment->boards[r].count[place];
        if (found != expected)
            return LS_FAIL(
                LS_COMM,
                "rank %d on %s: rank %d reduces %llu floats where %llu were expected: ranks disagree",
                segment->rank, segment->host, r, (unsigned long long)found, (unsigned long long)expected);
    }
    ls_pulse_tick();
    return LS_OK;
}

void ls_segment_await_summed(struct ls_segment *segment, int rank, uint64_t round) {
    await(&segment->boards[rank].summed, round);
}
