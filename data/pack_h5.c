// HDF5 files as a source: whatever a data set reads.
#include "base/log.h"
#include "data/dataset.h"
#include "data/pack_parts.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 20 };

struct h5 {
    struct ls_pack_source source;
    struct ls_dataset *dataset;
    const char *target; // the dataset's name
};

// Memory of a thread for samples before their axes are turned.
struct worker {
    void *rows;
};

static void *make_worker(struct ls_pack_source *source) {
    const struct ls_dataset_info *info = ls_dataset_info(((struct h5 *)source)->dataset);
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker || !info->channels_first) return worker;
    worker->rows = malloc((size_t)source->piece * info->sample_bytes);
    if (worker->rows) return worker;
    free(worker);
    return NULL;
}

static void drop_worker(void *argument) {
    struct worker *worker = argument;
    free(worker->rows);
    free(worker);
}

static ls_status check_classes(const struct h5 *h5, const struct ls_pack_batch *batch) {
    for (int64_t i = 0; i < batch->n; i++) {
        int64_t row;
        const char *path = ls_dataset_locate(h5->dataset, batch->which[i], &row);
        const ls_status status =
            ls_pack_check_class(&h5->source, h5->target, row, ((const int32_t *)batch->targets)[i]);
        if (status != LS_OK) ls_error_prefix("%s", path);
        LS_TRY(status);
    }
    return LS_OK;
}

static ls_status check_integers(const struct h5 *h5, const struct ls_pack_batch *batch) {
    const struct ls_dataset_info *info = ls_dataset_info(h5->dataset);
    for (int64_t i = 0; i < batch->n && info->flat && info->type == LS_F32; i++) {
        int64_t row;
        const char *path = ls_dataset_locate(h5->dataset, batch->which[i], &row);
        LS_TRY(ls_pack_check_integers(&h5->source, ls_dataset_stored_type(h5->dataset, batch->which[i]), path,
                                      row, (const float *)batch->samples + i * info->channels));
    }
    return LS_OK;
}

static ls_status read_dataset(struct ls_pack_source *source, void *argument,
                              const struct ls_pack_batch *batch) {
    struct h5 *h5 = (struct h5 *)source;
    const struct worker *worker = argument;
    LS_TRY(ls_dataset_read(h5->dataset, batch->which, batch->n, worker->rows ? worker->rows : batch->samples,
                           batch->targets, batch->ids, true));
    LS_TRY(check_integers(h5, batch));
    if (worker->rows) ls_pack_channels_last(&source->shape, batch->n, worker->rows, batch->samples);
    return source->shape.classes ? check_classes(h5, batch) : LS_OK;
}

static void close_h5(struct ls_pack_source *source) {
    ls_dataset_close(((struct h5 *)source)->dataset);
    free(source);
}

static ls_status set_source(struct h5 *h5, const struct ls_pack_h5 *job) {
    const struct ls_dataset_info *info = ls_dataset_info(h5->dataset);
    struct ls_pack_source *source = &h5->source;
    struct ls_shard_shape *shape = &source->shape;
    int64_t row = (int64_t)info->sample_bytes;
    *shape = (struct ls_shard_shape){.type = info->type,
                                     .rank = info->flat ? 1 : 3,
                                     .classes = info->target_is_class,
                                     .target_values = info->target_is_class ? 1 : info->target_values};
    const int64_t dim[3] = {info->height, info->width, info->channels};
    memcpy(shape->dim, info->flat ? dim + 2 : dim, (size_t)shape->rank * sizeof *dim);
    source->samples = info->samples;
    source->piece = row < PIECE_BYTES ? PIECE_BYTES / row : 1;
    source->class_names = ls_dataset_class_names(h5->dataset, &source->n_class_names);
    ls_note("%s", ls_dataset_path_note(h5->dataset));
    return job->class_names ? ls_pack_read_class_names(source, job->class_names) : LS_OK;
}

ls_status ls_pack_h5_open(const struct ls_pack_h5 *job, struct ls_pack_source **result) {
    *result = NULL;
    struct h5 *h5 = calloc(1, sizeof *h5);
    if (!h5) return LS_FAIL(LS_SYSTEM, "out of memory");
    h5->target = job->target;
    h5->source = (struct ls_pack_source){.noun = "samples",
                                         .path = job->files[0],
                                         .make_worker = make_worker,
                                         .drop_worker = drop_worker,
                                         .read = read_dataset,
                                         .close = close_h5};
    struct ls_dataset_spec spec = {.patterns = job->files,
                                   .n_patterns = job->n_files,
                                   .input = job->input,
                                   .target = job->target,
                                   .axes = job->axes};
    ls_status status = ls_dataset_open(&spec, &h5->dataset);
    if (status == LS_OK) status = set_source(h5, job);
    if (status == LS_OK)
        *result = &h5->source;
    else
        ls_pack_source_close(&h5->source);
    return status;
}
