// Finding, describing and reading datasets.
#include "h5/internal.h"

#include "base/pulse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- finding

// H5Lexists is an error, not a no, where a group on the way is missing: ask for each in turn.
bool ls_h5_has(const struct ls_h5 *file, const char *name) {
    if (strspn(name, "/") == strlen(name)) return true;
    char *prefix = strdup(name);
    if (!prefix) return false;
    bool found = true;
    for (char *slash = prefix + strspn(prefix, "/"); found && slash; slash = slash ? slash + 1 : NULL) {
        slash = strchr(slash, '/');
        if (slash) *slash = 0;
        found = H5Lexists(file->id, prefix, H5P_DEFAULT) > 0 &&
                H5Oexists_by_name(file->id, prefix, H5P_DEFAULT) > 0;
        if (slash) *slash = '/';
    }
    free(prefix);
    return found;
}

bool ls_h5_exists(struct ls_h5 *file, const char *name) {
    ls_h5_lock();
    bool found = ls_h5_has(file, name);
    ls_h5_unlock();
    return found;
}

// "images, labels, …": what the file holds at its root, for whoever asked for something else.
static void list_root(const struct ls_h5 *file, char *out, size_t bytes) {
    out[0] = 0;
    H5G_info_t info;
    hid_t root = H5Gopen2(file->id, "/", H5P_DEFAULT);
    if (root >= 0 && H5Gget_info(root, &info) >= 0) {
        for (hsize_t i = 0; i < info.nlinks && i < 8; i++) {
            char name[64] = "";
            H5Lget_name_by_idx(root, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
            size_t used = strlen(out);
            snprintf(out + used, bytes - used, "%s%s", i ? ", " : "", i == 7 && info.nlinks > 8 ? "…" : name);
        }
    }
    if (root >= 0) H5Gclose(root);
    if (!out[0]) snprintf(out, bytes, "nothing");
}

void ls_h5_remember(struct ls_h5 *file, const char *name, hid_t dataset) {
    struct ls_h5_open_dataset *place = &file->cached[file->next];
    file->next = (file->next + 1) % LS_H5_CACHED;
    if (place->name) {
        H5Dclose(place->id);
        free(place->name);
    }
    place->name = strdup(name);
    place->id = dataset;
    if (!place->name) abort();
}

// By default the library caches chunks of up to 1 MiB in all; a larger one would be decompressed for each
// row.
static hid_t open_with_room_for_a_chunk(const struct ls_h5 *file, const char *name, hid_t dataset) {
    hid_t properties = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);
    hsize_t chunk[H5S_MAX_RANK];
    int rank = H5Pget_layout(properties) == H5D_CHUNKED ? H5Pget_chunk(properties, H5S_MAX_RANK, chunk) : 0;
    size_t bytes = H5Tget_size(type);
    for (int i = 0; i < rank; i++) bytes *= (size_t)chunk[i];
    H5Tclose(type);
    H5Pclose(properties);
    if (rank <= 0 || bytes <= 1u << 20) return dataset;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk_cache(access, H5D_CHUNK_CACHE_NSLOTS_DEFAULT, bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    H5Dclose(dataset);
    dataset = H5Dopen2(file->id, name, access);
    H5Pclose(access);
    return dataset;
}

ls_status ls_h5_dataset_of(struct ls_h5 *file, const char *name, hid_t *dataset) {
    for (int i = 0; i < LS_H5_CACHED; i++) {
        if (file->cached[i].name && strcmp(file->cached[i].name, name) == 0) {
            *dataset = file->cached[i].id;
            return LS_OK;
        }
    }
    if (!ls_h5_has(file, name)) {
        char there[256];
        list_root(file, there, sizeof there);
        return LS_FAIL(LS_INPUT, "%s: has no dataset '%s'; it has: %s", file->path, name, there);
    }
    *dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (*dataset >= 0) *dataset = open_with_room_for_a_chunk(file, name, *dataset);
    if (*dataset < 0) return LS_H5_FAIL(file, "cannot open dataset", name);
    ls_h5_remember(file, name, *dataset);
    return LS_OK;
}

// ---- describing

static ls_status shape_of(const struct ls_h5 *file, const char *name, hid_t dataset, int *rank,
                          int64_t *dim) {
    hid_t space = H5Dget_space(dataset);
    if (space < 0) return LS_H5_FAIL(file, "cannot read the shape of", name);
    int found = H5Sget_simple_extent_ndims(space);
    bool empty = H5Sget_simple_extent_type(space) == H5S_NULL;
    hsize_t size[H5S_MAX_RANK];
    if (found >= 0 && found <= LS_H5_MAX_RANK) H5Sget_simple_extent_dims(space, size, NULL);
    H5Sclose(space);
    if (found < 0 || found > LS_H5_MAX_RANK)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected at most %d dimensions, found %d", file->path,
                       name, LS_H5_MAX_RANK, found);
    *rank = found;
    for (int i = 0; i < found; i++) dim[i] = (int64_t)size[i];
    if (empty) {
        *rank = 1;
        dim[0] = 0;
    }
    return LS_OK;
}

