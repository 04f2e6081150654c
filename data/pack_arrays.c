// A file of samples and one of targets as a source: IDX, NPY.
#include "data/array.h"
#include "data/dataset_parts.h"
#include "data/pack_parts.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 256 << 10 };

struct arrays {
    struct ls_pack_source source;
    struct ls_array samples, targets;
    bool channels_first; // how a sample lies in the file
};

// What a thread reads with: rows as they are stored, and as f32 before their axes are turned.
struct worker {
    struct ls_buffer stored, rows;
};

static void *make_worker(struct ls_pack_source *source) {
    (void)source;
    return calloc(1, sizeof(struct worker));
}

static void drop_worker(void *argument) {
    struct worker *worker = argument;
    free(worker->stored.data);
    free(worker->rows.data);
    free(worker);
}

// ---- reading

// Rows as they are stored, those that follow one another in one call.
static ls_status read_rows(const struct ls_array *array, const int64_t *which, int64_t n, char *out) {
    for (int64_t begin = 0, length; begin < n; begin += length) {
        for (length = 1; begin + length < n && which[begin + length] == which[begin] + length;) length++;
        LS_TRY(ls_array_read(array, which[begin], length, out + (size_t)begin * array->row_bytes));
    }
    return LS_OK;
}

static ls_status to_f32(const struct ls_array *array, const int64_t *which, int64_t n, const void *stored,
                        float *out) {
    int64_t values = n * array->row_values;
    ls_widen(array->type, stored, values, out);
    int64_t bad = ls_first_not_finite(out, values);
    if (bad == values) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: sample %lld is not finite: value %lld of %lld is %g%s", array->bytes.path,
                   (long long)which[bad / array->row_values], (long long)(bad % array->row_values),
                   (long long)array->row_values, (double)out[bad], array->type == LS_F64 ? " as f32" : "");
}

static ls_status to_classes(const struct arrays *arrays, const int64_t *which, int64_t n, const void *stored,
                            int32_t *out) {
    const struct ls_array *array = &arrays->targets;
    int64_t good = ls_narrow(array->type, stored, n, out);
    for (int64_t i = 0; i < good; i++)
        LS_TRY(ls_pack_check_class(&arrays->source, array->bytes.path, which[i], out[i]));
    if (good == n) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: target %lld: expected a class, an integer of 31 bits; found a larger one",
                   array->bytes.path, (long long)which[good]);
}

static ls_status read_targets(const struct arrays *arrays, struct worker *worker, const int64_t *which,
                              int64_t n, void *targets) {
    const struct ls_array *array = &arrays->targets;
    LS_TRY(ls_buffer_reserve(&worker->stored, (size_t)n * array->row_bytes));
    LS_TRY(read_rows(array, which, n, worker->stored.data));
    return arrays->source.shape.classes ? to_classes(arrays, which, n, worker->stored.data, targets)
                                        : to_f32(array, which, n, worker->stored.data, targets);
}

static ls_status read_samples(const struct arrays *arrays, struct worker *worker, const int64_t *which,
                              int64_t n, void *samples) {
    const struct ls_array *array = &arrays->samples;
    const struct ls_shard_shape *shape = &arrays->source.shape;
    void *rows = samples;
    if (arrays->channels_first) {
        LS_TRY(ls_buffer_reserve(&worker->rows, (size_t)n * ls_shard_sample_bytes(shape)));
        rows = worker->rows.data;
    }
    if (shape->type == LS_U8) {
        LS_TRY(read_rows(array, which, n, rows));
    } else {
        LS_TRY(ls_buffer_reserve(&worker->stored, (size_t)n * array->row_bytes));
        LS_TRY(read_rows(array, which, n, worker->stored.data));
        LS_TRY(to_f32(array, which, n, worker->stored.data, rows));
        for (int64_t i = 0; i < n; i++)
            LS_TRY(ls_pack_check_integers(&arrays->source, array->type, array->bytes.path, which[i],
                                          (const float *)rows + i * array->row_values));
    }
    if (arrays->channels_first) ls_pack_channels_last(shape, n, rows, samples);
    return LS_OK;
}

static ls_status read_arrays(struct ls_pack_source *source, void *worker, const struct ls_pack_batch *batch) {
    const struct arrays *arrays = (const struct arrays *)source;
    LS_TRY(read_targets(arrays, worker, batch->which, batch->n, batch->targets));
    return read_samples(arrays, worker, batch->which, batch->n, batch->samples);
}

