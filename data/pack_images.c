// Pictures into shards. Which pictures a shard holds, and in which order, is known before the first is read;
// so shards can be made by anyone, in any order, and again after a crash.
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "data/crew.h"
#include "data/order.h"
#include "data/pack.h"
#include "data/pack_parts.h"
#include "data/picture.h"
#include "data/shard.h"
#include "data/shard_writer.h"
#include "h5/h5.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 16 << 20, LEAST_BLOCK = 8, MOST_BLOCK = 4096 };
static const int64_t SHARD_BYTES = INT64_C(256) << 20;
static const size_t MOST_PICTURE_BYTES = (size_t)1 << 30; // of a file

// What a thread decodes with.
struct worker {
    struct ls_picture picture;
    struct ls_resize_scratch scratch;
};

// Pictures on their way into a shard.
struct block {
    int64_t room, n;
    int64_t *files; // [room] which they are
    uint8_t *samples;
    int32_t *labels;
    uint64_t *ids;
    struct ls_error *errors; // [room] status LS_OK: decoded
};

struct ls_pack_work {
    struct ls_pack_images job;
    struct ls_pack_folder folder;
    struct ls_pack_plan plan;
    int64_t *order[2]; // of each split: its files, as they are packed
    size_t sample_bytes;
    struct ls_crew *crew;
    struct worker *workers;
    struct block block;
    double began;
    int64_t pictures; // packed by this rank
};

// ---- what is asked for

static ls_status check_job(const struct ls_pack_images *job) {
    if (job->side < 1 || job->side > 16384)
        return LS_FAIL(LS_INPUT, "--size: expected 1 to 16384, found %d", job->side);
    if (job->channels != 1 && job->channels != 3)
        return LS_FAIL(LS_INPUT, "channels: expected 1 or 3, found %d", job->channels);
    if (job->shards < 0 || job->shards > LS_SHARD_MOST)
        return LS_FAIL(LS_INPUT, "--shards: expected 1 to %d, found %d", LS_SHARD_MOST, job->shards);
    if (!(job->test_fraction >= 0 && job->test_fraction < 1))
        return LS_FAIL(LS_INPUT, "--test: expected a fraction from 0 to below 1, found %g",
                       job->test_fraction);
    const char *const names[2] = {job->name, job->test_name};
    for (int i = 0; i < 2; i++)
        if (!*names[i] || strchr(names[i], '/'))
            return LS_FAIL(LS_INPUT, "expected the name of a split without a slash, found '%s'", names[i]);
    if (strcmp(names[0], names[1]) == 0) return LS_FAIL(LS_INPUT, "both splits are named '%s'", names[0]);
    return LS_OK;
}

static void add_text(struct ls_hash *hash, const char *text) {
    ls_hash_add(hash, text, strlen(text) + 1);
}

static uint64_t half_of_identity(const struct ls_pack_work *work, const char *which) {
    const struct ls_pack_images *job = &work->job;
    struct ls_hash *hash = ls_hash_open();
    char text[160];
    snprintf(text, sizeof text, "%s images %d %d %d %lld %lld", which, job->side, job->channels, job->shuffle,
             (long long)job->seed, (long long)work->folder.n);
    add_text(hash, text);
    for (int64_t i = 0; i < work->folder.n; i++) {
        const struct ls_pack_file *file = &work->folder.files[i];
        const int64_t numbers[2] = {file->bytes, file->test};
        add_text(hash, file->path);
        ls_hash_add(hash, numbers, sizeof numbers);
    }
    uint64_t value = ls_hash_value(hash);
    ls_hash_close(hash);
    return value;
}

// Pictures of a split in the order of packing: shuffled by the seed, or by name.
static ls_status make_order(struct ls_pack_work *work, int split, int64_t listed) {
    const struct ls_pack_folder *folder = &work->folder;
    int64_t *order = malloc((size_t)listed * sizeof *order), n = 0;
    if (!order) return LS_FAIL(LS_SYSTEM, "out of memory for the order of %lld pictures", (long long)listed);
    for (int64_t i = 0; i < folder->n; i++) {
        int64_t file = work->job.shuffle ? ls_order_at(work->job.seed, folder->n, (uint64_t)i) : i;
        if (folder->files[file].test == (split == 1)) order[n++] = file;
    }
    work->order[split] = order;
    return LS_OK;
}

