// A folder of pictures as a source: each is decoded and brought to one size when it is read.
#include "base/file.h"
#include "base/hash.h"
#include "data/pack_parts.h"
#include "data/picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t MOST_PICTURE_BYTES = (size_t)1 << 30; // of a file

struct pictures {
    struct ls_pack_source source;
    struct ls_pack_folder folder;
    const char *path;
    int side, channels;
};

// What a thread decodes with.
struct worker {
    struct ls_picture picture;
    struct ls_resize_scratch scratch;
};

static void *make_worker(struct ls_pack_source *source) {
    (void)source;
    return calloc(1, sizeof(struct worker));
}

static void drop_worker(void *argument) {
    struct worker *worker = argument;
    ls_picture_free(&worker->picture);
    free(worker->scratch.memory);
    free(worker);
}

static ls_status load(const struct pictures *pictures, struct worker *worker, const char *path, void *out) {
    char *bytes;
    size_t n;
    LS_TRY(ls_file_read(path, MOST_PICTURE_BYTES, &bytes, &n));
    ls_status status =
        ls_picture_decode((const uint8_t *)bytes, n, pictures->side, pictures->channels, &worker->picture);
    free(bytes);
    if (status == LS_OK) status = ls_picture_square(&worker->picture, pictures->side, &worker->scratch, out);
    if (status != LS_OK) ls_error_prefix("%s", path);
    return status;
}

static ls_status read_pictures(struct ls_pack_source *source, void *worker,
                               const struct ls_pack_batch *batch) {
    const struct pictures *pictures = (const struct pictures *)source;
    size_t bytes = ls_shard_sample_bytes(&source->shape);
    for (int64_t i = 0; i < batch->n; i++) {
        const struct ls_pack_file *file = &pictures->folder.files[batch->which[i]];
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", pictures->path, file->path);
        ((int32_t *)batch->targets)[i] = file->label;
        LS_TRY(load(pictures, worker, path, (char *)batch->samples + (size_t)i * bytes));
    }
    return LS_OK;
}

static int64_t find(const struct ls_pack_source *source, const char *name) {
    return ls_pack_folder_find(&((const struct pictures *)source)->folder, name);
}

static void close_pictures(struct ls_pack_source *source) {
    struct pictures *pictures = (struct pictures *)source;
    ls_pack_folder_close(&pictures->folder);
    free(pictures);
}

// Files, and what is made of them.
static uint64_t hash_of(const struct ls_pack_folder *folder) {
    const int squares = LS_PICTURE_SQUARES;
    struct ls_hash *hash = ls_hash_open();
    ls_hash_add(hash, &squares, sizeof squares);
    for (int64_t i = 0; i < folder->n; i++) {
        const struct ls_pack_file *file = &folder->files[i];
        ls_hash_add(hash, file->path, strlen(file->path) + 1);
        ls_hash_add(hash, &file->bytes, sizeof file->bytes);
    }
    uint64_t value = ls_hash_value(hash);
    ls_hash_close(hash);
    return value;
}

ls_status ls_pack_images_open(const struct ls_pack_images *job, struct ls_pack_source **result) {
    *result = NULL;
    if (job->side < 1 || job->side > 16384)
        return LS_FAIL(LS_INPUT, "--size: expected 1 to 16384, found %d", job->side);
    if (job->channels != 1 && job->channels != 3)
        return LS_FAIL(LS_INPUT, "channels: expected 1 or 3, found %d", job->channels);
    struct pictures *pictures = calloc(1, sizeof *pictures);
    if (!pictures) return LS_FAIL(LS_SYSTEM, "out of memory");
    *pictures = (struct pictures){.path = job->folder, .side = job->side, .channels = job->channels};
    ls_status status = ls_pack_folder_open(job->folder, &pictures->folder);
    if (status != LS_OK) {
        free(pictures);
        return status;
    }
    pictures->source = (struct ls_pack_source){.noun = "pictures",
                                               .path = job->folder,
                                               .samples = pictures->folder.n,
                                               .shape = {.type = LS_U8,
                                                         .rank = 3,
                                                         .dim = {job->side, job->side, job->channels},
                                                         .classes = true,
                                                         .target_values = 1},
                                               .class_names = pictures->folder.class_names,
                                               .n_class_names = pictures->folder.n_classes,
                                               .ignored = pictures->folder.ignored,
                                               .listed = true,
                                               .content = hash_of(&pictures->folder),
                                               .piece = 1,
                                               .make_worker = make_worker,
                                               .drop_worker = drop_worker,
                                               .read = read_pictures,
                                               .find = find,
                                               .close = close_pictures};
    *result = &pictures->source;
    return LS_OK;
}
