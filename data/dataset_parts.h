// The inside of a data set, shared by its files. Each uses only what stands above it here:
//
//   dataset_buffer.c   memory that grows and is used again
//   dataset_convert.c  numbers of any stored type to f32 or to a class
//   dataset_values.c   rows as delivered: made from stored ones, refused where they hold what they must not
//   dataset_files.c    a bounded number of open files, and bytes of them
//   dataset_place.c    which file, or source, a sample lies in
//   dataset_cache.c    decoded chunks, kept for a while
//   chunk_szip.c       szip, undone
//   chunk_filters.c    gzip, shuffle and Fletcher's checksum, undone
//   dataset_chunks.c   chunks: where they lie, fetched, decoded
//   dataset_rows.c     rows that lie in the file that names them
//   dataset_shape.c    how one dataset's rows are read: axes, classes, delivered types
//   dataset_sources.c  rows of virtual datasets, from the files where they lie
//   dataset_column.c   rows of one dataset of one file, wherever they lie
//   dataset_read.c     a batch: picks sorted by file and offset, gathered from the columns
//   dataset_open.c     file names -> shards; what must agree between files
//   dataset_content.c  a hash of what is in it
//   dataset_scan.c     every target (and sample) once, at start
#pragma once

#include "base/arena.h"
#include "data/dataset.h"
#include "h5/h5.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

// How the bytes of a column come out of the file.
enum ls_path {
    LS_PATH_RUN,     // one run of bytes: pread
    LS_PATH_CHUNKS,  // chunks of whole rows, as they are: pread
    LS_PATH_DECODED, // chunks, fetched and decoded here: gzip, szip, shuffle, fletcher32, or cut across rows
    LS_PATH_SOURCES, // of a virtual dataset: each part from its source, by one of the ways above
    LS_PATH_FETCHED, // samples in chunks that only HDF5 undoes: a chunk of them by H5Dread, as delivered
    LS_PATH_LIBRARY, // H5Dread, on one thread at a time
};

static inline bool ls_path_is_by_chunks(enum ls_path path) {
    return path == LS_PATH_DECODED || path == LS_PATH_FETCHED;
}

struct ls_chunking {
    struct ls_h5_dataset found;
    int64_t grid[LS_H5_MAX_RANK], chunks; // chunks along each axis, and in all
    size_t bytes;                         // of a chunk, decoded
    struct ls_h5_chunk *listed;           // malloc'd; filled in before `is_listed` says so
    _Atomic(bool) is_listed;
};

enum ls_rows {
    LS_ROWS_NUMBERS,
    LS_ROWS_LABELS,  // f32, each 0 or 1
    LS_ROWS_ONE_HOT, // all numbers 0 but for a single 1, whose place is delivered
    LS_ROWS_TOKENS,  // i32, each from 0 on and below the column's `tokens`
};

// One dataset of one file. Its rows are stored as `row_values` numbers, and delivered as as many of type
// `delivered`, or as one. A row that is delivered as f32 is finite, tokens are below `tokens`.
struct ls_column {
    const char *name;           // NULL: the file has none
    ls_dtype stored, delivered; // FETCHED: HDF5 converts, and both are one
    enum ls_rows rows_hold;
    int64_t tokens; // LS_ROWS_TOKENS: how many there are
    int64_t row_values;
    size_t row_bytes; // as delivered
    bool swapped;     // the bytes of its numbers lie in the other order
    enum ls_path path;
    int64_t offset;               // RUN: of the first byte in the file
    struct ls_chunking *chunking; // CHUNKS, DECODED, FETCHED; in the data set's arena
    int first_source, n_sources;  // SOURCES: its parts, among the data set's sources
    const char *layout;           // for people: "contiguous", "chunks of [30, 8], gzip", …
    bool kept;                    // small: read whole when it is first needed, then kept
    _Atomic(void *) rows;         // the kept rows, as delivered; NULL until then
};

// The type of its numbers in the file: of FETCHED rows, HDF5 has made what is called stored.
static inline ls_dtype ls_column_type_on_disk(const struct ls_column *column) {
    return column->chunking ? column->chunking->found.type : column->stored;
}

enum ls_column_id {
    LS_COLUMN_INPUT,
    LS_COLUMN_TARGET,
    LS_COLUMN_IDS,
    LS_COLUMN_CRC,
    // Samples and targets as they are stored, of which the checksums are. They are columns where there are
    // checksums and the rows are delivered as something else; a batch is then made of these, once verified.
    LS_COLUMN_STORED_INPUT,
    LS_COLUMN_STORED_TARGET,
    LS_COLUMNS
};

