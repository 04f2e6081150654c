#include "train/runfolder.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ls_run_folder {
    struct ls_arena memory;
    const char *path, *recipe, *metrics, *metrics_temporary, *trace, *checkpoints, *lock_path;
    int lock;
};

// ---- the lock

static ls_status name_holder(const struct ls_run_folder *folder) {
    char holder[256];
    ssize_t n = pread(folder->lock, holder, sizeof holder - 1, 0);
    holder[n > 0 ? n : 0] = 0;
    holder[strcspn(holder, "\n")] = 0;
    return LS_FAIL(LS_INPUT,
                   "%s: another run is at work here (%s); wait for it, end it, or use another --out",
                   folder->path, *holder ? holder : "it has not said who it is");
}

// For whoever finds the folder locked. A disk too full for a line does not keep anyone from training.
static void sign_lock(int file) {
    char host[128] = "?", line[256];
    gethostname(host, sizeof host - 1);
    int length = snprintf(line, sizeof line, "process %ld on %s\n", (long)getpid(), host);
    if (ftruncate(file, 0) != 0 || pwrite(file, line, (size_t)length, 0) != length) return;
}

static ls_status lock_folder(struct ls_run_folder *folder) {
    folder->lock = open(folder->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (folder->lock < 0)
        return LS_FAIL(LS_INPUT, "%s: cannot open to lock the run folder: %s", folder->lock_path,
                       strerror(errno));
    int error = ls_file_lock(folder->lock);
    if (error == EAGAIN) return name_holder(folder);
    if (error)
        ls_warn(
            "%s: this file system has no locks (%s); nothing keeps two runs from using the folder at once",
            folder->path, strerror(error));
    sign_lock(folder->lock);
    return LS_OK;
}

// ---- what is there

static bool has_entries(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return false;
    const struct dirent *entry;
    bool found = false;
    while (!found && (entry = readdir(folder)) != NULL)
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return found;
}

static ls_status refuse_a_run(const struct ls_run_folder *folder) {
    const char *found = ls_file_exists(folder->metrics)    ? "metrics.jsonl"
                        : ls_file_exists(folder->recipe)   ? "recipe.yaml"
                        : has_entries(folder->checkpoints) ? "checkpoints"
                                                           : NULL;
    if (!found) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "%s: holds a run already (%s); add --resume to go on with it, or use another --out",
                   folder->path, found);
}

// What a run that was killed has left half-written; checkpoints are looked after by those who read them.
static void clear(const struct ls_run_folder *folder) {
    ls_file_clear(folder->recipe);
    ls_file_clear(folder->trace);
    (void)unlink(folder->metrics_temporary);
}

static ls_status prepare(struct ls_run_folder *folder, bool resume) {
    LS_TRY(ls_make_folders(folder->path));
    LS_TRY(lock_folder(folder));
    if (!resume) LS_TRY(refuse_a_run(folder));
    clear(folder);
    return ls_make_folders(folder->checkpoints);
}

// NULL where that fails.
static struct ls_run_folder *name_files(const char *path) {
    struct ls_run_folder *opened = *path ? calloc(1, sizeof *opened) : NULL;
    if (!*path) LS_FAIL(LS_INPUT, "--out: expected the name of a folder, found nothing");
    if (*path && !opened) LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    if (!opened) return NULL;
    struct ls_arena *memory = &opened->memory;
    opened->lock = -1;
    opened->path = ls_arena_copy(memory, path);
    opened->recipe = ls_arena_format(memory, "%s/recipe.yaml", path);
    opened->metrics = ls_arena_format(memory, "%s/metrics.jsonl", path);
    opened->metrics_temporary = ls_arena_format(memory, "%s/metrics.jsonl.tmp", path);
    opened->trace = ls_arena_format(memory, "%s/trace.json", path);
    opened->checkpoints = ls_arena_format(memory, "%s/checkpoints", path);
    opened->lock_path = ls_arena_format(memory, "%s/lock", path);
    return opened;
}

ls_status ls_run_folder_refuse_a_run(const char *path) {
    struct ls_run_folder *folder = name_files(path);
    if (!folder) return ls_error_last()->status;
    const ls_status status = refuse_a_run(folder);
    ls_run_folder_close(folder);
    return status;
}

ls_status ls_run_folder_open(const char *path, bool resume, struct ls_run_folder **folder) {
    struct ls_run_folder *opened = name_files(path);
    *folder = NULL;
    if (!opened) return ls_error_last()->status;
    ls_status status = prepare(opened, resume);
    if (status != LS_OK) {
        ls_run_folder_close(opened);
        return status;
    }
    *folder = opened;
    return LS_OK;
}

ls_status ls_run_folder_check(const struct ls_run_folder *folder) {
    struct stat mine, there;
    if (stat(folder->lock_path, &there) != 0)
        return LS_FAIL(LS_SYSTEM, "%s: the run folder was removed under the run (no file lock: %s)",
                       folder->path, strerror(errno));
    if (fstat(folder->lock, &mine) == 0 && (mine.st_ino != there.st_ino || mine.st_dev != there.st_dev))
        return LS_FAIL(LS_SYSTEM, "%s: the run folder was removed under the run, and there is another now",
                       folder->path);
    return LS_OK;
}

ls_status ls_run_folder_write_recipe(struct ls_run_folder *folder, const char *recipe) {
    return ls_file_write(folder->recipe, recipe, strlen(recipe));
}

const char *ls_run_folder_path(const struct ls_run_folder *folder) {
    return folder->path;
}

const char *ls_run_folder_metrics(const struct ls_run_folder *folder) {
    return folder->metrics;
}

const char *ls_run_folder_checkpoints(const struct ls_run_folder *folder) {
    return folder->checkpoints;
}

// The file itself stays: removing it would let two others lock two files of one name.
void ls_run_folder_close(struct ls_run_folder *folder) {
    if (!folder) return;
    if (folder->lock >= 0) close(folder->lock);
    ls_arena_free(&folder->memory);
    free(folder);
}
