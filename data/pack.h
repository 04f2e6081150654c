// Writing shards: contiguous u8 [N, H, W, C], labels i32, sample ids u64, a CRC32C a sample; see README.md
// for the drawing of a file. Files are written under a temporary name, synced, and renamed: there is never
// half a shard.
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct ls_pack_idx {
    const char *images, *labels; // IDX files (LeCun's MNIST format), plain or gzip
    const char *folder;          // made where it is missing
    const char *name;            // split: "train" makes train-00000-of-00004.h5
    int shards;
    const char *const *class_names; // or NULL
    int n_class_names;
};

// The same bytes each time it is run. Refuses to overwrite shards of the same name and another count.
ls_status ls_pack_idx(const struct ls_pack_idx *job);

// A folder of pictures (JPEG, PNG), a class a sub-folder, into shards of u8 [N, side, side, channels].
// Pictures are shuffled once, and may be split; ids number all of them by name, whatever becomes of them. The
// bytes of a shard do not depend on threads, ranks or restarts: rank r of `ranks` writes shards r, r + ranks,
// …, and keeps those that are there.
struct ls_pack_images {
    const char *source, *folder;  // pictures; where the shards go, made where it is missing
    const char *name, *test_name; // of the splits: "train", "test"
    int side, channels;           // channels: 3, or 1 for grey
    int shards;                   // of the larger split; 0: of about 256 MiB. The other gets its share
    double test_fraction;         // 0: no test split
    const char *test_list;        // a file of paths below `source`, a line each; or NULL
    bool shuffle, skip_broken;    // skip_broken: warn and go on; else the first broken picture is an error
    uint64_t seed;
    int threads, rank, ranks;
};

struct ls_pack_split {
    const char *name;
    int shards;
    int64_t listed; // pictures that were meant for it
};

struct ls_pack_plan {
    char uuid[40]; // of the set: a hash of what is asked for, and of names and sizes of the files
    int64_t ignored;
    struct ls_pack_split splits[2];
    int n_splits;
};

struct ls_pack_work; // an opened folder

// Lists the folder, splits it, and looks at what is in the way. `plan` is the same on all ranks, or the
// folders differ.
ls_status ls_pack_images_open(const struct ls_pack_images *job, struct ls_pack_work **work,
                              struct ls_pack_plan *plan);
// Writes this rank's shards, telling of each by ls_note. What is finished stays, whatever happens.
ls_status ls_pack_images_run(struct ls_pack_work *work, int64_t *kept, int64_t *written);
void ls_pack_images_close(struct ls_pack_work *work);

// What the shards of one split hold, from their own words.
struct ls_pack_summary {
    int64_t samples, channels, *per_class; // per_class [n_classes], malloc'd
    int n_classes;
    char **class_names;     // malloc'd
    double mean[4], std[4]; // of raw / 255 over the set; of the first four channels
};
ls_status ls_pack_summarize(const char *folder, const char *name, int shards,
                            struct ls_pack_summary *summary);
void ls_pack_summary_free(struct ls_pack_summary *summary);

// `lockstep check`: reads a shard or any HDF5 data file whole: structure, checksums, classes, values that are
// not finite, ids, and, of Lockstep's own, whether the statistics are those of the samples.
enum { LS_CHECK_OFFENDERS = 5 };

struct ls_check_report {
    int64_t samples, classes; // classes: largest label + 1
    bool crc_checked;
    char text[256]; // one line for people
    // What is wrong with samples: how many of them, and the words for the first few. A file that cannot be
    // read as data at all has no report, only its error.
    int64_t offenders;
    char *words[LS_CHECK_OFFENDERS];
    // Of shards of Lockstep's own: which of which set, and the ids of the samples [samples].
    bool ours;
    char uuid[64], split[128];
    int64_t shard, shards;
    uint64_t *ids;
};

// LS_INPUT where anything is wrong, with the words of the first. `target` NULL: labels, where there are any.
// The report is to be freed in any case.
ls_status ls_check_shard(const char *path, const char *input, const char *target,
                         struct ls_check_report *report);
void ls_check_report_free(struct ls_check_report *report);
