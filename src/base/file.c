#define _GNU_SOURCE // F_OFD_SETLK, memfd_create
#include "base/file.h"

#include "base/pulse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u // Linux 6.3
#endif

// Hardened systems give none that could be run; older ones do not know how to say that it cannot be.
int ls_file_in_memory(void) {
    const int file = memfd_create("lockstep", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    return file >= 0 || errno != EINVAL ? file : memfd_create("lockstep", MFD_CLOEXEC);
}

uint64_t ls_file_most_bytes(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return limit.rlim_cur;
}

bool ls_file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

// A place that cannot be used is the user's to change; a disk that is full or broken is the system's trouble.
static ls_status blame(int error) {
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ELOOP:
    case ENAMETOOLONG: return LS_INPUT;
    default: return LS_SYSTEM;
    }
}

static ls_status make_folder(const char *path) {
    if (mkdir(path, 0777) == 0) return LS_OK;
    int error = errno;
    struct stat info;
    if (stat(path, &info) != 0)
        return LS_FAIL(blame(error), "%s: cannot make folder: %s", path, strerror(error));
    if (!S_ISDIR(info.st_mode)) return LS_FAIL(LS_INPUT, "%s: expected a folder, found a file", path);
    return LS_OK;
}

ls_status ls_make_folders(const char *path) {
    if (!*path) return LS_FAIL(LS_INPUT, "cannot make a folder without a name");
    char *prefix = strdup(path);
    if (!prefix) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    ls_status status = LS_OK;
    for (char *slash = strchr(prefix + 1, '/'); slash && status == LS_OK; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        status = make_folder(prefix);
        *slash = '/';
    }
    if (status == LS_OK) status = make_folder(prefix);
    free(prefix);
    return status;
}

static ls_status sync_path(const char *path, int flags) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0) return LS_FAIL(blame(errno), "%s: cannot open to sync: %s", path, strerror(errno));
    ls_status status = LS_OK;
    // Some file systems cannot sync a folder and say so with EINVAL; there is nothing more to do then.
    if (fsync(fd) != 0 && !(errno == EINVAL && (flags & O_DIRECTORY)))
        status = LS_FAIL(LS_SYSTEM, "%s: cannot sync: %s", path, strerror(errno));
    close(fd);
    return status;
}

// Of "a/b" it is "a", of "/b" it is "/", of "b" it is "."; malloc'd. NULL where there is no memory.
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static ls_status sync_folder_of(const char *path) {
    char *folder = folder_of(path);
    if (!folder) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    ls_status status = sync_path(folder, O_DIRECTORY);
    free(folder);
    return status;
}

ls_status ls_file_may_write(const char *path) {
    struct stat info;
    if (!*path) return LS_FAIL(LS_INPUT, "expected the name of a file, found nothing");
    // A rename would take the place of a device, too.
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return LS_FAIL(LS_INPUT, "%s: expected the name of a file, found a %s", path,
                       S_ISDIR(info.st_mode) ? "folder" : "device or pipe");
    char *folder = folder_of(path);
    if (!folder) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    ls_status status = LS_OK;
    if (stat(folder, &info) != 0)
        status = LS_FAIL(blame(errno), "%s: its folder %s: %s", path, folder, strerror(errno));
    else if (!S_ISDIR(info.st_mode))
        status = LS_FAIL(LS_INPUT, "%s: %s is no folder", path, folder);
    else if (access(folder, W_OK | X_OK) != 0)
        status =
            LS_FAIL(blame(errno), "%s: cannot write into its folder %s: %s", path, folder, strerror(errno));
    free(folder);
    return status;
}

int ls_file_lock(int fd) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
#ifdef F_OFD_SETLK
    // A lock of the open file, not of the process: closing some other handle of the same file keeps it.
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0) return 0;
    if (errno != EINVAL) return errno == EACCES ? EAGAIN : errno;
    whole.l_pid = 0;
#endif
    if (fcntl(fd, F_SETLK, &whole) == 0) return 0;
    return errno == EACCES ? EAGAIN : errno;
}

ls_status ls_file_commit(const char *temporary, const char *path) {
    ls_status status = sync_path(temporary, 0);
    if (status == LS_OK && rename(temporary, path) != 0)
        status = LS_FAIL(blame(errno), "%s: cannot rename %s to it: %s", path, temporary, strerror(errno));
    if (status != LS_OK) {
        unlink(temporary);
        return status;
    }
    return sync_folder_of(path);
}

