// How a file that is written reaches the disk.
//
//   the disk     | data of images .......... | data of labels ... |      by pwrite, as it comes
//   in memory    | metadata |                |        | metadata |       all that the library writes
//   finished     | metadata | images ....... | labels | metadata |       the rest copied in from memory
//
//   large data   | left the page cache | on its way to the disk ..... |  more to come
//
// Once it has created the file, the library does not write to the disk itself: where a write of its fails, it
// keeps the file and the space, and crashes when the program ends. Metadata is small, and a file in memory
// takes it always.
#define _GNU_SOURCE // dup3, sync_file_range
#include "h5/internal.h"

#include "base/file.h"
#include "base/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { METADATA_TO_COME = 256 << 10, COPY_BYTES = 1 << 16, MERGE_WITH_LAST = 8 };
enum { LARGE_BYTES = 1 << 20, ON_THEIR_WAY = 16 << 20 };

static ls_status cannot_write(const char *path, int error) {
    return LS_FAIL(LS_SYSTEM, "%s: cannot write: %s", path, strerror(error));
}

ls_status ls_h5_disk_require_room(const char *path, int64_t size, int64_t more) {
    const uint64_t most = ls_file_most_bytes();
    if ((double)size + (double)more + METADATA_TO_COME <= (double)most) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "%s: cannot write: the limit to the size of files is %llu bytes", path,
                   (unsigned long long)most);
}

ls_status ls_h5_disk_open(struct ls_h5_disk *disk, const char *path) {
    *disk = (struct ls_h5_disk){.file = -1, .memory = -1};
    disk->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (disk->file < 0) return LS_FAIL(LS_SYSTEM, "%s: cannot create: %s", path, strerror(errno));
    LS_TRY(ls_h5_disk_require_room(path, 0, 0));
    disk->memory = ls_file_in_memory();
    if (disk->memory < 0)
        return LS_FAIL(LS_SYSTEM, "%s: cannot make a file in memory: %s", path, strerror(errno));
    return LS_OK;
}

void ls_h5_disk_close(struct ls_h5_disk *disk) {
    if (disk->file >= 0) close(disk->file);
    if (disk->memory >= 0) close(disk->memory);
    free(disk->spans);
    *disk = (struct ls_h5_disk){.file = -1, .memory = -1};
}

ls_status ls_h5_disk_divert(const struct ls_h5_disk *disk, const char *path, hid_t file) {
    void *handle = NULL;
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 || !handle)
        return LS_FAIL(LS_SYSTEM, "%s: HDF5 does not tell the descriptor of its file", path);
    if (dup3(disk->memory, *(int *)handle, O_CLOEXEC) < 0) return cannot_write(path, errno);
    return LS_OK;
}

// Pieces of a dataset follow each other, those of a few datasets by turns.
static ls_status remember_span(struct ls_h5_disk *disk, const char *path, int64_t begin, int64_t end) {
    for (size_t i = disk->n; i-- > 0 && disk->n - i <= MERGE_WITH_LAST;) {
        if (disk->spans[i].end == begin) {
            disk->spans[i].end = end;
            return LS_OK;
        }
    }
    if (disk->n == disk->capacity) {
        size_t capacity = disk->capacity ? 2 * disk->capacity : 64;
        struct ls_h5_span *spans = realloc(disk->spans, capacity * sizeof *spans);
        if (!spans) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
        disk->spans = spans;
        disk->capacity = capacity;
    }
    disk->spans[disk->n++] = (struct ls_h5_span){begin, end};
    return LS_OK;
}

