// Making groups and datasets.
#include "h5/internal.h"

ls_status ls_h5_make_group(struct ls_h5 *file, const char *name) {
    ls_h5_lock();
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_obj_track_times(creation, false);
    hid_t group = H5Gcreate2(file->id, name, H5P_DEFAULT, creation, H5P_DEFAULT);
    ls_status status = group >= 0 ? LS_OK : LS_H5_FAIL(file, "cannot make group", name);
    if (group >= 0) H5Gclose(group);
    H5Pclose(creation);
    ls_h5_unlock();
    return status;
}

ls_status ls_h5_make_of_type(struct ls_h5 *file, const char *name, hid_t type, int rank, const int64_t *dim) {
    if (rank < 0 || rank > LS_H5_MAX_RANK)
        return LS_FAIL(LS_SYSTEM, "%s: dataset '%s': expected at most %d dimensions, found %d", file->path,
                       name, LS_H5_MAX_RANK, rank);
    hsize_t size[LS_H5_MAX_RANK];
    for (int i = 0; i < rank; i++) size[i] = (hsize_t)dim[i];
    hid_t space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(creation, H5D_CONTIGUOUS);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(creation, false);
    hid_t dataset = H5Dcreate2(file->id, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    ls_status status = dataset >= 0 ? LS_OK : LS_H5_FAIL(file, "cannot make dataset", name);
    if (dataset >= 0) ls_h5_remember(file, name, dataset);
    H5Pclose(creation);
    H5Sclose(space);
    return status;
}

ls_status ls_h5_make(struct ls_h5 *file, const char *name, ls_dtype type, int rank, const int64_t *dim) {
    ls_h5_lock();
    ls_status status = ls_h5_make_of_type(file, name, ls_h5_memory_type(type), rank, dim);
    ls_h5_unlock();
    return status;
}

static ls_status write(struct ls_h5 *file, const char *name, ls_dtype type, int rank, const int64_t *dim,
                       const void *data) {
    hid_t dataset;
    LS_TRY(ls_h5_make_of_type(file, name, ls_h5_memory_type(type), rank, dim));
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    if (H5Dwrite(dataset, ls_h5_memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        return LS_H5_FAIL(file, "cannot write dataset", name);
    return LS_OK;
}

ls_status ls_h5_write(struct ls_h5 *file, const char *name, ls_dtype type, int rank, const int64_t *dim,
                      const void *data) {
    ls_h5_lock();
    ls_status status = write(file, name, type, rank, dim, data);
    ls_h5_unlock();
    return status;
}

static ls_status write_rows(struct ls_h5 *file, const char *name, int64_t begin, int64_t n, ls_dtype type,
                            const void *data) {
    hid_t dataset;
    struct ls_h5_rows rows = {0};
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    LS_TRY(ls_h5_select(file, name, dataset, begin, n, &rows));
    ls_status status = LS_OK;
    if (n > 0 &&
        H5Dwrite(dataset, ls_h5_memory_type(type), rows.in_memory, rows.in_file, H5P_DEFAULT, data) < 0)
        status = LS_H5_FAIL(file, "cannot write dataset", name);
    ls_h5_release(&rows);
    return status;
}

ls_status ls_h5_write_rows(struct ls_h5 *file, const char *name, int64_t begin, int64_t n, ls_dtype type,
                           const void *data) {
    ls_h5_lock();
    ls_status status = write_rows(file, name, begin, n, type, data);
    ls_h5_unlock();
    return status;
}
