// What a shard that Lockstep writes looks like. People's own files need only the first two datasets, of any
// name.
//
// clang-format off
//   train-00000-of-00004.h5
//   ├── /             format "lockstep shard", version 1, uuid (of the data set), split "train", shard 0, shards 4,
//   │                 axes "NHWC", mean [C] and std [C] over the shard: of raw / 255 for u8, of raw for f32
//   ├── images        u8 or f32 [N, H, W, C]   contiguous, aligned to a page
//   ├── labels        i32 [N]            contiguous: a class; or f32 [N] or [N, D]: values to predict
//   ├── ids           u64 [N]            contiguous; a sample keeps its id however the set is cut. Its attribute
//   │                                    crc32c is the CRC32C of all of them
//   ├── crc32c        u32 [N]            contiguous; CRC32C of the sample's bytes and then its label's
//   └── class_names   fixed-length UTF-8 [classes]; may be missing. Attribute crc32c: of the names, each with
//                                        a zero byte behind it
//
// Samples may also be [N, C], axes "NC": vectors of C features, where every feature has its mean and deviation. Of
// more than 4096 channels none are stored. A signal [N, L, C] is an image one pixel high.
// clang-format on
//
// In other people's files `ids` counts where it is u64 [N], and `crc32c` never.
#pragma once

#define LS_SHARD_FORMAT      "lockstep shard"
#define LS_SHARD_IMAGES      "images"
#define LS_SHARD_LABELS      "labels"
#define LS_SHARD_IDS         "ids"
#define LS_SHARD_CRC         "crc32c"
#define LS_SHARD_CLASS_NAMES "class_names"

// Attributes of the root: text, i64 or f64 as drawn above.
#define LS_SHARD_ATTR_FORMAT  "format"
#define LS_SHARD_ATTR_VERSION "version"
#define LS_SHARD_ATTR_UUID    "uuid"
#define LS_SHARD_ATTR_SPLIT   "split"
#define LS_SHARD_ATTR_SHARD   "shard"
#define LS_SHARD_ATTR_SHARDS  "shards"
#define LS_SHARD_ATTR_AXES    "axes"
#define LS_SHARD_ATTR_MEAN    "mean"
#define LS_SHARD_ATTR_STD     "std"
#define LS_SHARD_ATTR_CRC     "crc32c" // of the datasets of ids and of class names

enum { LS_SHARD_VERSION = 1, LS_SHARD_MOST_CHANNELS = 4096 };
