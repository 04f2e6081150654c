// Describing and reading datasets.
#include "h5/internal.h"

#include "base/pulse.h"

#include <stdio.h>

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
    LS_TRY(ls_h5_check_sources_opened(file, name, dataset));
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
        status = ls_h5_check_sources_opened(file, name, dataset);
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
    return ls_h5_check_sources_opened(file, name, dataset);
}

ls_status ls_h5_read_all(struct ls_h5 *file, const char *name, ls_dtype type, void *out) {
    ls_h5_lock();
    ls_status status = read_all(file, name, type, out);
    ls_h5_unlock();
    return status;
}
