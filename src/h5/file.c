// Opening, creating, closing; the lock; the library's words.
#include "h5/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void ls_h5_lock(void) {
    pthread_mutex_lock(&lock);
    // A thread-safe build of the library keeps this setting for each thread, so it is made in each call.
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void ls_h5_unlock(void) {
    pthread_mutex_unlock(&lock);
}

const char *ls_h5_library(void) {
    static char text[48];
    ls_h5_lock();
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "HDF5 %u.%u.%u", major, minor, release);
    ls_h5_unlock();
    return text;
}

// ---- errors

struct words {
    char *out;
    size_t bytes;
};

static herr_t take_innermost(unsigned n, const H5E_error2_t *error, void *context) {
    struct words *words = context;
    if (n > 0 || !error->desc) return 0;
    // The system's word alone, where the driver wraps it: "file write failed: time = …, error message = '…',
    // …".
    static const char mark[] = "error message = '";
    const char *begin = strstr(error->desc, mark),
               *end = begin ? strchr(begin + sizeof mark - 1, '\'') : NULL;
    if (end)
        snprintf(words->out, words->bytes, "%.*s", (int)(end - begin - (long)sizeof mark + 1),
                 begin + sizeof mark - 1);
    else
        snprintf(words->out, words->bytes, "%s", error->desc);
    return 0;
}

// The innermost description on the library's error stack.
static void library_words(char *out, size_t bytes) {
    snprintf(out, bytes, "HDF5 does not say why");
    struct words words = {out, bytes};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_innermost, &words);
}

ls_status ls_h5_fail_at(const char *source, int line, const struct ls_h5 *file, const char *what,
                        const char *object) {
    char words[512];
    library_words(words, sizeof words);
    ls_status status = file->writing ? LS_SYSTEM : LS_INPUT;
    if (!object) return ls_fail_at(source, line, status, "%s: %s: %s", file->path, what, words);
    return ls_fail_at(source, line, status, "%s: %s '%s': %s", file->path, what, object, words);
}

// ---- what is wrong with a file that the library does not open

static uint64_t little_endian(const unsigned char *p, int bytes) {
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;) value = value << 8 | p[i];
    return value;
}

// Finds the superblock (at 0, 512, 1024, … bytes) and the end of the file that it tells.
static bool read_superblock(int fd, uint64_t size, uint64_t *end) {
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    for (uint64_t at = 0; at < size; at = at ? at * 2 : 512) {
        unsigned char block[96] = {0};
        if (pread(fd, block, sizeof block, (off_t)at) < 16) return false;
        if (memcmp(block, signature, sizeof signature) != 0) continue;
        int version = block[8], width = version < 2 ? block[13] : block[9];
        // Three addresses: base, free space or extension, end of file.
        int addresses = version == 0 ? 24 : version == 1 ? 28 : 12;
        if (version > 3 || width < 1 || width > 8) return false;
        *end = little_endian(block + addresses + (size_t)2 * (size_t)width, width);
        return true;
    }
    return false;
}

static bool has_signature(int fd, uint64_t size) {
    for (uint64_t at = 0; at + 8 <= size; at = at ? at * 2 : 512) {
        char found[8];
        if (pread(fd, found, 8, (off_t)at) == 8 && memcmp(found, "\211HDF\r\n\032\n", 8) == 0) return true;
    }
    return false;
}

static ls_status diagnose(const char *path, const char *words) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT) return LS_FAIL(LS_INPUT, "%s: no such file", path);
        return LS_FAIL(LS_INPUT, "%s: cannot open: %s", path, strerror(errno));
    }
    struct stat info;
    uint64_t size = fstat(fd, &info) == 0 ? (uint64_t)info.st_size : 0, end = 0;
    bool signature = has_signature(fd, size), superblock = signature && read_superblock(fd, size, &end);
    close(fd);
    if (size == 0) return LS_FAIL(LS_INPUT, "%s: is not an HDF5 file: it is empty", path);
    if (!signature) return LS_FAIL(LS_INPUT, "%s: is not an HDF5 file", path);
    if (!superblock) return LS_FAIL(LS_INPUT, "%s: has a damaged superblock: %s", path, words);
    if (size < end)
        return LS_FAIL(LS_INPUT, "%s: is truncated: %llu bytes, its superblock says %llu", path,
                       (unsigned long long)size, (unsigned long long)end);
    const char *locks = getenv("HDF5_USE_FILE_LOCKING");
    bool locked = locks && strcmp(locks, "FALSE") != 0 && strcmp(locks, "0") != 0;
    return LS_FAIL(LS_INPUT, "%s: HDF5 cannot open it: %s%s%s%s", path, words,
                   locked ? "; it asks for a lock, as HDF5_USE_FILE_LOCKING is '" : "", locked ? locks : "",
                   locked ? "'" : "");
}

