// Writing shards; data/shard.h draws one. The source is read twice: once to check it whole and to learn what
// every shard says of the set (identity, channel statistics), once to write. So nothing is written of a
// source that is bad.
#include "data/pack.h"

#include "base/file.h"
#include "base/hash.h"
#include "data/pack_parts.h"
#include "data/shard.h"
#include "h5/h5.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4 << 20, MOST_SHARDS = 99999, MOST_CHANNELS = 4096 };

// ---- a block of samples

struct block {
    int64_t room; // samples
    uint8_t *samples, *raw_labels;
    int32_t *labels;
    uint64_t *ids;
    uint32_t *crc;
};

static void block_free(struct block *block) {
    free(block->samples);
    free(block->raw_labels);
    free(block->labels);
    free(block->ids);
    free(block->crc);
}

static ls_status block_make(struct block *block, const struct ls_idx *idx) {
    int64_t room = BLOCK_BYTES / (int64_t)idx->sample_bytes;
    block->room = room < 1 ? 1 : room > 65536 ? 65536 : room;
    size_t n = (size_t)block->room;
    block->samples = malloc(n * idx->sample_bytes);
    block->raw_labels = malloc(n);
    block->labels = malloc(n * sizeof *block->labels);
    block->ids = malloc(n * sizeof *block->ids);
    block->crc = malloc(n * sizeof *block->crc);
    if (block->samples && block->raw_labels && block->labels && block->ids && block->crc) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "%s: out of memory for %zu samples of %zu bytes", idx->images_path, n,
                   idx->sample_bytes);
}

static uint32_t sample_crc(const uint8_t *sample, size_t bytes, int32_t label) {
    uint32_t value = (uint32_t)label;
    uint8_t little[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                         (uint8_t)(value >> 24)};
    return ls_crc32c(ls_crc32c(0, sample, bytes), little, sizeof little);
}

static ls_status block_read(struct block *block, struct ls_idx *idx, int64_t n) {
    int64_t first = idx->next;
    LS_TRY(ls_idx_read(idx, n, block->samples, block->raw_labels));
    for (int64_t i = 0; i < n; i++) {
        block->labels[i] = block->raw_labels[i];
        block->ids[i] = (uint64_t)(first + i);
        block->crc[i] =
            sample_crc(block->samples + (size_t)i * idx->sample_bytes, idx->sample_bytes, block->labels[i]);
    }
    return LS_OK;
}

// ---- first reading: what is true of the whole set

struct summary {
    char uuid[40];
    double mean[MOST_CHANNELS], std[MOST_CHANNELS]; // of raw / 255
};

struct sums {
    struct ls_hash *half[2]; // of the uuid
    uint64_t sum[MOST_CHANNELS], squares[MOST_CHANNELS];
};

static void sums_add_bytes(struct sums *sums, const void *data, size_t bytes) {
    for (int i = 0; i < 2; i++) ls_hash_add(sums->half[i], data, bytes);
}

static void sums_open(struct sums *sums, const struct ls_idx *idx, const struct ls_pack_idx *job) {
    char text[128];
    for (int i = 0; i < 2; i++) {
        sums->half[i] = ls_hash_open();
        ls_hash_add(sums->half[i], i ? "low" : "high", i ? 3 : 4);
    }
    snprintf(text, sizeof text, "%lld %lld %lld %lld %d", (long long)idx->samples, (long long)idx->height,
             (long long)idx->width, (long long)idx->channels, job->n_class_names);
    sums_add_bytes(sums, text, strlen(text) + 1);
    for (int i = 0; i < job->n_class_names; i++)
        sums_add_bytes(sums, job->class_names[i], strlen(job->class_names[i]) + 1);
}

static void sums_close(struct sums *sums) {
    for (int i = 0; i < 2; i++) ls_hash_close(sums->half[i]);
}

static void sums_add(struct sums *sums, const struct ls_idx *idx, const struct block *block, int64_t n) {
    size_t channels = (size_t)idx->channels, bytes = (size_t)n * idx->sample_bytes;
    sums_add_bytes(sums, block->samples, bytes);
    sums_add_bytes(sums, block->raw_labels, (size_t)n);
    for (size_t c = 0; c < channels; c++) {
        uint64_t sum = 0, squares = 0;
        for (size_t i = c; i < bytes; i += channels) {
            sum += block->samples[i];
            squares += (uint64_t)block->samples[i] * block->samples[i];
        }
        sums->sum[c] += sum;
        sums->squares[c] += squares;
    }
}

