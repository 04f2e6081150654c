#include "comm/window.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NONCE_BYTES = 16 };

// What a rank tells the others of its memory, and where they find it. The nonce stands behind the memory, so
// that nothing else, on another host that has the same numbers, is taken for it.
struct offer {
    int pid, fd; // fd < 0: there is none
    uint64_t device, inode, bytes;
    unsigned char nonce[NONCE_BYTES];
};

static size_t in_pages(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static size_t file_bytes(size_t bytes) {
    return in_pages(bytes) + in_pages(NONCE_BYTES);
}

// ---- making ----

// All of it now, so that none is missing later, and near this rank's processor.
static bool fill(int fd, size_t bytes) {
    int error = EINTR;
    while (error == EINTR) error = posix_fallocate(fd, 0, (off_t)bytes);
    return error == 0;
}

static bool sign(int fd, struct offer *offer) {
    struct stat found;
    if (getrandom(offer->nonce, NONCE_BYTES, 0) != NONCE_BYTES) return false;
    if (pwrite(fd, offer->nonce, NONCE_BYTES, (off_t)in_pages(offer->bytes)) != NONCE_BYTES) return false;
    if (fstat(fd, &found) != 0) return false;
    offer->device = found.st_dev;
    offer->inode = found.st_ino;
    return true;
}

static void make_offer(size_t bytes, struct offer *offer) {
    *offer = (struct offer){.pid = (int)getpid(), .fd = -1, .bytes = bytes};
    if (file_bytes(bytes) > ls_file_most_bytes()) return;
    const int fd = ls_file_in_memory();
    if (fd < 0) return;
    if (fill(fd, file_bytes(bytes)) && sign(fd, offer))
        offer->fd = fd;
    else
        close(fd);
}

// ---- taking ----

static bool is_offered(const struct offer *offer, const struct stat *found) {
    return found->st_dev == offer->device && found->st_ino == offer->inode && S_ISREG(found->st_mode);
}

// The offered file, or -1. In another container or on another host the same number may be another process's:
// what it has there is not even opened.
static int take_offer(const struct offer *offer) {
    char path[64];
    struct stat found;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", offer->pid, offer->fd);
    if (stat(path, &found) != 0 || !is_offered(offer, &found)) return -1;
    const int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    if (fstat(fd, &found) == 0 && is_offered(offer, &found)) return fd;
    close(fd);
    return -1;
}

static bool map(struct ls_window *window, int rank, int fd, const struct offer *offer) {
    const size_t bytes = file_bytes(offer->bytes);
    struct stat found;
    if (fstat(fd, &found) != 0 || found.st_size != (off_t)bytes) return false;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return false;
    window->memory[rank] = memory;
    window->bytes[rank] = offer->bytes;
    return memcmp(memory + in_pages(offer->bytes), offer->nonce, NONCE_BYTES) == 0;
}

static bool map_all(struct ls_window *window, const struct offer *offers) {
    for (int r = 0; r < window->size; r++) {
        if (offers[r].fd < 0) return false;
        const int fd = r == window->rank ? offers[r].fd : take_offer(&offers[r]);
        if (fd < 0) return false;
        const bool mapped = map(window, r, fd, &offers[r]);
        if (r != window->rank) close(fd);
        if (!mapped) return false;
    }
    return true;
}

// ---- opening and closing ----

static struct ls_window *new_window(const struct ls_comm *comm, struct ls_group group) {
    const size_t size = (size_t)group.size;
    struct ls_window *window = calloc(1, sizeof *window);
    if (!window) return NULL;
    window->rank = comm->rank - group.first;
    window->size = group.size;
    window->memory = calloc(size, sizeof *window->memory);
    window->bytes = calloc(size, sizeof *window->bytes);
    if (window->memory && window->bytes) return window;
    ls_window_close(window);
    return NULL;
}

// *missing: a rank does not see all of it; the same on all ranks.
static ls_status join(struct ls_comm *comm, int first, struct ls_window *window, struct offer *offers,
                      size_t bytes, uint64_t *missing) {
    struct offer mine;
    make_offer(bytes, &mine);
    ls_status status = ls_comm_gather_all(comm, &mine, offers, sizeof mine);
    *missing = !(status == LS_OK && map_all(window, offers + first));
    if (status == LS_OK) status = ls_comm_sum_u64(comm, missing, 1); // after which all have opened it
    if (mine.fd >= 0) close(mine.fd);
    return status;
}

ls_status ls_window_open(struct ls_comm *comm, struct ls_group group, size_t bytes,
                         struct ls_window **opened) {
    *opened = NULL;
    struct ls_window *window = new_window(comm, group);
    struct offer *offers = calloc((size_t)comm->size, sizeof *offers);
    uint64_t missing = 1;
    ls_status status = window && offers ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory");
    status = ls_comm_agree(comm, status);
    if (status == LS_OK && window && offers)
        status = join(comm, group.first, window, offers, bytes, &missing);
    free(offers);
    if (missing > 0)
        ls_window_close(window);
    else
        *opened = window;
    return status;
}

void ls_window_close(struct ls_window *window) {
    if (!window) return;
    for (int r = 0; window->memory && window->bytes && r < window->size; r++)
        if (window->memory[r]) munmap(window->memory[r], file_bytes(window->bytes[r]));
    free(window->memory);
    free(window->bytes);
    free(window);
}