// ---- opening and closing

hid_t ls_h5_access(void) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    // No locks: some cluster file systems refuse them, shards do not change under a reader, and what Lockstep
    // writes gets its name only when it is whole. HDF5_USE_FILE_LOCKING still has the last word.
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    H5Pset_file_locking(access, false, true);
#else
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
#endif
    return access;
}

// NULL where there is no memory.
static struct ls_h5 *new_file(const char *path, bool writing) {
    struct ls_h5 *file = calloc(1, sizeof *file);
    if (!file) return NULL;
    file->path = strdup(path);
    file->writing = writing;
    file->id = -1;
    file->disk = (struct ls_h5_disk){.file = -1, .memory = -1};
    if (file->path) return file;
    free(file);
    return NULL;
}

static void free_file(struct ls_h5 *file) {
    ls_h5_disk_close(&file->disk);
    free(file->path);
    free(file);
}

// A pipe would be waited for, for as long as nobody writes to it.
static ls_status check_kind(const char *path) {
    struct stat info;
    if (!*path) return LS_FAIL(LS_INPUT, "expected the name of a file, found nothing");
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return LS_FAIL(LS_INPUT, "%s: expected an HDF5 file, found %s", path,
                       S_ISDIR(info.st_mode)    ? "a folder"
                       : S_ISFIFO(info.st_mode) ? "a pipe"
                                                : "a device");
    return LS_OK;
}

ls_status ls_h5_open(const char *path, struct ls_h5 **result) {
    *result = NULL;
    LS_TRY(check_kind(path));
    struct ls_h5 *file = new_file(path, false);
    if (!file) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    ls_h5_lock();
    hid_t access = ls_h5_access();
    file->id = H5Fopen(path, H5F_ACC_RDONLY, access);
    char words[512] = "";
    if (file->id < 0) library_words(words, sizeof words);
    H5Pclose(access);
    ls_h5_unlock();
    if (file->id < 0) {
        free_file(file);
        return diagnose(path, words);
    }
    *result = file;
    return LS_OK;
}

static hid_t create_file(const char *path) {
    hid_t access = ls_h5_access(), creation = H5Pcreate(H5P_FILE_CREATE);
    // Metadata of these versions carries checksums.
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_alignment(access, 4096, 4096);
    H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    // The same content is the same bytes.
    H5Pset_obj_track_times(creation, false);
    hid_t id = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    // H5Pclose succeeds here, and would forget why H5Fcreate did not.
    if (id < 0) return id;
    H5Pclose(creation);
    H5Pclose(access);
    return id;
}

static ls_status create(struct ls_h5 *file) {
    LS_TRY(ls_h5_disk_open(&file->disk, file->path));
    ls_h5_lock();
    file->id = create_file(file->path);
    ls_status status = file->id >= 0 ? LS_OK : LS_H5_FAIL(file, "cannot create", NULL);
    if (status == LS_OK) status = ls_h5_disk_divert(&file->disk, file->path, file->id);
    if (status != LS_OK && file->id >= 0) H5Fclose(file->id);
    ls_h5_unlock();
    return status;
}

ls_status ls_h5_create(const char *path, struct ls_h5 **result) {
    *result = NULL;
    struct ls_h5 *file = new_file(path, true);
    if (!file) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    ls_status status = create(file);
    if (status == LS_OK)
        *result = file;
    else
        free_file(file);
    return status;
}

static void close_datasets(struct ls_h5 *file) {
    for (int i = 0; i < LS_H5_CACHED; i++) {
        if (file->cached[i].name) H5Dclose(file->cached[i].id);
        free(file->cached[i].name);
        file->cached[i].name = NULL;
    }
}

void ls_h5_close(struct ls_h5 *file) {
    if (!file) return;
    ls_h5_lock();
    close_datasets(file);
    H5Fclose(file->id);
    ls_h5_unlock();
    free_file(file);
}

ls_status ls_h5_finish(struct ls_h5 *file) {
    ls_h5_lock();
    close_datasets(file);
    ls_status status = H5Fclose(file->id) < 0 ? LS_H5_FAIL(file, "cannot close", NULL) : LS_OK;
    ls_h5_unlock();
    if (status == LS_OK) status = ls_h5_disk_complete(&file->disk, file->path);
    free_file(file);
    return status;
}

const char *ls_h5_path(const struct ls_h5 *file) {
    return file->path;
}
