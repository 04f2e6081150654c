// Samples into shards. Which samples a shard holds, and in which order, is known before the first is read; so
// shards can be made by anyone, in any order, and again after a crash.
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "data/order.h"
#include "data/pack_parts.h"
#include "data/shard.h"
#include "h5/h5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t SHARD_BYTES = INT64_C(256) << 20;

struct ls_pack_work {
    struct ls_pack_job job;
    struct ls_pack_source *source;
    struct ls_pack_plan plan;
    char uuid[LS_UUID_TEXT];
    int64_t *order[2]; // of each split: its samples, as they are packed
    bool *broken;      // [samples] found not to be readable
    size_t sample_bytes, target_bytes;
    struct ls_pack_ring *ring;
    double began, told; // told: when progress was told of last
    int64_t packed;     // samples, by this rank
};

// ---- what is asked for

static ls_status check_job(const struct ls_pack_job *job) {
    if (job->shards < 0 || job->shards > LS_SHARD_MOST)
        return LS_FAIL(LS_INPUT, "--shards: expected 1 to %d, found %d", LS_SHARD_MOST, job->shards);
    if (!(job->test_fraction >= 0 && job->test_fraction < 1))
        return LS_FAIL(LS_INPUT, "--test: expected a fraction from 0 to below 1, found %g",
                       job->test_fraction);
    const char *const names[2] = {job->name, job->test_name};
    for (int i = 0; i < 2; i++)
        if (!*names[i] || strchr(names[i], '/'))
            return LS_FAIL(LS_INPUT, "expected the name of a split without a slash, found '%s'", names[i]);
    if ((job->test_fraction > 0 || job->test_list) && strcmp(names[0], names[1]) == 0)
        return LS_FAIL(LS_INPUT, "both splits are named '%s'", names[0]);
    return LS_OK;
}

// They are stored as UTF-8, and whoever reads the shards relies on it.
static ls_status check_class_names(const struct ls_pack_source *source) {
    for (int i = 0; i < source->n_class_names; i++) {
        const char *name = source->class_names[i], *wrong = ls_text_find_invalid(name);
        if (!wrong) continue;
        struct ls_text shown = {0};
        ls_text_add_json(&shown, name);
        const ls_status status =
            LS_FAIL(LS_INPUT, "the class %s: expected a name in UTF-8, found the byte %02x behind '%.*s'",
                    shown.data, (unsigned char)*wrong, (int)(wrong - name), name);
        ls_text_free(&shown);
        return status;
    }
    return LS_OK;
}

static void add_text(struct ls_hash *hash, const char *text) {
    ls_hash_add(hash, text, strlen(text) + 1);
}

// What the job and the source's shape say of the set.
static uint64_t hash_of_asked(const struct ls_pack_work *work, const bool *test) {
    const struct ls_pack_source *source = work->source;
    const struct ls_shard_shape *shape = &source->shape;
    struct ls_hash *hash = ls_hash_open();
    char text[256];
    snprintf(text, sizeof text, "%s %lld %d %d %lld %lld %lld %d %lld", source->noun,
             (long long)source->samples, (int)shape->type, shape->rank, (long long)shape->dim[0],
             (long long)shape->dim[1], (long long)shape->dim[2], shape->classes,
             (long long)shape->target_values);
    add_text(hash, text);
    if (work->job.shuffle) {
        snprintf(text, sizeof text, "shuffled %llu", (unsigned long long)work->job.seed);
        add_text(hash, text);
    }
    if (work->plan.n_splits > 1) ls_hash_add(hash, test, (size_t)source->samples * sizeof *test);
    for (int i = 0; i < source->n_class_names; i++) add_text(hash, source->class_names[i]);
    uint64_t value = ls_hash_value(hash);
    ls_hash_close(hash);
    return value;
}

static void make_uuid(struct ls_pack_work *work, uint64_t content) {
    const uint64_t both[2][3] = {{work->plan.asked, content, 0}, {work->plan.asked, content, 1}};
    ls_uuid_of(ls_hash_of(both[0], sizeof both[0]), ls_hash_of(both[1], sizeof both[1]), work->uuid);
}

// Samples of a split in the order of packing: shuffled by the seed, or as the source has them.
static ls_status make_order(struct ls_pack_work *work, int split, int64_t listed, const bool *test) {
    int64_t samples = work->source->samples;
    int64_t *order = malloc((size_t)listed * sizeof *order), n = 0;
    if (!order) return LS_FAIL(LS_SYSTEM, "out of memory for the order of %lld samples", (long long)listed);
    for (int64_t i = 0; i < samples; i++) {
        int64_t sample = work->job.shuffle ? ls_order_at(work->job.seed, samples, (uint64_t)i) : i;
        if (test[sample] == (split == 1)) order[n++] = sample;
    }
    work->order[split] = order;
    return LS_OK;
}

