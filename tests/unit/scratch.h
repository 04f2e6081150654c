// A folder for a test's files, its name with a space in it; removed when the test ends well.
#pragma once

#include "unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_folder[256];

static inline int scratch_make(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(scratch_folder, sizeof scratch_folder, "%s/lockstep test XXXXXX", base ? base : "/tmp");
    return mkdtemp(scratch_folder) ? 0 : -1;
}

static inline int scratch_drop(void **state) {
    (void)state;
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", scratch_folder);
    return system(command);
}

// The path of a file in the folder; the next eight calls leave it alone.
static inline const char *scratch(const char *name) {
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, 512, "%s/%s", scratch_folder, name);
    return path;
}

static inline void scratch_write(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

// The file's bytes, malloc'd.
static inline unsigned char *scratch_read(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *bytes = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*bytes + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    fclose(file);
    return data;
}

static inline bool scratch_same(const char *a, const char *b) {
    size_t n_a, n_b;
    unsigned char *of_a = scratch_read(a, &n_a), *of_b = scratch_read(b, &n_b);
    bool same = n_a == n_b && memcmp(of_a, of_b, n_a) == 0;
    free(of_a);
    free(of_b);
    return same;
}

// Files in a folder of the scratch folder whose names end with `suffix`.
static inline int scratch_count(const char *folder, const char *suffix) {
    char command[1024];
    int n = -1;
    snprintf(command, sizeof command, "find '%s' -type f -name '*%s' | wc -l", folder, suffix);
    FILE *found = popen(command, "r");
    assert_non_null(found);
    assert_int_equal(fscanf(found, "%d", &n), 1);
    pclose(found);
    return n;
}
