// IDX, the format of MNIST (LeCun, Cortes, Burges) and its kin; numbers are big-endian.
//
//     0      1      2      3      4                4 + 4 * axes
//   ┌──────┬──────┬──────┬──────┬──────────────────┬──────────────────────────┐
//   │ 0x00 │ 0x00 │ type │ axes │ length of each   │ numbers, last axis first │
//   └──────┴──────┴──────┴──────┴──────────────────┴──────────────────────────┘
//                   0x08   images: 3 [N, H, W] or 4 [N, H, W, C]
//                   is u8  labels: 1 [N]
#include "data/array_parts.h"

enum { IDX_U8 = 0x08 };

static ls_status read_head(struct ls_array *array, int least_axes, int most_axes) {
    uint8_t magic[4], length[4];
    LS_TRY(ls_array_head(array, "IDX magic", magic, sizeof magic));
    if (magic[0] || magic[1])
        return LS_FAIL(LS_INPUT,
                       "%s: is not an IDX file: expected magic 00 00 08 %02x, found %02x %02x %02x %02x",
                       array->bytes.path, least_axes, magic[0], magic[1], magic[2], magic[3]);
    if (magic[2] != IDX_U8)
        return LS_FAIL(LS_INPUT, "%s: expected IDX numbers of type 0x08 (u8), found type 0x%02x",
                       array->bytes.path, magic[2]);
    if (magic[3] < least_axes || magic[3] > most_axes)
        return LS_FAIL(LS_INPUT, "%s: expected %d%s IDX axes (%s), found %d", array->bytes.path, least_axes,
                       most_axes > least_axes ? " or 4" : "", most_axes > 1 ? "images" : "labels", magic[3]);
    array->type = LS_U8;
    array->rank = magic[3];
    for (int i = 0; i < array->rank; i++) {
        LS_TRY(ls_array_head(array, "IDX header", length, sizeof length));
        array->dim[i] = (int64_t)length[0] << 24 | (int64_t)length[1] << 16 | (int64_t)length[2] << 8 |
                        (int64_t)length[3];
    }
    return ls_array_check(array);
}

ls_status ls_idx_open(const char *path, int least_axes, int most_axes, struct ls_array *array) {
    *array = (struct ls_array){0};
    LS_TRY(ls_bytes_open(path, &array->bytes));
    ls_status status = read_head(array, least_axes, most_axes);
    if (status != LS_OK) ls_array_close(array);
    return status;
}