static void summarize(const struct sums *sums, const struct ls_idx *idx, struct summary *summary) {
    double count = (double)idx->samples * (double)idx->height * (double)idx->width;
    for (int64_t c = 0; c < idx->channels; c++) {
        double mean = (double)sums->sum[c] / count, variance = (double)sums->squares[c] / count - mean * mean;
        summary->mean[c] = mean / 255;
        summary->std[c] = sqrt(variance > 0 ? variance : 0) / 255;
    }
    // A UUID of version 8 (RFC 9562), whose bits are the maker's own: here a hash of the content.
    uint64_t high = ls_hash_value(sums->half[0]), low = ls_hash_value(sums->half[1]);
    snprintf(summary->uuid, sizeof summary->uuid, "%08x-%04x-8%03x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff),
             (unsigned)(low >> 48 & 0x3fff) | 0x8000, (unsigned long long)(low & 0xffffffffffff));
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
                               struct sums *sums) {
    while (idx->next < idx->samples) {
        int64_t first = idx->next, left = idx->samples - first, n = left < block->room ? left : block->room;
        LS_TRY(block_read(block, idx, n));
        LS_TRY(check_labels(job, block, first, n));
        sums_add(sums, idx, block, n);
    }
    return LS_OK;
}

// ---- second reading: shards

struct shards {
    const struct ls_pack_idx *job;
    const struct summary *summary;
    struct ls_idx idx;
    struct block block;
    struct shard_name {
        char *path, *temporary;
    } * names;
    int written, renamed;
};

static char *format_path(const char *folder, const char *name, int shard, int shards, const char *suffix) {
    size_t bytes = strlen(folder) + strlen(name) + strlen(suffix) + 48;
    char *path = malloc(bytes);
    if (path) snprintf(path, bytes, "%s/%s-%05d-of-%05d.h5%s", folder, name, shard, shards, suffix);
    return path;
}

static ls_status name_shards(struct shards *shards) {
    const struct ls_pack_idx *job = shards->job;
    char suffix[32];
    snprintf(suffix, sizeof suffix, ".%ld.tmp", (long)getpid());
    shards->names = calloc((size_t)job->shards, sizeof *shards->names);
    for (int i = 0; shards->names && i < job->shards; i++) {
        shards->names[i].path = format_path(job->folder, job->name, i, job->shards, "");
        shards->names[i].temporary = format_path(job->folder, job->name, i, job->shards, suffix);
        if (!shards->names[i].path || !shards->names[i].temporary)
            return LS_FAIL(LS_SYSTEM, "%s: out of memory", job->folder);
    }
    return shards->names ? LS_OK : LS_FAIL(LS_SYSTEM, "%s: out of memory", job->folder);
}

static ls_status write_attributes(const struct shards *shards, struct ls_h5 *file, int shard) {
    const struct ls_pack_idx *job = shards->job;
    int channels = (int)shards->idx.channels;
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_FORMAT, LS_SHARD_FORMAT));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_VERSION, LS_SHARD_VERSION));
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_UUID, shards->summary->uuid));
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_SPLIT, job->name));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_SHARD, shard));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_SHARDS, job->shards));
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_AXES, "NHWC"));
    LS_TRY(ls_h5_set_f64(file, "/", LS_SHARD_ATTR_MEAN, shards->summary->mean, channels));
    return ls_h5_set_f64(file, "/", LS_SHARD_ATTR_STD, shards->summary->std, channels);
}

static ls_status write_samples(struct shards *shards, struct ls_h5 *file, int64_t samples) {
    struct ls_idx *idx = &shards->idx;
    struct block *block = &shards->block;
    int64_t dim[4] = {samples, idx->height, idx->width, idx->channels};
    LS_TRY(ls_h5_make(file, LS_SHARD_IMAGES, LS_U8, 4, dim));
    LS_TRY(ls_h5_make(file, LS_SHARD_LABELS, LS_I32, 1, dim));
    LS_TRY(ls_h5_make(file, LS_SHARD_IDS, LS_U64, 1, dim));
    LS_TRY(ls_h5_make(file, LS_SHARD_CRC, LS_U32, 1, dim));
    for (int64_t done = 0, n; done < samples; done += n) {
        n = samples - done < block->room ? samples - done : block->room;
        LS_TRY(block_read(block, idx, n));
        LS_TRY(ls_h5_write_rows(file, LS_SHARD_IMAGES, done, n, LS_U8, block->samples));
        LS_TRY(ls_h5_write_rows(file, LS_SHARD_LABELS, done, n, LS_I32, block->labels));
        LS_TRY(ls_h5_write_rows(file, LS_SHARD_IDS, done, n, LS_U64, block->ids));
        LS_TRY(ls_h5_write_rows(file, LS_SHARD_CRC, done, n, LS_U32, block->crc));
    }
    return LS_OK;
}

static ls_status write_content(struct shards *shards, struct ls_h5 *file, int shard) {
    const struct ls_pack_idx *job = shards->job;
    int64_t begin = shards->idx.samples * shard / job->shards;
    int64_t end = shards->idx.samples * (shard + 1) / job->shards;
    LS_TRY(write_attributes(shards, file, shard));
    LS_TRY(write_samples(shards, file, end - begin));
    if (!job->n_class_names) return LS_OK;
    return ls_h5_write_strings(file, LS_SHARD_CLASS_NAMES, job->class_names, job->n_class_names);
}

