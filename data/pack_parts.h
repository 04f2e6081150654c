// The inside of the packers.
//
//   pack_set.c        what all share: plan, shards, restarts
//   pack_ring.c       blocks of samples, read by all threads, given on in order
//   pack_split.c      which samples go to the test split
//   pack_summary.c    what a set of shards holds
//   pack_source.c     what sources share
//   pack_images.c     pictures; pack_folder.c lists them
//   pack_arrays.c     a file of samples and one of targets: IDX, NPY
//   array.c           rows of such a file; array_idx.c, array_npy.c read their heads
//   pack_csv.c        CSV files: columns, classes; csv.c has their records, number.c their numbers
//   pack_h5.c         HDF5 files, as a data set reads them
//   bytes.c           the bytes of a file, plain or gzip
#pragma once

#include "base/arena.h"
#include "data/pack.h"

// Samples that are wanted, by their numbers in the source, and where they and their targets go, as the
// source's shape says. The ids begin as the numbers.
struct ls_pack_batch {
    const int64_t *which;
    int64_t n;
    void *samples, *targets;
    uint64_t *ids;
};

// ---- what is packed. A packer's own struct begins with one of these.
struct ls_pack_source {
    const char *noun; // "pictures"
    const char *path; // for messages
    int64_t samples;
    struct ls_shard_shape shape;
    const char *const *class_names;
    int n_class_names;
    int64_t ignored;
    bool listed; // its content is known by the names and sizes in `content`; else by reading the samples
    uint64_t content;
    int64_t piece; // samples that a thread reads at a time; 1: each is an error of its own
    struct ls_arena names;

    // What a thread reads with; NULL: nothing. Each is given to drop_worker at the end.
    void *(*make_worker)(struct ls_pack_source *source);
    void (*drop_worker)(void *worker);
    // Called by several threads at a time.
    ls_status (*read)(struct ls_pack_source *source, void *worker, const struct ls_pack_batch *batch);
    // The sample of that name, -1 where there is none; NULL: names are numbers from 0 on.
    int64_t (*find)(const struct ls_pack_source *source, const char *name);
    void (*close)(struct ls_pack_source *source);
};

// ---- blocks of samples, read by all threads
struct ls_pack_ring;

struct ls_pack_block {
    const int64_t *which; // [n] samples of the source
    int64_t n, pieces;
    char *samples, *targets;
    uint64_t *ids;
    struct ls_error *errors; // [pieces] status LS_OK: read
};

struct ls_pack_run {
    const int64_t *which; // [n] samples to be read
    int64_t n;
    // Called for each block in order, by any thread, by one at a time. An error ends the run.
    ls_status (*take)(void *context, const struct ls_pack_block *block);
    void *context;
};

// Memory and workers for so many threads; the source stays the caller's, and open for as long as the ring.
ls_status ls_pack_ring_open(struct ls_pack_source *source, int threads, struct ls_pack_ring **ring);
void ls_pack_ring_close(struct ls_pack_ring *ring);
// Reads all of the run. One run at a time; a sample that cannot be read is for `take` to judge.
ls_status ls_pack_ring_run(struct ls_pack_ring *ring, const struct ls_pack_run *run);

// Refuses a class below 0, or one that has no name where there are names.
ls_status ls_pack_check_class(const struct ls_pack_source *source, const char *path, int64_t sample,
                              int32_t class);
// Refuses a vector that was stored as integers, and of which f32 may have rounded one: such may be tokens.
// `values` are as the source's shape says.
ls_status ls_pack_check_integers(const struct ls_pack_source *source, ls_dtype stored, const char *path,
                                 int64_t sample, const float *values);
// The shape of samples of these lengths, or that of `text` ("28,28,1") instead, where it is not NULL; `axes`:
// auto, which tells channels from lengths as a data set does, NHWC, NCHW, NLC, NCL. In shards channels are
// last: *channels_first says that ls_pack_channels_last is to bring them there.
ls_status ls_pack_set_shape(struct ls_pack_source *source, int rank, const int64_t *dim, const char *axes,
                            const char *text, bool *channels_first);
void ls_pack_channels_last(const struct ls_shard_shape *shape, int64_t n, const void *in, void *out);

// The names of classes from a file, a line each.
ls_status ls_pack_read_class_names(struct ls_pack_source *source, const char *path);

// ---- the test split
struct ls_pack_tests {
    bool *are; // [samples] who belongs to it
    int64_t n; // how many do
};

// Chosen by the seed: round(fraction * samples), or one at least; or by the lines of a file.
ls_status ls_pack_split_off(const struct ls_pack_source *source, const struct ls_pack_job *job,
                            struct ls_pack_tests *tests);

// ---- a folder of pictures: a class a sub-folder
struct ls_pack_file {
    const char *path; // below the folder: "cat/2/a.jpg"
    int64_t bytes;
    int32_t label;
};

struct ls_pack_folder {
    struct ls_pack_file *files;   // by path
    int64_t n, capacity, ignored; // ignored: files that are no pictures by their names
    const char **class_names;
    int n_classes;
    struct ls_arena names;
};

// LS_INPUT: no such folder, no sub-folder, no picture. The files are in the order of their paths, byte by
// byte.
ls_status ls_pack_folder_open(const char *path, struct ls_pack_folder *folder);
void ls_pack_folder_close(struct ls_pack_folder *folder);
// The file of that path below the folder; -1: none.
int64_t ls_pack_folder_find(const struct ls_pack_folder *folder, const char *path);
