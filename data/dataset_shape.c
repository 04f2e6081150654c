// How the rows of a dataset are to be read.
//
//   samples  [N]            a vector of one feature         targets  [N]     integers: a class; else a value
//            [N, F]         a vector                                 [N, 1]  the same
//            [N, H, W]      an image of one channel                  [N, D]  D values, or a one-hot row
//            [N, H, W, C]   an image, or [N, C, H, W]: `axes` decides
//            [N, L], [N, L, C], [N, C, L]   a signal, where `axes` says so: an image one pixel high
//            [N, T], [N]    tokens, where they are asked for: a vector of whole numbers
#include "data/dataset_parts.h"
#include "data/shard.h"

#include <stdio.h>
#include <string.h>

char *ls_shape_text_of(char out[LS_SHAPE_TEXT], const struct ls_h5_dataset *found) {
    if (found->rank == 0) {
        snprintf(out, LS_SHAPE_TEXT, "a single value (%s)", found->words);
        return out;
    }
    size_t length = (size_t)snprintf(out, LS_SHAPE_TEXT, "[");
    for (int i = 0; i < found->rank; i++)
        length += (size_t)snprintf(out + length, LS_SHAPE_TEXT - length, i ? ", %lld" : "%lld",
                                   (long long)found->dim[i]);
    snprintf(out + length, LS_SHAPE_TEXT - length, found->type < LS_DTYPES ? "] %s" : "] of %s",
             found->words);
    return out;
}

// Chunks that cannot be listed are fetched one by one, and a chunk that is cut across rows is put together.
static enum ls_path path_of(const struct ls_h5_dataset *found) {
    if (found->storage == LS_H5_CONTIGUOUS) return LS_PATH_RUN;
    if (found->storage != LS_H5_CHUNKED || !ls_chunk_can_decode(&found->chunking)) return LS_PATH_LIBRARY;
    bool whole_rows = true;
    for (int i = 1; i < found->rank; i++) whole_rows = whole_rows && found->chunking.dim[i] == found->dim[i];
    return whole_rows && found->chunking.listed && found->chunking.n_filters == 0 ? LS_PATH_CHUNKS
                                                                                  : LS_PATH_DECODED;
}

struct ls_column ls_column_of(struct ls_arena *arena, const char *name, const struct ls_h5_dataset *found,
                              int64_t row_values, ls_dtype delivered) {
    struct ls_column column = {.name = name,
                               .stored = found->type,
                               .delivered = delivered,
                               .row_values = row_values,
                               .row_bytes = (size_t)row_values * ls_dtype_bytes(delivered),
                               .swapped = found->swapped,
                               .path = path_of(found),
                               .offset = found->offset,
                               .layout = ls_arena_copy(arena, found->layout)};
    if (found->storage == LS_H5_CHUNKED) column.chunking = ls_chunking_of(arena, found);
    if (found->storage == LS_H5_CHUNKED && !column.chunking) column.path = LS_PATH_LIBRARY;
    return column;
}

// Far more than a sample is, and far from overflow even times the longest dimension that passes.
static const int64_t MOST_ROW_VALUES = INT64_C(1) << 31;

// The dataset, with a type and a shape that rows can be read from.
static ls_status describe(struct ls_h5 *file, const char *name, struct ls_h5_dataset *found) {
    LS_TRY(ls_h5_describe(file, name, found));
    char text[LS_SHAPE_TEXT];
    if (found->type >= LS_DTYPES || found->rank < 1)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s' is %s, expected numbers [N, ...]", ls_h5_path(file), name,
                       ls_shape_text_of(text, found));
    int64_t values = 1;
    for (int i = 1; i < found->rank; i++) {
        if (found->dim[i] < 1 || found->dim[i] > MOST_ROW_VALUES / values)
            return LS_FAIL(LS_INPUT, "%s: dataset '%s' is %s, expected rows of 1 to %lld values",
                           ls_h5_path(file), name, ls_shape_text_of(text, found), (long long)MOST_ROW_VALUES);
        values *= found->dim[i];
    }
    if (found->missing[0])
        return LS_FAIL(LS_INPUT, "%s: dataset '%s' cannot be read: %s", ls_h5_path(file), name,
                       found->missing);
    return LS_OK;
}