static ls_status plan_split(struct ls_pack_work *work, int split, int64_t listed) {
    const struct ls_pack_images *job = &work->job;
    int64_t largest = work->folder.n - work->folder.tests;
    if (work->folder.tests > largest) largest = work->folder.tests;
    int64_t shards = job->shards ? (job->shards * listed + largest - 1) / largest
                                 : (listed * (int64_t)work->sample_bytes + SHARD_BYTES - 1) / SHARD_BYTES;
    if (shards > listed || shards > LS_SHARD_MOST)
        return LS_FAIL(LS_INPUT,
                       "--shards: expected at most %lld, a picture in each and no more than %d, found %lld",
                       (long long)listed, LS_SHARD_MOST, (long long)shards);
    work->plan.splits[work->plan.n_splits++] = (struct ls_pack_split){
        .name = split ? job->test_name : job->name, .shards = (int)shards, .listed = listed};
    LS_TRY(ls_shard_check_folder(job->folder, split ? job->test_name : job->name, (int)shards));
    return make_order(work, split, listed);
}

// ---- memory

static ls_status make_block(struct ls_pack_work *work) {
    struct block *block = &work->block;
    int64_t room = BLOCK_BYTES / (int64_t)work->sample_bytes;
    block->room = room < LEAST_BLOCK ? LEAST_BLOCK : room > MOST_BLOCK ? MOST_BLOCK : room;
    if (block->room < 4 * work->job.threads) block->room = 4 * work->job.threads;
    size_t n = (size_t)block->room;
    block->files = malloc(n * sizeof *block->files);
    block->samples = malloc(n * work->sample_bytes);
    block->labels = malloc(n * sizeof *block->labels);
    block->ids = malloc(n * sizeof *block->ids);
    block->errors = calloc(n, sizeof *block->errors);
    work->workers = calloc((size_t)work->job.threads, sizeof *work->workers);
    if (block->files && block->samples && block->labels && block->ids && block->errors && work->workers)
        return LS_OK;
    return LS_FAIL(LS_SYSTEM, "out of memory for %zu pictures of %zu bytes", n, work->sample_bytes);
}

void ls_pack_images_close(struct ls_pack_work *work) {
    if (!work) return;
    ls_crew_close(work->crew);
    for (int i = 0; work->workers && i < work->job.threads; i++) {
        ls_picture_free(&work->workers[i].picture);
        free(work->workers[i].scratch.memory);
    }
    free(work->workers);
    free(work->block.files);
    free(work->block.samples);
    free(work->block.labels);
    free(work->block.ids);
    free(work->block.errors);
    free(work->order[0]);
    free(work->order[1]);
    ls_pack_folder_close(&work->folder);
    free(work);
}

static ls_status open_work(struct ls_pack_work *work) {
    const struct ls_pack_images *job = &work->job;
    LS_TRY(check_job(job));
    work->sample_bytes = (size_t)job->side * (size_t)job->side * (size_t)job->channels;
    LS_TRY(ls_pack_folder_open(job->source, &work->folder));
    LS_TRY(ls_pack_folder_split(&work->folder, job->test_fraction, job->test_list, job->seed));
    LS_TRY(plan_split(work, 0, work->folder.n - work->folder.tests));
    if (work->folder.tests) LS_TRY(plan_split(work, 1, work->folder.tests));
    work->plan.ignored = work->folder.ignored;
    ls_uuid_of(half_of_identity(work, "high"), half_of_identity(work, "low"), work->plan.uuid);
    LS_TRY(make_block(work));
    return ls_crew_open(job->threads, &work->crew);
}

