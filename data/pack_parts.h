// The inside of the packers.
//
//   pack_source.c     the bytes of a file, plain or gzip
//   pack_idx_file.c   IDX files: header, samples in order
//   pack_idx.c        a pair of them into shards
//   pack_folder.c     a folder of pictures, and which split each goes to
//   pack_images.c     pictures into shards
//   pack_summary.c    what a set of shards holds
#pragma once

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

// ---- the bytes of a file, unpacked where it begins like a gzip file
struct ls_source;

ls_status ls_source_open(const char *path, struct ls_source **source);
void ls_source_close(struct ls_source *source);
// Reads up to `bytes`; *got is less only at the end of the file. A gzip file that is damaged, cut off, or
// followed by something else is LS_INPUT.
ls_status ls_source_read(struct ls_source *source, void *out, size_t bytes, size_t *got);

// ---- an image file and its label file, read side by side
struct ls_idx {
    const char *images_path, *labels_path; // the caller's
    struct ls_source *images, *labels;
    int64_t samples, height, width, channels;
    size_t sample_bytes;
    int64_t next; // index of the sample that is read next
};

// Reads and compares both headers. LS_INPUT names the file, what was expected and what was found.
ls_status ls_idx_open(struct ls_idx *idx, const char *images_path, const char *labels_path);
void ls_idx_close(struct ls_idx *idx);
// The next `n` samples [n * sample_bytes] and labels [n]. Behind the last sample, refuses files that go on.
ls_status ls_idx_read(struct ls_idx *idx, int64_t n, uint8_t *samples, uint8_t *labels);

// ---- a folder of pictures: a class a sub-folder
struct ls_pack_file {
    const char *path; // below the folder: "cat/2/a.jpg"
    int64_t bytes;
    int32_t label;
    bool test;   // goes to the test split
    bool broken; // was found not to be readable
};

struct ls_pack_folder {
    struct ls_pack_file *files;          // by name
    int64_t n, capacity, ignored, tests; // ignored: files that are no pictures by their names
    const char **class_names;
    int n_classes;
    struct ls_arena names;
};

// LS_INPUT: no such folder, no sub-folder, no picture. The files are in the order of their names, byte by
// byte.
ls_status ls_pack_folder_open(const char *path, struct ls_pack_folder *folder);
void ls_pack_folder_close(struct ls_pack_folder *folder);
// Chooses the files of the test split: round(fraction * n) of them by the seed, or those that the lines of
// `list` name (paths below the folder), where it is not NULL.
ls_status ls_pack_folder_split(struct ls_pack_folder *folder, double fraction, const char *list,
                               uint64_t seed);
