#include "data/dataset.h"
#include "data/pack.h"
#include "data/shard.h"
#include "data/shard_writer.h"
#include "h5/h5.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4 }; // channels that are summed up

void ls_pack_summary_free(struct ls_pack_summary *summary) {
    for (int i = 0; summary->class_names && i < summary->n_classes; i++) free(summary->class_names[i]);
    free(summary->class_names);
    free(summary->per_class);
    *summary = (struct ls_pack_summary){0};
}

static ls_status take_names(struct ls_h5 *file, struct ls_pack_summary *summary) {
    char *joined;
    int n;
    LS_TRY(ls_h5_read_strings(file, LS_SHARD_CLASS_NAMES, &joined, &n));
    summary->n_classes = n;
    summary->class_names = calloc((size_t)n + 1, sizeof *summary->class_names);
    summary->per_class = calloc((size_t)n + 1, sizeof *summary->per_class);
    const char *name = joined;
    for (int i = 0; i < n && summary->class_names && summary->per_class; i++, name += strlen(name) + 1)
        summary->class_names[i] = strdup(name);
    free(joined);
    return summary->class_names && summary->per_class ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory");
}

static ls_status count_labels(struct ls_h5 *file, int64_t samples, struct ls_pack_summary *summary) {
    int32_t *labels = malloc((size_t)samples * sizeof *labels + 1);
    if (!labels) return LS_FAIL(LS_SYSTEM, "out of memory for %lld labels", (long long)samples);
    ls_status status = ls_h5_read_all(file, LS_SHARD_LABELS, LS_I32, labels);
    for (int64_t i = 0; i < samples && status == LS_OK; i++)
        if (labels[i] >= 0 && labels[i] < summary->n_classes) summary->per_class[labels[i]]++;
    free(labels);
    return status;
}

// Sums of n mean, and of n (std^2 + mean^2): what adds up over shards of n samples each.
static ls_status add_statistics(struct ls_h5 *file, int64_t samples, double sum[MOST], double squares[MOST]) {
    static _Thread_local double mean[LS_SHARD_MOST_CHANNELS], std[LS_SHARD_MOST_CHANNELS];
    int n = 0;
    LS_TRY(ls_h5_attr_f64(file, "/", LS_SHARD_ATTR_MEAN, mean, LS_SHARD_MOST_CHANNELS, &n));
    LS_TRY(ls_h5_attr_f64(file, "/", LS_SHARD_ATTR_STD, std, LS_SHARD_MOST_CHANNELS, &n));
    for (int c = 0; c < n && c < MOST; c++) {
        sum[c] += (double)samples * mean[c];
        squares[c] += (double)samples * (std[c] * std[c] + mean[c] * mean[c]);
    }
    return LS_OK;
}

static ls_status add_shard(struct ls_h5 *file, struct ls_pack_summary *summary, double sum[MOST],
                           double squares[MOST]) {
    struct ls_h5_dataset images;
    LS_TRY(ls_h5_describe(file, LS_SHARD_IMAGES, &images));
    if (!summary->class_names) LS_TRY(take_names(file, summary));
    summary->channels = images.dim[3];
    summary->samples += images.dim[0];
    LS_TRY(count_labels(file, images.dim[0], summary));
    return add_statistics(file, images.dim[0], sum, squares);
}

ls_status ls_pack_summarize(const char *folder, const char *name, int shards,
                            struct ls_pack_summary *summary) {
    double sum[MOST] = {0}, squares[MOST] = {0};
    *summary = (struct ls_pack_summary){0};
    ls_status status = LS_OK;
    for (int i = 0; i < shards && status == LS_OK; i++) {
        struct ls_h5 *file = NULL;
        char *path = ls_shard_path(folder, name, i, shards, "");
        status = path ? ls_h5_open(path, &file) : LS_FAIL(LS_SYSTEM, "out of memory");
        if (status == LS_OK) status = add_shard(file, summary, sum, squares);
        ls_h5_close(file);
        free(path);
    }
    for (int c = 0; c < MOST && summary->samples; c++) {
        summary->mean[c] = sum[c] / (double)summary->samples;
        double variance = squares[c] / (double)summary->samples - summary->mean[c] * summary->mean[c];
        summary->std[c] = sqrt(variance > 0 ? variance : 0);
    }
    if (status != LS_OK) ls_pack_summary_free(summary);
    return status;
}
