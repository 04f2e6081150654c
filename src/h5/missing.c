// Whether all that a dataset is spread over is there.
#include "h5/virtual.h"

#include "base/arena.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A text for "%.*s".
#define CUT(text, most) ls_text_cut((text), (most)), (text)

// ---- external files

// `name` beside the file; malloc'd.
static char *beside(const struct ls_h5 *file, const char *name) {
    const char *slash = strrchr(file->path, '/');
    size_t folder = slash ? (size_t)(slash - file->path) + 1 : 0, bytes = folder + strlen(name) + 1;
    char *path = malloc(bytes);
    if (!path) ls_out_of_memory(bytes);
    snprintf(path, bytes, "%.*s%s", (int)folder, file->path, name);
    return path;
}

static bool lies_beside(const struct ls_h5 *file, const char *name) {
    char *path = beside(file, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

#define NOT_THERE "its data lie in '%.*s', which is not there"

int ls_h5_external_files(hid_t properties) {
    return H5Pget_layout(properties) == H5D_CONTIGUOUS ? H5Pget_external_count(properties) : 0;
}

bool ls_h5_external_files_lie_beside(const struct ls_h5 *file, hid_t dataset) {
    hid_t properties = H5Dget_create_plist(dataset);
    bool found = false;
    for (int i = 0; i < ls_h5_external_files(properties) && !found; i++) {
        char name[LS_H5_MOST_NAME] = "";
        H5Pget_external(properties, (unsigned)i, sizeof name - 1, name, NULL, NULL);
        found = name[0] != '/' && access(name, F_OK) != 0 && lies_beside(file, name);
    }
    H5Pclose(properties);
    return found;
}

static int64_t bytes_of(hid_t dataset) {
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    int64_t bytes = (int64_t)H5Tget_size(type) * (int64_t)H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    H5Tclose(type);
    return bytes;
}

// Is an external file long enough for its part of the bytes that are left? What is missing would be zeros.
static bool is_long_enough(const char *path, int64_t offset, hsize_t part, int64_t left) {
    struct stat found;
    int64_t wanted = part == H5F_UNLIMITED || (int64_t)part > left ? left : (int64_t)part;
    return stat(path, &found) == 0 && found.st_size >= offset + wanted;
}

// Where the library finds the file that is named: as it is told, or beside the file; malloc'd. NULL: nowhere.
static char *find_file(const struct ls_h5 *file, const char *name) {
    if (access(name, F_OK) == 0) return strdup(name);
    return name[0] != '/' && lies_beside(file, name) ? beside(file, name) : NULL;
}

static void check_external(const struct ls_h5 *file, hid_t dataset, hid_t properties, char *missing,
                           size_t bytes) {
    int64_t left = bytes_of(dataset);
    for (int i = 0; i < ls_h5_external_files(properties) && !missing[0] && left > 0; i++) {
        char name[LS_H5_MOST_NAME] = "";
        off_t offset = 0;
        hsize_t part = 0;
        H5Pget_external(properties, (unsigned)i, sizeof name - 1, name, &offset, &part);
        char *path = find_file(file, name);
        if (!path)
            snprintf(missing, bytes, NOT_THERE, CUT(name, 160));
        else if (!is_long_enough(path, (int64_t)offset, part, left))
            snprintf(missing, bytes, "its data lie in '%.*s', which is too short", CUT(name, 160));
        left -= part == H5F_UNLIMITED ? left : (int64_t)part;
        free(path);
    }
}

// ---- sources

enum { MOST_DEPTH = 8 };

// Does the source reach as far as the mapping takes from it? Of one that takes all, the file does not say how
// much that was: it must be as much as it fills of the virtual one.
static bool reaches(hid_t dataset, hid_t properties, size_t i) {
    hsize_t begin[H5S_MAX_RANK], end[H5S_MAX_RANK], size[H5S_MAX_RANK];
    hid_t space = H5Dget_space(dataset), from = H5Pget_virtual_srcspace(properties, i),
          to = H5Pget_virtual_vspace(properties, i);
    int rank = H5Sget_simple_extent_dims(space, size, NULL);
    bool inside = true;
    if (H5Sget_select_type(from) == H5S_SEL_ALL)
        inside = H5Sget_simple_extent_npoints(space) >= H5Sget_select_npoints(to);
    else if (H5Sget_simple_extent_ndims(from) == rank && H5Sget_select_bounds(from, begin, end) >= 0)
        for (int k = 0; k < rank; k++) inside = inside && (end[k] < size[k] || end[k] == H5S_UNLIMITED);
    H5Sclose(to);
    H5Sclose(from);
    H5Sclose(space);
    return inside;
}

static void check_source(const struct ls_h5_opened *source, const struct ls_h5_mapping *mapping,
                         hid_t properties, char *missing, size_t bytes) {
    if (!source->search.path)
        snprintf(missing, bytes, NOT_THERE, CUT(mapping->file, 160));
    else if (source->search.file < 0)
        snprintf(missing, bytes, "its data lie in '%.*s', which HDF5 cannot open", CUT(mapping->file, 160));
    else if (source->dataset < 0)
        snprintf(missing, bytes, "its data lie in dataset '%.*s' of '%.*s', which is not there",
                 CUT(mapping->dataset, 80), CUT(mapping->file, 90));
    else if (!reaches(source->dataset, properties, mapping->number))
        snprintf(missing, bytes, "its data lie in dataset '%.*s' of '%.*s', which is too small",
                 CUT(mapping->dataset, 80), CUT(mapping->file, 90));
}

static void check_virtual(const struct ls_h5 *file, hid_t properties, int depth, char *missing,
                          size_t bytes) {
    if (depth == MOST_DEPTH) { // it may lead back to itself
        snprintf(missing, bytes, "%d virtual datasets lead from one to the next", MOST_DEPTH + 1);
        return;
    }
    struct ls_arena arena = {0};
    struct ls_h5_opened source = {.search.access = ls_h5_access()};
    const struct ls_h5_mappings mappings = ls_h5_list_mappings(&arena, properties);
    for (size_t i = 0; i < mappings.n && !missing[0]; i++) {
        const struct ls_h5_mapping *mapping = &mappings.items[i];
        if (ls_h5_is_pattern(mapping->file) || ls_h5_is_pattern(mapping->dataset)) continue;
        ls_h5_move_to(file, mapping, &source);
        check_source(&source, mapping, properties, missing, bytes);
        if (source.other && !missing[0]) ls_h5_find_missing(source.dataset, depth + 1, missing, bytes);
    }
    ls_h5_close_source(&source);
    H5Pclose(source.search.access);
    ls_arena_free(&arena);
}

// ---- either

bool ls_h5_is_virtual(hid_t dataset) {
    hid_t properties = H5Dget_create_plist(dataset);
    const bool is = H5Pget_layout(properties) == H5D_VIRTUAL;
    H5Pclose(properties);
    return is;
}

// The library reads what is missing as fill values, which nobody wants to train on. A link may lead to the
// dataset: names in it are seen from its own file.
void ls_h5_find_missing(hid_t dataset, int depth, char *missing, size_t bytes) {
    hid_t properties = H5Dget_create_plist(dataset);
    const bool is_virtual = ls_h5_is_virtual(dataset);
    if (is_virtual || ls_h5_external_files(properties) > 0) {
        char path[LS_H5_MOST_NAME] = "";
        H5Fget_name(dataset, path, sizeof path);
        const struct ls_h5 file = {.id = H5Iget_file_id(dataset), .path = path};
        if (is_virtual)
            check_virtual(&file, properties, depth, missing, bytes);
        else
            check_external(&file, dataset, properties, missing, bytes);
        H5Fclose(file.id);
    }
    H5Pclose(properties);
}
