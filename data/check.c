// `lockstep check` of a data file: everything is read once.
#include "data/dataset_parts.h"
#include "data/pack.h"
#include "data/shard.h"
#include "data/statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is read at a time.
enum { CHECK_BYTES = 8 << 20 };

struct check {
    struct ls_dataset *dataset;
    const struct ls_shard *shard;
    const struct ls_dataset_info *info;
    int64_t batch; // samples read at a time
    int64_t *indices;
    char *samples, *targets;
    uint64_t *ids; // of every sample
    int64_t largest_label;
    struct ls_statistics statistics; // of shards of Lockstep's own
    struct ls_check_report *report;
};

// ---- the root of a shard

static ls_status check_position(struct ls_h5 *file) {
    int64_t shard = -1, shards = 0;
    bool has_shard = false, has_shards = false;
    LS_TRY(ls_h5_attr_i64(file, "/", LS_SHARD_ATTR_SHARD, &shard, &has_shard));
    LS_TRY(ls_h5_attr_i64(file, "/", LS_SHARD_ATTR_SHARDS, &shards, &has_shards));
    if (has_shard && has_shards && shard >= 0 && shard < shards) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "%s: attributes say shard %" PRId64 " of %" PRId64 ", expected one of 0 to shards - 1",
                   ls_h5_path(file), shard, shards);
}

static ls_status check_text(struct ls_h5 *file, const char *attribute) {
    char text[64] = "";
    bool found = false;
    LS_TRY(ls_h5_attr_text(file, "/", attribute, text, sizeof text, &found));
    if (found && text[0]) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: attribute '%s' is %s, expected a text", ls_h5_path(file), attribute,
                   found ? "empty" : "missing");
}

// One finite value a channel, and no deviation below zero.
static ls_status check_statistic(struct ls_h5 *file, const char *attribute, int64_t channels, double least) {
    double values[LS_SHARD_MOST_CHANNELS];
    int n = 0;
    if (channels > LS_SHARD_MOST_CHANNELS) return LS_OK;
    LS_TRY(ls_h5_attr_f64(file, "/", attribute, values, LS_SHARD_MOST_CHANNELS, &n));
    if (n != channels)
        return LS_FAIL(LS_INPUT,
                       "%s: attribute '%s' has %d values, expected one for each of %" PRId64 " channels",
                       ls_h5_path(file), attribute, n, channels);
    for (int i = 0; i < n; i++)
        if (!isfinite(values[i]) || values[i] < least)
            return LS_FAIL(LS_INPUT, "%s: attribute '%s' is %g for channel %d", ls_h5_path(file), attribute,
                           values[i], i);
    return LS_OK;
}

static ls_status check_root(struct ls_h5 *file, const struct check *check) {
    struct ls_check_report *report = check->report;
    char axes[16] = "";
    bool found = false;
    report->ours = true;
    LS_TRY(ls_h5_attr_text(file, "/", LS_SHARD_ATTR_UUID, report->uuid, sizeof report->uuid, &found));
    LS_TRY(ls_h5_attr_text(file, "/", LS_SHARD_ATTR_SPLIT, report->split, sizeof report->split, &found));
    LS_TRY(ls_h5_attr_i64(file, "/", LS_SHARD_ATTR_SHARD, &report->shard, &found));
    LS_TRY(ls_h5_attr_i64(file, "/", LS_SHARD_ATTR_SHARDS, &report->shards, &found));
    LS_TRY(check_text(file, LS_SHARD_ATTR_UUID));
    LS_TRY(check_text(file, LS_SHARD_ATTR_SPLIT));
    LS_TRY(check_position(file));
    LS_TRY(ls_h5_attr_text(file, "/", LS_SHARD_ATTR_AXES, axes, sizeof axes, &found));
    const char *expected = check->info->flat ? "NC" : "NHWC";
    if (strcmp(axes, expected) != 0)
        return LS_FAIL(LS_INPUT, "%s: attribute 'axes' is '%s', expected '%s'", ls_h5_path(file), axes,
                       expected);
    LS_TRY(check_statistic(file, LS_SHARD_ATTR_MEAN, check->info->channels, -INFINITY));
    return check_statistic(file, LS_SHARD_ATTR_STD, check->info->channels, 0);
}

// A shard of Lockstep's own has all of its datasets, as data/shard.h draws them.
static ls_status check_columns(const struct check *check) {
    static const struct {
        enum ls_column_id id;
        const char *name;
        ls_dtype type, or_type;
    } expected[] = {{LS_COLUMN_INPUT, LS_SHARD_IMAGES, LS_U8, LS_F32},
                    {LS_COLUMN_TARGET, LS_SHARD_LABELS, LS_I32, LS_F32},
                    {LS_COLUMN_IDS, LS_SHARD_IDS, LS_U64, LS_U64},
                    {LS_COLUMN_CRC, LS_SHARD_CRC, LS_U32, LS_U32}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct ls_column *column = &check->shard->columns[expected[i].id];
        bool right = column->stored == expected[i].type || column->stored == expected[i].or_type;
        const char *wrong = !column->name                 ? "missing"
                            : !right                      ? "of another type"
                            : column->path != LS_PATH_RUN ? column->layout
                                                          : NULL;
        if (wrong)
            return LS_FAIL(LS_INPUT, "%s: dataset '%s' of a shard is %s, expected contiguous %s%s%s",
                           check->shard->path, expected[i].name, wrong, ls_dtype_name(expected[i].type),
                           expected[i].or_type != expected[i].type ? " or " : "",
                           expected[i].or_type != expected[i].type ? ls_dtype_name(expected[i].or_type) : "");
    }
    return LS_OK;
}