// A file with samples; or a source: a part of a virtual dataset, with that one column, whose rows are
// numbered as in the source.
struct ls_shard {
    const char *path;
    int file;               // its number among the open files
    int64_t first, samples; // global index of its first row; how many rows
    int64_t begin;          // of a source: rows before it are no part
    struct ls_column columns[LS_COLUMNS];
};

// ---- open files
// A place for an open file, which is not closed while it is pinned.
struct ls_file_slot {
    const char *path; // NULL: the slot is empty
    int file;         // its number
    int fd;           // -1 while another thread is opening it
    int64_t bytes;    // of the file
    struct ls_h5 *h5; // NULL until a column wants HDF5
    int pins;
    uint64_t last_used;
};

struct ls_files {
    pthread_mutex_t lock;
    pthread_cond_t changed; // a file was opened or unpinned
    struct ls_file_slot *slots;
    int n_slots, n_open; // n_open: slots that hold a file
    int *slot_of;        // of each file; -1: not open
    uint64_t clock;
};

// A shard whose file is pinned.
struct ls_open_file {
    const struct ls_shard *shard;
    struct ls_files *files;
    struct ls_file_slot *slot;
};

// `share`: of the descriptors that the process may have, one in so many for open files, of which each may
// take two; and no more than are left when all data sets have together taken three quarters.
ls_status ls_files_init(struct ls_files *files, int n_files, int share);
void ls_files_close(struct ls_files *files);
// Opens the shard's file, or finds it open. Waits while every slot is pinned by other threads.
ls_status ls_files_pin(struct ls_files *files, const struct ls_shard *shard, struct ls_open_file *file);
void ls_files_unpin(struct ls_open_file *file);
ls_status ls_files_h5(struct ls_open_file *file, struct ls_h5 **h5);
// Bytes of the column's dataset, from `offset` of the file on; row is for the message.
ls_status ls_read_at(const struct ls_open_file *file, const struct ls_column *column, int64_t row,
                     int64_t offset, void *out, size_t bytes);
// As ls_read_at, to all of the parts, which are used up.
ls_status ls_read_parts(const struct ls_open_file *file, const struct ls_column *column, int64_t row,
                        int64_t offset, struct iovec *parts, int n);

// ---- memory that grows and is used again; a thread's own
struct ls_buffer {
    void *data;
    size_t bytes;
};
// At least so many bytes; what was in it is kept.
ls_status ls_buffer_reserve(struct ls_buffer *buffer, size_t bytes);

struct ls_scratch {
    struct ls_buffer stored;        // numbers as they lie in the file, to be converted
    struct ls_buffer rows;          // rows as delivered, to be copied to their places
    struct ls_buffer raw, decoded;  // a chunk as it lies in the file; and on its way through the filters
    struct ls_leftovers *leftovers; // of the samples that are read; NULL: none
    uint64_t position;              // of the order, at or before theirs
};
void ls_scratch_free(struct ls_scratch *scratch);

// ---- columns
// A sample on its way: its global index, and its place in the caller's batch.
struct ls_pick {
    int64_t index, place;
};

// Rows [begin, begin + n) of the file, as delivered, to `out`.
ls_status ls_column_read(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                         int64_t begin, int64_t n, void *out, struct ls_scratch *scratch);
// Rows of the picks, which are sorted by index and lie in this file, each to its place in `out`.
ls_status ls_column_gather(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                           const struct ls_pick *picks, int64_t n, void *out, struct ls_scratch *scratch);

// As both, of rows that lie in the file itself: of any column but one of SOURCES.
ls_status ls_rows_read(struct ls_dataset *dataset, struct ls_open_file *file, const struct ls_column *column,
                       int64_t begin, int64_t n, void *out, struct ls_scratch *scratch);
ls_status ls_rows_gather(struct ls_dataset *dataset, struct ls_open_file *file,
                         const struct ls_column *column, const struct ls_pick *picks, int64_t n, void *out,
                         struct ls_scratch *scratch);

// ---- places
// The column that a batch's samples are read from.
const struct ls_column *ls_samples_of(const struct ls_shard *shard);
// The shard with this global index.
const struct ls_shard *ls_shard_of(const struct ls_dataset *dataset, int64_t index);
// The part with that global index, of a column of SOURCES.
const struct ls_shard *ls_source_of(const struct ls_dataset *dataset, const struct ls_column *column,
                                    int64_t index);
// How many picks from the first on lie in its shard.
int64_t ls_picks_in(const struct ls_shard *shard, const struct ls_pick *picks, int64_t n);

