// A counting sort of the samples by class: the targets are read twice, first to count, then to place.
#include "data/class_index.h"

#include "data/dataset_parts.h"

#include <stdlib.h>
#include <string.h>

enum { SOME_ROWS = 1 << 16 };

// Called with targets of samples [first, first + n).
typedef void (*take_rows)(struct ls_class_index *index, int64_t first, int64_t n, const int32_t *classes);

static void count(struct ls_class_index *index, int64_t first, int64_t n, const int32_t *classes) {
    (void)first;
    for (int64_t i = 0; i < n; i++) index->begin[classes[i] + 1]++;
}

// begin[c] moves on from the first place of class c to the first of the next.
static void place(struct ls_class_index *index, int64_t first, int64_t n, const int32_t *classes) {
    for (int64_t i = 0; i < n; i++) index->samples[index->begin[classes[i]]++] = (uint32_t)(first + i);
}

static ls_status check(const struct ls_shard *shard, const struct ls_class_index *index, int64_t begin,
                       int64_t n, const int32_t *classes) {
    for (int64_t i = 0; i < n; i++)
        if (classes[i] < 0 || classes[i] >= index->classes)
            return LS_FAIL(LS_INPUT, "%s: %s[%lld] is %d, expected a class from 0 to %lld", shard->path,
                           shard->columns[LS_COLUMN_TARGET].name, (long long)(begin + i), (int)classes[i],
                           (long long)index->classes - 1);
    return LS_OK;
}

static ls_status take_shard(struct ls_dataset *dataset, const struct ls_shard *shard, int32_t *classes,
                            struct ls_scratch *scratch, struct ls_class_index *index, take_rows take) {
    struct ls_open_file file;
    LS_TRY(ls_files_pin(&dataset->files, shard, &file));
    ls_status status = LS_OK;
    for (int64_t begin = 0, n; begin < shard->samples && status == LS_OK; begin += n) {
        n = shard->samples - begin < SOME_ROWS ? shard->samples - begin : SOME_ROWS;
        status = ls_column_read(dataset, &file, LS_COLUMN_TARGET, begin, n, classes, scratch);
        if (status == LS_OK) status = check(shard, index, begin, n, classes);
        if (status == LS_OK) take(index, shard->first + begin, n, classes);
    }
    ls_files_unpin(&file);
    return status;
}

static ls_status take_all(struct ls_dataset *dataset, struct ls_class_index *index, take_rows take) {
    int32_t *classes = malloc(SOME_ROWS * sizeof *classes);
    if (!classes) return LS_FAIL(LS_SYSTEM, "out of memory to read classes");
    struct ls_scratch scratch = {0};
    ls_status status = LS_OK;
    for (int i = 0; i < dataset->n_shards && status == LS_OK; i++)
        if (dataset->shards[i].samples > 0)
            status = take_shard(dataset, &dataset->shards[i], classes, &scratch, index, take);
    ls_scratch_free(&scratch);
    free(classes);
    return status;
}

static ls_status fill(struct ls_dataset *dataset, struct ls_class_index *index) {
    LS_TRY(take_all(dataset, index, count));
    for (int64_t c = 0; c < index->classes; c++) {
        if (index->begin[c + 1] > 0) index->present[index->n_present++] = (int32_t)c;
        index->begin[c + 1] += index->begin[c];
    }
    LS_TRY(take_all(dataset, index, place));
    memmove(index->begin + 1, index->begin, (size_t)index->classes * sizeof *index->begin);
    index->begin[0] = 0;
    return LS_OK;
}

size_t ls_class_index_bytes(int64_t samples, int64_t classes) {
    return (size_t)samples * sizeof(uint32_t) + (size_t)(classes + 1) * sizeof(int64_t) +
           (size_t)classes * sizeof(int32_t);
}

static ls_status allocate(struct ls_class_index *index, int64_t samples) {
    index->begin = calloc((size_t)index->classes + 1, sizeof *index->begin);
    index->samples = malloc((size_t)samples * sizeof *index->samples);
    index->present = calloc((size_t)index->classes, sizeof *index->present);
    if (index->begin && index->samples && index->present) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "out of memory to sort %lld samples by class", (long long)samples);
}

ls_status ls_class_index_make(struct ls_dataset *dataset, int64_t classes, struct ls_class_index **out) {
    *out = NULL;
    const int64_t samples = dataset->info.samples;
    if (samples > UINT32_MAX)
        return LS_FAIL(LS_INPUT,
                       "%s: %lld samples are too many to be sorted by class, which takes at most %lld",
                       dataset->what, (long long)samples, (long long)UINT32_MAX);
    struct ls_class_index *index = calloc(1, sizeof *index);
    if (!index) return LS_FAIL(LS_SYSTEM, "out of memory");
    index->classes = classes;
    ls_status status = allocate(index, samples);
    if (status == LS_OK) status = fill(dataset, index);
    if (status != LS_OK) {
        ls_class_index_free(index);
        return status;
    }
    *out = index;
    return LS_OK;
}

void ls_class_index_free(struct ls_class_index *index) {
    if (!index) return;
    free(index->begin);
    free(index->samples);
    free(index->present);
    free(index);
}
