// The checkpoints of a run: which is the newest that is whole, which go.
#include "base/log.h"
#include "train/checkpoint_parts.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *ls_checkpoint_path(const char *folder, uint64_t step, const char *suffix) {
    size_t bytes = strlen(folder) + strlen(suffix) + 48;
    char *path = malloc(bytes);
    if (path) snprintf(path, bytes, "%s/step-%08" PRIu64 ".h5%s", folder, step, suffix);
    return path;
}

// The step of a name that ls_checkpoint_path made, and no other.
static bool step_of(const char *name, const char *suffix, uint64_t *step) {
    char again[64];
    if (sscanf(name, "step-%" SCNu64, step) != 1) return false;
    snprintf(again, sizeof again, "step-%08" PRIu64 ".h5%s", *step, suffix);
    return strcmp(again, name) == 0;
}

struct steps {
    uint64_t *items; // newest first
    size_t n, capacity;
};

static ls_status add_step(struct steps *steps, uint64_t step) {
    if (steps->n == steps->capacity) {
        size_t capacity = steps->capacity ? 2 * steps->capacity : 16;
        uint64_t *items = realloc(steps->items, capacity * sizeof *items);
        if (!items) return LS_FAIL(LS_SYSTEM, "out of memory for the names of checkpoints");
        steps->items = items;
        steps->capacity = capacity;
    }
    steps->items[steps->n++] = step;
    return LS_OK;
}

static int newest_first(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void remove_file(const char *folder, uint64_t step, const char *suffix) {
    char *path = ls_checkpoint_path(folder, step, suffix);
    if (path && unlink(path) != 0 && errno != ENOENT) ls_warn("%s: cannot remove: %s", path, strerror(errno));
    free(path);
}

// The steps of the files in the folder; none where there is no folder.
static ls_status list_steps(const char *folder, bool remove_temporary, struct steps *steps) {
    *steps = (struct steps){0};
    DIR *listing = opendir(folder);
    if (!listing && errno == ENOENT) return LS_OK;
    if (!listing) return LS_FAIL(LS_INPUT, "%s: cannot list: %s", folder, strerror(errno));
    ls_status status = LS_OK;
    for (struct dirent *entry; status == LS_OK && (entry = readdir(listing));) {
        uint64_t step;
        if (step_of(entry->d_name, "", &step))
            status = add_step(steps, step);
        else if (remove_temporary && step_of(entry->d_name, ".tmp", &step))
            remove_file(folder, step, ".tmp");
    }
    closedir(listing);
    if (steps->n) qsort(steps->items, steps->n, sizeof *steps->items, newest_first);
    return status;
}

// Whole, and what its name says.
static ls_status verify_as(const char *path, uint64_t step) {
    struct ls_checkpoint_header header;
    LS_TRY(ls_checkpoint_verify(path));
    LS_TRY(ls_checkpoint_read_header(path, &header));
    uint64_t found = header.state.step;
    ls_checkpoint_header_free(&header);
    if (found == step) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: expected step %" PRIu64 ", as its name says, found %" PRIu64, path, step,
                   found);
}

ls_status ls_checkpoint_newest(const char *folder, char **path) {
    struct steps steps;
    *path = NULL;
    ls_status status = list_steps(folder, true, &steps);
    for (size_t i = 0; status == LS_OK && i < steps.n && !*path; i++) {
        char *candidate = ls_checkpoint_path(folder, steps.items[i], "");
        if (!candidate) {
            status = LS_FAIL(LS_SYSTEM, "%s: out of memory", folder);
        } else if (verify_as(candidate, steps.items[i]) == LS_OK) {
            *path = candidate;
        } else {
            // The text names the file.
            ls_warn("passed over: %s", ls_error_last()->text);
            ls_error_clear();
            free(candidate);
        }
    }
    free(steps.items);
    return status;
}

void ls_checkpoint_prune(const char *folder, int64_t keep, uint64_t best_step, uint64_t trusted,
                         uint64_t last) {
    struct steps steps;
    if (list_steps(folder, false, &steps) != LS_OK) {
        ls_warn("checkpoints are not pruned: %s", ls_error_last()->text);
        ls_error_clear();
    }
    int64_t kept = 0;
    bool has_trusted = false;
    for (size_t i = 0; i < steps.n; i++) {
        uint64_t step = steps.items[i];
        if (step > last) continue;
        const bool newest_trusted = step <= trusted && !has_trusted;
        has_trusted |= newest_trusted;
        if (kept++ < keep || step == best_step || newest_trusted) continue;
        remove_file(folder, step, "");
    }
    free(steps.items);
}

void ls_checkpoint_set_aside(const char *folder, uint64_t trusted) {
    struct steps steps;
    if (list_steps(folder, false, &steps) != LS_OK) {
        ls_warn("checkpoints are not set aside: %s", ls_error_last()->text);
        ls_error_clear();
    }
    for (size_t i = 0; i < steps.n && steps.items[i] > trusted; i++) {
        char *from = ls_checkpoint_path(folder, steps.items[i], "");
        char *to = ls_checkpoint_path(folder, steps.items[i], ".suspect");
        if (!from || !to || rename(from, to) != 0)
            ls_warn("%s: cannot set aside: %s", from ? from : folder, strerror(errno));
        free(from);
        free(to);
    }
    free(steps.items);
}
