// The only owner of HDF5. The library is not thread-safe as distributions build it: every call here takes one
// lock. What is described here as contiguous or chunked can also be read without it, by pread.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>

#include "base/begin.h"

enum { LS_H5_MAX_RANK = 8, LS_H5_MAX_FILTERS = 4 };

struct ls_h5; // an open file
struct ls_arena;

enum ls_h5_storage {
    LS_H5_CONTIGUOUS, // one run of bytes at `offset`
    LS_H5_CHUNKED,    // chunks of this file, each through filters that are listed here
    LS_H5_VIRTUAL,    // made of other datasets, of which ls_h5_list_parts may tell more
    LS_H5_LIBRARY,    // only the library knows: compact, external, other filters, never written, …
};

enum ls_h5_filter { LS_H5_GZIP, LS_H5_SZIP, LS_H5_SHUFFLE, LS_H5_FLETCHER32 };

// How szip was told to pack numbers.
struct ls_h5_szip {
    unsigned bits;        // of a number
    unsigned block, line; // numbers of a block; and of a line, which begins a new block
    bool big_endian;      // the bytes of a number lie that way
    bool differences;     // of neighbours are what is packed
};

struct ls_h5_chunking {
    int64_t dim[LS_H5_MAX_RANK]; // of a chunk, in numbers; those at the edges are stored in full size too
    int n_filters;
    enum ls_h5_filter filters[LS_H5_MAX_FILTERS]; // in the order of writing; one at most packs: gzip or szip
    struct ls_h5_szip szip;
    uint8_t fill[8]; // the number, as stored, in chunks that were never written; of VIRTUAL, where no part is
    bool listed;     // ls_h5_list_chunks can list them
    int64_t index;   // the library's own; -1: none
};

struct ls_h5_dataset {
    int rank; // 0: a single value
    int64_t dim[LS_H5_MAX_RANK];
    ls_dtype type;     // LS_DTYPES where it is not an integer or float type that Lockstep knows
    const char *words; // what it holds then: "strings"
    bool swapped;      // the bytes of its numbers lie in the other order than this machine's
    enum ls_h5_storage storage;
    int64_t offset;                 // CONTIGUOUS: of the first byte, from the start of the file
    struct ls_h5_chunking chunking; // CHUNKED
    char layout[96];                // "contiguous", "chunks of [30, 8], shuffle, gzip", "compact", …
    char missing[224];              // not empty: why it cannot be read, a filter or a file that is not there
};

// A chunk as it lies in the file.
struct ls_h5_chunk {
    int64_t offset;   // from the start of the file; -1: never written
    uint32_t bytes;   // stored
    uint32_t skipped; // bit i: filter i was not applied
};

const char *ls_h5_library(void); // "HDF5 1.10.8"

// Reading. Errors are LS_INPUT and name the file; "is not an HDF5 file", "is truncated: …", "no such file".
ls_status ls_h5_open(const char *path, struct ls_h5 **file);
void ls_h5_close(struct ls_h5 *file);
const char *ls_h5_path(const struct ls_h5 *file);
bool ls_h5_exists(struct ls_h5 *file, const char *name);
ls_status ls_h5_describe(struct ls_h5 *file, const char *name, struct ls_h5_dataset *info);
// Reads rows [begin, begin + n) along the first axis, converted to `type` in memory.
ls_status ls_h5_read_rows(struct ls_h5 *file, const char *name, int64_t begin, int64_t n, ls_dtype type,
                          void *out);
