// What the tests of data/ share: HDF5 files in their folder.
#pragma once

#include "base/hash.h"
#include "data/dataset.h"
#include "data/shard.h"
#include "h5/h5.h"
#include "unit/scratch.h"

#include <math.h>

#define DIM(...) (const int64_t[]){__VA_ARGS__}, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static inline struct ls_h5 *make_file(const char *name) {
    struct ls_h5 *file;
    assert_ok(ls_h5_create(scratch(name), &file));
    return file;
}

static inline void add_data(struct ls_h5 *file, const char *name, ls_dtype type, const int64_t *dim, int rank,
                            const void *data) {
    assert_ok(ls_h5_write(file, name, type, rank, dim, data));
}

// `numbers` as the type stores them. Halves hold 0, 1 and 0.5 alone.
static inline void store_numbers(ls_dtype type, const double *numbers, int n, void *out) {
    for (int i = 0; i < n; i++) {
        const double x = numbers[i];
        switch (type) {
        case LS_F32: ((float *)out)[i] = (float)x; break;
        case LS_F64: ((double *)out)[i] = x; break;
        case LS_F16: ((uint16_t *)out)[i] = x == 0 ? 0 : x == 1 ? 0x3c00 : 0x3800; break;
        case LS_U8: ((uint8_t *)out)[i] = (uint8_t)x; break;
        case LS_I8: ((int8_t *)out)[i] = (int8_t)x; break;
        case LS_U16: ((uint16_t *)out)[i] = (uint16_t)x; break;
        case LS_I16: ((int16_t *)out)[i] = (int16_t)x; break;
        case LS_U32: ((uint32_t *)out)[i] = (uint32_t)x; break;
        case LS_I32: ((int32_t *)out)[i] = (int32_t)x; break;
        case LS_U64: ((uint64_t *)out)[i] = (uint64_t)x; break;
        case LS_I64: ((int64_t *)out)[i] = (int64_t)x; break;
        default: fail_msg("no such type");
        }
    }
}

// Byte `b` of sample `id` of every file of u8 images here.
static inline uint8_t pixel_of(uint64_t id, int64_t b) {
    return (uint8_t)(id * 31 + (uint64_t)b * 7 + (id >> 3));
}

static inline int32_t label_of(uint64_t id) {
    return (int32_t)(id % 10);
}

// [n, h, w, c] u8 images and i32 labels of the samples first, first + 1, …
static inline void write_images(const char *name, int64_t first, int64_t n, int64_t h, int64_t w, int64_t c) {
    int64_t bytes = h * w * c;
    uint8_t *images = malloc((size_t)(n * bytes) + 1);
    int32_t *labels = malloc((size_t)n * sizeof *labels + 1);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t b = 0; b < bytes; b++) images[i * bytes + b] = pixel_of((uint64_t)(first + i), b);
        labels[i] = label_of((uint64_t)(first + i));
    }
    struct ls_h5 *file = make_file(name);
    add_data(file, "images", LS_U8, DIM(n, h, w, c), images);
    add_data(file, "labels", LS_I32, DIM(n), labels);
    assert_ok(ls_h5_finish(file));
    free(images);
    free(labels);
}

// A shard as the packer writes it, of 2 x 2 x 1 images, with one thing wrong where `wrong` names it.
static inline void write_shard(const char *name, int64_t n, const char *wrong) {
    uint8_t *images = malloc((size_t)n * 4);
    int32_t *labels = malloc((size_t)n * sizeof *labels);
    uint64_t *ids = malloc((size_t)n * sizeof *ids);
    uint32_t *crcs = malloc((size_t)n * sizeof *crcs);
    for (int64_t i = 0; i < n; i++) {
        ids[i] = (uint64_t)(1000 - i);
        for (int64_t b = 0; b < 4; b++) images[i * 4 + b] = pixel_of(ids[i], b);
        labels[i] = (int32_t)(i % 3);
        if (i == n - 1 && strcmp(wrong, "negative") == 0) labels[i] = -1;
        if (i == n - 1 && strcmp(wrong, "label") == 0) labels[i] = 3;
        if (i == n - 1 && strcmp(wrong, "id") == 0) ids[i] = 1000;
        crcs[i] = ls_crc32c(ls_crc32c(0, &images[i * 4], 4), &labels[i], 4);
    }
    if (strcmp(wrong, "crc") == 0) images[4 * (n - 1)] ^= 1;
    if (strcmp(wrong, "crc of label") == 0) labels[n - 1] = (labels[n - 1] + 1) % 3;
    struct ls_h5 *file = make_file(name);
    const char *classes[] = {"cat", "dog", "Bär"};
    double sum = 0, squares = 0, count = (double)n * 4;
    for (int64_t i = 0; i < n * 4; i++) sum += images[i], squares += (double)images[i] * images[i];
    double mean = strcmp(wrong, "mean") == 0 ? NAN : sum / count / 255;
    double std = sqrt(squares / count - sum / count * (sum / count)) / 255;
    if (strcmp(wrong, "statistics") == 0) std += 1e-6;
    assert_ok(ls_h5_set_text(file, "/", LS_SHARD_ATTR_FORMAT, LS_SHARD_FORMAT));
    assert_ok(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_VERSION, strcmp(wrong, "version") == 0 ? 99 : 1));
    assert_ok(ls_h5_set_text(file, "/", LS_SHARD_ATTR_UUID, "5d3f3c7e-0000-4000-8000-000000000000"));
    assert_ok(ls_h5_set_text(file, "/", LS_SHARD_ATTR_SPLIT, "train"));
    assert_ok(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_SHARD, strcmp(wrong, "shard") == 0 ? 4 : 1));
    assert_ok(ls_h5_set_i64(file, "/", LS_SHARD_ATTR_SHARDS, 4));
    assert_ok(ls_h5_set_text(file, "/", LS_SHARD_ATTR_AXES, "NHWC"));
    assert_ok(ls_h5_set_f64(file, "/", LS_SHARD_ATTR_MEAN, &mean, 1));
    assert_ok(ls_h5_set_f64(file, "/", LS_SHARD_ATTR_STD, &std, 1));
    add_data(file, LS_SHARD_IMAGES, LS_U8, DIM(n, 2, 2, 1), images);
    add_data(file, LS_SHARD_LABELS, LS_I32, DIM(n), labels);
    if (strcmp(wrong, "no ids") != 0) add_data(file, LS_SHARD_IDS, LS_U64, DIM(n), ids);
    add_data(file, LS_SHARD_CRC, LS_U32, DIM(strcmp(wrong, "short crc") == 0 ? n - 1 : n), crcs);
    assert_ok(ls_h5_write_strings(file, LS_SHARD_CLASS_NAMES, classes, 3));
    assert_ok(ls_h5_finish(file));
    free(images);
    free(labels);
    free(ids);
    free(crcs);
}

static inline ls_status open_set(const char *pattern, const char *axes, struct ls_dataset **set) {
    const char *patterns[] = {scratch(pattern)};
    struct ls_dataset_spec spec = {.patterns = patterns,
                                   .n_patterns = 1,
                                   .input = "images",
                                   .target = "labels",
                                   .what = "data.train",
                                   .axes = axes};
    return ls_dataset_open(&spec, set);
}
