// Reading and verifying checkpoints. A byte that differs is noticed by the CRC of its dataset, or by HDF5's
// own checksums where it is metadata.
#include "base/hash.h"
#include "train/checkpoint_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- opening

static ls_status check_format(struct ls_h5 *file) {
    char format[64];
    bool found;
    int64_t version = 0;
    LS_TRY(ls_h5_attr_text(file, "/", "format", format, sizeof format, &found));
    if (!found || strcmp(format, LS_CHECKPOINT_FORMAT) != 0)
        return LS_FAIL(LS_INPUT, "%s: is not a checkpoint: expected format '%s', found '%s'",
                       ls_h5_path(file), LS_CHECKPOINT_FORMAT, found ? format : "");
    LS_TRY(ls_h5_attr_i64(file, "/", "version", &version, &found));
    if (!found || version != LS_CHECKPOINT_VERSION)
        return LS_FAIL(LS_INPUT, "%s: expected checkpoint version %d, found %lld", ls_h5_path(file),
                       LS_CHECKPOINT_VERSION, (long long)version);
    return LS_OK;
}

static ls_status open_checkpoint(const char *path, struct ls_h5 **file) {
    LS_TRY(ls_h5_open(path, file));
    ls_status status = check_format(*file);
    if (status == LS_OK) return LS_OK;
    ls_h5_close(*file);
    *file = NULL;
    return status;
}

// ---- datasets and their checksums

static ls_status stored_crc(struct ls_h5 *file, const char *name, int64_t *stored) {
    bool found;
    LS_TRY(ls_h5_attr_i64(file, name, "crc32c", stored, &found));
    if (found) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected the attribute crc32c, found none", ls_h5_path(file),
                   name);
}

static ls_status check_crc(struct ls_h5 *file, const char *name, uint32_t crc) {
    int64_t stored;
    LS_TRY(stored_crc(file, name, &stored));
    if (stored != (int64_t)crc)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected CRC32C %08llx, found %08x: the data is damaged",
                       ls_h5_path(file), name, (unsigned long long)stored, crc);
    return LS_OK;
}

static size_t row_bytes(const struct ls_h5_dataset *info) {
    size_t bytes = ls_dtype_bytes(info->type);
    for (int i = 1; i < info->rank; i++) bytes *= (size_t)info->dim[i];
    return bytes;
}

static int64_t rows_of_a_piece(const struct ls_h5_dataset *info) {
    size_t row = row_bytes(info);
    if (row == 0) return info->rank ? info->dim[0] : 1;
    return row > LS_CHECKPOINT_PIECE ? 1 : LS_CHECKPOINT_PIECE / (int64_t)row;
}

// Reads the dataset as stored, a piece at a time as when it was written, and checks its CRC. `out` holds it
// whole, or is NULL: then a buffer of one piece serves.
static ls_status read_numbers(struct ls_h5 *file, const char *name, const struct ls_h5_dataset *info,
                              void *out) {
    if (info->rank == 0) {
        char value[8];
        LS_TRY(ls_h5_read_all(file, name, info->type, out ? out : value));
        return check_crc(file, name, ls_crc32c(0, out ? out : value, ls_dtype_bytes(info->type)));
    }
    size_t row = row_bytes(info);
    int64_t rows = rows_of_a_piece(info);
    if (rows > info->dim[0]) rows = info->dim[0];
    char *piece = out ? out : malloc(row * (size_t)rows + 1);
    if (!piece) return LS_FAIL(LS_SYSTEM, "%s: out of memory for '%s'", ls_h5_path(file), name);
    ls_status status = LS_OK;
    uint32_t crc = 0;
    for (int64_t done = 0, n; status == LS_OK && done < info->dim[0]; done += n) {
        n = info->dim[0] - done < rows ? info->dim[0] - done : rows;
        char *to = out ? (char *)out + (size_t)done * row : piece;
        status = ls_h5_read_rows(file, name, done, n, info->type, to);
        if (status == LS_OK) crc = ls_crc32c(crc, to, row * (size_t)n);
    }
    if (!out) free(piece);
    return status == LS_OK ? check_crc(file, name, crc) : status;
}

