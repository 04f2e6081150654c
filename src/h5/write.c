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
    int64_t bytes = (int64_t)H5Tget_size(type);
    for (int i = 0; i < rank; i++) {
        size[i] = (hsize_t)dim[i];
        bytes *= dim[i];
    }
    hsize_t so_far = 0;
    H5Fget_filesize(file->id, &so_far);
    LS_TRY(ls_h5_disk_require_room(file->path, (int64_t)so_far, bytes));
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

// Where rows of a dataset go, and how many bytes they are.
struct target {
    int64_t offset;
    size_t bytes;
};

static ls_status find_target(struct ls_h5 *file, const char *name, int64_t begin, int64_t n, ls_dtype type,
                             struct target *target) {
    struct ls_h5_dataset info;
    LS_TRY(ls_h5_describe_locked(file, name, &info));
    if (info.type != type)
        return LS_FAIL(LS_SYSTEM, "%s: dataset '%s': expected data of its own type, found %s", file->path,
                       name, ls_dtype_name(type));
    int64_t rows = info.rank ? info.dim[0] : 1, row = (int64_t)ls_dtype_bytes(type);
    for (int i = 1; i < info.rank; i++) row *= info.dim[i];
    if (begin < 0 || n < 0 || begin > rows - n)
        return LS_FAIL(LS_SYSTEM, "%s: dataset '%s': expected rows of its %lld, found %lld from row %lld",
                       file->path, name, (long long)rows, (long long)n, (long long)begin);
    *target = (struct target){info.offset + begin * row, (size_t)(n * row)};
    return LS_OK;
}

ls_status ls_h5_write_rows(struct ls_h5 *file, const char *name, int64_t begin, int64_t n, ls_dtype type,
                           const void *data) {
    struct target target = {0};
    ls_h5_lock();
    ls_status status = find_target(file, name, begin, n, type, &target);
    ls_h5_unlock();
    LS_TRY(status);
    // Outside the lock: nobody waits for this disk.
    return ls_h5_disk_write(&file->disk, file->path, target.offset, data, target.bytes);
}

ls_status ls_h5_write(struct ls_h5 *file, const char *name, ls_dtype type, int rank, const int64_t *dim,
                      const void *data) {
    LS_TRY(ls_h5_make(file, name, type, rank, dim));
    return ls_h5_write_rows(file, name, 0, rank ? dim[0] : 1, type, data);
}
