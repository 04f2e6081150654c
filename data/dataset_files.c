#include "data/dataset_parts.h"

#include "base/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEAST_SLOTS = 16, MOST_SLOTS = 1024 };

// How many files are open, of all data sets together.
static atomic_int open_files;

// Of the slots that the process has descriptors for, a share of `above` in `below`, and at most so many. A
// slot may hold two (HDF5 opens its own).
static int slots_of(int above, int below, int most) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return most;
    const rlim_t slots = limit.rlim_cur / (rlim_t)below * (rlim_t)above;
    return slots < LEAST_SLOTS ? LEAST_SLOTS : slots < (rlim_t)most ? (int)slots : most;
}

// May one more be opened? The sets share three quarters of all descriptors, and the rest of the program has
// what is left; but each may have a few, so that none waits for another.
static bool may_open(const struct ls_files *files) {
    return files->n_open < LEAST_SLOTS || atomic_load(&open_files) < slots_of(3, 8, 4 * MOST_SLOTS);
}

ls_status ls_files_init(struct ls_files *files, int n_files, int share) {
    pthread_mutex_init(&files->lock, NULL);
    pthread_cond_init(&files->changed, NULL);
    if (n_files == 0) return LS_OK;
    const int most = slots_of(1, share, MOST_SLOTS), n_slots = n_files < most ? n_files : most;
    files->slots = calloc((size_t)n_slots, sizeof *files->slots);
    files->slot_of = malloc((size_t)n_files * sizeof *files->slot_of);
    if (!files->slots || !files->slot_of) return LS_FAIL(LS_SYSTEM, "out of memory for %d files", n_files);
    files->n_slots = n_slots;
    for (int i = 0; i < n_files; i++) files->slot_of[i] = -1;
    return LS_OK;
}

// Empties the slot; its file is then not open.
static void empty(struct ls_files *files, struct ls_file_slot *slot) {
    if (!slot->path) return;
    if (slot->fd >= 0) close(slot->fd);
    ls_h5_close(slot->h5);
    files->slot_of[slot->file] = -1;
    files->n_open--;
    atomic_fetch_sub(&open_files, 1);
    *slot = (struct ls_file_slot){0};
}

void ls_files_close(struct ls_files *files) {
    for (int i = 0; i < files->n_slots; i++) empty(files, &files->slots[i]);
    free(files->slots);
    free(files->slot_of);
    pthread_mutex_destroy(&files->lock);
    pthread_cond_destroy(&files->changed);
}

// An empty slot where one more may be opened, or else the one that was not used for longest; NULL where all
// are pinned.
static struct ls_file_slot *free_slot(struct ls_files *files) {
    struct ls_file_slot *oldest = NULL;
    const bool more = may_open(files);
    for (int i = 0; i < files->n_slots; i++) {
        struct ls_file_slot *slot = &files->slots[i];
        if (!slot->path && more) return slot;
        if (!slot->path) continue;
        if (slot->pins == 0 && (!oldest || slot->last_used < oldest->last_used)) oldest = slot;
    }
    if (oldest) empty(files, oldest);
    return oldest;
}

// Opens outside of the lock: on a shared file system an open may take milliseconds.
static ls_status open_slot(struct ls_files *files, struct ls_file_slot *slot) {
    const char *path = slot->path;
    pthread_mutex_unlock(&files->lock);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int error = errno;
    struct stat found = {0};
    if (fd >= 0) fstat(fd, &found);
    pthread_mutex_lock(&files->lock);
    slot->fd = fd;
    slot->bytes = found.st_size;
    if (fd < 0) {
        slot->pins = 0;
        empty(files, slot);
    }
    pthread_cond_broadcast(&files->changed);
    if (fd < 0) return LS_FAIL(LS_INPUT, "%s: cannot open: %s", path, strerror(error));
    return LS_OK;
}

static ls_status pin_locked(struct ls_files *files, const struct ls_shard *shard,
                            struct ls_file_slot **pinned) {
    int *slot_of = &files->slot_of[shard->file];
    for (;; pthread_cond_wait(&files->changed, &files->lock)) {
        struct ls_file_slot *slot = *slot_of >= 0 ? &files->slots[*slot_of] : NULL;
        if (slot && slot->fd >= 0) {
            slot->pins++;
            slot->last_used = ++files->clock;
            *pinned = slot;
            return LS_OK;
        }
        if (slot) continue; // another thread is opening it
        slot = free_slot(files);
        if (!slot) continue;
        *slot = (struct ls_file_slot){
            .path = shard->path, .file = shard->file, .fd = -1, .pins = 1, .last_used = ++files->clock};
        *slot_of = (int)(slot - files->slots);
        files->n_open++;
        atomic_fetch_add(&open_files, 1);
        *pinned = slot;
        return open_slot(files, slot);
    }
}

ls_status ls_files_pin(struct ls_files *files, const struct ls_shard *shard, struct ls_open_file *file) {
    *file = (struct ls_open_file){.shard = shard, .files = files};
    pthread_mutex_lock(&files->lock);
    ls_status status = pin_locked(files, shard, &file->slot);
    pthread_mutex_unlock(&files->lock);
    return status;
}

void ls_files_unpin(struct ls_open_file *file) {
    pthread_mutex_lock(&file->files->lock);
    if (--file->slot->pins == 0) pthread_cond_broadcast(&file->files->changed);
    pthread_mutex_unlock(&file->files->lock);
}

ls_status ls_files_h5(struct ls_open_file *file, struct ls_h5 **h5) {
    struct ls_file_slot *slot = file->slot;
    pthread_mutex_lock(&file->files->lock);
    ls_status status = slot->h5 ? LS_OK : ls_h5_open(slot->path, &slot->h5);
    *h5 = slot->h5;
    pthread_mutex_unlock(&file->files->lock);
    return status;
}

// ---- bytes of them

// Drops the first `bytes` of the parts, which were read.
static int drop_read(struct iovec *parts, int n, size_t bytes) {
    int whole = 0;
    while (whole < n && bytes >= parts[whole].iov_len) bytes -= parts[whole++].iov_len;
    memmove(parts, parts + whole, (size_t)(n - whole) * sizeof *parts);
    if (whole < n) {
        parts[0].iov_base = (char *)parts[0].iov_base + bytes;
        parts[0].iov_len -= bytes;
    }
    return n - whole;
}

ls_status ls_read_parts(const struct ls_open_file *file, const struct ls_column *column, int64_t row,
                        int64_t offset, struct iovec *parts, int n) {
    const char *path = file->shard->path;
    while (n > 0) {
        ssize_t got = preadv(file->slot->fd, parts, n, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return LS_FAIL(LS_INPUT, "%s: dataset '%s' cannot be read from row %lld on: %s", path,
                           column->name, (long long)row, strerror(errno));
        if (got == 0)
            return LS_FAIL(LS_INPUT, "%s: is truncated: dataset '%s' goes on, but the file ends at byte %lld",
                           path, column->name, (long long)offset);
        offset += got;
        ls_pulse_tick();
        n = drop_read(parts, n, (size_t)got);
    }
    return LS_OK;
}

ls_status ls_read_at(const struct ls_open_file *file, const struct ls_column *column, int64_t row,
                     int64_t offset, void *out, size_t bytes) {
    struct iovec part = {.iov_base = out, .iov_len = bytes};
    return ls_read_parts(file, column, row, offset, &part, 1);
}
