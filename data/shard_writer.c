#include "data/shard_writer.h"

#include "base/hash.h"
#include "data/shard.h"
#include "data/statistics.h"
#include "h5/h5.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ls_shard_writer {
    struct ls_shard_about about;
    struct ls_h5 *file;
    char *path;
    int64_t samples, done;
    uint32_t *crcs; // of a block
    uint32_t ids_crc;
    int64_t room;
    bool measures; // few enough channels
    struct ls_statistics statistics;
};

// ---- shapes

int64_t ls_shard_sample_values(const struct ls_shard_shape *shape) {
    int64_t values = 1;
    for (int i = 0; i < shape->rank; i++) values *= shape->dim[i];
    return values;
}

size_t ls_shard_sample_bytes(const struct ls_shard_shape *shape) {
    return (size_t)ls_shard_sample_values(shape) * ls_dtype_bytes(shape->type);
}

size_t ls_shard_target_bytes(const struct ls_shard_shape *shape) {
    return (size_t)shape->target_values * 4; // i32 or f32
}

int64_t ls_shard_channels(const struct ls_shard_shape *shape) {
    return shape->dim[shape->rank - 1];
}

// ---- opening

static ls_status write_attributes(struct ls_h5 *file, const struct ls_shard_about *about) {
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_FORMAT, LS_SHARD_FORMAT));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_VERSION, LS_SHARD_VERSION));
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_UUID, about->uuid));
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_SPLIT, about->split));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_SHARD, about->shard));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_SHARDS, about->shards));
    return ls_h5_set_text(file, "/", LS_SHARD_ATTR_AXES, about->shape.rank == 1 ? "NC" : "NHWC");
}

static ls_dtype target_type(const struct ls_shard_shape *shape) {
    return shape->classes ? LS_I32 : LS_F32;
}

static ls_status begin(struct ls_shard_writer *writer) {
    const struct ls_shard_shape *shape = &writer->about.shape;
    int64_t dim[4] = {writer->samples, shape->dim[0], shape->dim[1], shape->dim[2]};
    int64_t target[2] = {writer->samples, shape->target_values};
    LS_TRY(ls_h5_create(writer->path, &writer->file));
    LS_TRY(write_attributes(writer->file, &writer->about));
    LS_TRY(ls_h5_make(writer->file, LS_SHARD_IMAGES, shape->type, 1 + shape->rank, dim));
    LS_TRY(ls_h5_make(writer->file, LS_SHARD_LABELS, target_type(shape), shape->target_values > 1 ? 2 : 1,
                      target));
    LS_TRY(ls_h5_make(writer->file, LS_SHARD_IDS, LS_U64, 1, dim));
    return ls_h5_make(writer->file, LS_SHARD_CRC, LS_U32, 1, dim);
}

static void free_writer(struct ls_shard_writer *writer) {
    free(writer->path);
    free(writer->crcs);
    ls_statistics_close(&writer->statistics);
    free(writer);
}

void ls_shard_writer_abandon(struct ls_shard_writer *writer) {
    if (!writer) return;
    if (writer->file) ls_h5_close(writer->file);
    unlink(writer->path); // one that could not be made may be there all the same
    free_writer(writer);
}

ls_status ls_shard_writer_open(const char *path, const struct ls_shard_about *about, int64_t samples,
                               struct ls_shard_writer **result) {
    *result = NULL;
    struct ls_shard_writer *writer = calloc(1, sizeof *writer);
    if (writer) *writer = (struct ls_shard_writer){.about = *about, .samples = samples, .path = strdup(path)};
    if (!writer || !writer->path) {
        free(writer);
        return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    }
    int64_t channels = ls_shard_channels(&about->shape);
    writer->measures = channels <= LS_SHARD_MOST_CHANNELS;
    ls_status status = LS_OK;
    if (writer->measures) status = ls_statistics_open(&writer->statistics, about->shape.type, channels);
    if (status == LS_OK) status = begin(writer);
    if (status == LS_OK)
        *result = writer;
    else
        ls_shard_writer_abandon(writer);
    return status;
}

// ---- samples

static uint32_t sample_crc(const char *sample, size_t sample_bytes, const char *target, size_t target_bytes) {
    return ls_crc32c(ls_crc32c(0, sample, sample_bytes), target, target_bytes);
}

