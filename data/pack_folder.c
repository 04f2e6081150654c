#include "data/pack_parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MOST_DEEP = 16 };

void ls_pack_folder_close(struct ls_pack_folder *folder) {
    free(folder->files);
    ls_arena_free(&folder->names);
    *folder = (struct ls_pack_folder){0};
}

static bool is_picture(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".jpe", ".png"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0) return true;
    return false;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static ls_status add_file(struct ls_pack_folder *folder, const char *below, int64_t bytes, int32_t label) {
    if (!is_picture(below)) {
        folder->ignored++;
        return LS_OK;
    }
    if (folder->n == folder->capacity) {
        int64_t capacity = folder->capacity ? 2 * folder->capacity : 1024;
        struct ls_pack_file *files = realloc(folder->files, (size_t)capacity * sizeof *files);
        if (!files)
            return LS_FAIL(LS_SYSTEM, "out of memory for the names of %lld pictures", (long long)capacity);
        folder->files = files;
        folder->capacity = capacity;
    }
    folder->files[folder->n++] =
        (struct ls_pack_file){.path = ls_arena_copy(&folder->names, below), .bytes = bytes, .label = label};
    return LS_OK;
}

static ls_status add_below(struct ls_pack_folder *folder, const char *root, const char *below, int32_t label,
                           int deep);

static ls_status add_entry(struct ls_pack_folder *folder, const char *root, const char *below, int32_t label,
                           int deep) {
    char path[4096];
    struct stat found;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", root, below) >= sizeof path)
        return LS_FAIL(LS_INPUT, "%s/%s: the path is too long", root, below);
    // A link that leads nowhere is a file that cannot be read, if by its name it is a picture.
    if (stat(path, &found) != 0) return add_file(folder, below, 0, label);
    if (S_ISDIR(found.st_mode)) return add_below(folder, root, below, label, deep + 1);
    return S_ISREG(found.st_mode) ? add_file(folder, below, found.st_size, label) : LS_OK;
}

// All that lies below root/below, by name.
static ls_status add_below(struct ls_pack_folder *folder, const char *root, const char *below, int32_t label,
                           int deep) {
    char path[4096];
    struct dirent **entries;
    snprintf(path, sizeof path, "%s/%s", root, below);
    if (deep > MOST_DEEP)
        return LS_FAIL(LS_INPUT, "%s: more than %d folders deep: a circle of links?", path, MOST_DEEP);
    int n = scandir(path, &entries, not_hidden, by_bytes);
    if (n < 0) return LS_FAIL(LS_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    ls_status status = LS_OK;
    for (int i = 0; i < n; i++) {
        char inside[4096];
        if (status == LS_OK) {
            if ((size_t)snprintf(inside, sizeof inside, "%s/%s", below, entries[i]->d_name) >= sizeof inside)
                status = LS_FAIL(LS_INPUT, "%s/%s: the path is too long", path, entries[i]->d_name);
            else
                status = add_entry(folder, root, inside, label, deep);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

static bool is_folder(const char *root, const char *name) {
    char path[4096];
    struct stat found;
    return (size_t)snprintf(path, sizeof path, "%s/%s", root, name) < sizeof path &&
           stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

static ls_status add_classes(struct ls_pack_folder *folder, const char *path, struct dirent **entries,
                             int n) {
    folder->class_names = LS_ARENA_NEW(&folder->names, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        if (!is_folder(path, name)) {
            folder->ignored++;
            continue;
        }
        folder->class_names[folder->n_classes] = ls_arena_copy(&folder->names, name);
        LS_TRY(add_below(folder, path, name, folder->n_classes++, 1));
    }
    if (folder->n_classes == 0)
        return LS_FAIL(LS_INPUT, "%s: expected a folder for each class in it, found none", path);
    if (folder->n == 0)
        return LS_FAIL(LS_INPUT, "%s: expected pictures (.jpg, .jpeg, .png) in its %d folders, found none",
                       path, folder->n_classes);
    return LS_OK;
}

// ---- by path

static int by_path(const void *a, const void *b) {
    return strcmp(a, ((const struct ls_pack_file *)b)->path);
}

static int files_by_path(const void *a, const void *b) {
    return strcmp(((const struct ls_pack_file *)a)->path, ((const struct ls_pack_file *)b)->path);
}

int64_t ls_pack_folder_find(const struct ls_pack_folder *folder, const char *path) {
    if (strncmp(path, "./", 2) == 0) path += 2;
    const struct ls_pack_file *file = bsearch(path, folder->files, (size_t)folder->n, sizeof *file, by_path);
    return file ? file - folder->files : -1;
}

ls_status ls_pack_folder_open(const char *path, struct ls_pack_folder *folder) {
    *folder = (struct ls_pack_folder){0};
    struct dirent **entries;
    int n = scandir(path, &entries, not_hidden, by_bytes);
    if (n < 0) return LS_FAIL(LS_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    ls_status status = add_classes(folder, path, entries, n);
    for (int i = 0; i < n; i++) free(entries[i]);
    free(entries);
    // They came folder by folder, which is nearly, not quite, the order of their paths: "a-b/x" before "a/x".
    if (status == LS_OK)
        qsort(folder->files, (size_t)folder->n, sizeof *folder->files, files_by_path);
    else
        ls_pack_folder_close(folder);
    return status;
}
