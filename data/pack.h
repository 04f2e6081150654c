// Writing shards: contiguous u8 [N, H, W, C], labels i32, sample ids u64, a CRC32C a sample; see README.md
// for the drawing of a file. Files are written under a temporary name, synced, and renamed: there is never
// half a shard.
#pragma once

#include "base/status.h"

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

// `lockstep check`: verifies a shard or any HDF5 data file whole (structure, CRCs, labels, non-finite values,
// ids). LS_INPUT with the first offender by file, dataset and index.
struct ls_check_report {
    int64_t samples, classes; // classes: largest label + 1
    int crc_checked;
    char text[256]; // one line for people
};
ls_status ls_check_shard(const char *path, const char *input, const char *target,
                         struct ls_check_report *report);
