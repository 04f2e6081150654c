#include "data/picture_parts.h"

#ifndef LOCKSTEP_HAVE_JPEG

const char *ls_jpeg_library(void) {
    return NULL;
}

ls_status ls_jpeg_decode(const uint8_t *bytes, size_t n, int side, int channels, struct ls_picture *picture) {
    (void)bytes, (void)n, (void)side, (void)channels, (void)picture;
    return LS_FAIL(LS_INPUT, "is a JPEG, and this program was built without libjpeg-turbo");
}

#else

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#define TEXT_OF(x)   #x
#define NUMBER_OF(x) TEXT_OF(x)

const char *ls_jpeg_library(void) {
#ifdef LIBJPEG_TURBO_VERSION
    return "libjpeg-turbo " NUMBER_OF(LIBJPEG_TURBO_VERSION);
#else
    return "libjpeg " NUMBER_OF(JPEG_LIB_VERSION);
#endif
}

// The library leaves by its error_exit, and goes on after a warning, with grey where data are missing: both
// are a broken picture here.
struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf leave;
    char words[JMSG_LENGTH_MAX];
};

static void keep_words(j_common_ptr jpeg) {
    struct decoder *decoder = (struct decoder *)jpeg;
    if (!decoder->words[0]) jpeg->err->format_message(jpeg, decoder->words);
}

static void leave(j_common_ptr jpeg) {
    keep_words(jpeg);
    longjmp(((struct decoder *)jpeg)->leave, 1);
}

static void leave_at_warning(j_common_ptr jpeg, int level) {
    if (level < 0) leave(jpeg);
}

static void print_nothing(j_common_ptr jpeg) {
    (void)jpeg;
}

// ---- EXIF

static unsigned number_at(const uint8_t *at, int bytes, bool big) {
    unsigned value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[big ? i : bytes - 1 - i];
    return value;
}

// The tag 0x0112 of the first directory ("Exif Version 2.3", 4.6.2); 1 where there is none.
static int orientation_in(const uint8_t *data, size_t n) {
    enum { HEAD = 6, ENTRY = 12, TAG = 0x0112 };
    if (n < HEAD + 8 || memcmp(data, "Exif\0", 6) != 0) return 1;
    const uint8_t *tiff = data + HEAD;
    size_t bytes = n - HEAD;
    bool big = tiff[0] == 'M';
    size_t directory = number_at(tiff + 4, 4, big);
    if (directory > bytes - 2) return 1;
    size_t entries = number_at(tiff + directory, 2, big);
    for (size_t i = 0; i < entries; i++) {
        size_t at = directory + 2 + i * ENTRY;
        if (at + ENTRY > bytes) return 1;
        if (number_at(tiff + at, 2, big) != TAG) continue;
        unsigned value = number_at(tiff + at + 8, 2, big);
        return value >= 1 && value <= 8 ? (int)value : 1;
    }
    return 1;
}

static int orientation_of(const struct jpeg_decompress_struct *jpeg) {
    for (jpeg_saved_marker_ptr marker = jpeg->marker_list; marker; marker = marker->next)
        if (marker->marker == JPEG_APP0 + 1) return orientation_in(marker->data, marker->data_length);
    return 1;
}

// ---- pixels

// The library scales within its transform, which is faster than decoding all and cheaper to filter; by these,
// with the instructions of the processor.
static void choose_scale(struct jpeg_decompress_struct *jpeg, int side) {
    unsigned shorter = jpeg->image_width < jpeg->image_height ? jpeg->image_width : jpeg->image_height;
    jpeg->scale_denom = 8;
    for (jpeg->scale_num = 1; jpeg->scale_num < 8; jpeg->scale_num *= 2)
        if ((uint64_t)shorter * jpeg->scale_num / 8 >= (unsigned)side) return;
}

static void choose_colours(struct jpeg_decompress_struct *jpeg, int channels) {
    bool four = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = four ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
}

static uint8_t times(unsigned a, unsigned b) {
    return (uint8_t)((a * b + 127) / 255);
}

// Adobe writes CMYK inverted: 255 is no ink; others write it straight.
static void from_cmyk(const uint8_t *line, int width, bool inverted, int channels, uint8_t *out) {
    for (int x = 0; x < width; x++, line += 4, out += channels) {
        unsigned part[4];
        for (int c = 0; c < 4; c++) part[c] = inverted ? line[c] : 255u - line[c];
        uint8_t rgb[3] = {times(part[0], part[3]), times(part[1], part[3]), times(part[2], part[3])};
        if (channels == 3)
            memcpy(out, rgb, 3);
        else // ITU-R BT.601, as JPEG's own grey
            *out = (uint8_t)((299u * rgb[0] + 587u * rgb[1] + 114u * rgb[2] + 500) / 1000);
    }
}