// ---- opening

static void close_arrays(struct ls_pack_source *source) {
    struct arrays *arrays = (struct arrays *)source;
    ls_array_close(&arrays->samples);
    ls_array_close(&arrays->targets);
    free(arrays);
}

static ls_status set_targets(struct arrays *arrays) {
    const struct ls_array *targets = &arrays->targets;
    struct ls_shard_shape *shape = &arrays->source.shape;
    if (targets->rank > 2)
        return LS_FAIL(LS_INPUT, "%s: expected targets [N] or [N, D], found %d axes", targets->bytes.path,
                       targets->rank);
    if (targets->dim[0] != arrays->samples.dim[0])
        return LS_FAIL(LS_INPUT, "%s: expected %lld targets, one for each sample of %s, found %lld",
                       targets->bytes.path, (long long)arrays->samples.dim[0], arrays->samples.bytes.path,
                       (long long)targets->dim[0]);
    shape->target_values = targets->row_values;
    shape->classes = ls_dtype_is_integer(targets->type) && targets->row_values == 1;
    return LS_OK;
}

static ls_status set_source(struct arrays *arrays, const char *axes, const char *shape_text,
                            const char *class_names) {
    const struct ls_array *samples = &arrays->samples;
    struct ls_pack_source *source = &arrays->source;
    LS_TRY(set_targets(arrays));
    source->shape.type = samples->type == LS_U8 ? LS_U8 : LS_F32;
    int64_t one = 1;
    const int64_t *dim = samples->rank > 1 ? samples->dim + 1 : &one;
    LS_TRY(ls_pack_set_shape(source, samples->rank > 1 ? samples->rank - 1 : 1, dim, axes, shape_text,
                             &arrays->channels_first));
    if (class_names) LS_TRY(ls_pack_read_class_names(source, class_names));
    size_t row = ls_shard_sample_bytes(&source->shape);
    source->piece = row < PIECE_BYTES ? (int64_t)(PIECE_BYTES / row) : 1;
    return LS_OK;
}

static struct arrays *new_arrays(const char *path) {
    struct arrays *arrays = calloc(1, sizeof *arrays);
    if (!arrays) return NULL;
    arrays->samples.bytes.file = arrays->targets.bytes.file = -1;
    arrays->source = (struct ls_pack_source){.noun = "samples",
                                             .path = path,
                                             .make_worker = make_worker,
                                             .drop_worker = drop_worker,
                                             .read = read_arrays,
                                             .close = close_arrays};
    return arrays;
}

static ls_status finish(struct arrays *arrays, ls_status status, const char *axes, const char *shape,
                        const char *class_names, struct ls_pack_source **result) {
    if (status == LS_OK) status = set_source(arrays, axes, shape, class_names);
    if (status != LS_OK) {
        ls_pack_source_close(&arrays->source);
        return status;
    }
    arrays->source.samples = arrays->samples.dim[0];
    *result = &arrays->source;
    return LS_OK;
}

ls_status ls_pack_idx_open(const struct ls_pack_idx *job, struct ls_pack_source **result) {
    *result = NULL;
    struct arrays *arrays = new_arrays(job->images);
    if (!arrays) return LS_FAIL(LS_SYSTEM, "out of memory");
    struct ls_array *images = &arrays->samples;
    ls_status status = ls_idx_open(job->images, 3, 4, images);
    if (status == LS_OK) status = ls_idx_open(job->labels, 1, 1, &arrays->targets);
    if (status == LS_OK && images->rank == 3) images->dim[images->rank++] = 1; // [N, H, W, 1]
    return finish(arrays, status, "NHWC", NULL, job->class_names, result);
}

ls_status ls_pack_npy_open(const struct ls_pack_npy *job, struct ls_pack_source **result) {
    *result = NULL;
    struct arrays *arrays = new_arrays(job->samples);
    if (!arrays) return LS_FAIL(LS_SYSTEM, "out of memory");
    ls_status status = ls_npy_open(job->samples, &arrays->samples);
    if (status == LS_OK) status = ls_npy_open(job->targets, &arrays->targets);
    return finish(arrays, status, job->axes, job->shape, job->class_names, result);
}