// ---- sources
// Makes a column of a virtual dataset one of SOURCES, where its parts are rows of datasets that are read
// without the library; says in its layout what it is.
ls_status ls_column_find_sources(struct ls_dataset *dataset, struct ls_h5 *file, const struct ls_shard *shard,
                                 const struct ls_h5_dataset *found, enum ls_column_id id);
// As ls_column_read and ls_column_gather, of a column of SOURCES.
ls_status ls_sources_read(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                          int64_t begin, int64_t n, void *out, struct ls_scratch *scratch);
ls_status ls_sources_gather(struct ls_dataset *dataset, struct ls_open_file *file, enum ls_column_id id,
                            const struct ls_pick *picks, int64_t n, void *out, struct ls_scratch *scratch);

// ---- the cache of chunks
struct ls_chunk_place {
    const struct ls_chunking *of; // NULL: empty
    int64_t number;
    int pins;
    bool ready, written; // until it is ready, one thread decodes and the others wait
    uint64_t last_used;
    struct ls_buffer decoded;
};

// Decoded chunks, so that one which holds many samples is not decoded for each. A chunk may lie in any of the
// places of one set, which its number says.
struct ls_chunk_cache {
    pthread_mutex_t lock;
    pthread_cond_t changed; // a chunk was decoded, or its place let go
    struct ls_chunk_place *places;
    int sets, ways; // ways: places of a set
    uint64_t clock;
    _Atomic(int64_t) decoded; // chunks, so far
};

// Room for `bytes` of chunks of up to `chunk_bytes`; none where that is 0.
ls_status ls_chunk_cache_init(struct ls_chunk_cache *cache, size_t bytes, size_t chunk_bytes);
void ls_chunk_cache_free(struct ls_chunk_cache *cache);
void ls_chunk_cache_forget(struct ls_chunk_cache *cache); // while nothing is pinned
// Pins the place of the chunk and waits until somebody has decoded it, or says that the caller is to fill it.
// NULL: there is no room, and the caller decodes for himself.
struct ls_chunk_place *ls_chunk_cache_find(struct ls_chunk_cache *cache, const struct ls_chunking *chunking,
                                           int64_t number, bool *to_fill);
// Gives the decoded chunk to its place; or, after an error, the place to others, who will meet it themselves.
void ls_chunk_cache_settle(struct ls_chunk_cache *cache, struct ls_chunk_place *place,
                           struct ls_buffer *decoded, bool written, ls_status status);
void ls_chunk_cache_unpin(struct ls_chunk_cache *cache, struct ls_chunk_place *place);

// ---- chunks
// Adopts what HDF5 says of the chunks; NULL where that is absurd.
struct ls_chunking *ls_chunking_of(struct ls_arena *arena, const struct ls_h5_dataset *found);
// Makes a LIBRARY column of samples a FETCHED one where that spares HDF5 work: where chunks hold several
// rows, and all those of a row have room in memory.
void ls_column_fetch_chunks(struct ls_arena *arena, const struct ls_h5_dataset *found,
                            struct ls_column *column);
void ls_chunking_free(struct ls_chunking *chunking);
// Bytes that follow one another in the file: from a row of a RUN or of CHUNKS on.
struct ls_extent {
    int64_t offset; // -1: never written
    int64_t rows;
};
ls_status ls_extent_at(struct ls_dataset *dataset, struct ls_open_file *file, const struct ls_column *column,
                       int64_t row, struct ls_extent *extent);
// Rows [begin, begin + n) of a DECODED or FETCHED column, as stored.
ls_status ls_chunks_read(struct ls_dataset *dataset, struct ls_open_file *file,
                         const struct ls_column *column, int64_t begin, int64_t n, void *out,
                         struct ls_scratch *scratch);
// Tells the kernel that the chunks of these rows will be read soon, where it is known where they lie.
void ls_chunks_announce(const struct ls_open_file *file, const struct ls_column *column, int64_t begin,
                        int64_t n);
// Writes `values` numbers as they are in rows that were never written.
void ls_chunks_fill(const struct ls_column *column, void *out, int64_t values);
// How many bytes of decoded chunks the set may keep, of *all that it has; none is larger than *largest. 0
// where nothing is decoded here, or no chunk holds two samples.
size_t ls_chunk_cache_bytes(const struct ls_dataset *dataset, size_t *largest, size_t *all);
// What is left over of them, in all: see leftovers.h. 0 where all of them are kept anyway, or where chunks
// are cut across samples.
size_t ls_chunk_leftover_bytes(const struct ls_dataset *dataset);
// Whether this build has what undoes all of the filters.
bool ls_chunk_can_decode(const struct ls_h5_chunking *chunking);
// Undoes the filters that `skipped` does not name, in place or through `other`: `chunk` holds `bytes` and
// ends with `decoded_bytes`. `value_bytes`: of a number.
ls_status ls_chunk_decode(const struct ls_h5_chunking *chunking, uint32_t skipped, size_t value_bytes,
                          struct ls_buffer *chunk, size_t bytes, struct ls_buffer *other,
                          size_t decoded_bytes);