static ls_status read_text(struct ls_h5 *file, const char *name, char **text) {
    int n;
    LS_TRY(ls_h5_read_strings(file, name, text, &n));
    ls_status status = LS_OK;
    if (n != 1)
        status =
            LS_FAIL(LS_INPUT, "%s: dataset '%s': expected one text, found %d", ls_h5_path(file), name, n);
    if (status == LS_OK) status = check_crc(file, name, ls_crc32c(0, *text, strlen(*text)));
    if (status == LS_OK) return LS_OK;
    free(*text);
    *text = NULL;
    return status;
}

static ls_status read_state(struct ls_h5 *file, struct ls_checkpoint_state *state) {
    for (int i = 0; i < ls_state_field_count; i++) {
        const struct ls_state_field *field = &ls_state_fields[i];
        struct ls_h5_dataset info;
        if (field->later && !ls_h5_exists(file, field->name)) {
            const double none = NAN;
            memset((char *)state + field->offset, 0, sizeof none);
            if (field->type == LS_F64) memcpy((char *)state + field->offset, &none, sizeof none);
            continue;
        }
        LS_TRY(ls_h5_describe(file, field->name, &info));
        if (info.rank != 0 || info.type != field->type)
            return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected one value of type %s", ls_h5_path(file),
                           field->name, ls_dtype_name(field->type));
        LS_TRY(read_numbers(file, field->name, &info, (char *)state + field->offset));
    }
    return LS_OK;
}

// ---- the header

static ls_status read_header(struct ls_h5 *file, struct ls_checkpoint_header *header) {
    char **const texts[LS_CHECKPOINT_TEXTS] = {&header->recipe,  &header->model,       &header->fingerprint,
                                               &header->version, &header->class_names, &header->choices};
    LS_TRY(read_state(file, &header->state));
    for (int i = 0; i < LS_CHECKPOINT_TEXTS; i++)
        if (i < LS_CHECKPOINT_NEEDED_TEXTS || ls_h5_exists(file, ls_checkpoint_text_names[i]))
            LS_TRY(read_text(file, ls_checkpoint_text_names[i], texts[i]));
    return LS_OK;
}

ls_status ls_checkpoint_read_header(const char *path, struct ls_checkpoint_header *header) {
    struct ls_h5 *file;
    *header = (struct ls_checkpoint_header){0};
    LS_TRY(open_checkpoint(path, &file));
    ls_status status = read_header(file, header);
    ls_h5_close(file);
    if (status != LS_OK) ls_checkpoint_header_free(header);
    return status;
}

void ls_checkpoint_header_free(struct ls_checkpoint_header *header) {
    free(header->recipe);
    free(header->model);
    free(header->fingerprint);
    free(header->version);
    free(header->class_names);
    free(header->choices);
    *header = (struct ls_checkpoint_header){0};
}

// ---- verifying

struct verifying {
    struct ls_h5 *file;
    int64_t datasets;
};

static ls_status verify_dataset(void *context, const char *name, const struct ls_h5_dataset *info) {
    struct verifying *verifying = context;
    verifying->datasets++;
    if (info->type != LS_DTYPES) return read_numbers(verifying->file, name, info, NULL);
    char *text;
    LS_TRY(read_text(verifying->file, name, &text));
    free(text);
    return LS_OK;
}

static ls_status verify(struct ls_h5 *file) {
    struct verifying verifying = {.file = file};
    struct ls_checkpoint_header header = {0};
    bool found;
    int64_t datasets = 0;
    ls_status status = read_header(file, &header);
    ls_checkpoint_header_free(&header);
    LS_TRY(status);
    LS_TRY(ls_h5_visit(file, "/", verify_dataset, &verifying));
    LS_TRY(ls_h5_attr_i64(file, "/", "datasets", &datasets, &found));
    if (datasets != verifying.datasets)
        return LS_FAIL(LS_INPUT, "%s: expected %lld datasets, found %lld", ls_h5_path(file),
                       (long long)datasets, (long long)verifying.datasets);
    return LS_OK;
}

