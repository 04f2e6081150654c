// Pictures in files: JPEG by libjpeg-turbo, PNG by libpng, brought to one size.
#pragma once

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#include "base/begin.h"

// A picture as it was decoded: of its width x height, [rows][columns][channels] u8 from (top, left) on.
struct ls_picture {
    int width, height, channels;  // channels: 1 grey, 3 RGB
    int left, top, columns, rows; // at least what the square in its middle needs
    int orientation;              // EXIF's, 1 to 8; 1: as it lies
    uint8_t *pixels;              // malloc'd, `room` bytes; used again by the next picture
    size_t room;
};

void ls_picture_free(struct ls_picture *picture);

// Decodes the bytes of a file, which begins as JPEG or PNG files do. The shorter side is at least `side`
// where the picture's own is: a JPEG is decoded smaller where that is enough. Palettes, 16 bits, CMYK become
// RGB or grey; transparency shows white. LS_INPUT, without the file's name, for what is broken, cut off, of
// no known kind, or of a kind that this program was built without.
ls_status ls_picture_decode(const uint8_t *bytes, size_t n, int side, int channels,
                            struct ls_picture *picture);
const char *ls_picture_kinds(void); // "JPEG (libjpeg-turbo 2.1.5), PNG (libpng 1.6.39)", or "none"

// LS_INPUT where no picture can be written to `path`, or one would take the place of a file that is no PNG.
ls_status ls_picture_may_write(const char *path);
// Writes [height][width][channels] u8, 1 or 3 channels, as a PNG: whole or not at all. LS_INPUT where the
// program was built without libpng.
ls_status ls_picture_write(const char *path, const uint8_t *pixels, int width, int height, int channels);

// The shorter side brought to `side`, the longer one cropped in the middle, turned as the orientation says:
// [side][side][channels] u8 to `out`. A triangle filter whose width follows the scale ("tent", as Heckbert's
// zoom has it), in integers, so that the bytes are the same on any machine. `scratch`: malloc'd memory that
// grows and is used again; NULL, 0 at first.
struct ls_resize_scratch {
    void *memory;
    size_t bytes;
    int width, height, side, channels; // of the last picture, whose weights it holds
};
// Raised with any change of decoding or of ls_picture_square that changes pixels: a set that was begun with
// others is not gone on with.
enum { LS_PICTURE_SQUARES = 3 };

ls_status ls_picture_square(const struct ls_picture *picture, int side, struct ls_resize_scratch *scratch,
                            uint8_t *out);

#include "base/end.h"