// Whether numbers come out as planes: their first bytes, then their second ones, … .
bool ls_szip_has_planes(const struct ls_h5_szip *szip);
// To the first `expected` bytes of `out`, which may grow beyond; LS_INPUT where so many do not come out.
ls_status ls_szip_unpack(const struct ls_h5_szip *szip, const uint8_t *in, size_t bytes,
                         struct ls_buffer *out, size_t expected);

// ---- numbers
// Numbers of any type to f32, rounded to nearest even.
void ls_widen(ls_dtype type, const void *in, int64_t n, float *out);
// Turns round the bytes of each number, in place.
void ls_swap_bytes(ls_dtype type, void *numbers, int64_t n);
// Whole numbers of any type to classes, or tokens. Returns the index of the first that i32 cannot hold, or n.
int64_t ls_narrow(ls_dtype type, const void *in, int64_t n, int32_t *out);
// Index of the first value that is not finite, or n.
int64_t ls_first_not_finite(const float *values, int64_t n);
// Numbers of type `from`, of rows [begin, begin + n), as delivered.
ls_status ls_values_convert(const struct ls_shard *shard, const struct ls_column *column, ls_dtype from,
                            int64_t begin, int64_t n, const void *in, void *out);
// Refuses delivered rows that hold what they must not: numbers that are not finite, labels but 0 and 1.
ls_status ls_values_check(const struct ls_shard *shard, const struct ls_column *column, int64_t begin,
                          int64_t n, const void *rows);

// ---- the data set
struct ls_cursor; // what one call of ls_dataset_read works with

struct ls_dataset {
    struct ls_dataset_info info;
    struct ls_shard *shards;
    int n_shards;
    struct ls_shard *sources; // of virtual datasets, all of one after another; malloc'd
    int n_sources, sources_room;
    int n_source_files;
    const char *what, *path_note;
    const char **class_names;
    int n_class_names;
    bool ours;                           // the first file is a shard of Lockstep's own, read as such
    struct ls_files files, source_files; // a file of either is pinned before its sources are
    struct ls_chunk_cache cache;
    pthread_mutex_t listing;   // of the tables of chunks
    pthread_mutex_t lock;      // of what follows, and of the reading of kept columns
    struct ls_cursor *cursors; // not in use
    struct ls_arena names;     // texts and shards
};

// As ls_dataset_open, of these very files in this order; patterns of the spec are not looked at.
ls_status ls_dataset_open_files(const struct ls_dataset_spec *spec, char *const *paths, int n_paths,
                                struct ls_dataset **dataset);
// What the dataset of samples, or of targets, says of one file: its part of `info`, and the column. `found`
// is the dataset as HDF5 describes it.
ls_status ls_shape_input(struct ls_arena *arena, struct ls_h5 *file, const struct ls_dataset_spec *spec,
                         struct ls_h5_dataset *found, struct ls_column *column, struct ls_dataset_info *info);
ls_status ls_shape_target(struct ls_arena *arena, struct ls_h5 *file, const char *name,
                          enum ls_targets targets, struct ls_h5_dataset *found, struct ls_column *column,
                          struct ls_dataset_info *info);
// Refuses a dataset whose numbers could not be that many tokens.
ls_status ls_shape_check_tokens(const char *path, const char *name, const struct ls_h5_dataset *found,
                                int64_t tokens);
// A column of rows of `row_values` numbers, delivered as `delivered`.
struct ls_column ls_column_of(struct ls_arena *arena, const char *name, const struct ls_h5_dataset *found,
                              int64_t row_values, ls_dtype delivered);
enum { LS_SHAPE_TEXT = 256 };
// "[60000, 28, 28] u8"
char *ls_shape_text_of(char out[LS_SHAPE_TEXT], const struct ls_h5_dataset *found);
void ls_cursors_free(struct ls_cursor *newest);
// Tells the kernel that these samples will be read soon. Any failure is left for the read to report.
void ls_dataset_announce(struct ls_dataset *dataset, const int64_t *indices, int64_t n);
