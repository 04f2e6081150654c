// Where the chunks of a dataset lie.
//
// Asked for one chunk, H5Dget_chunk_info walks over those before it: a million chunks would take hours.
// From 1.14 on H5Dchunk_iter goes over all of them once. Before that we walk the index of most files
// ourselves (btree.c); of the others the library still fetches any one chunk quickly (H5Dread_chunk), it only
// does not say where it lies.
#include "h5/internal.h"

#include "base/pulse.h"

#include <stdlib.h>
#include <string.h>

int64_t ls_h5_chunk_grid(const struct ls_h5_dataset *info, int64_t grid[LS_H5_MAX_RANK]) {
    int64_t n = 1;
    for (int i = 0; i < info->rank; i++) {
        int64_t chunk = info->chunking.dim[i];
        if (chunk < 1) return -1;
        grid[i] = info->dim[i] / chunk + (info->dim[i] % chunk > 0);
        if (grid[i] > 0 && n > INT64_MAX / 64 / grid[i]) return -1;
        n *= grid[i];
    }
    return n;
}

#if H5_VERSION_GE(1, 14, 0)

struct listing {
    const struct ls_h5_dataset *info;
    const int64_t *grid;
    int64_t base;
    struct ls_h5_chunk *chunks;
};

// The library hands on what a damaged index says: offsets and addresses may be any number. No chunk is kept
// behind the edge.
static int list_chunk(const hsize_t *offset, unsigned mask, haddr_t address, hsize_t bytes, void *context) {
    struct listing *listing = context;
    int64_t place = 0;
    for (int i = 0; i < listing->info->rank; i++) {
        const hsize_t at = offset[i] / (hsize_t)listing->info->chunking.dim[i];
        if (at >= (hsize_t)listing->grid[i]) return H5_ITER_ERROR;
        place = place * listing->grid[i] + (int64_t)at;
    }
    if (address == HADDR_UNDEF) return H5_ITER_CONT; // never written
    if (address > (haddr_t)(INT64_MAX - listing->base) || bytes > UINT32_MAX) return H5_ITER_ERROR;
    listing->chunks[place] = (struct ls_h5_chunk){(int64_t)address + listing->base, (uint32_t)bytes, mask};
    return H5_ITER_CONT;
}

// Some versions of the library leave out the user's block in front of the file, where others add it.
static int64_t base_of(const struct ls_h5 *file, hid_t dataset) {
    (void)dataset;
    hsize_t block = 0;
    hid_t creation = H5Fget_create_plist(file->id);
    H5Pget_userblock(creation, &block);
    H5Pclose(creation);
    return H5_VERSION_GE(1, 14, 4) ? 0 : (int64_t)block;
}

static ls_status list(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                      const int64_t *grid, struct ls_h5_chunk *chunks) {
    hid_t dataset;
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    struct listing listing = {.info = info, .grid = grid, .base = base_of(file, dataset), .chunks = chunks};
    if (H5Dchunk_iter(dataset, H5P_DEFAULT, list_chunk, &listing) < 0)
        return LS_H5_FAIL(file, "cannot list the chunks of", name);
    return LS_OK;
}

#else

static ls_status list(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                      const int64_t *grid, struct ls_h5_chunk *chunks) {
    return ls_h5_walk_index(file, name, info, grid, chunks);
}

#endif

ls_status ls_h5_list_chunks(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                            struct ls_h5_chunk *chunks) {
    int64_t grid[LS_H5_MAX_RANK], n = ls_h5_chunk_grid(info, grid);
    for (int64_t i = 0; i < n; i++) chunks[i] = (struct ls_h5_chunk){.offset = -1};
    ls_h5_lock();
    ls_status status = list(file, name, info, grid, chunks);
    ls_h5_unlock();
    return status;
}

static ls_status read_chunk(struct ls_h5 *file, const char *name, const hsize_t *offset, void *out,
                            size_t room, size_t *bytes, uint32_t *skipped) {
    hid_t dataset;
    LS_TRY(ls_h5_dataset_of(file, name, &dataset));
    hsize_t stored = 0;
    *bytes = 0;
    // The size of a chunk that was never written is 0 in some versions, and an error in others.
    if (H5Dget_chunk_storage_size(dataset, offset, &stored) < 0 || stored == 0) return LS_OK;
    *bytes = (size_t)stored;
    if (stored <= room && H5Dread_chunk(dataset, H5P_DEFAULT, offset, skipped, out) < 0)
        return LS_H5_FAIL(file, "cannot read a chunk of", name);
    ls_pulse_tick();
    return LS_OK;
}

ls_status ls_h5_read_chunk(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                           const int64_t *position, void *out, size_t room, size_t *bytes,
                           uint32_t *skipped) {
    hsize_t offset[LS_H5_MAX_RANK];
    for (int i = 0; i < info->rank; i++) offset[i] = (hsize_t)position[i] * (hsize_t)info->chunking.dim[i];
    ls_h5_lock();
    ls_status status = read_chunk(file, name, offset, out, room, bytes, skipped);
    ls_h5_unlock();
    return status;
}