static const char *filters_of(hid_t properties) {
    int n = H5Pget_nfilters(properties);
    if (n <= 0) return "chunked";
    if (n > 1) return "chunked, several filters";
    unsigned flags, config;
    size_t values = 0;
    switch ((int)H5Pget_filter2(properties, 0, &flags, &values, NULL, 0, NULL, &config)) {
    case H5Z_FILTER_DEFLATE: return "chunked, gzip";
    case H5Z_FILTER_SHUFFLE: return "chunked, shuffled";
    case H5Z_FILTER_FLETCHER32: return "chunked, Fletcher checksum";
    case H5Z_FILTER_SZIP: return "chunked, szip";
    case 32000: return "chunked, lzf";
    case 32001: return "chunked, blosc";
    case 32004: return "chunked, lz4";
    case 32015: return "chunked, zstd";
    default: return "chunked, filtered";
    }
}

// An external link leads into another file, whose descriptor is not this one's.
static bool in_this_file(const struct ls_h5 *file, hid_t dataset) {
    char here[1024] = "", there[1024] = "";
    H5Fget_name(file->id, here, sizeof here);
    H5Fget_name(dataset, there, sizeof there);
    return strcmp(here, there) == 0;
}

static void describe_storage(const struct ls_h5 *file, hid_t dataset, struct ls_h5_dataset *info) {
    hid_t properties = H5Dget_create_plist(dataset);
    const char *why = NULL;
    switch (H5Pget_layout(properties)) {
    case H5D_COMPACT: why = "compact"; break;
    case H5D_CHUNKED: why = filters_of(properties); break;
    case H5D_CONTIGUOUS:
        if (H5Pget_external_count(properties) > 0)
            why = "in external files";
        else if (!in_this_file(file, dataset))
            why = "in a linked file";
        break;
    default: why = "virtual"; break;
    }
    H5Pclose(properties);
    // The offset alone does not tell: behind a user block, H5Dget_offset adds its size to "undefined".
    H5D_space_status_t space = H5D_SPACE_STATUS_ERROR;
    if (!why && (H5Dget_space_status(dataset, &space) < 0 || space != H5D_SPACE_STATUS_ALLOCATED))
        why = "never written";
    info->contiguous = why == NULL;
    info->offset = why ? -1 : (int64_t)H5Dget_offset(dataset);
    if (why) info->why_slow = why;
}

ls_status ls_h5_describe_locked(struct ls_h5 *file, const char *name, struct ls_h5_dataset *info) {
    *info = (struct ls_h5_dataset){.type = LS_DTYPES};
    hid_t dataset = -1;
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    LS_TRY(shape_of(file, name, dataset, &info->rank, info->dim));
    hid_t type = H5Dget_type(dataset);
    if (type < 0) return LS_H5_FAIL(file, "cannot read the type of", name);
    info->type = ls_h5_type_of(type, &info->why_slow);
    H5Tclose(type);
    if (info->type == LS_DTYPES) info->why_slow = "not a number type";
    info->native = info->why_slow == NULL;
    describe_storage(file, dataset, info);
    return LS_OK;
}