ls_status ls_h5_read_all(struct ls_h5 *file, const char *name, ls_dtype type, void *out);
// How many chunks a CHUNKED dataset has along each axis; returns how many in all, -1 where that is absurd.
int64_t ls_h5_chunk_grid(const struct ls_h5_dataset *info, int64_t grid[LS_H5_MAX_RANK]);
// Where each chunk lies, in row-major order of the grid, in time linear in their number. Of a dataset whose
// chunks can be listed. `chunks` is for all of the grid.
ls_status ls_h5_list_chunks(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                            struct ls_h5_chunk *chunks);
// The bytes of one chunk as they lie in the file, through the library: for chunks that cannot be listed.
// `position` is that of the chunk in the grid. *bytes is 0 where the chunk was never written; where it is
// more than `room`, nothing was read.
ls_status ls_h5_read_chunk(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                           const int64_t *position, void *out, size_t room, size_t *bytes, uint32_t *skipped);
// What a VIRTUAL dataset is made of: rows that are one run of numbers of a source each, in the order of the
// rows; where rows are in none of them, it holds the fill value. The texts lie in the arena.
struct ls_h5_parts {
    struct ls_h5_source {
        const char *path, *name; // of the file, as it is found from here, and of the dataset in it
    } * sources;
    struct ls_h5_part {
        int64_t begin, rows; // of the virtual dataset
        int64_t first;       // number of the source, in row-major order, that the part begins with
        int source;
    } * items;
    int n_sources, n;
    const char *why_not; // not NULL: it is made in other ways, that only the library follows
};
ls_status ls_h5_list_parts(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                           struct ls_arena *arena, struct ls_h5_parts *parts);
// Calls `visit` for each dataset below `group` and its groups, in creation order where the file tracks it,
// else by name. The name it gets is the path from the root, "model/conv1.weight". It may use the file.
ls_status ls_h5_visit(struct ls_h5 *file, const char *group,
                      ls_status (*visit)(void *context, const char *name, const struct ls_h5_dataset *info),
                      void *context);
// Attributes of the object `name` ("/" for the file). Missing: LS_OK and *found false (*n 0). Text in fixed
// or variable length; numbers of any type, converted.
ls_status ls_h5_attr_text(struct ls_h5 *file, const char *name, const char *attr, char *out, size_t bytes,
                          bool *found);
ls_status ls_h5_attr_f64(struct ls_h5 *file, const char *name, const char *attr, double *out, int most,
                         int *n);
ls_status ls_h5_attr_i64(struct ls_h5 *file, const char *name, const char *attr, int64_t *out, bool *found);
// Strings [n] of fixed or variable length: joined with '\0' after each, malloc'd; the caller frees.
ls_status ls_h5_read_strings(struct ls_h5 *file, const char *name, char **joined, int *n);

// Writing. Creates (truncates) `path`: format bounds 1.10, alignment 4096 for objects of a page or more,
// creation order tracked. Errors are LS_SYSTEM and name the file and the system's word (disk full).
// A file being written is not read; each row is written once, in the type of its dataset. ls_h5_close gives a
// file up that is not finished: what is there then is of no use.
ls_status ls_h5_create(const char *path, struct ls_h5 **file);
ls_status ls_h5_make_group(struct ls_h5 *file, const char *name);
// A contiguous dataset, written whole.
ls_status ls_h5_write(struct ls_h5 *file, const char *name, ls_dtype type, int rank, const int64_t *dim,
                      const void *data);
// A contiguous dataset, space allocated, to be filled with ls_h5_write_rows. Rows that are not are holes:
// whoever opens the finished file finds `offset`, and may still write them there.
ls_status ls_h5_make(struct ls_h5 *file, const char *name, ls_dtype type, int rank, const int64_t *dim);
ls_status ls_h5_write_rows(struct ls_h5 *file, const char *name, int64_t begin, int64_t n, ls_dtype type,
                           const void *data);
ls_status ls_h5_write_strings(struct ls_h5 *file, const char *name, const char *const *strings, int n);
ls_status ls_h5_set_text(struct ls_h5 *file, const char *name, const char *attr, const char *value);
ls_status ls_h5_set_f64(struct ls_h5 *file, const char *name, const char *attr, const double *values, int n);
ls_status ls_h5_set_i64(struct ls_h5 *file, const char *name, const char *attr, int64_t value);
// Flushes, syncs and closes; says whether every byte reached the file. The file is closed in any case.
ls_status ls_h5_finish(struct ls_h5 *file);

#include "base/end.h"
