// What the files of this folder share. Whoever calls these holds the lock.
#pragma once

#include "h5/h5.h"

#include <hdf5.h>

enum { LS_H5_CACHED = 8 };

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

bool ls_h5_has(const struct ls_h5 *file, const char *name);
// "images, labels, more/masks, …": the datasets that the file has, for whoever asked for something else.
void ls_h5_list(const struct ls_h5 *file, char *out, size_t bytes);
// The dataset of that name; it stays the file's.
ls_status ls_h5_dataset_of(struct ls_h5 *file, const char *name, hid_t *dataset);
void ls_h5_remember(struct ls_h5 *file, const char *name, hid_t dataset);
// A contiguous dataset of the type, its space allocated and not filled: every byte of it is to be written.
ls_status ls_h5_make_of_type(struct ls_h5 *file, const char *name, hid_t type, int rank, const int64_t *dim);
// ---- storage.c
// Fills `storage` and all that hangs on it. Type and shape are known.
void ls_h5_describe_storage(const struct ls_h5 *file, hid_t dataset, struct ls_h5_dataset *info);
size_t ls_h5_chunk_bytes(hid_t dataset); // decoded; 0 where it is not chunked
bool ls_h5_is_virtual(hid_t dataset);
// Says in `missing` which file is not there, or too small, of those that a dataset is spread over; `depth`:
// so many virtual datasets lead to it.
void ls_h5_find_missing(hid_t dataset, int depth, char *missing, size_t bytes);
// Has it external files that are not where the library would look, but beside the file?
bool ls_h5_external_files_lie_beside(const struct ls_h5 *file, hid_t dataset);

// ---- virtual.c
// As ls_h5_find_missing, of a virtual dataset's sources. The file is the one that the dataset is in.
void ls_h5_check_virtual(const struct ls_h5 *file, hid_t properties, int depth, char *missing, size_t bytes);

// ---- btree.c
// The address of a dataset's index of chunks where it is one that ls_h5_walk_index can walk, else -1.
int64_t ls_h5_find_index(const struct ls_h5 *file, hid_t dataset);
// As ls_h5_list_chunks; `chunks` says "never written" of all.
ls_status ls_h5_walk_index(const struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                           struct ls_h5_chunk *chunks);

ls_status ls_h5_describe_locked(struct ls_h5 *file, const char *name, struct ls_h5_dataset *info);

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