static ls_status write_at(const struct ls_h5_disk *disk, const char *path, int64_t offset, const char *data,
                          size_t bytes) {
    while (bytes) {
        ssize_t n = pwrite(disk->file, data, bytes, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cannot_write(path, n < 0 ? errno : ENOSPC);
        ls_pulse_tick();
        data += n;
        offset += n;
        bytes -= (size_t)n;
    }
    return LS_OK;
}

// An error of the disk that is told here is not told by fsync again.
static ls_status sync_range(const struct ls_h5_disk *disk, const char *path, int64_t begin, int64_t end,
                            unsigned how) {
    if (sync_file_range(disk->file, begin, end - begin, how) == 0) return LS_OK;
    const bool unknown = errno == EINVAL || errno == ENOSYS || errno == ESPIPE || errno == EOPNOTSUPP;
    return unknown ? LS_OK : cannot_write(path, errno);
}

// Large data go to the disk while the next are made, not all at the end. The pages of those that are there
// are given back: the kernel takes them for the next, which is quicker than to find new ones, and a set that
// is larger than memory does not drive out what others read.
static ls_status send_off(struct ls_h5_disk *disk, const char *path, int64_t begin, int64_t end) {
    LS_TRY(sync_range(disk, path, begin, end, SYNC_FILE_RANGE_WRITE));
    const int64_t there = end - ON_THEIR_WAY;
    if (there <= disk->there) return LS_OK;
    LS_TRY(sync_range(disk, path, disk->there, there,
                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
    posix_fadvise(disk->file, 0, there, POSIX_FADV_DONTNEED);
    disk->there = there;
    return LS_OK;
}

ls_status ls_h5_disk_write(struct ls_h5_disk *disk, const char *path, int64_t offset, const void *data,
                           size_t bytes) {
    if (!bytes) return LS_OK;
    LS_TRY(write_at(disk, path, offset, data, bytes));
    if (bytes >= LARGE_BYTES) LS_TRY(send_off(disk, path, offset, offset + (int64_t)bytes));
    return remember_span(disk, path, offset, offset + (int64_t)bytes);
}

static ls_status copy_bytes(const struct ls_h5_disk *disk, const char *path, int64_t begin, int64_t end) {
    char buffer[COPY_BYTES];
    while (begin < end) {
        size_t wanted = end - begin < COPY_BYTES ? (size_t)(end - begin) : COPY_BYTES;
        ssize_t n = pread(disk->memory, buffer, wanted, begin);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return cannot_write(path, n < 0 ? errno : EIO);
        LS_TRY(write_at(disk, path, begin, buffer, (size_t)n));
        begin += n;
    }
    return LS_OK;
}

// Rows that were never written are holes in memory, and become holes of the file.
static ls_status copy(const struct ls_h5_disk *disk, const char *path, int64_t begin, int64_t end) {
    while (begin < end) {
        const int64_t data = lseek(disk->memory, begin, SEEK_DATA);
        if (data < 0 && errno == ENXIO) return LS_OK;
        if (data < 0) return cannot_write(path, errno);
        const int64_t hole = lseek(disk->memory, data, SEEK_HOLE);
        if (hole < 0) return cannot_write(path, errno);
        LS_TRY(copy_bytes(disk, path, data, hole < end ? hole : end));
        begin = hole;
    }
    return LS_OK;
}

static int by_begin(const void *a, const void *b) {
    int64_t x = ((const struct ls_h5_span *)a)->begin, y = ((const struct ls_h5_span *)b)->begin;
    return x < y ? -1 : x > y;
}

ls_status ls_h5_disk_complete(struct ls_h5_disk *disk, const char *path) {
    struct stat info;
    if (fstat(disk->memory, &info) != 0) return cannot_write(path, errno);
    if (disk->n) qsort(disk->spans, disk->n, sizeof *disk->spans, by_begin);
    int64_t done = 0;
    for (size_t i = 0; i < disk->n; i++) {
        LS_TRY(copy(disk, path, done, disk->spans[i].begin));
        if (disk->spans[i].end > done) done = disk->spans[i].end;
    }
    LS_TRY(copy(disk, path, done, info.st_size));
    struct stat written;
    if (fstat(disk->file, &written) != 0) return cannot_write(path, errno);
    if (written.st_size < info.st_size && ftruncate(disk->file, info.st_size) != 0)
        return cannot_write(path, errno);
    // Network file systems tell of a full disk only here.
    if (fsync(disk->file) != 0) return cannot_write(path, errno);
    return LS_OK;
}
