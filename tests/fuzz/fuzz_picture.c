// JPEG and PNG files: the first byte says the size that is wanted and how many colours.
#include "fuzz.h"

#include "data/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static struct ls_picture picture;
    static struct ls_resize_scratch scratch;
    static uint8_t out[64 * 64 * 3];
    if (n < 1) return 0;
    int side = 1 + data[0] % 64;
    uint8_t *bytes = malloc(n);
    memcpy(bytes, data + 1, n - 1);
    ls_status status = ls_picture_decode(bytes, n - 1, side, data[0] & 64 ? 1 : 3, &picture);
    if (status == LS_OK) status = ls_picture_square(&picture, side, &scratch, out);
    fuzz_expect(status);
    free(bytes);
    return 0;
}
