// What the files of this folder share. Whoever calls these holds the lock.
#pragma once

#include "h5/h5.h"

#include <hdf5.h>

enum { LS_H5_CACHED = 8 };

struct ls_h5 {
    hid_t id;
    char *path;
    bool writing;
    // Datasets stay open, so that a chunk that was decompressed is there for the next rows.
    struct ls_h5_open_dataset {
        char *name;
        hid_t id;
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
// The innermost description on the library's error stack.
void ls_h5_library_words(char *out, size_t bytes);

// The type in memory; the library's own or one that lives as long as the process. Negative: none.
hid_t ls_h5_memory_type(ls_dtype type);
// What a type on disk is to Lockstep. *why is set where its bytes are not those of the type in memory.
ls_dtype ls_h5_type_of(hid_t type, const char **why);

bool ls_h5_has(const struct ls_h5 *file, const char *name);
// The dataset of that name; it stays the file's.
ls_status ls_h5_dataset_of(struct ls_h5 *file, const char *name, hid_t *dataset);
void ls_h5_remember(struct ls_h5 *file, const char *name, hid_t dataset);
// A contiguous dataset of the type, its space allocated and not filled: every byte of it is to be written.
ls_status ls_h5_make_of_type(struct ls_h5 *file, const char *name, hid_t type, int rank, const int64_t *dim);
ls_status ls_h5_shape_of(const struct ls_h5 *file, const char *name, hid_t dataset, int *rank, int64_t *dim);
// Selections of rows [begin, begin + n) in the file and in memory; H5S_ALL stands for the whole (n < 0).
struct ls_h5_rows {
    hid_t in_file, in_memory;
};
ls_status ls_h5_select(const struct ls_h5 *file, const char *name, hid_t dataset, int64_t begin, int64_t n,
                       struct ls_h5_rows *rows);
void ls_h5_release(struct ls_h5_rows *rows);
