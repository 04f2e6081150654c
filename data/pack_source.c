#include "data/pack_parts.h"

#include <stdlib.h>
#include <string.h>

void ls_pack_source_close(struct ls_pack_source *source) {
    if (!source) return;
    ls_arena_free(&source->names);
    source->close(source);
}

ls_status ls_pack_check_class(const struct ls_pack_source *source, const char *path, int64_t sample,
                              int32_t class) {
    if (class < 0)
        return LS_FAIL(LS_INPUT, "%s: target %lld: expected a class from 0 on, found %d", path,
                       (long long)sample, (int)class);
    if (source->n_class_names && class >= source->n_class_names)
        return LS_FAIL(LS_INPUT, "%s: target %lld: expected a class below %d, as there are names, found %d",
                       path, (long long)sample, source->n_class_names, (int)class);
    return LS_OK;
}

ls_status ls_pack_check_integers(const struct ls_pack_source *source, ls_dtype stored, const char *path,
                                 int64_t sample, const float *values) {
    static const float first_rounded_to = 0x1p24f; // 2^24 + 1 becomes it
    const int64_t n = source->shape.dim[0];
    if (source->shape.rank != 1 || !ls_dtype_is_integer(stored) || ls_dtype_bytes(stored) < 4) return LS_OK;
    for (int64_t i = 0; i < n; i++)
        if (values[i] >= first_rounded_to || values[i] <= -first_rounded_to)
            return LS_FAIL(
                LS_INPUT,
                "%s: sample %lld: value %lld of %lld is the integer %.0f or one near it, expected "
                "-16777215 to 16777215: a shard holds f32, which rounds others. Amounts that may be "
                "rounded can be given as floats",
                path, (long long)sample, (long long)i, (long long)n, (double)values[i]);
    return LS_OK;
}

// ---- shapes

static bool looks_like_channels(int64_t length) {
    return length == 1 || length == 3 || length == 4;
}

// "28,28,1" in place of the shape that was found; *rank lengths.
static ls_status read_shape(const char *path, const char *text, int64_t values, int *rank, int64_t dim[3]) {
    int64_t product = 1;
    *rank = 0;
    for (const char *at = text;;) {
        char *end;
        long long length = strtoll(at, &end, 10);
        bool right = end != at && length >= 1 && *rank < 3 && (!*end || *end == ',' || *end == 'x');
        if (!right)
            return LS_FAIL(LS_INPUT, "--shape: expected 1 to 3 lengths such as 28,28,1, found \"%s\"", text);
        dim[(*rank)++] = length;
        product = length > values || product > values / length ? values + 1 : product * length;
        if (!*end) break;
        at = end + 1;
    }
    if (product == values) return LS_OK;
    return LS_FAIL(LS_INPUT, "--shape: %s is not the shape of samples of %lld values, as %s has", text,
                   (long long)values, path);
}

static ls_status check_axes(const char *axes) {
    static const char *const known[] = {"auto", "NHWC", "NCHW", "NLC", "NCL"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(axes, known[i]) == 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "--axes: expected auto, NHWC, NCHW, NLC or NCL, found \"%s\"", axes);
}

// Signals are images one pixel high. False: of no such rank.
static bool set_signal(struct ls_shard_shape *shape, int rank, const int64_t *dim, bool channels_first) {
    if (rank > 2) return false;
    shape->rank = 3;
    shape->dim[0] = 1;
    shape->dim[1] = rank == 2 && channels_first ? dim[1] : dim[0];
    shape->dim[2] = rank == 1 ? 1 : channels_first ? dim[0] : dim[1];
    return true;
}

static bool set_image(struct ls_shard_shape *shape, int rank, const int64_t *dim, bool channels_first) {
    shape->rank = rank == 1 ? 1 : 3;
    shape->dim[0] = rank == 3 && channels_first ? dim[1] : dim[0];
    if (rank > 1) shape->dim[1] = rank == 3 && channels_first ? dim[2] : dim[1];
    if (rank > 1) shape->dim[2] = rank == 2 ? 1 : channels_first ? dim[0] : dim[2];
    return rank <= 3;
}

ls_status ls_pack_set_shape(struct ls_pack_source *source, int rank, const int64_t *dim, const char *axes,
                            const char *text, bool *channels_first) {
    int64_t values = 1, given[3] = {1, 1, 1};
    for (int i = 0; i < rank; i++) values *= dim[i];
    LS_TRY(check_axes(axes));
    if (text) {
        LS_TRY(read_shape(source->path, text, values, &rank, given));
        dim = given;
    }
    bool signal = strcmp(axes, "NLC") == 0 || strcmp(axes, "NCL") == 0;
    bool guessed =
        strcmp(axes, "auto") == 0 && rank == 3 && looks_like_channels(dim[0]) && !looks_like_channels(dim[2]);
    *channels_first =
        guessed || (strcmp(axes, "NCHW") == 0 && rank == 3) || (strcmp(axes, "NCL") == 0 && rank == 2);
    if (signal ? set_signal(&source->shape, rank, dim, *channels_first)
               : set_image(&source->shape, rank, dim, *channels_first))
        return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: expected samples of 1 to %d axes, found %d", source->path, signal ? 2 : 3,
                   rank);
}

#define TURN(ctype)                                                                                          \
    for (int64_t p = 0; p < pixels; p++)                                                                     \
        for (int64_t c = 0; c < channels; c++)                                                               \
    ((ctype *)to)[p * channels + c] = ((const ctype *)from)[c * pixels + p]

void ls_pack_channels_last(const struct ls_shard_shape *shape, int64_t n, const void *in, void *out) {
    int64_t channels = shape->dim[2], pixels = shape->dim[0] * shape->dim[1];
    size_t bytes = ls_shard_sample_bytes(shape);
    for (int64_t i = 0; i < n; i++) {
        const void *from = (const char *)in + (size_t)i * bytes;
        void *to = (char *)out + (size_t)i * bytes;
        if (shape->type == LS_U8)
            TURN(uint8_t);
        else
            TURN(float);
    }
}