static ls_status check_ours(const struct check *check) {
    LS_TRY(check_columns(check));
    struct ls_h5 *file;
    LS_TRY(ls_h5_open(check->shard->path, &file));
    ls_status status = check_root(file, check);
    ls_h5_close(file);
    return status;
}

// ---- samples

// Notes what is wrong with a sample and goes on; LS_SYSTEM is another matter.
static ls_status offend(struct check *check, ls_status status) {
    struct ls_check_report *report = check->report;
    if (status != LS_INPUT) return status;
    if (report->offenders < LS_CHECK_OFFENDERS)
        report->words[report->offenders] = strdup(ls_error_last()->text);
    report->offenders++;
    ls_error_clear();
    return LS_OK;
}

static ls_status check_label(struct check *check, int64_t sample, int32_t label) {
    const char *name = check->shard->columns[LS_COLUMN_TARGET].name;
    int classes;
    ls_dataset_class_names(check->dataset, &classes);
    if (label < 0)
        return LS_FAIL(LS_INPUT, "%s: %s[%" PRId64 "] is %d, expected a class from 0 on", check->shard->path,
                       name, sample, (int)label);
    if (classes > 0 && label >= classes)
        return LS_FAIL(LS_INPUT, "%s: %s[%" PRId64 "] is %d, but there are names of %d classes",
                       check->shard->path, name, sample, (int)label, classes);
    if (label > check->largest_label) check->largest_label = label;
    return LS_OK;
}

// Reading refuses what is truncated, not finite, not a class, or does not match its checksum.
static ls_status read_rows(struct check *check, int64_t begin, int64_t n) {
    for (int64_t i = 0; i < n; i++) check->indices[i] = begin + i;
    return ls_dataset_read(check->dataset, check->indices, n, check->samples, check->targets,
                           check->ids + begin, true);
}

static int64_t sample_values(const struct check *check) {
    return check->info->height * check->info->width * check->info->channels;
}

static ls_status take_rows(struct check *check, int64_t begin, int64_t n) {
    LS_TRY(read_rows(check, begin, n));
    const int32_t *labels = (const int32_t *)(const void *)check->targets;
    for (int64_t i = 0; i < n && check->info->target_is_class; i++)
        LS_TRY(offend(check, check_label(check, begin + i, labels[i])));
    if (check->statistics.channels)
        ls_statistics_add(&check->statistics, n, sample_values(check), check->samples);
    return LS_OK;
}

// A batch that is refused is read again sample by sample, for each that is to blame.
static ls_status check_samples(struct check *check) {
    for (int64_t begin = 0; begin < check->info->samples; begin += check->batch) {
        int64_t left = check->info->samples - begin, n = left < check->batch ? left : check->batch;
        ls_status status = take_rows(check, begin, n);
        if (status == LS_OK) continue;
        if (status != LS_INPUT) return status;
        ls_error_clear();
        for (int64_t i = 0; i < n; i++) {
            check->ids[begin + i] = UINT64_MAX; // one that cannot be read has none
            LS_TRY(offend(check, take_rows(check, begin + i, 1)));
        }
    }
    return LS_OK;
}

// ---- statistics

// The packer adds in the same order, so that no bit differs; but other versions of it, and other compilers,
// may.
static ls_status compare_statistic(const struct check *check, struct ls_h5 *file, const char *attribute,
                                   const double *expected) {
    double values[LS_SHARD_MOST_CHANNELS];
    int n = 0;
    LS_TRY(ls_h5_attr_f64(file, "/", attribute, values, LS_SHARD_MOST_CHANNELS, &n));
    for (int c = 0; c < n; c++)
        if (fabs(values[c] - expected[c]) > 1e-9 * (1 + fabs(expected[c])))
            return LS_FAIL(LS_INPUT,
                           "%s: attribute '%s' is %.12g for channel %d, but that of its samples is %.12g",
                           check->shard->path, attribute, values[c], c, expected[c]);
    return LS_OK;
}

static ls_status check_statistics(struct check *check) {
    if (!check->statistics.channels || check->report->offenders) return LS_OK;
    double mean[LS_SHARD_MOST_CHANNELS], std[LS_SHARD_MOST_CHANNELS];
    ls_statistics_result(&check->statistics, mean, std);
    struct ls_h5 *file;
    LS_TRY(ls_h5_open(check->shard->path, &file));
    ls_status status = offend(check, compare_statistic(check, file, LS_SHARD_ATTR_MEAN, mean));
    if (status == LS_OK) status = offend(check, compare_statistic(check, file, LS_SHARD_ATTR_STD, std));
    ls_h5_close(file);
    return status;
}

