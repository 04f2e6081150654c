// IDX files into shards. The source is read twice: once to check it whole and to learn the set's identity,
// which every shard holds, once to write. So nothing is written of a source that is bad.
#include "data/pack.h"

#include "base/file.h"
#include "base/hash.h"
#include "data/pack_parts.h"
#include "data/shard_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4 << 20 };

// ---- a block of samples

struct block {
    int64_t room; // samples
    uint8_t *samples, *raw_labels;
    int32_t *labels;
    uint64_t *ids;
};

static void block_free(struct block *block) {
    free(block->samples);
    free(block->raw_labels);
    free(block->labels);
    free(block->ids);
}

static ls_status block_make(struct block *block, const struct ls_idx *idx) {
    int64_t room = BLOCK_BYTES / (int64_t)idx->sample_bytes;
    block->room = room < 1 ? 1 : room > 65536 ? 65536 : room;
    size_t n = (size_t)block->room;
    block->samples = malloc(n * idx->sample_bytes);
    block->raw_labels = malloc(n);
    block->labels = malloc(n * sizeof *block->labels);
    block->ids = malloc(n * sizeof *block->ids);
    if (block->samples && block->raw_labels && block->labels && block->ids) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "%s: out of memory for %zu samples of %zu bytes", idx->images_path, n,
                   idx->sample_bytes);
}

static ls_status block_read(struct block *block, struct ls_idx *idx, int64_t n) {
    int64_t first = idx->next;
    LS_TRY(ls_idx_read(idx, n, block->samples, block->raw_labels));
    for (int64_t i = 0; i < n; i++) {
        block->labels[i] = block->raw_labels[i];
        block->ids[i] = (uint64_t)(first + i);
    }
    return LS_OK;
}

// ---- first reading: who the set is

struct identity {
    struct ls_hash *half[2]; // of the uuid
};

static void add_bytes(struct identity *identity, const void *data, size_t bytes) {
    for (int i = 0; i < 2; i++) ls_hash_add(identity->half[i], data, bytes);
}

static void identity_open(struct identity *identity, const struct ls_idx *idx,
                          const struct ls_pack_idx *job) {
    char text[128];
    for (int i = 0; i < 2; i++) {
        identity->half[i] = ls_hash_open();
        ls_hash_add(identity->half[i], i ? "low" : "high", i ? 3 : 4);
    }
    snprintf(text, sizeof text, "%lld %lld %lld %lld %d", (long long)idx->samples, (long long)idx->height,
             (long long)idx->width, (long long)idx->channels, job->n_class_names);
    add_bytes(identity, text, strlen(text) + 1);
    for (int i = 0; i < job->n_class_names; i++)
        add_bytes(identity, job->class_names[i], strlen(job->class_names[i]) + 1);
}

static void identity_close(struct identity *identity) {
    for (int i = 0; i < 2; i++) ls_hash_close(identity->half[i]);
}

static ls_status check_labels(const struct ls_pack_idx *job, const struct block *block, int64_t first,
                              int64_t n) {
    for (int64_t i = 0; job->n_class_names && i < n; i++) {
        if (block->labels[i] >= job->n_class_names)
            return LS_FAIL(
                LS_INPUT, "%s: label of sample %lld: expected a class below %d, as there are names, found %d",
                job->labels, (long long)(first + i), job->n_class_names, block->labels[i]);
    }
    return LS_OK;
}

static ls_status first_reading(const struct ls_pack_idx *job, struct ls_idx *idx, struct block *block,
                               struct identity *identity) {
    while (idx->next < idx->samples) {
        int64_t first = idx->next, left = idx->samples - first, n = left < block->room ? left : block->room;
        LS_TRY(block_read(block, idx, n));
        LS_TRY(check_labels(job, block, first, n));
        add_bytes(identity, block->samples, (size_t)n * idx->sample_bytes);
        add_bytes(identity, block->raw_labels, (size_t)n);
    }
    return LS_OK;
}

// ---- second reading: shards

struct shards {
    const struct ls_pack_idx *job;
    struct ls_shard_about about;
    struct ls_idx idx;
    struct block block;
    struct shard_name {
        char *path, *temporary;
    } * names;
    int written, renamed;
};

static ls_status name_shards(struct shards *shards) {
    const struct ls_pack_idx *job = shards->job;
    char suffix[32];
    snprintf(suffix, sizeof suffix, ".%ld.tmp", (long)getpid());
    shards->names = calloc((size_t)job->shards, sizeof *shards->names);
    for (int i = 0; shards->names && i < job->shards; i++) {
        shards->names[i].path = ls_shard_path(job->folder, job->name, i, job->shards, "");
        shards->names[i].temporary = ls_shard_path(job->folder, job->name, i, job->shards, suffix);
        if (!shards->names[i].path || !shards->names[i].temporary)
            return LS_FAIL(LS_SYSTEM, "%s: out of memory", job->folder);
    }
    return shards->names ? LS_OK : LS_FAIL(LS_SYSTEM, "%s: out of memory", job->folder);
}

