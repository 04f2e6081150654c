// IDX, the format of MNIST (LeCun, Cortes, Burges) and its kin; numbers are big-endian.
//
//     0      1      2      3      4                4 + 4 * axes
//   ┌──────┬──────┬──────┬──────┬──────────────────┬──────────────────────────┐
//   │ 0x00 │ 0x00 │ type │ axes │ length of each   │ numbers, last axis first │
//   └──────┴──────┴──────┴──────┴──────────────────┴──────────────────────────┘
//                   0x08   images: 3 [N, H, W] or 4 [N, H, W, C]
//                   is u8  labels: 1 [N]
#include "data/pack_parts.h"

#include <string.h>

enum { IDX_U8 = 0x08, IDX_AXES = 4, MOST_SAMPLE_BYTES = 1 << 30 };

struct header {
    int axes;
    int64_t length[IDX_AXES];
};

static ls_status read_exactly(struct ls_source *source, const char *path, const char *what, void *out,
                              size_t bytes) {
    size_t got;
    LS_TRY(ls_source_read(source, out, bytes, &got));
    if (got < bytes)
        return LS_FAIL(LS_INPUT, "%s: is truncated: expected %zu bytes of %s, found %zu", path, bytes, what,
                       got);
    return LS_OK;
}

static ls_status read_header(struct ls_source *source, const char *path, int least_axes, int most_axes,
                             struct header *header) {
    uint8_t magic[4], length[4];
    LS_TRY(read_exactly(source, path, "IDX magic", magic, sizeof magic));
    if (magic[0] || magic[1])
        return LS_FAIL(LS_INPUT,
                       "%s: is not an IDX file: expected magic 00 00 08 %02x, found %02x %02x %02x %02x",
                       path, least_axes, magic[0], magic[1], magic[2], magic[3]);
    if (magic[2] != IDX_U8)
        return LS_FAIL(LS_INPUT, "%s: expected IDX numbers of type 0x08 (u8), found type 0x%02x", path,
                       magic[2]);
    if (magic[3] < least_axes || magic[3] > most_axes)
        return LS_FAIL(LS_INPUT, "%s: expected %d%s IDX axes (%s), found %d", path, least_axes,
                       most_axes > least_axes ? " or 4" : "", most_axes > 1 ? "images" : "labels", magic[3]);
    header->axes = magic[3];
    for (int i = 0; i < IDX_AXES; i++) header->length[i] = 1;
    for (int i = 0; i < header->axes; i++) {
        LS_TRY(read_exactly(source, path, "IDX header", length, sizeof length));
        header->length[i] = (int64_t)length[0] << 24 | (int64_t)length[1] << 16 | (int64_t)length[2] << 8 |
                            (int64_t)length[3];
    }
    return LS_OK;
}

static ls_status set_shape(struct ls_idx *idx, const struct header *header) {
    idx->samples = header->length[0];
    idx->height = header->length[1];
    idx->width = header->length[2];
    idx->channels = header->length[3];
    if (idx->samples == 0) return LS_FAIL(LS_INPUT, "%s: expected samples, found none", idx->images_path);
    // Lengths are below 2^32, so that two of them multiply without overflow.
    int64_t row = idx->height * idx->channels > MOST_SAMPLE_BYTES ? -1 : idx->height * idx->channels;
    if (row <= 0 || idx->width == 0 || idx->width > MOST_SAMPLE_BYTES / row)
        return LS_FAIL(LS_INPUT, "%s: expected samples of 1 to %d bytes, found %lld x %lld x %lld",
                       idx->images_path, MOST_SAMPLE_BYTES, (long long)idx->height, (long long)idx->width,
                       (long long)idx->channels);
    idx->sample_bytes = (size_t)(row * idx->width);
    return LS_OK;
}

static ls_status read_headers(struct ls_idx *idx) {
    struct header images = {0}, labels = {0};
    LS_TRY(ls_source_open(idx->images_path, &idx->images));
    LS_TRY(ls_source_open(idx->labels_path, &idx->labels));
    LS_TRY(read_header(idx->images, idx->images_path, 3, 4, &images));
    LS_TRY(read_header(idx->labels, idx->labels_path, 1, 1, &labels));
    if (labels.length[0] != images.length[0])
        return LS_FAIL(LS_INPUT, "%s: expected %lld labels, one for each sample of %s, found %lld",
                       idx->labels_path, (long long)images.length[0], idx->images_path,
                       (long long)labels.length[0]);
    return set_shape(idx, &images);
}

ls_status ls_idx_open(struct ls_idx *idx, const char *images_path, const char *labels_path) {
    *idx = (struct ls_idx){.images_path = images_path, .labels_path = labels_path};
    ls_status status = read_headers(idx);
    if (status != LS_OK) ls_idx_close(idx);
    return status;
}

void ls_idx_close(struct ls_idx *idx) {
    ls_source_close(idx->images);
    ls_source_close(idx->labels);
    idx->images = idx->labels = NULL;
}

static ls_status read_rows(const struct ls_idx *idx, struct ls_source *source, const char *path, int64_t n,
                           size_t row_bytes, uint8_t *out) {
    size_t got;
    LS_TRY(ls_source_read(source, out, (size_t)n * row_bytes, &got));
    if (got < (size_t)n * row_bytes)
        return LS_FAIL(
            LS_INPUT, "%s: is truncated: its header says %lld samples of %zu bytes, found %lld whole ones",
            path, (long long)idx->samples, row_bytes, (long long)(idx->next + (int64_t)(got / row_bytes)));
    return LS_OK;
}

static ls_status expect_end(const struct ls_idx *idx, struct ls_source *source, const char *path) {
    uint8_t more;
    size_t got;
    LS_TRY(ls_source_read(source, &more, 1, &got));
    if (got)
        return LS_FAIL(LS_INPUT, "%s: expected its end behind %lld samples, found more bytes", path,
                       (long long)idx->samples);
    return LS_OK;
}

ls_status ls_idx_read(struct ls_idx *idx, int64_t n, uint8_t *samples, uint8_t *labels) {
    LS_TRY(read_rows(idx, idx->images, idx->images_path, n, idx->sample_bytes, samples));
    LS_TRY(read_rows(idx, idx->labels, idx->labels_path, n, 1, labels));
    idx->next += n;
    if (idx->next < idx->samples) return LS_OK;
    LS_TRY(expect_end(idx, idx->images, idx->images_path));
    return expect_end(idx, idx->labels, idx->labels_path);
}
