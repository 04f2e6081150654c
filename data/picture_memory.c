#include "data/picture_parts.h"

#include <stdlib.h>

void ls_picture_free(struct ls_picture *picture) {
    free(picture->pixels);
    *picture = (struct ls_picture){0};
}

// A PNG of one bit a pixel, deflated at best, holds 8 * 1032 pixels in a byte; a JPEG at best 512, a bit a
// block.
enum { MOST_PIXELS_A_BYTE = 8 * 1032 };

ls_status ls_picture_check(int64_t width, int64_t height, size_t file_bytes) {
    if (width < 1 || height < 1 || width > LS_MOST_SIDE || height > LS_MOST_SIDE)
        return LS_FAIL(LS_INPUT, "is %lld x %lld, expected sides of 1 to %d", (long long)width,
                       (long long)height, LS_MOST_SIDE);
    if ((size_t)(width * height) / MOST_PIXELS_A_BYTE > file_bytes)
        return LS_FAIL(LS_INPUT, "is %lld x %lld, which its %zu bytes cannot hold", (long long)width,
                       (long long)height, file_bytes);
    return LS_OK;
}

void ls_picture_shape(struct ls_picture *picture, int width, int height, int channels) {
    picture->width = picture->columns = width;
    picture->height = picture->rows = height;
    picture->left = picture->top = 0;
    picture->channels = channels;
}

ls_status ls_picture_reserve(struct ls_picture *picture) {
    size_t bytes = (size_t)picture->rows * (size_t)picture->columns * (size_t)picture->channels;
    if (picture->room >= bytes) return LS_OK;
    uint8_t *pixels = realloc(picture->pixels, bytes);
    if (!pixels) return LS_FAIL(LS_SYSTEM, "out of memory for %zu bytes of a picture", bytes);
    picture->pixels = pixels;
    picture->room = bytes;
    return LS_OK;
}