ls_status ls_pack_images_open(const struct ls_pack_images *job, struct ls_pack_work **result,
                              struct ls_pack_plan *plan) {
    *result = NULL;
    struct ls_pack_work *work = calloc(1, sizeof *work);
    if (!work) return LS_FAIL(LS_SYSTEM, "out of memory");
    work->job = *job;
    if (work->job.threads < 1) work->job.threads = 1;
    ls_status status = open_work(work);
    if (status != LS_OK) {
        ls_pack_images_close(work);
        return status;
    }
    *plan = work->plan;
    *result = work;
    return LS_OK;
}

// ---- pictures

static ls_status load_picture(struct ls_pack_work *work, struct worker *worker, const char *path,
                              uint8_t *out) {
    char *bytes;
    size_t n;
    LS_TRY(ls_file_read(path, MOST_PICTURE_BYTES, &bytes, &n));
    ls_status status =
        ls_picture_decode((const uint8_t *)bytes, n, work->job.side, work->job.channels, &worker->picture);
    free(bytes);
    if (status == LS_OK) status = ls_picture_square(&worker->picture, work->job.side, &worker->scratch, out);
    if (status != LS_OK) ls_error_prefix("%s", path);
    return status;
}

static void load_item(void *context, int thread, int64_t item) {
    struct ls_pack_work *work = context;
    struct block *block = &work->block;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", work->job.source, work->folder.files[block->files[item]].path);
    block->errors[item].status = LS_OK;
    if (load_picture(work, &work->workers[thread], path,
                     block->samples + (size_t)item * work->sample_bytes) == LS_OK)
        return;
    block->errors[item] = *ls_error_last();
    ls_error_clear();
}

// Marks what was broken; an error where that is not to be skipped, or is no fault of the picture.
static ls_status judge_block(struct ls_pack_work *work, int64_t *broken) {
    struct block *block = &work->block;
    for (int64_t i = 0; i < block->n; i++) {
        const struct ls_error *error = &block->errors[i];
        if (error->status == LS_OK) continue;
        if (error->status != LS_INPUT || !work->job.skip_broken) return ls_error_adopt(error);
        ls_warn("skipped: %s", error->text);
        work->folder.files[block->files[i]].broken = true;
        (*broken)++;
    }
    return LS_OK;
}

// ---- a shard

struct slice {
    int split;
    const int64_t *files;
    int64_t n;
};

static struct slice slice_of(const struct ls_pack_work *work, int split, int shard) {
    const struct ls_pack_split *plan = &work->plan.splits[split];
    int64_t begin = plan->listed * shard / plan->shards, end = plan->listed * (shard + 1) / plan->shards;
    return (struct slice){split, work->order[split] + begin, end - begin};
}

// The next pictures of the slice that are not known to be broken.
static int64_t fill_block(struct ls_pack_work *work, const struct slice *slice, int64_t at) {
    struct block *block = &work->block;
    for (block->n = 0; at < slice->n && block->n < block->room; at++) {
        const struct ls_pack_file *file = &work->folder.files[slice->files[at]];
        if (file->broken) continue;
        block->files[block->n] = slice->files[at];
        block->labels[block->n] = file->label;
        block->ids[block->n++] = (uint64_t)slice->files[at];
    }
    return at;
}

static ls_status write_slice(struct ls_pack_work *work, const struct slice *slice,
                             struct ls_shard_writer *writer, int64_t *broken) {
    struct block *block = &work->block;
    for (int64_t at = 0; at < slice->n;) {
        at = fill_block(work, slice, at);
        ls_crew_run(work->crew, block->n, load_item, work);
        LS_TRY(judge_block(work, broken));
        // Once one is broken the shard will be begun again without it; the rest is looked at all the same.
        if (*broken == 0)
            LS_TRY(ls_shard_writer_add(writer, block->n, block->samples, block->labels, block->ids));
    }
    return LS_OK;
}

static int64_t good_ones(const struct ls_pack_work *work, const struct slice *slice) {
    int64_t n = 0;
    for (int64_t i = 0; i < slice->n; i++) n += !work->folder.files[slice->files[i]].broken;
    return n;
}