ls_status ls_shard_writer_add(struct ls_shard_writer *writer, int64_t n, const void *samples,
                              const void *targets, const uint64_t *ids) {
    const struct ls_shard_shape *shape = &writer->about.shape;
    size_t sample_bytes = ls_shard_sample_bytes(shape), target_bytes = ls_shard_target_bytes(shape);
    if (writer->room < n) {
        uint32_t *crcs = realloc(writer->crcs, (size_t)n * sizeof *crcs);
        if (!crcs)
            return LS_FAIL(LS_SYSTEM, "%s: out of memory for %lld checksums", writer->path, (long long)n);
        writer->crcs = crcs;
        writer->room = n;
    }
    for (int64_t i = 0; i < n; i++)
        writer->crcs[i] = sample_crc((const char *)samples + (size_t)i * sample_bytes, sample_bytes,
                                     (const char *)targets + (size_t)i * target_bytes, target_bytes);
    if (writer->measures) ls_statistics_add(&writer->statistics, n, ls_shard_sample_values(shape), samples);
    LS_TRY(ls_h5_write_rows(writer->file, LS_SHARD_IMAGES, writer->done, n, shape->type, samples));
    LS_TRY(ls_h5_write_rows(writer->file, LS_SHARD_LABELS, writer->done, n, target_type(shape), targets));
    LS_TRY(ls_h5_write_rows(writer->file, LS_SHARD_IDS, writer->done, n, LS_U64, ids));
    writer->ids_crc = ls_crc32c(writer->ids_crc, ids, (size_t)n * sizeof *ids);
    LS_TRY(ls_h5_write_rows(writer->file, LS_SHARD_CRC, writer->done, n, LS_U32, writer->crcs));
    writer->done += n;
    return LS_OK;
}

// ---- the end

static ls_status write_statistics(struct ls_shard_writer *writer) {
    if (writer->measures) {
        double mean[LS_SHARD_MOST_CHANNELS], std[LS_SHARD_MOST_CHANNELS];
        int channels = (int)writer->statistics.channels;
        ls_statistics_result(&writer->statistics, mean, std);
        LS_TRY(ls_h5_set_f64(writer->file, "/", LS_SHARD_ATTR_MEAN, mean, channels));
        LS_TRY(ls_h5_set_f64(writer->file, "/", LS_SHARD_ATTR_STD, std, channels));
    }
    return LS_OK;
}

// What the checksums of the samples do not cover has one of its own.
static ls_status write_names(struct ls_shard_writer *writer) {
    const struct ls_shard_about *about = &writer->about;
    LS_TRY(ls_h5_set_i64(writer->file, LS_SHARD_IDS, LS_SHARD_ATTR_CRC, writer->ids_crc));
    if (!about->n_class_names) return LS_OK;
    uint32_t crc = 0;
    for (int i = 0; i < about->n_class_names; i++)
        crc = ls_crc32c(crc, about->class_names[i], strlen(about->class_names[i]) + 1);
    LS_TRY(ls_h5_write_strings(writer->file, LS_SHARD_CLASS_NAMES, about->class_names, about->n_class_names));
    return ls_h5_set_i64(writer->file, LS_SHARD_CLASS_NAMES, LS_SHARD_ATTR_CRC, crc);
}

ls_status ls_shard_writer_finish(struct ls_shard_writer *writer) {
    ls_status status = write_statistics(writer);
    if (status == LS_OK) status = write_names(writer);
    struct ls_h5 *file = writer->file;
    if (status == LS_OK) {
        writer->file = NULL; // closed in any case
        status = ls_h5_finish(file);
    }
    if (status != LS_OK)
        ls_shard_writer_abandon(writer);
    else
        free_writer(writer);
    return status;
}

// ---- names

char *ls_shard_path(const char *folder, const char *name, int shard, int shards, const char *suffix) {
    size_t bytes = strlen(folder) + strlen(name) + strlen(suffix) + 48;
    char *path = malloc(bytes);
    if (path) snprintf(path, bytes, "%s/%s-%05d-of-%05d.h5%s", folder, name, shard, shards, suffix);
    return path;
}

void ls_uuid_of(uint64_t high, uint64_t low, char text[LS_UUID_TEXT]) {
    snprintf(text, LS_UUID_TEXT, "%08x-%04x-8%03x-%04x-%012llx", (unsigned)(high >> 32),
             (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff),
             (unsigned)(low >> 48 & 0x3fff) | 0x8000, (unsigned long long)(low & 0xffffffffffff));
}

// Is `file` NAME-00000-of-00004.h5 and `suffix`, as ls_shard_path makes it?
static bool is_shard(const char *file, const char *name, const char *suffix, int *shards) {
    const size_t length = strlen(name);
    int shard, end = 0;
    if (strncmp(file, name, length) != 0) return false;
    if (sscanf(file + length, "-%5d-of-%5d.h5%n", &shard, shards, &end) != 2) return false;
    return end > 0 && strcmp(file + length + end, suffix) == 0;
}

ls_status ls_shard_check_folder(const char *path, const char *name, int count) {
    DIR *folder = opendir(path);
    if (!folder) return LS_OK;
    ls_status status = LS_OK;
    for (struct dirent *entry; status == LS_OK && (entry = readdir(folder));) {
        int shards;
        if (!is_shard(entry->d_name, name, "", &shards) || shards == count) continue;
        status = LS_FAIL(LS_INPUT,
                         "%s: expected no shards of another count than %d there, found %s; remove them first",
                         path, count, entry->d_name);
    }
    closedir(folder);
    return status;
}

void ls_shard_clear_folder(const char *path, const char *name) {
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        int shards;
        if (is_shard(entry->d_name, name, LS_SHARD_TEMPORARY, &shards))
            (void)unlinkat(dirfd(folder), entry->d_name, 0); // one that stays does no harm
    }
    closedir(folder);
}
