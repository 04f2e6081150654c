// A data set: HDF5 files with one dataset of samples [N, …] and one of targets. Samples are numbered through
// all files in the order of the (sorted) file names: the global index.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>

#include "base/begin.h"

// What targets are to be read as, whatever their number type.
enum ls_targets {
    LS_TARGETS_AS_STORED, // integers, one a sample: classes; everything else: values
    LS_TARGETS_CLASSES, // one a sample: whole numbers of any type; rows are one-hot: a 1 in the class's place
    LS_TARGETS_LABELS,  // a 0 or 1 for each label
    LS_TARGETS_VALUES,  // numbers
};

struct ls_dataset_spec {
    const char *const *patterns; // file names or globs; sorted and made unique
    int n_patterns;
    bool as_listed; // patterns keep their order, and only the names that match one are sorted
    const char *input,
        *target; // dataset names (paths inside the file); target may be missing when target_optional
    bool target_optional;
    enum ls_targets targets;
    const char *what; // "data.train", for messages
    // How samples lie: "NHWC" or "NCHW", images; "NLC" or "NCL", signals, of one channel where they have rank
    // 2; "auto": an `axes` attribute of the dataset or file, or else images, channels last unless only the
    // first axis of a sample is 1, 3 or 4 long.
    const char *axes;
    // Samples are whole numbers from 0 to tokens - 1, [N, T] or [N] of any number type, delivered as i32;
    // `axes` is not looked at. Up to INT32_MAX. 0: samples are values.
    int64_t tokens;
    bool through_library; // to compare with: every byte through H5Dread, whatever the way that is better
};

struct ls_dataset; // opaque

struct ls_dataset_info {
    int64_t samples;
    int n_files;
    int64_t height, width, channels; // of a sample; vectors are 1 x 1 x length, signals 1 x length x channels
    bool channels_first;             // how a sample lies on disk
    bool flat;                       // the sample is a vector
    ls_dtype stored;                 // type on disk, of the first file that has samples
    ls_dtype type; // type that the reader delivers: tokens as i32; else u8 as u8, everything else as f32
    size_t sample_bytes; // as delivered
    bool has_target;
    bool target_is_class;  // a class, delivered as i32
    int64_t target_values; // numbers of a target as they are stored; delivered as f32 where it is no class
    size_t target_bytes;   // per sample, as delivered
    bool checksums;        // some shard holds them
    bool one_at_a_time;    // all samples come through H5Dread: a second thread would only wait for the first
    size_t cache_bytes;    // of decoded chunks that are kept, at most
    size_t leftover_bytes; // of rows that a reader of a shuffled order may keep besides; 0: of no use
    uint64_t identity;     // hash of names (without folder), sizes, shapes, uuids: changes when the set does
};

// Opens every file, reads its metadata, compares shapes and types between files. All errors are LS_INPUT and
// name file, dataset, what was expected, what was found: no file matches, not HDF5, truncated, missing
// dataset, other shape, no sample.
ls_status ls_dataset_open(const struct ls_dataset_spec *spec, struct ls_dataset **dataset);
void ls_dataset_close(struct ls_dataset *dataset);
const struct ls_dataset_info *ls_dataset_info(const struct ls_dataset *dataset);
// The type on disk of a sample, by its global index: files may differ in it.
ls_dtype ls_dataset_stored_type(const struct ls_dataset *dataset, int64_t index);
// "shards/train-00001.h5" and the index inside it, of a global index.
const char *ls_dataset_locate(const struct ls_dataset *dataset, int64_t index, int64_t *index_in_file);
// File i of info.n_files, in the order of its samples, and how many it has.
const char *ls_dataset_file(const struct ls_dataset *dataset, int i, int64_t *samples);
// One line: which path each file takes (pread, or H5Dread and why).
const char *ls_dataset_path_note(const struct ls_dataset *dataset);
// Class names stored in the first file; NULL and 0 where there are none.
const char *const *ls_dataset_class_names(const struct ls_dataset *dataset, int *n);

// Reads `n` samples by global index into `samples` [n * sample_bytes] (NULL: not wanted,
// and no CRC is verified), `targets` [n * target_bytes] (NULL:
// not wanted) and `ids` (stored sample ids, else the global index; NULL: not wanted). Any order, any thread;
// refuses non-finite samples and targets, and tokens out of range (LS_INPUT, naming file, dataset and index).
// Checks stored CRCs where verify_crc.
ls_status ls_dataset_read(struct ls_dataset *dataset, const int64_t *indices, int64_t n, void *samples,
                          void *targets, uint64_t *ids, bool verify_crc);

// As ls_dataset_read of everything, of samples that lie at `position` and behind it in the order of
// `leftovers`, which rows are taken from and left in. NULL: none.
struct ls_leftovers;
ls_status ls_dataset_read_shuffled(struct ls_dataset *dataset, const int64_t *indices, int64_t n,
                                   void *samples, void *targets, uint64_t *ids,
                                   struct ls_leftovers *leftovers, uint64_t position);
// Leftovers for a reader of `width` of each `stride` positions; NULL where they would be of no use.
ls_status ls_dataset_make_leftovers(const struct ls_dataset *dataset, uint64_t seed, int64_t stride,
                                    int64_t width, struct ls_leftovers **leftovers);

// Whether chunks that szip packed are undone here, by libaec; else HDF5 reads them, where it can.
bool ls_szip_is_built_in(void);

// A hash of what the set holds, at a bounded cost: all checksums of shards of Lockstep's own, all targets of
// other files (both up to 64 MiB over the set), and 256 samples with their targets, chosen by a fixed key. A
// change of a share s of the samples of other people's files passes unseen with probability (1 - s)^256.
ls_status ls_dataset_content(struct ls_dataset *dataset, uint64_t *content);

// For measuring: forgets decoded chunks, while nobody reads; and where `pages` too, asks the kernel to forget
// what it holds of the files, so that they are read from the disk again (in vain where that is a file system
// in memory).
void ls_dataset_forget(struct ls_dataset *dataset, bool pages);

// Reads every target in [begin, end) and refuses, with file and index, a class outside 0..classes-1 or a
// value that is not finite; and where `samples` too, samples that are not finite, or no tokens of the set's.
// For start-up: ranks share the range out.
ls_status ls_dataset_scan(struct ls_dataset *dataset, int64_t begin, int64_t end, int64_t classes,
                          bool samples);

#include "base/end.h"