struct owned_id {
    uint64_t id;
    int64_t sample;
};

static int by_id_and_sample(const void *a, const void *b) {
    const struct owned_id *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->sample > y->sample) - (x->sample < y->sample);
}

static ls_status check_ids(struct check *check) {
    if (!check->shard->columns[LS_COLUMN_IDS].name) return LS_OK;
    int64_t n = check->info->samples;
    struct owned_id *owned = malloc((size_t)n * sizeof *owned);
    if (!owned) return LS_FAIL(LS_SYSTEM, "out of memory for %" PRId64 " sample ids", n);
    for (int64_t i = 0; i < n; i++) owned[i] = (struct owned_id){.id = check->ids[i], .sample = i};
    qsort(owned, (size_t)n, sizeof *owned, by_id_and_sample);
    ls_status status = LS_OK;
    for (int64_t i = 1; i < n && status == LS_OK; i++)
        if (owned[i].id == owned[i - 1].id && owned[i].id != UINT64_MAX)
            status = offend(
                check, LS_FAIL(LS_INPUT, "%s: samples %" PRId64 " and %" PRId64 " have the same id %" PRIu64,
                               check->shard->path, owned[i - 1].sample, owned[i].sample, owned[i].id));
    free(owned);
    return status;
}

// ---- the whole

static ls_status allocate(struct check *check) {
    size_t row = check->info->sample_bytes + check->info->target_bytes + sizeof *check->indices;
    check->batch = row < CHECK_BYTES ? (int64_t)(CHECK_BYTES / row) : 1;
    if (check->batch > check->info->samples) check->batch = check->info->samples;
    size_t n = (size_t)check->batch;
    check->indices = malloc(n * sizeof *check->indices);
    check->samples = malloc(n * check->info->sample_bytes);
    check->targets = malloc(n * check->info->target_bytes + 1);
    check->ids = malloc((size_t)check->info->samples * sizeof *check->ids);
    if (check->report->ours && check->info->channels <= LS_SHARD_MOST_CHANNELS)
        LS_TRY(ls_statistics_open(&check->statistics, check->info->type, check->info->channels));
    if (check->indices && check->samples && check->targets && check->ids) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "%s: out of memory to check %" PRId64 " samples", check->shard->path,
                   check->info->samples);
}

static void describe(const struct check *check, struct ls_check_report *report) {
    const struct ls_dataset_info *info = check->info;
    char shape[64], targets[64] = "no targets", crcs[64] = "no CRCs";
    if (info->flat)
        snprintf(shape, sizeof shape, "%" PRId64, info->channels);
    else
        snprintf(shape, sizeof shape, "%" PRId64 "x%" PRId64 "x%" PRId64, info->height, info->width,
                 info->channels);
    if (info->target_is_class)
        snprintf(targets, sizeof targets, "%" PRId64 " classes", report->classes);
    else if (info->has_target)
        snprintf(targets, sizeof targets, "targets of %" PRId64, info->target_values);
    if (report->crc_checked) snprintf(crcs, sizeof crcs, "%" PRId64 " CRCs right", report->samples);
    snprintf(report->text, sizeof report->text, "%" PRId64 " samples %s %s, %s, %s", report->samples, shape,
             ls_dtype_name(info->stored), targets, crcs);
}

static ls_status check_all(struct check *check) {
    struct ls_check_report *report = check->report;
    if (check->dataset->ours) LS_TRY(check_ours(check));
    LS_TRY(allocate(check));
    LS_TRY(check_samples(check));
    LS_TRY(check_ids(check));
    LS_TRY(check_statistics(check));
    report->samples = check->info->samples;
    report->classes = check->info->target_is_class ? check->largest_label + 1 : 0;
    report->crc_checked = check->dataset->info.checksums;
    describe(check, report);
    if (report->offenders == 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s", report->words[0] ? report->words[0] : "out of memory for an error");
}

void ls_check_report_free(struct ls_check_report *report) {
    for (int i = 0; i < LS_CHECK_OFFENDERS; i++) free(report->words[i]);
    free(report->ids);
    *report = (struct ls_check_report){0};
}

ls_status ls_check_shard(const char *path, const char *input, const char *target,
                         struct ls_check_report *report) {
    *report = (struct ls_check_report){0};
    struct ls_dataset_spec spec = {
        .input = input, .target = target ? target : LS_SHARD_LABELS, .target_optional = !target};
    struct check check = {.largest_label = -1, .report = report};
    char *paths[] = {(char *)path};
    LS_TRY(ls_dataset_open_files(&spec, paths, 1, &check.dataset));
    check.shard = &check.dataset->shards[0];
    check.info = ls_dataset_info(check.dataset);
    ls_status status = check_all(&check);
    free(check.indices);
    free(check.samples);
    free(check.targets);
    ls_statistics_close(&check.statistics);
    if (report->ours)
        report->ids = check.ids;
    else
        free(check.ids);
    ls_dataset_close(check.dataset);
    return status;
}
