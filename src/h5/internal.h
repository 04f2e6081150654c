// What the files of this folder share. Whoever calls these holds the lock.
#pragma once

#include "h5/h5.h"

#include <hdf5.h>

enum { LS_H5_CACHED = 8, LS_H5_MOST_NAME = 1024 };

// A file that is written (disk.c): data goes to `file`, what the library writes to `memory` until the end.
struct ls_h5_disk {
    int file, memory; // descriptors
    int64_t there;    // data in front of it are on the disk, and no longer in the page cache
    struct ls_h5_span {
        int64_t begin, end;
    } * spans; // of the file: data that is there
    size_t n, capacity;
};

struct ls_h5 {
    hid_t id;
    char *path;
    bool writing;
    struct ls_h5_disk disk;
    // Datasets stay open, so that a chunk that was decompressed is there for the next rows.
    struct ls_h5_open_dataset {
        char *name;
        hid_t id;
        bool is_virtual;
    } cached[LS_H5_CACHED];
    int next; // the place in `cached` that is taken next
};

// Every call of the library happens between these two; the innermost words of its errors are kept, not
// printed.
void ls_h5_lock(void);
void ls_h5_unlock(void);

// "path: what 'object': the library's words", LS_SYSTEM for a file that is written and LS_INPUT for one that
// is read. To be called before any other call of the library, which would forget its words. `object` may be
// NULL.
ls_status ls_h5_fail_at(const char *source, int line, const struct ls_h5 *file, const char *what,
                        const char *object);
#define LS_H5_FAIL(file, what, object) ls_h5_fail_at(__FILE__, __LINE__, (file), (what), (object))

// The type in memory; the library's own or one that lives as long as the process. Negative: none.
hid_t ls_h5_memory_type(ls_dtype type);
// What a type on disk is to Lockstep: its bytes may lie in the other order; `packed`: they are no bytes of
// that type, and the library is to convert them.
ls_dtype ls_h5_type_of(hid_t type, bool *swapped, bool *packed);

const char *ls_h5_type_words(hid_t type); // what is not of one: "strings"

// How files are opened: without locks. To be closed with H5Pclose.
hid_t ls_h5_access(void);

// ---- names.c
struct ls_h5_names {
    char **items; // malloc'd, and each of them
    int n, capacity;
};

bool ls_h5_has(const struct ls_h5 *file, const char *name);
// The paths of all datasets below the group, in creation order where the file tracks it, else by name. The
// caller frees them.
void ls_h5_collect(const struct ls_h5 *file, const char *group, struct ls_h5_names *names);
// "images, labels, more/masks, …": the datasets that the file has, for whoever asked for something else.
void ls_h5_list(const struct ls_h5 *file, char *out, size_t bytes);

// ---- missing.c
// Says in `missing` which file is not there, or too small, of those that a dataset is spread over; `depth`:
// so many virtual datasets lead to it.
void ls_h5_find_missing(hid_t dataset, int depth, char *missing, size_t bytes);
int ls_h5_external_files(hid_t properties); // how many
// Has it external files that are not where the library would look, but beside the file?
bool ls_h5_external_files_lie_beside(const struct ls_h5 *file, hid_t dataset);
bool ls_h5_is_virtual(hid_t dataset);

// ---- btree.c
// The address of a dataset's index of chunks where it is one that ls_h5_list_chunks can go over, else -1.
int64_t ls_h5_find_index(const struct ls_h5 *file, hid_t dataset);
// As ls_h5_list_chunks, before HDF5 1.14; `chunks` says "never written" of all of the grid.
ls_status ls_h5_walk_index(const struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                           const int64_t *grid, struct ls_h5_chunk *chunks);

// ---- storage.c
// Fills `storage` and all that hangs on it. Type and shape are known.
void ls_h5_describe_storage(const struct ls_h5 *file, hid_t dataset, struct ls_h5_dataset *info);
size_t ls_h5_chunk_bytes(hid_t dataset); // decoded; 0 where it is not chunked

// ---- dataset.c
// The dataset of that name; it stays the file's.
ls_status ls_h5_dataset_of(struct ls_h5 *file, const char *name, hid_t *dataset);
void ls_h5_remember(struct ls_h5 *file, const char *name, hid_t dataset);
// Of a virtual dataset that was read: LS_INPUT where the library may have met sources that it could not open.
ls_status ls_h5_check_sources_opened(const struct ls_h5 *file, const char *name, hid_t dataset);

// ---- read.c
ls_status ls_h5_describe_locked(struct ls_h5 *file, const char *name, struct ls_h5_dataset *info);

// ---- write.c
// A contiguous dataset of the type, its space allocated and not filled: every byte of it is to be written.
ls_status ls_h5_make_of_type(struct ls_h5 *file, const char *name, hid_t type, int rank, const int64_t *dim);

// ---- disk.c
ls_status ls_h5_disk_open(struct ls_h5_disk *disk, const char *path);
void ls_h5_disk_close(struct ls_h5_disk *disk);
// From here on the library writes to memory.
ls_status ls_h5_disk_divert(const struct ls_h5_disk *disk, const char *path, hid_t file);
// Would the file, of `size` bytes now, be too large with `more` and some metadata?
ls_status ls_h5_disk_require_room(const char *path, int64_t size, int64_t more);
// Data, to where the library has put its dataset. Each byte is written once.
ls_status ls_h5_disk_write(struct ls_h5_disk *disk, const char *path, int64_t offset, const void *data,
                           size_t bytes);
// Copies from memory what lies between the data, and syncs. The library has closed the file.
ls_status ls_h5_disk_complete(struct ls_h5_disk *disk, const char *path);
