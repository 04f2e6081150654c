// `lockstep check` of a data file: everything is read once, batch by batch, by a few threads. What is wrong
// is told in the order of the samples all the same.
#include "base/hash.h"
#include "data/crew.h"
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
enum { CHECK_BYTES = 4 << 20, BATCHES_PER_THREAD = 4 };

// A batch under way, and what was wrong in it.
struct batch {
    int64_t begin, n;
    ls_status status; // LS_INPUT never: that is an offender
    struct ls_error error;
    int64_t offenders;
    char *words[LS_CHECK_OFFENDERS];
};

// What a thread has for itself.
struct worker {
    int64_t *indices; // [batch]
    char *samples, *targets;
    int64_t largest_label;
    struct ls_statistics statistics; // of shards of Lockstep's own
};

struct check {
    struct ls_dataset *dataset;
    const struct ls_shard *shard;
    const struct ls_dataset_info *info;
    struct ls_check_report *report;
    int64_t batch; // samples read at a time
    uint64_t *ids; // of every sample
    int threads;
    struct worker *workers;
    struct batch *batches; // [threads * BATCHES_PER_THREAD]
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
static ls_status offend(int64_t *offenders, char **words, ls_status status) {
    if (status != LS_INPUT) return status;
    if (*offenders < LS_CHECK_OFFENDERS) words[*offenders] = strdup(ls_error_last()->text);
    ++*offenders;
    ls_error_clear();
    return LS_OK;
}

static ls_status offend_file(struct check *check, ls_status status) {
    return offend(&check->report->offenders, check->report->words, status);
}

static ls_status check_label(const struct check *check, struct worker *worker, int64_t sample,
                             int32_t label) {
    const char *name = check->shard->columns[LS_COLUMN_TARGET].name;
    int classes;
    ls_dataset_class_names(check->dataset, &classes);
    if (label < 0)
        return LS_FAIL(LS_INPUT, "%s: %s[%" PRId64 "] is %d, expected a class from 0 on", check->shard->path,
                       name, sample, (int)label);
    if (classes > 0 && label >= classes)
        return LS_FAIL(LS_INPUT, "%s: %s[%" PRId64 "] is %d, but there are names of %d classes",
                       check->shard->path, name, sample, (int)label, classes);
    if (label > worker->largest_label) worker->largest_label = label;
    return LS_OK;
}

static int64_t sample_values(const struct check *check) {
    return check->info->height * check->info->width * check->info->channels;
}

// Reading refuses what is truncated, not finite, not a class, or does not match its checksum.
static ls_status take_rows(const struct check *check, struct worker *worker, struct batch *batch,
                           int64_t begin, int64_t n) {
    for (int64_t i = 0; i < n; i++) worker->indices[i] = begin + i;
    LS_TRY(ls_dataset_read(check->dataset, worker->indices, n, worker->samples, worker->targets,
                           check->ids + begin, true));
    const int32_t *labels = (const int32_t *)(const void *)worker->targets;
    for (int64_t i = 0; i < n && check->info->target_is_class; i++)
        LS_TRY(offend(&batch->offenders, batch->words, check_label(check, worker, begin + i, labels[i])));
    if (worker->statistics.channels)
        ls_statistics_add(&worker->statistics, n, sample_values(check), worker->samples);
    return LS_OK;
}

// A batch that is refused is read again sample by sample, for each that is to blame.
static ls_status check_batch(const struct check *check, struct worker *worker, struct batch *batch) {
    ls_status status = take_rows(check, worker, batch, batch->begin, batch->n);
    if (status != LS_INPUT) return status;
    ls_error_clear();
    for (int64_t i = batch->begin; i < batch->begin + batch->n; i++) {
        check->ids[i] = UINT64_MAX; // one that cannot be read has none
        LS_TRY(offend(&batch->offenders, batch->words, take_rows(check, worker, batch, i, 1)));
    }
    return LS_OK;
}

static void work(void *context, int worker, int64_t item) {
    const struct check *check = context;
    struct batch *batch = &check->batches[item];
    batch->status = check_batch(check, &check->workers[worker], batch);
    if (batch->status != LS_OK) batch->error = *ls_error_last();
}

// Hands the batch's words to the report, which keeps the first few.
static ls_status merge(struct check *check, struct batch *batch) {
    struct ls_check_report *report = check->report;
    for (int i = 0; i < LS_CHECK_OFFENDERS; i++) {
        const int64_t place = report->offenders + i;
        if (place < LS_CHECK_OFFENDERS)
            report->words[place] = batch->words[i];
        else
            free(batch->words[i]);
    }
    report->offenders += batch->offenders;
    return batch->status == LS_OK ? LS_OK : ls_error_adopt(&batch->error);
}

static ls_status check_samples(struct check *check, struct ls_crew *crew) {
    ls_status status = LS_OK;
    for (int64_t begin = 0; status == LS_OK && begin < check->info->samples;) {
        int64_t n = 0;
        for (; n < (int64_t)check->threads * BATCHES_PER_THREAD && begin < check->info->samples; n++) {
            const int64_t left = check->info->samples - begin;
            check->batches[n] =
                (struct batch){.begin = begin, .n = left < check->batch ? left : check->batch};
            begin += check->batches[n].n;
        }
        ls_crew_run(crew, n, work, check);
        for (int64_t i = 0; i < n; i++) {
            const ls_status one = merge(check, &check->batches[i]);
            if (status == LS_OK) status = one;
        }
    }
    return status;
}

// What the threads have counted, in the first one's.
static void add_up(struct check *check) {
    struct worker *all = &check->workers[0];
    for (int w = 1; w < check->threads; w++) {
        const struct worker *worker = &check->workers[w];
        if (worker->largest_label > all->largest_label) all->largest_label = worker->largest_label;
        ls_statistics_merge(&all->statistics, &worker->statistics);
    }
}

// ---- statistics

// The packer adds f32 in the order of the samples; threads do not, and other compilers may not.
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
    const struct ls_statistics *statistics = &check->workers[0].statistics;
    if (!statistics->channels || check->report->offenders) return LS_OK;
    double mean[LS_SHARD_MOST_CHANNELS], std[LS_SHARD_MOST_CHANNELS];
    ls_statistics_result(statistics, mean, std);
    struct ls_h5 *file;
    LS_TRY(ls_h5_open(check->shard->path, &file));
    ls_status status = offend_file(check, compare_statistic(check, file, LS_SHARD_ATTR_MEAN, mean));
    if (status == LS_OK) status = offend_file(check, compare_statistic(check, file, LS_SHARD_ATTR_STD, std));
    ls_h5_close(file);
    return status;
}