static ls_status write_samples(struct shards *shards, struct ls_shard_writer *writer, int64_t samples) {
    struct block *block = &shards->block;
    for (int64_t done = 0, n; done < samples; done += n) {
        n = samples - done < block->room ? samples - done : block->room;
        LS_TRY(block_read(block, &shards->idx, n));
        LS_TRY(ls_shard_writer_add(writer, n, block->samples, block->labels, block->ids));
    }
    return LS_OK;
}

static ls_status write_shard(struct shards *shards, int shard) {
    const struct ls_pack_idx *job = shards->job;
    int64_t begin = shards->idx.samples * shard / job->shards;
    int64_t end = shards->idx.samples * (shard + 1) / job->shards;
    struct ls_shard_writer *writer;
    shards->about.shard = shard;
    LS_TRY(ls_shard_writer_open(shards->names[shard].temporary, &shards->about, end - begin, &writer));
    ls_status status = write_samples(shards, writer, end - begin);
    if (status != LS_OK) {
        ls_shard_writer_abandon(writer);
        return status;
    }
    LS_TRY(ls_shard_writer_finish(writer));
    shards->written = shard + 1;
    return LS_OK;
}

static ls_status write_shards(struct shards *shards) {
    LS_TRY(name_shards(shards));
    LS_TRY(ls_idx_open(&shards->idx, shards->job->images, shards->job->labels));
    LS_TRY(block_make(&shards->block, &shards->idx));
    shards->about.height = shards->idx.height;
    shards->about.width = shards->idx.width;
    shards->about.channels = shards->idx.channels;
    for (int i = 0; i < shards->job->shards; i++) LS_TRY(write_shard(shards, i));
    for (; shards->renamed < shards->job->shards; shards->renamed++)
        LS_TRY(ls_file_commit(shards->names[shards->renamed].temporary, shards->names[shards->renamed].path));
    return LS_OK;
}

// A set with shards missing would be worse than none.
static void remove_shards(const struct shards *shards) {
    if (!shards->names) return;
    for (int i = 0; i < shards->written; i++)
        if (shards->names[i].temporary) unlink(shards->names[i].temporary);
    for (int i = 0; i < shards->renamed; i++)
        if (shards->names[i].path) unlink(shards->names[i].path);
}

static void free_shards(struct shards *shards) {
    for (int i = 0; shards->names && i < shards->job->shards; i++) {
        free(shards->names[i].path);
        free(shards->names[i].temporary);
    }
    free(shards->names);
    block_free(&shards->block);
    ls_idx_close(&shards->idx);
}

// ---- the job

static ls_status check_job(const struct ls_pack_idx *job) {
    if (job->shards < 1 || job->shards > LS_SHARD_MOST)
        return LS_FAIL(LS_INPUT, "shards: expected 1 to %d, found %d", LS_SHARD_MOST, job->shards);
    if (!*job->name || strchr(job->name, '/'))
        return LS_FAIL(LS_INPUT, "name: expected a name without a slash, found '%s'", job->name);
    return LS_OK;
}

static ls_status check_source(const struct ls_pack_idx *job, const struct ls_idx *idx) {
    if (idx->samples < job->shards)
        return LS_FAIL(LS_INPUT, "%s: expected at least one sample for each of %d shards, found %lld",
                       job->images, job->shards, (long long)idx->samples);
    if (idx->channels > LS_SHARD_MOST_CHANNELS)
        return LS_FAIL(LS_INPUT, "%s: expected at most %d channels, found %lld", job->images,
                       LS_SHARD_MOST_CHANNELS, (long long)idx->channels);
    return LS_OK;
}

static ls_status learn_from(const struct ls_pack_idx *job, struct ls_idx *idx, char uuid[LS_UUID_TEXT]) {
    struct block block = {0};
    struct identity identity;
    LS_TRY(check_source(job, idx));
    ls_status status = block_make(&block, idx);
    if (status == LS_OK) {
        identity_open(&identity, idx, job);
        status = first_reading(job, idx, &block, &identity);
        ls_uuid_of(ls_hash_value(identity.half[0]), ls_hash_value(identity.half[1]), uuid);
        identity_close(&identity);
    }
    block_free(&block);
    return status;
}

static ls_status learn(const struct ls_pack_idx *job, char uuid[LS_UUID_TEXT]) {
    struct ls_idx idx;
    LS_TRY(ls_idx_open(&idx, job->images, job->labels));
    ls_status status = learn_from(job, &idx, uuid);
    ls_idx_close(&idx);
    return status;
}

ls_status ls_pack_idx(const struct ls_pack_idx *job) {
    LS_TRY(check_job(job));
    LS_TRY(ls_shard_check_folder(job->folder, job->name, job->shards));
    struct shards shards = {.job = job};
    shards.about = (struct ls_shard_about){.split = job->name,
                                           .shards = job->shards,
                                           .class_names = job->class_names,
                                           .n_class_names = job->n_class_names};
    LS_TRY(learn(job, shards.about.uuid));
    LS_TRY(ls_make_folders(job->folder));
    ls_status status = write_shards(&shards);
    if (status != LS_OK) remove_shards(&shards);
    free_shards(&shards);
    return status;
}
