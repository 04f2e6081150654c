// The sources of virtual datasets: where they are looked for.
#include "h5/virtual.h"

#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- where sources are looked for

// Tries "folder/name", or the name alone where there is no folder; true once there is nothing more to try.
static bool try_in(struct ls_h5_search *search, const char *folder, size_t length, const char *name) {
    const size_t bytes = length + strlen(name) + 2;
    char *path = malloc(bytes);
    if (!path) ls_out_of_memory(bytes);
    snprintf(path, bytes, "%.*s%s%s", (int)length, folder, length ? "/" : "", name);
    if (access(path, F_OK) != 0) {
        free(path);
        return false;
    }
    free(search->path);
    search->path = path;
    search->file = H5Fopen(path, H5F_ACC_RDONLY, search->access);
    return search->file >= 0;
}

static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
}

static bool try_beside(struct ls_h5_search *search, const char *path, const char *name) {
    const size_t length = folder_length(path);
    return try_in(search, length ? path : ".", length ? length : 1, name);
}

// HDF5_VDS_PREFIX: folders with colons between them; ${ORIGIN} begins one that lies beside the file.
static bool try_prefixes(struct ls_h5_search *search, const char *path, const char *name) {
    static const char origin[] = "${ORIGIN}";
    const char *prefix = getenv("HDF5_VDS_PREFIX");
    while (prefix && *prefix) {
        const size_t length = strcspn(prefix, ":"), from = sizeof origin - 1;
        if (length >= from && strncmp(prefix, origin, from) == 0) {
            char folder[LS_H5_MOST_NAME];
            const size_t there = folder_length(path);
            snprintf(folder, sizeof folder, "%.*s%.*s", there ? (int)there : 1, there ? path : ".",
                     (int)(length - from), prefix + from);
            if (try_in(search, folder, strlen(folder), name)) return true;
        } else if (length && try_in(search, prefix, length, name)) {
            return true;
        }
        prefix += length + (prefix[length] == ':');
    }
    return false;
}

// In the order of the library (H5Pset_virtual_prefix): where an absolute name says, and by its last part
// then; in HDF5_VDS_PREFIX; beside the file; where the program runs; beside the file that a link leads to.
static void find_source(const struct ls_h5 *file, struct ls_h5_search *search) {
    const char *name = search->name;
    if (name[0] == '/') {
        if (try_in(search, "", 0, name)) return;
        name = strrchr(name, '/') + 1;
    }
    if (try_prefixes(search, file->path, name) || try_beside(search, file->path, name) ||
        try_in(search, "", 0, name))
        return;
    char *real = realpath(file->path, NULL);
    if (real) try_beside(search, real, name);
    free(real);
}

// ---- mappings, source by source

static int by_source(const void *a, const void *b) {
    const struct ls_h5_mapping *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    if (order == 0) order = strcmp(x->dataset, y->dataset);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

struct ls_h5_mappings ls_h5_list_mappings(struct ls_arena *arena, hid_t properties) {
    struct ls_h5_mappings mappings = {0};
    H5Pget_virtual_count(properties, &mappings.n);
    mappings.items = LS_ARENA_NEW(arena, struct ls_h5_mapping, mappings.n + 1);
    for (size_t i = 0; i < mappings.n; i++) {
        char name[LS_H5_MOST_NAME] = "", object[LS_H5_MOST_NAME] = "";
        H5Pget_virtual_filename(properties, i, name, sizeof name - 1);
        H5Pget_virtual_dsetname(properties, i, object, sizeof object - 1);
        mappings.items[i] =
            (struct ls_h5_mapping){ls_arena_copy(arena, name), ls_arena_copy(arena, object), i};
    }
    if (mappings.n) qsort(mappings.items, mappings.n, sizeof *mappings.items, by_source);
    return mappings;
}

bool ls_h5_is_pattern(const char *name) {
    return strchr(name, '%') != NULL;
}

void ls_h5_close_source(struct ls_h5_opened *source) {
    if (source->of && source->dataset >= 0) H5Dclose(source->dataset);
    if (source->of && source->search.file >= 0 && strcmp(source->of->file, ".") != 0)
        H5Fclose(source->search.file);
    free(source->search.path);
    source->search.path = NULL;
    source->of = NULL;
}

void ls_h5_move_to(const struct ls_h5 *file, const struct ls_h5_mapping *mapping,
                   struct ls_h5_opened *source) {
    const struct ls_h5_mapping *before = source->of;
    source->other =
        !before || strcmp(before->file, mapping->file) != 0 || strcmp(before->dataset, mapping->dataset) != 0;
    if (!source->other) return;
    ls_h5_close_source(source);
    source->of = mapping;
    source->search.name = mapping->file;
    source->search.file = source->dataset = -1;
    if (strcmp(mapping->file, ".") == 0) {
        source->search.file = file->id;
        source->search.path = strdup(file->path);
    } else {
        find_source(file, &source->search);
    }
    if (source->search.file >= 0)
        source->dataset = H5Dopen2(source->search.file, mapping->dataset, H5P_DEFAULT);
}
