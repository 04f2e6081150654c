// What the fuzzers share. Each file fuzz_*.c is a program: libFuzzer calls LLVMFuzzerTestOneInput with bytes,
// which must end with a status, whatever they are.
#pragma once

#include "base/status.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static char fuzz_paths[4][64];

static inline void fuzz_remove(void) {
    for (int i = 0; i < 4; i++)
        if (fuzz_paths[i][0]) unlink(fuzz_paths[i]);
}

// A file in memory, used again for each input. Slot: several may be there at a time. It has a name, because
// HDF5 opens none without.
static inline const char *fuzz_file(int slot, const void *bytes, size_t n) {
    static int files[4];
    if (!files[slot]) {
        if (!fuzz_paths[0][0] && !fuzz_paths[1][0] && !fuzz_paths[3][0]) atexit(fuzz_remove);
        snprintf(fuzz_paths[slot], sizeof fuzz_paths[slot], "/dev/shm/lockstep-fuzz-%d-%d", (int)getpid(),
                 slot);
        files[slot] = open(fuzz_paths[slot], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (files[slot] <= 0) abort();
    }
    if (ftruncate(files[slot], 0) != 0 || pwrite(files[slot], bytes, n, 0) != (ssize_t)n) abort();
    return fuzz_paths[slot];
}

// No status but these may come of bad input; and an error says something.
static inline void fuzz_expect(ls_status status) {
    if (status == LS_OK) return;
    if (status != LS_INPUT || !ls_error_last()->text[0]) {
        fprintf(stderr, "status %d: %s\n", (int)status, ls_error_last()->text);
        abort();
    }
    ls_error_clear();
}

// A good file with bytes changed: each five bytes of the input are a place (u32) and what is xored there; an
// odd byte at the end cuts the file off. Allocated with malloc.
static inline uint8_t *fuzz_change(const uint8_t *good, size_t good_bytes, const uint8_t *data, size_t n,
                                   size_t *bytes) {
    uint8_t *changed = malloc(good_bytes + 1);
    memcpy(changed, good, good_bytes);
    *bytes = good_bytes;
    for (; n >= 5; data += 5, n -= 5) {
        uint32_t place;
        memcpy(&place, data, 4);
        changed[place % good_bytes] ^= data[4];
    }
    if (n % 5 == 1) *bytes = good_bytes * data[0] / 256;
    return changed;
}

static inline uint8_t *fuzz_read(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) abort();
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(*bytes + 1);
    if (fread(data, 1, *bytes, file) != *bytes) abort();
    fclose(file);
    return data;
}
