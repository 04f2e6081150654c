#include "data/picture_parts.h"

#ifndef LOCKSTEP_HAVE_PNG

const char *ls_png_library(void) {
    return NULL;
}

ls_status ls_png_decode(const uint8_t *bytes, size_t n, int channels, struct ls_picture *picture) {
    (void)bytes, (void)n, (void)channels, (void)picture;
    return LS_FAIL(LS_INPUT, "is a PNG, and this program was built without libpng");
}

ls_status ls_picture_write(const char *path, const uint8_t *pixels, int width, int height, int channels) {
    (void)pixels, (void)width, (void)height, (void)channels;
    return LS_FAIL(LS_INPUT, "%s: cannot be written: this program was built without libpng", path);
}

#else

#include "base/file.h"

#include <png.h>
#include <stdlib.h>

const char *ls_png_library(void) {
    return "libpng " PNG_LIBPNG_VER_STRING;
}

static ls_status decode(png_image *png, size_t n, int channels, struct ls_picture *picture) {
    static const png_color white = {255, 255, 255};
    png->format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    LS_TRY(ls_picture_check(png->width, png->height, n));
    // Of 16 bits, too, most files that say nothing of gamma mean sRGB, as those of 8 bits do.
    png->flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    ls_picture_shape(picture, (int)png->width, (int)png->height, channels);
    LS_TRY(ls_picture_reserve(picture));
    png_image_finish_read(png, &white, picture->pixels, 0, NULL);
    // What the library only warns of (a checksum, say) is broken too.
    if (png->warning_or_error) return LS_FAIL(LS_INPUT, "is a broken PNG: %s", png->message);
    return LS_OK;
}

ls_status ls_png_decode(const uint8_t *bytes, size_t n, int channels, struct ls_picture *picture) {
    png_image png = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&png, bytes, n))
        return LS_FAIL(LS_INPUT, "is a broken PNG: %s", png.message);
    ls_status status = decode(&png, n, channels, picture);
    png_image_free(&png);
    return status;
}

ls_status ls_picture_write(const char *path, const uint8_t *pixels, int width, int height, int channels) {
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)width,
                     .height = (png_uint_32)height,
                     .format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB};
    png_alloc_size_t bytes = 0;
    if (!png_image_write_get_memory_size(png, bytes, 0, pixels, 0, NULL))
        return LS_FAIL(LS_SYSTEM, "%s: %s", path, png.message);
    void *file = malloc(bytes);
    if (!file) return LS_FAIL(LS_SYSTEM, "%s: out of memory for %zu bytes", path, (size_t)bytes);
    ls_status status = LS_OK;
    if (png_image_write_to_memory(&png, file, &bytes, 0, pixels, 0, NULL))
        status = ls_file_write(path, file, bytes);
    else
        status = LS_FAIL(LS_SYSTEM, "%s: %s", path, png.message);
    free(file);
    return status;
}

#endif
