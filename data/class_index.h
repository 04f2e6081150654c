// Which samples are of which class: a table of the whole set, the same on every rank.
#pragma once

#include "data/dataset.h"

#include "base/begin.h"

struct ls_class_index {
    int64_t classes;
    int64_t *begin;    // [classes + 1]: the samples of class c are samples[begin[c] … begin[c + 1] - 1]
    uint32_t *samples; // [all], global indices, in their order
    int32_t *present;  // [n_present]: the classes that have samples, in their order
    int64_t n_present;
};

// Reads every target of the set, whose targets must be classes (they are, where `info.target_is_class`);
// takes 4 bytes a sample. LS_INPUT, naming file and index, where one is not in 0..classes-1; and where there
// are more than 2^32 - 1 samples.
ls_status ls_class_index_make(struct ls_dataset *dataset, int64_t classes, struct ls_class_index **index);
void ls_class_index_free(struct ls_class_index *index); // NULL is allowed
size_t ls_class_index_bytes(int64_t samples, int64_t classes);
static inline int64_t ls_class_count(const struct ls_class_index *index, int64_t of) {
    return index->begin[of + 1] - index->begin[of];
}

#include "base/end.h"