static ls_status plan_split(struct ls_pack_work *work, int split, int64_t listed, const bool *test) {
    const struct ls_pack_job *job = &work->job;
    const char *name = split ? job->test_name : job->name;
    int64_t other = work->source->samples - listed, largest = listed > other ? listed : other;
    int64_t row = (int64_t)(work->sample_bytes + work->target_bytes);
    int64_t shards = job->shards ? (job->shards * listed + largest - 1) / largest
                                 : (listed * row + SHARD_BYTES - 1) / SHARD_BYTES;
    if (shards > listed || shards > LS_SHARD_MOST)
        return LS_FAIL(LS_INPUT,
                       "%s: --shards: expected at most %lld, a sample in each and no more than %d, found "
                       "%lld",
                       work->source->path, (long long)listed, LS_SHARD_MOST, (long long)shards);
    work->plan.splits[work->plan.n_splits++] =
        (struct ls_pack_split){.name = name, .shards = (int)shards, .listed = listed};
    LS_TRY(ls_shard_check_folder(job->folder, name, (int)shards));
    return make_order(work, split, listed, test);
}

static ls_status plan_splits(struct ls_pack_work *work, struct ls_pack_tests *tests) {
    LS_TRY(ls_pack_split_off(work->source, &work->job, tests));
    LS_TRY(plan_split(work, 0, work->source->samples - tests->n, tests->are));
    if (tests->n) LS_TRY(plan_split(work, 1, tests->n, tests->are));
    work->plan.asked = hash_of_asked(work, tests->are);
    return LS_OK;
}

static ls_status plan_set(struct ls_pack_work *work) {
    size_t samples = (size_t)work->source->samples;
    work->broken = calloc(samples, sizeof *work->broken);
    struct ls_pack_tests tests = {.are = calloc(samples, sizeof *tests.are)};
    ls_status status = LS_SYSTEM;
    if (work->broken && tests.are)
        status = plan_splits(work, &tests);
    else
        LS_FAIL(LS_SYSTEM, "out of memory for %zu samples", samples);
    free(tests.are);
    return status;
}

// ---- opening

void ls_pack_close(struct ls_pack_work *work) {
    if (!work) return;
    ls_pack_ring_close(work->ring);
    free(work->order[0]);
    free(work->order[1]);
    free(work->broken);
    free(work);
}

static ls_status open_work(struct ls_pack_work *work) {
    const struct ls_pack_source *source = work->source;
    LS_TRY(check_job(&work->job));
    LS_TRY(check_class_names(source));
    work->plan =
        (struct ls_pack_plan){.shape = source->shape, .noun = source->noun, .ignored = source->ignored};
    work->sample_bytes = ls_shard_sample_bytes(&source->shape);
    work->target_bytes = ls_shard_target_bytes(&source->shape);
    LS_TRY(plan_set(work));
    return ls_pack_ring_open(work->source, work->job.threads, &work->ring);
}

ls_status ls_pack_open(const struct ls_pack_job *job, struct ls_pack_source *source,
                       struct ls_pack_work **result, struct ls_pack_plan *plan) {
    *result = NULL;
    struct ls_pack_work *work = calloc(1, sizeof *work);
    if (!work) return LS_FAIL(LS_SYSTEM, "out of memory");
    work->job = *job;
    work->source = source;
    if (work->job.threads < 1) work->job.threads = 1;
    if (work->job.ranks < 1) work->job.ranks = 1;
    if (!work->job.name) work->job.name = "train";
    if (!work->job.test_name) work->job.test_name = "test";
    ls_status status = open_work(work);
    if (status != LS_OK) {
        ls_pack_close(work);
        return status;
    }
    *plan = work->plan;
    *result = work;
    return LS_OK;
}

// ---- a block

// Marks what was broken; an error where that is not to be skipped, or is no fault of a sample.
static ls_status mark_broken(struct ls_pack_work *work, const struct ls_pack_block *block, int64_t *broken) {
    const bool skip = work->job.skip_broken && work->source->piece == 1;
    for (int64_t i = 0; i < block->pieces; i++) {
        const struct ls_error *error = &block->errors[i];
        if (error->status == LS_OK) continue;
        if (error->status != LS_INPUT || !skip) return ls_error_adopt(error);
        ls_warn("skipped: %s", error->text);
        work->broken[block->which[i]] = true;
        (*broken)++;
    }
    return LS_OK;
}