// Of shards that have one: a checksum over all ids, and one over the class names.
static ls_status compare_crc(const struct check *check, struct ls_h5 *file, const char *name, uint32_t crc) {
    int64_t stored;
    bool found;
    LS_TRY(ls_h5_attr_i64(file, name, LS_SHARD_ATTR_CRC, &stored, &found));
    if (!found || stored == (int64_t)crc) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "%s: dataset '%s': expected CRC32C %08" PRIx64 ", found %08" PRIx32 ": it is damaged",
                   check->shard->path, name, (uint64_t)stored, crc);
}

static ls_status check_columns_crc(struct check *check) {
    if (!check->report->ours) return LS_OK;
    int n;
    const char *const *names = ls_dataset_class_names(check->dataset, &n);
    uint32_t crc = 0;
    for (int i = 0; i < n; i++) crc = ls_crc32c(crc, names[i], strlen(names[i]) + 1);
    struct ls_h5 *file;
    LS_TRY(ls_h5_open(check->shard->path, &file));
    ls_status status = n ? offend_file(check, compare_crc(check, file, LS_SHARD_CLASS_NAMES, crc)) : LS_OK;
    // Where a sample could not be read, its id is not known either.
    if (status == LS_OK && !check->report->offenders)
        status = offend_file(
            check, compare_crc(check, file, LS_SHARD_IDS,
                               ls_crc32c(0, check->ids, (size_t)check->info->samples * sizeof *check->ids)));
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
            status = offend_file(
                check, LS_FAIL(LS_INPUT, "%s: samples %" PRId64 " and %" PRId64 " have the same id %" PRIu64,
                               check->shard->path, owned[i - 1].sample, owned[i].sample, owned[i].id));
    free(owned);
    return status;
}

// ---- the whole

