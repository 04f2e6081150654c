// The inside of pictures. Each file uses only what stands above it here:
//
//   picture_square.c  size, crop, orientation
//   picture_memory.c  how large a picture may be, and room for its pixels
//   picture_jpeg.c    libjpeg-turbo, and EXIF's orientation
//   picture_png.c     libpng
//   picture.c         what kind a file is
#pragma once

#include "data/picture.h"

enum { LS_MOST_SIDE = 65500 };

// Refuses sides that are too long, and pixels that a file of so many bytes cannot hold: before any memory is
// asked for.
ls_status ls_picture_check(int64_t width, int64_t height, size_t file_bytes);
// The size of the whole; all of it is there.
void ls_picture_shape(struct ls_picture *picture, int width, int height, int channels);
// Room for the part that `left`, `top`, `columns` and `rows` say.
ls_status ls_picture_reserve(struct ls_picture *picture);
// Numbers [*begin, *end) of a side of `length` that a square out of the middle is made of.
void ls_square_needs(int length, int shorter, int side, int *begin, int *end);
ls_status ls_jpeg_decode(const uint8_t *bytes, size_t n, int side, int channels, struct ls_picture *picture);
ls_status ls_png_decode(const uint8_t *bytes, size_t n, int channels, struct ls_picture *picture);
const char *ls_jpeg_library(void); // NULL: built without
const char *ls_png_library(void);