static ls_status write_shard(struct shards *shards, int shard) {
    struct ls_h5 *file;
    shards->written = shard + 1; // a file that cannot be made may be there all the same
    LS_TRY(ls_h5_create(shards->names[shard].temporary, &file));
    ls_status status = write_content(shards, file, shard);
    if (status == LS_OK) return ls_h5_finish(file);
    ls_h5_close(file);
    return status;
}

static ls_status write_shards(struct shards *shards) {
    LS_TRY(name_shards(shards));
    LS_TRY(ls_idx_open(&shards->idx, shards->job->images, shards->job->labels));
    LS_TRY(block_make(&shards->block, &shards->idx));
    for (int i = 0; i < shards->job->shards; i++) LS_TRY(write_shard(shards, i));
    for (; shards->renamed < shards->job->shards; shards->renamed++)
        LS_TRY(ls_file_commit(shards->names[shards->renamed].temporary, shards->names[shards->renamed].path));
    return LS_OK;
}

// A set with shards missing would be worse than none.
static void remove_shards(const struct shards *shards) {
    for (int i = 0; i < shards->written; i++) unlink(shards->names[i].temporary);
    for (int i = 0; i < shards->renamed; i++) unlink(shards->names[i].path);
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
    if (job->shards < 1 || job->shards > MOST_SHARDS)
        return LS_FAIL(LS_INPUT, "shards: expected 1 to %d, found %d", MOST_SHARDS, job->shards);
    if (!*job->name || strchr(job->name, '/'))
        return LS_FAIL(LS_INPUT, "name: expected a name without a slash, found '%s'", job->name);
    return LS_OK;
}

static ls_status check_source(const struct ls_pack_idx *job, const struct ls_idx *idx) {
    if (idx->samples < job->shards)
        return LS_FAIL(LS_INPUT, "%s: expected at least one sample for each of %d shards, found %lld",
                       job->images, job->shards, (long long)idx->samples);
    if (idx->channels > MOST_CHANNELS)
        return LS_FAIL(LS_INPUT, "%s: expected at most %d channels, found %lld", job->images, MOST_CHANNELS,
                       (long long)idx->channels);
    return LS_OK;
}

// A pattern like train-*.h5 would take the shards of both counts.
static ls_status check_folder(const struct ls_pack_idx *job) {
    DIR *folder = opendir(job->folder);
    if (!folder) return LS_OK;
    ls_status status = LS_OK;
    size_t length = strlen(job->name);
    for (struct dirent *entry; status == LS_OK && (entry = readdir(folder));) {
        int shard, shards, end = 0;
        if (strncmp(entry->d_name, job->name, length) != 0) continue;
        if (sscanf(entry->d_name + length, "-%5d-of-%5d.h5%n", &shard, &shards, &end) != 2) continue;
        if (end == 0 || entry->d_name[length + (size_t)end] || shards == job->shards) continue;
        status = LS_FAIL(LS_INPUT,
                         "%s: expected no shards of another count than %d there, found %s; remove them first",
                         job->folder, job->shards, entry->d_name);
    }
    closedir(folder);
    return status;
}

static ls_status learn_from(const struct ls_pack_idx *job, struct ls_idx *idx, struct sums *sums,
                            struct summary *summary) {
    struct block block = {0};
    LS_TRY(check_source(job, idx));
    ls_status status = block_make(&block, idx);
    if (status == LS_OK) {
        sums_open(sums, idx, job);
        status = first_reading(job, idx, &block, sums);
        if (status == LS_OK) summarize(sums, idx, summary);
        sums_close(sums);
    }
    block_free(&block);
    return status;
}

static ls_status learn(const struct ls_pack_idx *job, struct summary *summary) {
    struct ls_idx idx;
    struct sums *sums = calloc(1, sizeof *sums);
    if (!sums) return LS_FAIL(LS_SYSTEM, "%s: out of memory", job->images);
    ls_status status = ls_idx_open(&idx, job->images, job->labels);
    if (status == LS_OK) {
        status = learn_from(job, &idx, sums, summary);
        ls_idx_close(&idx);
    }
    free(sums);
    return status;
}

static ls_status pack(const struct ls_pack_idx *job, struct summary *summary) {
    LS_TRY(learn(job, summary));
    LS_TRY(ls_make_folders(job->folder));
    struct shards shards = {.job = job, .summary = summary};
    ls_status status = write_shards(&shards);
    if (status != LS_OK) remove_shards(&shards);
    free_shards(&shards);
    return status;
}

ls_status ls_pack_idx(const struct ls_pack_idx *job) {
    LS_TRY(check_job(job));
    LS_TRY(check_folder(job));
    struct summary *summary = calloc(1, sizeof *summary);
    if (!summary) return LS_FAIL(LS_SYSTEM, "%s: out of memory", job->images);
    ls_status status = pack(job, summary);
    free(summary);
    return status;
}
