#include "data/shard_writer.h"

#include "base/hash.h"
#include "data/shard.h"
#include "h5/h5.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ls_shard_writer {
    struct ls_shard_about about;
    struct ls_h5 *file;
    char *path;
    int64_t samples, done;
    size_t sample_bytes;
    uint32_t *crcs; // of a block
    int64_t room;
    uint64_t *sum, *squares; // [channels]
};

// ---- opening

static ls_status write_attributes(struct ls_h5 *file, const struct ls_shard_about *about) {
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_FORMAT, LS_SHARD_FORMAT));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_VERSION, LS_SHARD_VERSION));
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_UUID, about->uuid));
    LS_TRY(ls_h5_set_text(file, "/", LS_SHARD_ATTR_SPLIT, about->split));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_SHARD, about->shard));
    LS_TRY(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_SHARDS, about->shards));
    return ls_h5_set_text(file, "/", LS_SHARD_ATTR_AXES, "NHWC");
}

static ls_status begin(struct ls_shard_writer *writer) {
    const struct ls_shard_about *about = &writer->about;
    int64_t dim[4] = {writer->samples, about->height, about->width, about->channels};
    LS_TRY(ls_h5_create(writer->path, &writer->file));
    LS_TRY(write_attributes(writer->file, about));
    LS_TRY(ls_h5_make(writer->file, LS_SHARD_IMAGES, LS_U8, 4, dim));
    LS_TRY(ls_h5_make(writer->file, LS_SHARD_LABELS, LS_I32, 1, dim));
    LS_TRY(ls_h5_make(writer->file, LS_SHARD_IDS, LS_U64, 1, dim));
    return ls_h5_make(writer->file, LS_SHARD_CRC, LS_U32, 1, dim);
}

static void free_writer(struct ls_shard_writer *writer) {
    free(writer->path);
    free(writer->crcs);
    free(writer->sum);
    free(writer->squares);
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
    if (writer) {
        *writer = (struct ls_shard_writer){.about = *about, .samples = samples, .path = strdup(path)};
        writer->sample_bytes = (size_t)(about->height * about->width * about->channels);
        writer->sum = calloc((size_t)about->channels, sizeof *writer->sum);
        writer->squares = calloc((size_t)about->channels, sizeof *writer->squares);
    }
    if (!writer || !writer->path || !writer->sum || !writer->squares) {
        if (writer) free_writer(writer);
        return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    }
    ls_status status = begin(writer);
    if (status == LS_OK)
        *result = writer;
    else
        ls_shard_writer_abandon(writer);
    return status;
}

// ---- samples

static uint32_t sample_crc(const uint8_t *sample, size_t bytes, int32_t label) {
    uint32_t value = (uint32_t)label;
    uint8_t little[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                         (uint8_t)(value >> 24)};
    return ls_crc32c(ls_crc32c(0, sample, bytes), little, sizeof little);
}

// Sums over the numbers whose place modulo `stride` is one; stride is a multiple of the channels, so that the
// inner loop is long. 32 bits hold the squares of 65536 numbers.
enum { MOST_STRIDE = 192, MOST_STEPS = 65536 };

static void add_strides(const uint8_t *restrict samples, size_t steps, size_t stride, uint32_t *restrict sum,
                        uint32_t *restrict squares) {
    for (size_t step = 0; step < steps; step++, samples += stride) {
        for (size_t i = 0; i < stride; i++) {
            sum[i] += samples[i];
            squares[i] += (uint32_t)samples[i] * samples[i];
        }
    }
}

