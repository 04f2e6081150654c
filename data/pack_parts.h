// The inside of the packers.
//
//   pack_source.c   the bytes of a file, plain or gzip
//   pack_idx.c      IDX files: header, samples in order
//   pack.c          shards
#pragma once

#include "base/status.h"

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