// Once in a while, by one rank, where a shard or the look at all samples takes long.
static void tell_progress(struct ls_pack_work *work, const char *what, int64_t done, int64_t all) {
    static const double INTERVAL = 10;
    double now = ls_now();
    if (work->told == 0) work->told = now;
    if (work->job.rank || now - work->told < INTERVAL) return;
    work->told = now;
    ls_note("%s: %.0f %%", what, 100 * (double)done / (double)all);
}

// ---- looking at all of it

struct look {
    struct ls_pack_work *work;
    uint64_t content;
    int64_t done, all, broken;
};

static ls_status look_at(void *context, const struct ls_pack_block *block) {
    struct look *look = context;
    const struct ls_pack_work *work = look->work;
    LS_TRY(mark_broken(look->work, block, &look->broken));
    for (int64_t i = 0; i < block->n; i++) {
        const uint64_t parts[4] = {
            (uint64_t)block->which[i], block->ids[i],
            ls_hash_of(block->samples + (size_t)i * work->sample_bytes, work->sample_bytes),
            ls_hash_of(block->targets + (size_t)i * work->target_bytes, work->target_bytes)};
        look->content += ls_hash_of(parts, sizeof parts);
    }
    look->done += block->n;
    tell_progress(look->work, "looked at all samples", look->done, look->all);
    return LS_OK;
}

ls_status ls_pack_check(struct ls_pack_work *work, uint64_t *content) {
    const struct ls_pack_job *job = &work->job;
    int64_t samples = work->source->samples, begin = samples * job->rank / job->ranks,
            end = samples * (job->rank + 1) / job->ranks;
    *content = work->source->listed && job->rank == 0 ? work->source->content : 0;
    if (work->source->listed || begin == end) return LS_OK;
    int64_t *which = malloc((size_t)(end - begin) * sizeof *which);
    if (!which) return LS_FAIL(LS_SYSTEM, "out of memory to look at %lld samples", (long long)(end - begin));
    for (int64_t i = begin; i < end; i++) which[i - begin] = i;
    struct look look = {.work = work, .all = end - begin};
    const struct ls_pack_run run = {.which = which, .n = end - begin, .take = look_at, .context = &look};
    ls_status status = ls_pack_ring_run(work->ring, &run);
    *content += look.content;
    free(which);
    return status;
}

void ls_pack_clear(const struct ls_pack_work *work) {
    for (int split = 0; split < work->plan.n_splits; split++)
        ls_shard_clear_folder(work->job.folder, work->plan.splits[split].name);
}

// ---- a shard

struct slice {
    const int64_t *samples;
    int64_t n;
};

static struct slice slice_of(const struct ls_pack_work *work, int split, int shard) {
    const struct ls_pack_split *plan = &work->plan.splits[split];
    int64_t begin = plan->listed * shard / plan->shards, end = plan->listed * (shard + 1) / plan->shards;
    return (struct slice){work->order[split] + begin, end - begin};
}

// Samples of the slice that are not known to be broken, `n` of them; malloc'd.
static int64_t *good_ones(const struct ls_pack_work *work, const struct slice *slice, int64_t *n) {
    int64_t *which = malloc((size_t)slice->n * sizeof *which);
    *n = 0;
    for (int64_t i = 0; which && i < slice->n; i++)
        if (!work->broken[slice->samples[i]]) which[(*n)++] = slice->samples[i];
    if (!which) LS_FAIL(LS_SYSTEM, "out of memory to choose %lld samples", (long long)slice->n);
    return which;
}

// A shard on its way.
struct filling {
    struct ls_pack_work *work;
    struct ls_shard_writer *writer;
    int64_t done, all, broken;
};

// Once a sample is broken the shard will be begun again without it; the rest is looked at all the same.
static ls_status write_block(void *context, const struct ls_pack_block *block) {
    struct filling *filling = context;
    LS_TRY(mark_broken(filling->work, block, &filling->broken));
    filling->done += block->n;
    tell_progress(filling->work, "this shard", filling->done, filling->all);
    if (filling->broken) return LS_OK;
    return ls_shard_writer_add(filling->writer, block->n, block->samples, block->targets, block->ids);
}

