// The sources of virtual datasets. Whoever calls these holds the lock.
#pragma once

#include "h5/internal.h"

struct ls_h5_mapping {
    char *file, *dataset; // as it names its source
    size_t number;
};

struct ls_h5_mappings {
    struct ls_h5_mapping *items; // those of one source follow each other, each in its place of the file
    size_t n;
};

// Where the file of a source is.
struct ls_h5_search {
    const char *name;
    hid_t access, file; // file: negative until it is found
    char *path;         // of the file that is found, malloc'd; or of one that is there and cannot be opened
};

// The source of the mapping that is looked at.
struct ls_h5_opened {
    const struct ls_h5_mapping *of; // NULL: none yet
    struct ls_h5_search search;
    hid_t dataset; // negative: cannot be opened
    bool other;    // another one than that of the mapping before
};

// The texts lie in the arena.
struct ls_h5_mappings ls_h5_list_mappings(struct ls_arena *arena, hid_t properties);
// A name with a number to be put in stands for a row of sources, which ends where one is missing.
bool ls_h5_is_pattern(const char *name);
// Opens the mapping's source, where it is not open already. In `source`, only search.access is set at first;
// ls_h5_close_source closes the last.
void ls_h5_move_to(const struct ls_h5 *file, const struct ls_h5_mapping *mapping,
                   struct ls_h5_opened *source);
void ls_h5_close_source(struct ls_h5_opened *source);
