#include "data/pack.h"
#include "data/shard.h"
#include "data/statistics.h"
#include "h5/h5.h"

#include <stdlib.h>
#include <string.h>

void ls_pack_summary_free(struct ls_pack_summary *summary) {
    for (int i = 0; summary->class_names && i < summary->n_classes; i++) free(summary->class_names[i]);
    free(summary->class_names);
    free(summary->per_class);
    free(summary->mean);
    free(summary->std);
    *summary = (struct ls_pack_summary){0};
}

// ---- classes

static ls_status take_names(struct ls_h5 *file, struct ls_pack_summary *summary) {
    char *joined;
    int n;
    if (!ls_h5_exists(file, LS_SHARD_CLASS_NAMES)) return LS_OK;
    LS_TRY(ls_h5_read_strings(file, LS_SHARD_CLASS_NAMES, &joined, &n));
    summary->class_names = calloc((size_t)n + 1, sizeof *summary->class_names);
    summary->per_class = calloc((size_t)n + 1, sizeof *summary->per_class);
    summary->n_classes = n;
    const char *name = joined;
    for (int i = 0; i < n && summary->class_names && summary->per_class; i++, name += strlen(name) + 1)
        summary->class_names[i] = strdup(name);
    free(joined);
    return summary->class_names && summary->per_class ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory");
}

enum { MOST_CLASSES = 1 << 24 };

// Room for classes up to this label, where no names say how many there are.
static ls_status make_room(struct ls_pack_summary *summary, int32_t label) {
    if (label < 0 || label < summary->n_classes) return LS_OK;
    if (summary->class_names || label >= MOST_CLASSES) return LS_OK; // not counted
    int n = label + 1;
    int64_t *per_class = realloc(summary->per_class, (size_t)n * sizeof *per_class);
    if (!per_class) return LS_FAIL(LS_SYSTEM, "out of memory for %d classes", n);
    memset(per_class + summary->n_classes, 0, (size_t)(n - summary->n_classes) * sizeof *per_class);
    summary->per_class = per_class;
    summary->n_classes = n;
    return LS_OK;
}

static ls_status count_labels(struct ls_h5 *file, int64_t samples, struct ls_pack_summary *summary) {
    int32_t *labels = malloc((size_t)samples * sizeof *labels + 1), largest = -1;
    if (!labels) return LS_FAIL(LS_SYSTEM, "out of memory for %lld labels", (long long)samples);
    ls_status status = ls_h5_read_all(file, LS_SHARD_LABELS, LS_I32, labels);
    for (int64_t i = 0; i < samples && status == LS_OK; i++)
        if (labels[i] > largest) largest = labels[i];
    if (status == LS_OK) status = make_room(summary, largest);
    for (int64_t i = 0; i < samples && status == LS_OK; i++)
        if (labels[i] >= 0 && labels[i] < summary->n_classes) summary->per_class[labels[i]]++;
    free(labels);
    return status;
}

// ---- statistics

static ls_status add_statistics(struct ls_h5 *file, int64_t samples, struct ls_statistics *statistics) {
    double mean[LS_SHARD_MOST_CHANNELS], std[LS_SHARD_MOST_CHANNELS];
    int n_mean = 0, n_std = 0;
    LS_TRY(ls_h5_attr_f64(file, "/", LS_SHARD_ATTR_MEAN, mean, LS_SHARD_MOST_CHANNELS, &n_mean));
    LS_TRY(ls_h5_attr_f64(file, "/", LS_SHARD_ATTR_STD, std, LS_SHARD_MOST_CHANNELS, &n_std));
    if (n_mean == statistics->channels && n_std == n_mean)
        ls_statistics_add_known(statistics, samples, mean, std);
    return LS_OK;
}

static ls_status take_statistics(const struct ls_statistics *statistics, struct ls_pack_summary *summary) {
    if (!statistics->channels || statistics->count != summary->samples) return LS_OK; // not of all shards
    size_t channels = (size_t)statistics->channels;
    summary->mean = calloc(channels, sizeof *summary->mean);
    summary->std = calloc(channels, sizeof *summary->std);
    if (!summary->mean || !summary->std) return LS_FAIL(LS_SYSTEM, "out of memory");
    ls_statistics_result(statistics, summary->mean, summary->std);
    return LS_OK;
}

// ---- shards

static ls_status add_shard(struct ls_h5 *file, struct ls_pack_summary *summary,
                           struct ls_statistics *statistics) {
    struct ls_h5_dataset images, labels;
    LS_TRY(ls_h5_describe(file, LS_SHARD_IMAGES, &images));
    LS_TRY(ls_h5_describe(file, LS_SHARD_LABELS, &labels));
    if (summary->samples == 0) {
        summary->channels = images.dim[images.rank - 1];
        LS_TRY(take_names(file, summary));
        if (summary->channels <= LS_SHARD_MOST_CHANNELS)
            LS_TRY(ls_statistics_open(statistics, LS_F32, summary->channels));
    }
    summary->samples += images.dim[0];
    if (labels.type == LS_I32) LS_TRY(count_labels(file, images.dim[0], summary));
    return statistics->channels ? add_statistics(file, images.dim[0], statistics) : LS_OK;
}

ls_status ls_pack_summarize(const char *folder, const char *name, int shards,
                            struct ls_pack_summary *summary) {
    struct ls_statistics statistics = {0};
    *summary = (struct ls_pack_summary){0};
    ls_status status = LS_OK;
    for (int i = 0; i < shards && status == LS_OK; i++) {
        struct ls_h5 *file = NULL;
        char *path = ls_shard_path(folder, name, i, shards, "");
        status = path ? ls_h5_open(path, &file) : LS_FAIL(LS_SYSTEM, "out of memory");
        if (status == LS_OK) status = add_shard(file, summary, &statistics);
        ls_h5_close(file);
        free(path);
    }
    if (status == LS_OK) status = take_statistics(&statistics, summary);
    if (status != LS_OK) ls_pack_summary_free(summary);
    ls_statistics_close(&statistics);
    return status;
}