// Of `n` samples; *broken says how many of them could not be read: the file is none then.
static ls_status write_once(struct ls_pack_work *work, const int64_t *which, int64_t n,
                            const struct ls_shard_about *about, const char *temporary, int64_t *broken) {
    struct filling filling = {.work = work, .all = n};
    LS_TRY(ls_shard_writer_open(temporary, about, n, &filling.writer));
    const struct ls_pack_run run = {.which = which, .n = n, .take = write_block, .context = &filling};
    ls_status status = ls_pack_ring_run(work->ring, &run);
    *broken = filling.broken;
    if (status == LS_OK && *broken == 0) return ls_shard_writer_finish(filling.writer);
    ls_shard_writer_abandon(filling.writer);
    return status;
}

// Again without those that turn out to be broken, until none does. *n: samples that it holds.
static ls_status write_good_ones(struct ls_pack_work *work, const struct slice *slice,
                                 const struct ls_shard_about *about, const char *temporary, int64_t *n) {
    for (int64_t broken = 1; broken;) {
        int64_t *which = good_ones(work, slice, n);
        if (!which) return LS_SYSTEM;
        ls_status status = *n > 0
                               ? write_once(work, which, *n, about, temporary, &broken)
                               : LS_FAIL(LS_INPUT, "%s: all of the %lld %s for shard %d of '%s' are broken",
                                         work->source->path, (long long)slice->n, work->source->noun,
                                         about->shard, about->split);
        free(which);
        LS_TRY(status);
    }
    work->packed += *n;
    return LS_OK;
}

static ls_status write_shard(struct ls_pack_work *work, int split, int shard, const char *path,
                             const char *temporary) {
    const struct ls_pack_split *plan = &work->plan.splits[split];
    struct ls_shard_about about = {.split = plan->name,
                                   .shard = shard,
                                   .shards = plan->shards,
                                   .shape = work->source->shape,
                                   .class_names = work->source->class_names,
                                   .n_class_names = work->source->n_class_names};
    memcpy(about.uuid, work->uuid, sizeof about.uuid);
    struct slice slice = slice_of(work, split, shard);
    int64_t n;
    LS_TRY(write_good_ones(work, &slice, &about, temporary, &n));
    LS_TRY(ls_file_commit(temporary, path));
    double seconds = ls_now() - work->began;
    ls_note("packed %s: %lld %s, %.0f %s/s", path, (long long)n, work->source->noun,
            (double)work->packed / seconds, work->source->noun);
    return LS_OK;
}

// Is this very shard there already? One of another set in its place is refused, or written over.
static ls_status is_there(const struct ls_pack_work *work, const char *path, bool *there) {
    *there = ls_file_exists(path);
    if (!*there) return LS_OK;
    struct ls_h5 *file;
    char uuid[64] = "";
    bool found = false;
    ls_status status = ls_h5_open(path, &file);
    if (status == LS_OK) {
        status = ls_h5_attr_text(file, "/", LS_SHARD_ATTR_UUID, uuid, sizeof uuid, &found);
        ls_h5_close(file);
    }
    *there = status == LS_OK && strcmp(uuid, work->uuid) == 0;
    if (*there) return LS_OK;
    if (work->job.replace) {
        ls_error_clear();
        return LS_OK;
    }
    LS_TRY(status);
    return LS_FAIL(LS_INPUT,
                   "%s: is a shard of another set, or of other %s or options; remove it, use another folder, "
                   "or --replace",
                   path, work->source->noun);
}

static ls_status need_shard(struct ls_pack_work *work, int split, int shard, int64_t *kept,
                            int64_t *written) {
    const struct ls_pack_split *plan = &work->plan.splits[split];
    char *path = ls_shard_path(work->job.folder, plan->name, shard, plan->shards, "");
    char *temporary = ls_shard_path(work->job.folder, plan->name, shard, plan->shards, LS_SHARD_TEMPORARY);
    bool there = false;
    ls_status status = path && temporary ? is_there(work, path, &there) : LS_FAIL(LS_SYSTEM, "out of memory");
    if (status == LS_OK && !there) status = write_shard(work, split, shard, path, temporary);
    if (status == LS_OK) ++*(there ? kept : written);
    free(path);
    free(temporary);
    return status;
}

ls_status ls_pack_run(struct ls_pack_work *work, uint64_t content, int64_t *kept, int64_t *written) {
    *kept = *written = 0;
    work->began = ls_now();
    make_uuid(work, content);
    LS_TRY(ls_make_folders(work->job.folder));
    int turn = 0;
    for (int split = 0; split < work->plan.n_splits; split++)
        for (int shard = 0; shard < work->plan.splits[split].shards; shard++)
            if (turn++ % work->job.ranks == work->job.rank)
                LS_TRY(need_shard(work, split, shard, kept, written));
    return LS_OK;
}
