// The bytes of a file, for any thread: by pread; or in memory, of a gzip file and of a pipe.
#pragma once

#include "base/status.h"

#include <stdint.h>

struct ls_bytes {
    const char *path; // the caller's
    int64_t size;     // unpacked
    int file;         // -1: in memory
    char *memory;
};

// A gzip file that is damaged, cut off, or followed by something else is LS_INPUT.
ls_status ls_bytes_open(const char *path, struct ls_bytes *bytes);
void ls_bytes_close(struct ls_bytes *bytes);
// `n` bytes from `offset` on, all of them within `size`.
ls_status ls_bytes_read(const struct ls_bytes *bytes, int64_t offset, void *out, size_t n);