ls_status ls_h5_describe(struct ls_h5 *file, const char *name, struct ls_h5_dataset *info) {
    ls_h5_lock();
    ls_status status = ls_h5_describe_locked(file, name, info);
    ls_h5_unlock();
    return status;
}

// ---- reading

static ls_status check_range(const struct ls_h5 *file, const char *name, int rank, const int64_t *dim,
                             int64_t begin, int64_t n) {
    if (rank == 0)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected rows, found a single value", file->path, name);
    if (begin < 0 || n < 0 || begin > dim[0] - n)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected rows of its %lld, found %lld from row %lld",
                       file->path, name, (long long)dim[0], (long long)n, (long long)begin);
    return LS_OK;
}

// Selections of rows [begin, begin + n) in the file and in memory.
struct rows {
    hid_t in_file, in_memory;
};

static void release(struct rows *rows) {
    if (rows->in_file > 0) H5Sclose(rows->in_file);
    if (rows->in_memory > 0) H5Sclose(rows->in_memory);
}

static ls_status select_rows(const struct ls_h5 *file, const char *name, hid_t dataset, int64_t begin,
                             int64_t n, struct rows *rows) {
    int rank = 0;
    int64_t dim[LS_H5_MAX_RANK] = {0};
    hsize_t start[LS_H5_MAX_RANK] = {0}, count[LS_H5_MAX_RANK];
    LS_TRY(shape_of(file, name, dataset, &rank, dim));
    LS_TRY(check_range(file, name, rank, dim, begin, n));
    for (int i = 0; i < rank; i++) count[i] = (hsize_t)dim[i];
    start[0] = (hsize_t)begin;
    count[0] = (hsize_t)n;
    rows->in_file = H5Dget_space(dataset);
    rows->in_memory = H5Screate_simple(rank, count, NULL);
    if (rows->in_file < 0 || rows->in_memory < 0 ||
        H5Sselect_hyperslab(rows->in_file, H5S_SELECT_SET, start, NULL, count, NULL) < 0) {
        ls_status status = LS_H5_FAIL(file, "cannot select rows of", name);
        release(rows);
        return status;
    }
    return LS_OK;
}

// The library would turn text into numbers as readily as it adds up the fields of a record: not at all, late.
static ls_status check_numbers(const struct ls_h5 *file, const char *name, hid_t dataset) {
    const char *why = NULL;
    hid_t type = H5Dget_type(dataset);
    ls_dtype found = ls_h5_type_of(type, &why);
    H5Tclose(type);
    if (found == LS_DTYPES)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected numbers, found another type", file->path, name);
    return LS_OK;
}

static ls_status read_rows(struct ls_h5 *file, const char *name, int64_t begin, int64_t n, ls_dtype type,
                           void *out) {
    hid_t dataset = -1;
    struct rows rows = {0};
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    LS_TRY(check_numbers(file, name, dataset));
    LS_TRY(select_rows(file, name, dataset, begin, n, &rows));
    ls_status status = LS_OK;
    if (n > 0 &&
        H5Dread(dataset, ls_h5_memory_type(type), rows.in_memory, rows.in_file, H5P_DEFAULT, out) < 0)
        status = LS_H5_FAIL(file, "cannot read dataset", name);
    release(&rows);
    ls_pulse_tick();
    return status;
}

ls_status ls_h5_read_rows(struct ls_h5 *file, const char *name, int64_t begin, int64_t n, ls_dtype type,
                          void *out) {
    ls_h5_lock();
    ls_status status = read_rows(file, name, begin, n, type, out);
    ls_h5_unlock();
    return status;
}

static ls_status read_all(struct ls_h5 *file, const char *name, ls_dtype type, void *out) {
    hid_t dataset = -1;
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    LS_TRY(check_numbers(file, name, dataset));
    if (H5Dread(dataset, ls_h5_memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        return LS_H5_FAIL(file, "cannot read dataset", name);
    return LS_OK;
}

ls_status ls_h5_read_all(struct ls_h5 *file, const char *name, ls_dtype type, void *out) {
    ls_h5_lock();
    ls_status status = read_all(file, name, type, out);
    ls_h5_unlock();
    return status;
}