static ls_status write_once(struct ls_pack_work *work, const struct slice *slice,
                            const struct ls_shard_about *about, const char *temporary, int64_t *broken) {
    struct ls_shard_writer *writer;
    int64_t good = good_ones(work, slice);
    *broken = 0;
    if (good == 0)
        return LS_FAIL(LS_INPUT, "shard %d of '%s': all of its %lld pictures are broken", about->shard,
                       about->split, (long long)slice->n);
    LS_TRY(ls_shard_writer_open(temporary, about, good, &writer));
    ls_status status = write_slice(work, slice, writer, broken);
    if (status == LS_OK && *broken == 0) {
        work->pictures += good;
        return ls_shard_writer_finish(writer);
    }
    ls_shard_writer_abandon(writer);
    return status;
}

static ls_status write_shard(struct ls_pack_work *work, int split, int shard, const char *path,
                             const char *temporary) {
    const struct ls_pack_split *plan = &work->plan.splits[split];
    struct ls_shard_about about = {.split = plan->name,
                                   .shard = shard,
                                   .shards = plan->shards,
                                   .height = work->job.side,
                                   .width = work->job.side,
                                   .channels = work->job.channels,
                                   .class_names = work->folder.class_names,
                                   .n_class_names = work->folder.n_classes};
    memcpy(about.uuid, work->plan.uuid, sizeof about.uuid);
    struct slice slice = slice_of(work, split, shard);
    int64_t broken;
    do LS_TRY(write_once(work, &slice, &about, temporary, &broken));
    while (broken);
    LS_TRY(ls_file_commit(temporary, path));
    double seconds = ls_now() - work->began;
    ls_note("packed %s: %lld pictures, %.0f pictures/s", path, (long long)good_ones(work, &slice),
            (double)work->pictures / seconds);
    return LS_OK;
}

// Is this very shard there already? One of another set in its place is refused.
static ls_status is_there(const struct ls_pack_work *work, const char *path, bool *there) {
    *there = ls_file_exists(path);
    if (!*there) return LS_OK;
    struct ls_h5 *file;
    char uuid[64] = "";
    bool found = false;
    LS_TRY(ls_h5_open(path, &file));
    ls_status status = ls_h5_attr_text(file, "/", LS_SHARD_ATTR_UUID, uuid, sizeof uuid, &found);
    ls_h5_close(file);
    LS_TRY(status);
    if (strcmp(uuid, work->plan.uuid) == 0) return LS_OK;
    return LS_FAIL(
        LS_INPUT,
        "%s: is a shard of another set, or of other pictures or options; remove it, or use another folder",
        path);
}

static ls_status need_shard(struct ls_pack_work *work, int split, int shard, int64_t *kept,
                            int64_t *written) {
    const struct ls_pack_split *plan = &work->plan.splits[split];
    char *path = ls_shard_path(work->job.folder, plan->name, shard, plan->shards, "");
    char *temporary = ls_shard_path(work->job.folder, plan->name, shard, plan->shards, ".tmp");
    bool there = false;
    ls_status status = path && temporary ? is_there(work, path, &there) : LS_FAIL(LS_SYSTEM, "out of memory");
    if (status == LS_OK && !there) status = write_shard(work, split, shard, path, temporary);
    if (status == LS_OK) ++*(there ? kept : written);
    free(path);
    free(temporary);
    return status;
}

ls_status ls_pack_images_run(struct ls_pack_work *work, int64_t *kept, int64_t *written) {
    *kept = *written = 0;
    work->began = ls_now();
    LS_TRY(ls_make_folders(work->job.folder));
    int turn = 0;
    for (int split = 0; split < work->plan.n_splits; split++)
        for (int shard = 0; shard < work->plan.splits[split].shards; shard++)
            if (turn++ % work->job.ranks == work->job.rank)
                LS_TRY(need_shard(work, split, shard, kept, written));
    return LS_OK;
}
