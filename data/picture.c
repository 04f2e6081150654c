#include "data/picture_parts.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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
