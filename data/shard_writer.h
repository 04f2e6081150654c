// One shard, from its first sample to the last byte of its file; shard.h draws it.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>

#include "base/begin.h"

enum { LS_SHARD_MOST = 99999, LS_UUID_TEXT = 40 };

// Samples and targets of a set, as its shards hold them.
struct ls_shard_shape {
    ls_dtype type; // u8 or f32
    int rank;      // of a sample: 1 [C], 3 [H, W, C]
    int64_t dim[3];
    bool classes;          // targets are i32, one a sample; else f32
    int64_t target_values; // 1 for classes
};

// Of one sample: numbers, bytes, bytes of its target, channels.
int64_t ls_shard_sample_values(const struct ls_shard_shape *shape);
size_t ls_shard_sample_bytes(const struct ls_shard_shape *shape);
size_t ls_shard_target_bytes(const struct ls_shard_shape *shape);
int64_t ls_shard_channels(const struct ls_shard_shape *shape);

// What every shard says of itself and its set. Everything stays the caller's.
struct ls_shard_about {
    char uuid[LS_UUID_TEXT];
    const char *split;
    int shard, shards;
    struct ls_shard_shape shape;
    const char *const *class_names; // or NULL
    int n_class_names;
};

struct ls_shard_writer;

// Begins a shard of so many samples in the file `path`, which is a temporary one until the caller renames it.
ls_status ls_shard_writer_open(const char *path, const struct ls_shard_about *about, int64_t samples,
                               struct ls_shard_writer **writer);
// The next n samples and targets, as the shape says; their checksums and statistics are the writer's
// business.
ls_status ls_shard_writer_add(struct ls_shard_writer *writer, int64_t n, const void *samples,
                              const void *targets, const uint64_t *ids);
// Writes statistics and closes: the file is whole and synced, or removed. The writer is gone in any case.
ls_status ls_shard_writer_finish(struct ls_shard_writer *writer);
void ls_shard_writer_abandon(struct ls_shard_writer *writer); // removes the file

// "FOLDER/NAME-00000-of-00004.h5" and `suffix`, malloc'd. NULL where there is no memory.
char *ls_shard_path(const char *folder, const char *name, int shard, int shards, const char *suffix);
// A UUID of version 8 (RFC 9562), whose bits are the maker's own: here two hashes.
void ls_uuid_of(uint64_t high, uint64_t low, char text[LS_UUID_TEXT]);
// A pattern like train-*.h5 would take the shards of both counts: refuses shards of that name and another
// count.
ls_status ls_shard_check_folder(const char *folder, const char *name, int shards);
// Removes shards of that name that were under way when their packer was killed.
#define LS_SHARD_TEMPORARY ".tmp"
void ls_shard_clear_folder(const char *folder, const char *name);

#include "base/end.h"