static ls_status allocate_worker(const struct check *check, struct worker *worker) {
    const size_t n = (size_t)check->batch;
    worker->largest_label = -1;
    worker->indices = malloc(n * sizeof *worker->indices);
    worker->samples = malloc(n * check->info->sample_bytes);
    worker->targets = malloc(n * check->info->target_bytes + 1);
    const bool has_statistics = check->report->ours && check->info->type != LS_I32;
    if (has_statistics && check->info->channels <= LS_SHARD_MOST_CHANNELS)
        LS_TRY(ls_statistics_open(&worker->statistics, check->info->type, check->info->channels));
    if (worker->indices && worker->samples && worker->targets) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "%s: out of memory to check %" PRId64 " samples at a time", check->shard->path,
                   check->batch);
}

static void free_worker(struct worker *worker) {
    free(worker->indices);
    free(worker->samples);
    free(worker->targets);
    ls_statistics_close(&worker->statistics);
}

// As many threads as have something to do.
static ls_status allocate(struct check *check, int threads) {
    const size_t row = check->info->sample_bytes + check->info->target_bytes + sizeof(int64_t);
    check->batch = row < CHECK_BYTES ? (int64_t)(CHECK_BYTES / row) : 1;
    if (check->batch > check->info->samples) check->batch = check->info->samples;
    const int64_t batches = (check->info->samples + check->batch - 1) / check->batch;
    threads = threads < batches ? threads : (int)batches;
    check->workers = calloc((size_t)threads, sizeof *check->workers);
    check->batches = calloc((size_t)threads * BATCHES_PER_THREAD, sizeof *check->batches);
    check->ids = malloc((size_t)check->info->samples * sizeof *check->ids);
    if (!check->workers || !check->batches || !check->ids)
        return LS_FAIL(LS_SYSTEM, "%s: out of memory for the ids of %" PRId64 " samples", check->shard->path,
                       check->info->samples);
    check->threads = threads;
    for (int w = 0; w < threads; w++) LS_TRY(allocate_worker(check, &check->workers[w]));
    return LS_OK;
}

static ls_status read_everything(struct check *check) {
    struct ls_crew *crew;
    LS_TRY(ls_crew_open(check->threads, &crew));
    const ls_status status = check_samples(check, crew);
    ls_crew_close(crew);
    add_up(check);
    return status;
}

static void describe(const struct check *check, struct ls_check_report *report) {
    const struct ls_dataset_info *info = check->info;
    char shape[64], targets[64] = "no targets", crcs[64] = "no CRCs";
    if (info->flat)
        snprintf(shape, sizeof shape, info->type == LS_I32 ? "of %" PRId64 " tokens" : "%" PRId64,
                 info->channels);
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

static ls_status check_all(struct check *check, int threads) {
    struct ls_check_report *report = check->report;
    if (check->dataset->ours) LS_TRY(check_ours(check));
    LS_TRY(allocate(check, threads));
    LS_TRY(read_everything(check));
    LS_TRY(check_columns_crc(check));
    LS_TRY(check_ids(check));
    LS_TRY(check_statistics(check));
    report->samples = check->info->samples;
    report->classes = check->info->target_is_class ? check->workers[0].largest_label + 1 : 0;
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

ls_status ls_check_shard(const char *path, const char *input, const char *target, int64_t tokens, int threads,
                         struct ls_check_report *report) {
    *report = (struct ls_check_report){0};
    struct ls_dataset_spec spec = {.input = input,
                                   .target = target ? target : LS_SHARD_LABELS,
                                   .target_optional = !target,
                                   .tokens = tokens};
    struct check check = {.report = report};
    char *paths[] = {(char *)path};
    LS_TRY(ls_dataset_open_files(&spec, paths, 1, &check.dataset));
    check.shard = &check.dataset->shards[0];
    check.info = ls_dataset_info(check.dataset);
    // Row by row, so that a bad one is found where it is: rows that are kept are read all at once.
    for (int id = 0; id < LS_COLUMNS; id++) check.dataset->shards[0].columns[id].kept = false;
    ls_status status = check_all(&check, threads);
    for (int w = 0; w < check.threads; w++) free_worker(&check.workers[w]);
    free(check.workers);
    free(check.batches);
    if (report->ours)
        report->ids = check.ids;
    else
        free(check.ids);
    ls_dataset_close(check.dataset);
    return status;
}