// How samples lie: images, or signals, which are images one pixel high.
enum axes { AXES_UNTOLD, AXES_NHWC, AXES_NCHW, AXES_NLC, AXES_NCL };

static enum axes axes_named(const char *text) {
    static const char *const names[] = {"", "NHWC", "NCHW", "NLC", "NCL"};
    for (int i = AXES_NHWC; i <= AXES_NCL; i++)
        if (strcmp(text, names[i]) == 0) return (enum axes)i;
    return AXES_UNTOLD;
}

// AXES_UNTOLD where the attribute is missing or speaks of something else.
static enum axes axes_attribute(struct ls_h5 *file, const char *object) {
    char text[16];
    bool there = false;
    if (ls_h5_attr_text(file, object, LS_SHARD_ATTR_AXES, text, sizeof text, &there) != LS_OK) {
        // Other people's `axes` may be no text at all (a list of names, in NeXus): not for us.
        ls_error_clear();
        return AXES_UNTOLD;
    }
    return there ? axes_named(text) : AXES_UNTOLD;
}

static bool looks_like_channels(int64_t length) {
    return length == 1 || length == 3 || length == 4;
}

// What the spec says; or, where that is auto, an attribute of the dataset or the file.
static ls_status find_axes(struct ls_h5 *file, const char *name, const char *text, enum axes *axes) {
    if (!text || strcmp(text, "auto") == 0) {
        *axes = axes_attribute(file, name);
        if (*axes == AXES_UNTOLD) *axes = axes_attribute(file, "/");
        return LS_OK;
    }
    *axes = axes_named(text);
    if (*axes != AXES_UNTOLD) return LS_OK;
    return LS_FAIL(LS_INPUT, "axes are '%s', expected auto, NHWC, NCHW, NLC or NCL", text);
}

// [N, L], [N, L, C] or [N, C, L]. False where the dataset has another rank.
static bool shape_signal(const struct ls_h5_dataset *found, enum axes axes, struct ls_dataset_info *info) {
    if (found->rank != 2 && found->rank != 3) return false;
    info->channels_first = found->rank == 3 && axes == AXES_NCL;
    info->width = found->dim[info->channels_first ? 2 : 1];
    if (found->rank == 3) info->channels = found->dim[info->channels_first ? 1 : 2];
    return true;
}

// False where it is no vector and no image.
static bool shape_image(const struct ls_h5_dataset *found, enum axes axes, struct ls_dataset_info *info) {
    const int64_t *dim = found->dim;
    info->flat = found->rank <= 2;
    switch (found->rank) {
    case 1: return true;
    case 2: info->channels = dim[1]; return true;
    case 3: info->height = dim[1], info->width = dim[2]; return true;
    case 4:
        info->channels_first = axes == AXES_NCHW || (axes == AXES_UNTOLD && looks_like_channels(dim[1]) &&
                                                     !looks_like_channels(dim[3]));
        info->channels = info->channels_first ? dim[1] : dim[3];
        info->height = info->channels_first ? dim[2] : dim[1];
        info->width = info->channels_first ? dim[3] : dim[2];
        return true;
    default: return false;
    }
}

// Whole numbers below this are all numbers of the type; the next one above it would be rounded to it.
static int64_t most_exact(ls_dtype type) {
    switch (type) {
    case LS_F32: return INT64_C(1) << 24;
    case LS_F16: return INT64_C(1) << 11;
    case LS_BF16: return INT64_C(1) << 8;
    default: return INT64_MAX;
    }
}

ls_status ls_shape_check_tokens(const char *path, const char *name, const struct ls_h5_dataset *found,
                                int64_t tokens) {
    char text[LS_SHAPE_TEXT];
    if (tokens - 1 < most_exact(found->type)) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "%s: dataset '%s' is %s, which does not tell all tokens from 0 to %lld apart: expected "
                   "integers",
                   path, name, ls_shape_text_of(text, found), (long long)tokens - 1);
}

// Whether HDF5 makes i32 of it without a loss: it would cut off fractions, and clip what is too large.
static bool widens_to_i32(ls_dtype stored) {
    return stored == LS_I32 || (ls_dtype_is_integer(stored) && ls_dtype_bytes(stored) < 4);
}

