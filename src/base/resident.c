#include "base/resident.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Figures of /proc/self/status, in bytes: resident now, or at most, and what of it is mapped from files, or
// shared with other processes.
struct resident {
    int64_t now, peak, files, shared;
};

static bool read_resident(struct resident *resident) {
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return false;
    struct {
        const char *key;
        int64_t *bytes;
    } const figures[] = {{"VmRSS:", &resident->now},
                         {"VmHWM:", &resident->peak},
                         {"RssFile:", &resident->files},
                         {"RssShmem:", &resident->shared}};
    char line[256];
    while (fgets(line, sizeof line, file))
        for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
            if (strncmp(line, figures[i].key, strlen(figures[i].key)) == 0)
                *figures[i].bytes = strtoll(line + strlen(figures[i].key), NULL, 10) * 1024;
    fclose(file);
    return true;
}

int64_t ls_peak_bytes(void) {
    struct resident resident = {0};
    return read_resident(&resident) ? resident.peak - resident.files : 0;
}

int64_t ls_resident_bytes(void) {
    struct resident resident = {0};
    return read_resident(&resident) ? resident.now - resident.files - resident.shared : 0;
}
