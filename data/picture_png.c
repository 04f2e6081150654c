#include "data/picture_parts.h"

#ifndef LOCKSTEP_HAVE_PNG

const char *ls_png_library(void) {
    return NULL;
}

ls_status ls_png_decode(const uint8_t *bytes, size_t n, int channels, struct ls_picture *picture) {
    (void)bytes, (void)n, (void)channels, (void)picture;
    return LS_FAIL(LS_INPUT, "is a PNG, and this program was built without libpng");
}

#else

#include <png.h>

const char *ls_png_library(void) {
    return "libpng " PNG_LIBPNG_VER_STRING;
}

static ls_status decode(png_image *png, size_t n, int channels, struct ls_picture *picture) {
    static const png_color white = {255, 255, 255};
    png->format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
    LS_TRY(ls_picture_check(png->width, png->height, n));
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

#endif
