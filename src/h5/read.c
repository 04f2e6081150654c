// Finding, describing and reading datasets.
#include "h5/internal.h"

#include "base/arena.h"
#include "base/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

// Where a link on the way leads to nothing: "; 'images' is a link to 'x' in 'other.h5', which is not there".
static void describe_link(const struct ls_h5 *file, const char *name, char *out, size_t bytes) {
    H5L_info_t info;
    char value[512] = "";
    const char *other = NULL, *object = value;
    out[0] = 0;
    if (H5Lexists(file->id, name, H5P_DEFAULT) <= 0 || H5Lget_info(file->id, name, &info, H5P_DEFAULT) < 0)
        return;
    if (info.type == H5L_TYPE_HARD || info.u.val_size >= sizeof value ||
        H5Lget_val(file->id, name, value, sizeof value, H5P_DEFAULT) < 0)
        return;
    if (info.type == H5L_TYPE_EXTERNAL &&
        H5Lunpack_elink_val(value, info.u.val_size, NULL, &other, &object) < 0)
        return;
    snprintf(out, bytes, "; '%.60s' is a link to '%.100s'%s%.100s%s, which is not there", name, object,
             other ? " in '" : "", other ? other : "", other ? "'" : "");
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
    place->is_virtual = !file->writing && ls_h5_is_virtual(dataset);
    if (!place->name) ls_out_of_memory(strlen(name) + 1);
}

// By default the library caches chunks of up to 1 MiB in all; a larger one would be decompressed for each
// row. And it looks for external files where the program was started, others beside the file that names them.
static hid_t open_as_it_needs(const struct ls_h5 *file, const char *name, hid_t dataset) {
    size_t chunk_bytes = ls_h5_chunk_bytes(dataset);
    bool beside = ls_h5_external_files_lie_beside(file, dataset);
    if (chunk_bytes <= 1u << 20 && !beside) return dataset;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    if (chunk_bytes > 1u << 20)
        H5Pset_chunk_cache(access, H5D_CHUNK_CACHE_NSLOTS_DEFAULT, chunk_bytes, H5D_CHUNK_CACHE_W0_DEFAULT);
    if (beside) H5Pset_efile_prefix(access, "${ORIGIN}");
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
        char there[256], link[512];
        ls_h5_list(file, there, sizeof there);
        describe_link(file, name, link, sizeof link);
        return LS_FAIL(LS_INPUT, "%s: has no dataset '%s'; it has: %s%s", file->path, name, there, link);
    }
    *dataset = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (*dataset >= 0) *dataset = open_as_it_needs(file, name, *dataset);
    if (*dataset < 0) return LS_H5_FAIL(file, "cannot open dataset", name);
    ls_h5_remember(file, name, *dataset);
    return LS_OK;
}

static bool is_virtual(const struct ls_h5 *file, hid_t dataset) {
    for (int i = 0; i < LS_H5_CACHED; i++)
        if (file->cached[i].name && file->cached[i].id == dataset) return file->cached[i].is_virtual;
    return false;
}

// Of a virtual dataset, the library opens sources as it needs them, and keeps them open. Those for which
// there is no descriptor left it takes for missing, and reads fill values without a word.
static ls_status check_sources_opened(const struct ls_h5 *file, const char *name, hid_t dataset) {
    if (!is_virtual(file, dataset)) return LS_OK;
    const int one_more = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (one_more >= 0) {
        close(one_more);
        return LS_OK;
    }
    return LS_FAIL(LS_INPUT,
                   "%s: dataset '%s' is virtual, and HDF5 has no descriptor left to open more of its sources "
                   "(%s); 'ulimit -n' raises how many there are",
                   file->path, name, strerror(errno));
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

ls_status ls_h5_describe_locked(struct ls_h5 *file, const char *name, struct ls_h5_dataset *info) {
    *info = (struct ls_h5_dataset){.type = LS_DTYPES};
    hid_t dataset = -1;
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    LS_TRY(shape_of(file, name, dataset, &info->rank, info->dim));
    hid_t type = H5Dget_type(dataset);
    if (type < 0) return LS_H5_FAIL(file, "cannot read the type of", name);
    bool packed = false;
    info->type = ls_h5_type_of(type, &info->swapped, &packed);
    info->words = info->type == LS_DTYPES ? ls_h5_type_words(type) : ls_dtype_name(info->type);
    H5Tclose(type);
    ls_h5_describe_storage(file, dataset, info);
    LS_TRY(check_sources_opened(file, name, dataset));
    if (packed) snprintf(info->layout, sizeof info->layout, "numbers of another format");
    if (packed || info->type == LS_DTYPES) info->storage = LS_H5_LIBRARY;
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
    bool swapped, packed;
    hid_t type = H5Dget_type(dataset);
    ls_dtype found = ls_h5_type_of(type, &swapped, &packed);
    const char *words = ls_h5_type_words(type);
    H5Tclose(type);
    if (found == LS_DTYPES)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected numbers, found %s", file->path, name, words);
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
    else
        status = check_sources_opened(file, name, dataset);
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
    return check_sources_opened(file, name, dataset);
}

ls_status ls_h5_read_all(struct ls_h5 *file, const char *name, ls_dtype type, void *out) {
    ls_h5_lock();
    ls_status status = read_all(file, name, type, out);
    ls_h5_unlock();
    return status;
}