// What the crop leaves out is not decoded further than it must be. The library widens the columns to its
// blocks; the margin keeps what its upsampling does at their edges out of the square.
static void choose_part(struct jpeg_decompress_struct *jpeg, int side, struct ls_picture *picture) {
#if defined(LIBJPEG_TURBO_VERSION_NUMBER) && LIBJPEG_TURBO_VERSION_NUMBER >= 1005000
    enum { MARGIN = 8 };
    int shorter = picture->width < picture->height ? picture->width : picture->height, begin, end;
    ls_square_needs(picture->width, shorter, side, &begin, &end);
    begin = begin > MARGIN ? begin - MARGIN : 0;
    end = end + MARGIN < picture->width ? end + MARGIN : picture->width;
    if (end - begin < picture->width) {
        JDIMENSION left = (JDIMENSION)begin, columns = (JDIMENSION)(end - begin);
        jpeg_crop_scanline(jpeg, &left, &columns);
        picture->left = (int)left;
        picture->columns = (int)columns;
    }
    ls_square_needs(picture->height, shorter, side, &begin, &end);
    picture->top = begin;
    picture->rows = end - begin;
#else
    (void)jpeg, (void)side, (void)picture;
#endif
}

static void skip_lines(struct jpeg_decompress_struct *jpeg, int lines) {
#if defined(LIBJPEG_TURBO_VERSION_NUMBER) && LIBJPEG_TURBO_VERSION_NUMBER >= 1005000
    if (lines > 0) jpeg_skip_scanlines(jpeg, (JDIMENSION)lines);
#else
    (void)jpeg, (void)lines;
#endif
}

static void read_cmyk(struct jpeg_decompress_struct *jpeg, int channels, const struct ls_picture *picture) {
    JSAMPARRAY line = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * 4, 1);
    uint8_t *out = picture->pixels;
    for (int row = 0; row < picture->rows; row++, out += picture->columns * channels) {
        jpeg_read_scanlines(jpeg, line, 1);
        from_cmyk(line[0], picture->columns, jpeg->saw_Adobe_marker, channels, out);
    }
}

static void read_lines(struct decoder *decoder, int channels, struct ls_picture *picture) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    const size_t bytes = (size_t)picture->columns * (size_t)channels;
    skip_lines(jpeg, picture->top);
    if (jpeg->out_color_space == JCS_CMYK)
        read_cmyk(jpeg, channels, picture);
    else
        for (int row = 0, n; row < picture->rows; row += n) {
            enum { MOST = 16 }; // of a row of blocks, which the library decodes together
            JSAMPROW lines[MOST];
            for (n = 0; n < MOST && row + n < picture->rows; n++)
                lines[n] = picture->pixels + (size_t)(row + n) * bytes;
            n = (int)jpeg_read_scanlines(jpeg, lines, (JDIMENSION)n);
        }
    skip_lines(jpeg, picture->height - picture->top - picture->rows);
}

static ls_status decode(struct decoder *decoder, const uint8_t *bytes, size_t n, int side, int channels,
                        struct ls_picture *picture) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    if (setjmp(decoder->leave)) return LS_FAIL(LS_INPUT, "is a broken JPEG: %s", decoder->words);
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, (unsigned char *)(uintptr_t)bytes, n);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(jpeg, TRUE);
    LS_TRY(ls_picture_check(jpeg->image_width, jpeg->image_height, n));
    picture->orientation = orientation_of(jpeg);
    choose_scale(jpeg, side);
    choose_colours(jpeg, channels);
    jpeg_start_decompress(jpeg);
    ls_picture_shape(picture, (int)jpeg->output_width, (int)jpeg->output_height, channels);
    choose_part(jpeg, side, picture);
    LS_TRY(ls_picture_reserve(picture));
    read_lines(decoder, channels, picture);
    jpeg_finish_decompress(jpeg);
    return LS_OK;
}

ls_status ls_jpeg_decode(const uint8_t *bytes, size_t n, int side, int channels, struct ls_picture *picture) {
    struct decoder decoder = {0};
    decoder.jpeg.err = jpeg_std_error(&decoder.errors);
    decoder.errors.error_exit = leave;
    decoder.errors.emit_message = leave_at_warning;
    decoder.errors.output_message = print_nothing;
    ls_status status = decode(&decoder, bytes, n, side, channels, picture);
    jpeg_destroy_decompress(&decoder.jpeg);
    return status;
}

#endif