static ls_status shape_tokens(struct ls_arena *arena, struct ls_h5 *file, const struct ls_dataset_spec *spec,
                              const struct ls_h5_dataset *found, struct ls_column *column,
                              struct ls_dataset_info *info) {
    char text[LS_SHAPE_TEXT];
    if (found->rank > 2)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s' is %s, expected tokens [N, T] or [N]", ls_h5_path(file),
                       spec->input, ls_shape_text_of(text, found));
    LS_TRY(ls_shape_check_tokens(ls_h5_path(file), spec->input, found, spec->tokens));
    info->flat = true;
    info->channels = found->rank == 2 ? found->dim[1] : 1;
    info->type = LS_I32;
    *column = ls_column_of(arena, spec->input, found, info->channels, LS_I32);
    column->rows_hold = LS_ROWS_TOKENS;
    column->tokens = spec->tokens;
    if (column->path == LS_PATH_LIBRARY && widens_to_i32(found->type))
        ls_column_fetch_chunks(arena, found, column);
    return LS_OK;
}

static ls_status shape_values(struct ls_arena *arena, struct ls_h5 *file, const struct ls_dataset_spec *spec,
                              const struct ls_h5_dataset *found, struct ls_column *column,
                              struct ls_dataset_info *info) {
    const char *name = spec->input;
    char text[LS_SHAPE_TEXT];
    enum axes told;
    LS_TRY(find_axes(file, name, spec->axes, &told));
    const bool signal = told == AXES_NLC || told == AXES_NCL;
    if (!(signal ? shape_signal(found, told, info) : shape_image(found, told, info)))
        return LS_FAIL(LS_INPUT, "%s: dataset '%s' is %s, expected %s", ls_h5_path(file), name,
                       ls_shape_text_of(text, found),
                       signal ? "signals [N, L], [N, L, C] or [N, C, L], as its axes are NLC or NCL"
                              : "[N], [N, F], [N, H, W] or [N, H, W, C]");
    info->type = found->type == LS_U8 ? LS_U8 : LS_F32;
    *column = ls_column_of(arena, name, found, info->height * info->width * info->channels, info->type);
    if (column->path == LS_PATH_LIBRARY) ls_column_fetch_chunks(arena, found, column);
    return LS_OK;
}

ls_status ls_shape_input(struct ls_arena *arena, struct ls_h5 *file, const struct ls_dataset_spec *spec,
                         struct ls_h5_dataset *found, struct ls_column *column,
                         struct ls_dataset_info *info) {
    LS_TRY(describe(file, spec->input, found));
    info->height = info->width = info->channels = 1;
    info->stored = found->type;
    LS_TRY(spec->tokens ? shape_tokens(arena, file, spec, found, column, info)
                        : shape_values(arena, file, spec, found, column, info));
    info->sample_bytes = column->row_bytes;
    return LS_OK;
}

ls_status ls_shape_target(struct ls_arena *arena, struct ls_h5 *file, const char *name,
                          enum ls_targets targets, struct ls_h5_dataset *found, struct ls_column *column,
                          struct ls_dataset_info *info) {
    LS_TRY(describe(file, name, found));
    char text[LS_SHAPE_TEXT];
    if (found->rank > 2)
        return LS_FAIL(LS_INPUT, "%s: dataset '%s' is %s, expected targets [N] or [N, D]", ls_h5_path(file),
                       name, ls_shape_text_of(text, found));
    info->has_target = true;
    info->target_values = found->rank == 2 ? found->dim[1] : 1;
    const bool number = targets == LS_TARGETS_LABELS || targets == LS_TARGETS_VALUES;
    const bool classes = targets == LS_TARGETS_CLASSES, one_hot = classes && info->target_values > 1;
    const bool one = info->target_values == 1 && (classes || ls_dtype_is_integer(found->type));
    info->target_is_class = one_hot || (!number && one);
    *column = ls_column_of(arena, name, found, info->target_values, info->target_is_class ? LS_I32 : LS_F32);
    if (targets == LS_TARGETS_LABELS) column->rows_hold = LS_ROWS_LABELS;
    if (one_hot) {
        column->rows_hold = LS_ROWS_ONE_HOT;
        column->row_bytes = ls_dtype_bytes(LS_I32);
    }
    info->target_bytes = column->row_bytes;
    return LS_OK;
}