// The size of a file is a hint only: files of /proc have none, and others may grow.
static ls_status read_open_file(const char *path, FILE *file, size_t limit, char **text, size_t *bytes) {
    size_t used = 0, capacity = 4096;
    struct stat info = {0};
    if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode))
        return LS_FAIL(LS_INPUT, "%s: expected a file, found a folder", path);
    if (info.st_size > 0 && (uint64_t)info.st_size < limit)
        capacity = (size_t)info.st_size + 2; // one more than there is, so that its end is met
    setvbuf(file, NULL, _IONBF, 0);          // straight into the memory
    char *data = malloc(capacity);
    while (data) {
        used += fread(data + used, 1, capacity - used - 1, file);
        if (ferror(file)) {
            int error = errno;
            free(data);
            return LS_FAIL(LS_INPUT, "%s: cannot read: %s", path, strerror(error));
        }
        if (used > limit) {
            free(data);
            return LS_FAIL(LS_INPUT, "%s: expected at most %zu bytes, found more", path, limit);
        }
        if (feof(file)) break;
        capacity *= 2;
        char *larger = realloc(data, capacity);
        if (!larger) free(data);
        data = larger;
    }
    if (!data) return LS_FAIL(LS_SYSTEM, "%s: out of memory for its %zu bytes", path, capacity);
    data[used] = 0;
    *text = data;
    if (bytes) *bytes = used;
    return LS_OK;
}

ls_status ls_file_read(const char *path, size_t limit, char **text, size_t *bytes) {
    *text = NULL;
    if (!*path) return LS_FAIL(LS_INPUT, "expected the name of a file, found nothing");
    FILE *file = fopen(path, "rbe");
    if (!file) return LS_FAIL(LS_INPUT, "%s: cannot open: %s", path, strerror(errno));
    ls_status status = read_open_file(path, file, limit, text, bytes);
    fclose(file);
    return status;
}

static ls_status write_all(const char *path, int fd, const char *data, size_t bytes) {
    while (bytes) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return LS_FAIL(LS_SYSTEM, "%s: cannot write: %s", path, strerror(errno));
        data += n;
        bytes -= (size_t)n;
        ls_pulse_tick();
    }
    return LS_OK;
}

ls_status ls_file_write(const char *path, const void *data, size_t bytes) {
    size_t length = strlen(path) + 32;
    char *temporary = malloc(length);
    if (!temporary) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    snprintf(temporary, length, "%s.%ld.tmp", path, (long)getpid());
    ls_status status = LS_OK;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = LS_FAIL(blame(errno), "%s: cannot create: %s", temporary, strerror(errno));
    } else {
        status = write_all(path, fd, data, bytes);
        if (close(fd) != 0 && status == LS_OK)
            status = LS_FAIL(LS_SYSTEM, "%s: cannot write: %s", path, strerror(errno));
        if (status == LS_OK)
            status = ls_file_commit(temporary, path);
        else
            unlink(temporary);
    }
    free(temporary);
    return status;
}

// "NAME.123.tmp", as ls_file_write makes it.
static bool is_temporary(const char *file, const char *name) {
    const size_t length = strlen(name);
    if (strncmp(file, name, length) != 0 || file[length] != '.') return false;
    const size_t digits = strspn(file + length + 1, "0123456789");
    return digits > 0 && strcmp(file + length + 1 + digits, ".tmp") == 0;
}

void ls_file_clear(const char *path) {
    char *folder = folder_of(path);
    DIR *listing = folder ? opendir(folder) : NULL;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (struct dirent *entry; listing && (entry = readdir(listing));)
        if (is_temporary(entry->d_name, name)) (void)unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing) closedir(listing);
    free(folder);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ls_status copy_names(char *const *from, size_t count, char ***names, int *n) {
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(from[i]);
        if (!copy[i]) {
            ls_glob_free(copy, (int)i);
            copy = NULL;
        }
    }
    if (!copy) return LS_FAIL(LS_SYSTEM, "out of memory for %zu file names", count);
    // Not the order of the locale: the order of the names is part of the identity of a data set.
    qsort(copy, count, sizeof *copy, by_bytes);
    *names = copy;
    *n = (int)count;
    return LS_OK;
}

ls_status ls_glob(const char *pattern, char ***names, int *n) {
    *names = NULL;
    *n = 0;
    char *itself = (char *)pattern;
    if (!strpbrk(pattern, "*?[")) return copy_names(&itself, 1, names, n);
    glob_t found = {0};
    int result = glob(pattern, GLOB_NOSORT, NULL, &found);
    ls_status status = LS_OK;
    if (result == 0) {
        status = copy_names(found.gl_pathv, found.gl_pathc, names, n);
    } else if (result != GLOB_NOMATCH) {
        status = LS_FAIL(LS_SYSTEM, "%s: cannot list the files that match", pattern);
    } else if (ls_file_exists(pattern)) { // a name that holds a bracket
        status = copy_names(&itself, 1, names, n);
    }
    globfree(&found);
    return status;
}

void ls_glob_free(char **names, int n) {
    for (int i = 0; names && i < n; i++) free(names[i]);
    free(names);
}