ls_status ls_checkpoint_verify(const char *path) {
    struct ls_h5 *file;
    LS_TRY(open_checkpoint(path, &file));
    ls_status status = verify(file);
    ls_h5_close(file);
    return status;
}

// ---- what it holds

struct content {
    struct ls_h5 *file;
    struct ls_hash *hash;
};

static ls_status add_content(void *context, const char *name, const struct ls_h5_dataset *info) {
    (void)info;
    const struct content *content = context;
    int64_t crc;
    LS_TRY(stored_crc(content->file, name, &crc));
    ls_hash_add(content->hash, name, strlen(name) + 1);
    ls_hash_add(content->hash, &crc, sizeof crc);
    return LS_OK;
}

ls_status ls_checkpoint_content(const char *path, uint64_t *content) {
    struct content of = {0};
    LS_TRY(open_checkpoint(path, &of.file));
    of.hash = ls_hash_open();
    ls_status status = ls_h5_visit(of.file, "model", add_content, &of);
    if (status == LS_OK && ls_h5_exists(of.file, "average"))
        status = ls_h5_visit(of.file, "average", add_content, &of);
    *content = ls_hash_value(of.hash);
    ls_hash_close(of.hash);
    ls_h5_close(of.file);
    return status;
}

// ---- arrays

static bool same_shape(const struct ls_checkpoint_array *array, const struct ls_h5_dataset *info) {
    if (info->type != LS_F32 || info->rank != array->rank) return false;
    for (int i = 0; i < info->rank; i++)
        if (info->dim[i] != array->dim[i]) return false;
    return true;
}

static char *shape_text(char out[96], ls_dtype type, int rank, const int64_t *dim) {
    struct ls_shape shape = {.rank = rank > LS_MAX_RANK ? LS_MAX_RANK : rank};
    char text[96];
    memcpy(shape.dim, dim, sizeof shape.dim[0] * (size_t)shape.rank);
    snprintf(out, 96, "%s %.80s", type < LS_DTYPES ? ls_dtype_name(type) : "text",
             ls_shape_text(text, &shape));
    return out;
}

static ls_status read_array(void *context, const struct ls_checkpoint_array *array) {
    struct ls_h5 *file = context;
    struct ls_h5_dataset info;
    char expected[96], found[96];
    LS_TRY(ls_h5_describe(file, array->name, &info));
    if (!same_shape(array, &info))
        return LS_FAIL(LS_INPUT, "%s: dataset '%s': expected %s, found %s", ls_h5_path(file), array->name,
                       shape_text(expected, LS_F32, array->rank, array->dim),
                       shape_text(found, info.type, info.rank, info.dim));
    return read_numbers(file, array->name, &info, array->data);
}

struct counting {
    int n;
};

static ls_status count_dataset(void *context, const char *name, const struct ls_h5_dataset *info) {
    (void)name, (void)info;
    ((struct counting *)context)->n++;
    return LS_OK;
}

static ls_status read_checkpoint(struct ls_h5 *file, struct ls_checkpoint *checkpoint) {
    const struct ls_layout *layout = checkpoint->layout;
    struct counting counting = {0};
    int expected = layout->n_params + layout->n_states;
    LS_TRY(read_state(file, &checkpoint->state));
    // With as many names, and each of ours found, there is none that we do not know.
    LS_TRY(ls_checkpoint_each(checkpoint, read_array, file));
    LS_TRY(ls_h5_visit(file, "model", count_dataset, &counting));
    if (counting.n != expected)
        return LS_FAIL(LS_INPUT, "%s: model: expected %d parameters and statistics, found %d",
                       ls_h5_path(file), expected, counting.n);
    return LS_OK;
}

static void clear_buffers(struct ls_checkpoint *checkpoint) {
    const struct ls_layout *layout = checkpoint->layout;
    if (checkpoint->params) memset(checkpoint->params, 0, layout->param_floats * sizeof(float));
    if (checkpoint->states) memset(checkpoint->states, 0, layout->state_floats * sizeof(float));
    for (int i = 0; i < LS_MAX_SLOTS; i++)
        if (checkpoint->slot_names[i]) memset(checkpoint->slot[i], 0, layout->trained_floats * sizeof(float));
    if (checkpoint->average) memset(checkpoint->average, 0, layout->param_floats * sizeof(float));
    if (checkpoint->average_states)
        memset(checkpoint->average_states, 0, layout->state_floats * sizeof(float));
}

