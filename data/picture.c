#include "data/picture_parts.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

// What the files begin with.
static const uint8_t jpeg_mark[] = {0xff, 0xd8, 0xff}, png_mark[] = {0x89, 'P', 'N', 'G'};

ls_status ls_picture_may_write(const char *path) {
    uint8_t begin[sizeof png_mark] = {0};
    LS_TRY(ls_file_may_write(path));
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT) return LS_OK;
    if (!file) return LS_FAIL(LS_INPUT, "%s: is there, and cannot be read: %s", path, strerror(errno));
    const size_t n = fread(begin, 1, sizeof begin, file);
    fclose(file);
    if (n == 0 || (n == sizeof begin && memcmp(begin, png_mark, sizeof begin) == 0)) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: is there, and is no PNG: remove it, or write to another", path);
}

ls_status ls_picture_decode(const uint8_t *bytes, size_t n, int side, int channels,
                            struct ls_picture *picture) {
    picture->orientation = 1;
    if (n >= sizeof jpeg_mark && memcmp(bytes, jpeg_mark, sizeof jpeg_mark) == 0)
        return ls_jpeg_decode(bytes, n, side, channels, picture);
    if (n >= sizeof png_mark && memcmp(bytes, png_mark, sizeof png_mark) == 0)
        return ls_png_decode(bytes, n, channels, picture);
    if (n == 0) return LS_FAIL(LS_INPUT, "is empty");
    return LS_FAIL(LS_INPUT, "is neither JPEG nor PNG: it begins with %02x %02x %02x %02x", bytes[0],
                   n > 1 ? bytes[1] : 0, n > 2 ? bytes[2] : 0, n > 3 ? bytes[3] : 0);
}

const char *ls_picture_kinds(void) {
    static char text[128];
    const char *jpeg = ls_jpeg_library(), *png = ls_png_library();
    snprintf(text, sizeof text, "%s%s%s%s%s%s%s", jpeg ? "JPEG (" : "", jpeg ? jpeg : "", jpeg ? ")" : "",
             jpeg && png ? ", " : "", png ? "PNG (" : "", png ? png : "", png ? ")" : "");
    return jpeg || png ? text : "none";
}
