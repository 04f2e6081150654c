// Writing shards, which shard.h draws, from what people have. A packer opens a source, which numbers samples;
// what follows is the same for all: samples are shuffled once, if asked for, split, and cut into shards.
//
// The bytes of a shard do not depend on threads, ranks or restarts: which samples it holds, in which order,
// is known before the first is read. Rank r of `ranks` writes shards r, r + ranks, …, and keeps those of the
// same set that are there. Files are written under a temporary name, synced, and renamed: there is never half
// a shard.
#pragma once

#include "base/status.h"
#include "data/shard_writer.h"

#include "base/begin.h"

struct ls_pack_source;

// ---- sources. Whatever a job points to stays the caller's, and there until the source is closed.

// A folder of pictures (JPEG, PNG), a class a sub-folder, into u8 [N, side, side, channels]. Ids number all
// pictures by name, whatever becomes of them.
struct ls_pack_images {
    const char *folder;
    int side, channels; // channels: 3, or 1 for grey
};
ls_status ls_pack_images_open(const struct ls_pack_images *job, struct ls_pack_source **source);

// A pair of IDX files (LeCun's MNIST format), plain or gzip, into u8 [N, H, W, C].
struct ls_pack_idx {
    const char *images, *labels;
    const char *class_names; // a file with a name a line; or NULL
};
ls_status ls_pack_idx_open(const struct ls_pack_idx *job, struct ls_pack_source **source);

// A pair of NPY files, plain or gzip: u8 into u8, other numbers into f32, but no vectors of integers that f32
// would round; integer targets, one a sample, are classes, others f32.
struct ls_pack_npy {
    const char *samples, *targets;
    const char *axes;        // auto, NHWC, NCHW; NLC, NCL: signals
    const char *shape;       // "28,28,1": what samples are to be; NULL: as they are
    const char *class_names; // a file; or NULL
};
ls_status ls_pack_npy_open(const struct ls_pack_npy *job, struct ls_pack_source **source);

// CSV files (RFC 4180, with any delimiter and line ends), a sample a line, into f32 or u8 [N, columns].
enum ls_csv_header { LS_CSV_HEADER_AUTO, LS_CSV_HEADER_YES, LS_CSV_HEADER_NO };
enum ls_csv_kind { LS_CSV_AUTO, LS_CSV_CLASS, LS_CSV_VALUE };
struct ls_pack_csv {
    const char *const *files;
    int n_files;
    // Columns, separated by commas: as the header has them, or numbers from 1 on. target NULL: the last.
    const char *target, *ignore;
    enum ls_csv_header header; // AUTO: where no cell of the first line is a number
    enum ls_csv_kind kind;     // of the target; AUTO: class where it is text, or integers from 0 on
    char delimiter;
    bool bytes;              // samples are integers from 0 to 255, kept as u8
    const char *shape;       // "28,28,1"; NULL: flat
    const char *class_names; // a file; or NULL: texts in the order of their bytes
};
ls_status ls_pack_csv_open(const struct ls_pack_csv *job, struct ls_pack_source **source);

// Whatever a data set reads (dataset.h), into u8 or f32 of the same shape, channels last; but no vectors of
// integers that f32 would round.
struct ls_pack_h5 {
    const char *const *files;
    int n_files;
    const char *input, *target, *axes;
    const char *class_names; // a file; or NULL: as the first file says
};
ls_status ls_pack_h5_open(const struct ls_pack_h5 *job, struct ls_pack_source **source);

void ls_pack_source_close(struct ls_pack_source *source);

// ---- packing

struct ls_pack_job {
    const char *folder;           // where the shards go, made where it is missing
    const char *name, *test_name; // of the splits: "train" makes train-00000-of-00004.h5; NULL: train, test
    int shards;                   // of the larger split; 0: of about 256 MiB. The other gets its share
    double test_fraction;         // 0: no test split
    const char *test_list;        // a file that names the samples of the test split, a line each; or NULL
    bool shuffle;
    bool skip_broken; // warn of a sample that cannot be read and go on; else the first is an error
    bool replace;     // write over shards of another set, of the same name and count
    uint64_t seed;
    int threads, rank, ranks; // 0: one thread; one rank
};

struct ls_pack_split {
    const char *name;
    int shards;
    int64_t listed; // samples that are meant for it
};

struct ls_pack_plan {
    uint64_t asked; // hash of what is asked for, and of the source's shape
    struct ls_shard_shape shape;
    const char *noun; // what the source calls samples: "pictures"
    int64_t ignored;  // files of the source that are none
    struct ls_pack_split splits[2];
    int n_splits;
};

struct ls_pack_work;

// Splits the source. `plan` is the same on all ranks, or what they see differs. The source is the caller's,
// and there until the work is closed.
ls_status ls_pack_open(const struct ls_pack_job *job, struct ls_pack_source *source,
                       struct ls_pack_work **work, struct ls_pack_plan *plan);
// Reads this rank's share of the samples, so that nothing is written of a bad source; *content is a hash of
// it, of which the sum over ranks is one of the whole. Of pictures, which take long, only names and sizes
// count.
ls_status ls_pack_check(struct ls_pack_work *work, uint64_t *content);
// Removes what a packing of these names that was killed has left half-written. For one rank, before any runs.
void ls_pack_clear(const struct ls_pack_work *work);
// Writes this rank's shards, telling of each by ls_note. What is finished stays, whatever happens.
// `content`: the sum; with what is asked for it makes the set's UUID.
ls_status ls_pack_run(struct ls_pack_work *work, uint64_t content, int64_t *kept, int64_t *written);
void ls_pack_close(struct ls_pack_work *work);

// What the shards of one split hold, from their own words.
struct ls_pack_summary {
    int64_t samples, channels;
    int n_classes;      // names, or largest class + 1; 0 where targets are values
    int64_t *per_class; // [n_classes], malloc'd
    char **class_names; // [n_classes], malloc'd; NULL where there are none
    double *mean, *std; // [channels], malloc'd; NULL where the shards hold none
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
// `tokens`: samples are whole numbers from 0 to tokens - 1, [N, T] or [N]; up to INT32_MAX. 0: samples are
// values. The report is to be freed in any case.
ls_status ls_check_shard(const char *path, const char *input, const char *target, int64_t tokens, int threads,
                         struct ls_check_report *report);
void ls_check_report_free(struct ls_check_report *report);

#include "base/end.h"