static void add_statistics(struct ls_shard_writer *writer, const uint8_t *samples, size_t bytes) {
    size_t channels = (size_t)writer->about.channels;
    size_t stride = channels < MOST_STRIDE ? MOST_STRIDE / channels * channels : channels;
    uint32_t sum[LS_SHARD_MOST_CHANNELS], squares[LS_SHARD_MOST_CHANNELS];
    while (bytes) {
        if (bytes < stride) stride = channels; // what is left over, pixel by pixel
        size_t steps = bytes / stride < MOST_STEPS ? bytes / stride : MOST_STEPS;
        memset(sum, 0, stride * sizeof *sum);
        memset(squares, 0, stride * sizeof *squares);
        add_strides(samples, steps, stride, sum, squares);
        for (size_t i = 0; i < stride; i++) {
            writer->sum[i % channels] += sum[i];
            writer->squares[i % channels] += squares[i];
        }
        samples += steps * stride;
        bytes -= steps * stride;
    }
}

ls_status ls_shard_writer_add(struct ls_shard_writer *writer, int64_t n, const uint8_t *samples,
                              const int32_t *labels, const uint64_t *ids) {
    if (writer->room < n) {
        uint32_t *crcs = realloc(writer->crcs, (size_t)n * sizeof *crcs);
        if (!crcs)
            return LS_FAIL(LS_SYSTEM, "%s: out of memory for %lld checksums", writer->path, (long long)n);
        writer->crcs = crcs;
        writer->room = n;
    }
    for (int64_t i = 0; i < n; i++)
        writer->crcs[i] =
            sample_crc(samples + (size_t)i * writer->sample_bytes, writer->sample_bytes, labels[i]);
    add_statistics(writer, samples, (size_t)n * writer->sample_bytes);
    LS_TRY(ls_h5_write_rows(writer->file, LS_SHARD_IMAGES, writer->done, n, LS_U8, samples));
    LS_TRY(ls_h5_write_rows(writer->file, LS_SHARD_LABELS, writer->done, n, LS_I32, labels));
    LS_TRY(ls_h5_write_rows(writer->file, LS_SHARD_IDS, writer->done, n, LS_U64, ids));
    LS_TRY(ls_h5_write_rows(writer->file, LS_SHARD_CRC, writer->done, n, LS_U32, writer->crcs));
    writer->done += n;
    return LS_OK;
}

// ---- the end

static ls_status write_statistics(struct ls_shard_writer *writer) {
    const struct ls_shard_about *about = &writer->about;
    static _Thread_local double mean[LS_SHARD_MOST_CHANNELS], std[LS_SHARD_MOST_CHANNELS];
    double count = (double)writer->samples * (double)about->height * (double)about->width;
    for (int64_t c = 0; c < about->channels; c++) {
        double average = (double)writer->sum[c] / count;
        double variance = (double)writer->squares[c] / count - average * average;
        mean[c] = average / 255;
        std[c] = sqrt(variance > 0 ? variance : 0) / 255;
    }
    LS_TRY(ls_h5_set_f64(writer->file, "/", LS_SHARD_ATTR_MEAN, mean, (int)about->channels));
    LS_TRY(ls_h5_set_f64(writer->file, "/", LS_SHARD_ATTR_STD, std, (int)about->channels));
    if (!about->n_class_names) return LS_OK;
    return ls_h5_write_strings(writer->file, LS_SHARD_CLASS_NAMES, about->class_names, about->n_class_names);
}

ls_status ls_shard_writer_finish(struct ls_shard_writer *writer) {
    ls_status status = write_statistics(writer);
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

ls_status ls_shard_check_folder(const char *path, const char *name, int count) {
    DIR *folder = opendir(path);
    if (!folder) return LS_OK;
    ls_status status = LS_OK;
    size_t length = strlen(name);
    for (struct dirent *entry; status == LS_OK && (entry = readdir(folder));) {
        int shard, shards, end = 0;
        if (strncmp(entry->d_name, name, length) != 0) continue;
        if (sscanf(entry->d_name + length, "-%5d-of-%5d.h5%n", &shard, &shards, &end) != 2) continue;
        if (end == 0 || entry->d_name[length + (size_t)end] || shards == count) continue;
        status = LS_FAIL(LS_INPUT,
                         "%s: expected no shards of another count than %d there, found %s; remove them first",
                         path, count, entry->d_name);
    }
    closedir(folder);
    return status;
}