ls_status ls_checkpoint_read(const char *path, struct ls_checkpoint *checkpoint) {
    struct ls_h5 *file;
    LS_TRY(open_checkpoint(path, &file));
    clear_buffers(checkpoint);
    ls_status status = read_checkpoint(file, checkpoint);
    ls_h5_close(file);
    return status;
}

// ---- what another model has in common with this one

struct matching {
    struct ls_h5 *file;
    const struct ls_layout *layout;
    void (*each)(void *context, const struct ls_match *match);
    void *context;
};

// As it is meant, from how it lies: (out, h, w, in) is (out, in, h, w).
static void meant_shape(char out[96], const struct ls_h5_dataset *info) {
    struct ls_shape shape = {.rank = info->rank > LS_MAX_RANK ? LS_MAX_RANK : info->rank};
    memcpy(shape.dim, info->dim, sizeof shape.dim[0] * (size_t)shape.rank);
    if (info->rank == 4) {
        shape.dim[1] = info->dim[3];
        shape.dim[2] = info->dim[1];
        shape.dim[3] = info->dim[2];
    }
    ls_shape_text(out, &shape);
}

static ls_status match_item(const struct matching *m, const struct ls_item *item, bool param, bool frozen,
                            float *buffer) {
    struct ls_checkpoint_array array;
    struct ls_h5_dataset info = {0};
    struct ls_match match = {.name = item->name, .param = param, .frozen = frozen, .here = true};
    ls_shape_text(match.shape_here, &item->shape);
    LS_TRY(ls_checkpoint_array_of("average", item, buffer, &array));
    match.averaged = ls_h5_exists(m->file, array.name);
    if (!match.averaged) LS_TRY(ls_checkpoint_array_of("model", item, buffer, &array));
    match.there = ls_h5_exists(m->file, array.name);
    if (match.there) {
        LS_TRY(ls_h5_describe(m->file, array.name, &info));
        meant_shape(match.shape_there, &info);
        match.taken = same_shape(&array, &info);
    }
    if (match.taken) LS_TRY(read_numbers(m->file, array.name, &info, array.data));
    m->each(m->context, &match);
    return LS_OK;
}

static ls_status match_stranger(void *context, const char *name, const struct ls_h5_dataset *info) {
    const struct matching *m = context;
    const struct ls_layout *layout = m->layout;
    struct ls_match match = {.name = strchr(name, '/') + 1, .there = true};
    for (int i = 0; i < layout->n_params; i++)
        if (strcmp(layout->params[i].name, match.name) == 0) return LS_OK;
    for (int i = 0; i < layout->n_states; i++)
        if (strcmp(layout->states[i].name, match.name) == 0) return LS_OK;
    meant_shape(match.shape_there, info);
    m->each(m->context, &match);
    return LS_OK;
}

static ls_status match_all(struct matching *m, float *params, float *states) {
    const struct ls_layout *layout = m->layout;
    for (int i = layout->n_params - 1; i >= 0; i--)
        LS_TRY(match_item(m, &layout->params[i], true, i >= layout->n_trained, params));
    for (int i = 0; i < layout->n_states; i++)
        LS_TRY(match_item(m, &layout->states[i], false, i >= layout->n_followed, states));
    return ls_h5_visit(m->file, "model", match_stranger, m);
}

ls_status ls_checkpoint_read_matching(const char *path, const struct ls_layout *layout, float *params,
                                      float *states,
                                      void (*each)(void *context, const struct ls_match *match),
                                      void *context) {
    struct matching matching = {.layout = layout, .each = each, .context = context};
    LS_TRY(open_checkpoint(path, &matching.file));
    ls_status status = match_all(&matching, params, states);
    ls_h5_close(matching.file);
    return status;
}
