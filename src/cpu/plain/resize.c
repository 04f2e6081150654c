// Images of another size, forward and backward; channels are the innermost loop, PLAIN_CHANNELS at a time.
#include "cpu/plain/plain.h"
#include "ops/resample.h"

static void axes_of(const struct plain_dims *x, const struct plain_dims *y, bool bilinear,
                    struct ls_axis *rows, struct ls_axis *columns) {
    *rows = (struct ls_axis){x->h, y->h, bilinear};
    *columns = (struct ls_axis){x->w, y->w, bilinear};
}

#define PLAIN_FAMILY "cpu/plain/resize.inc"
#include "cpu/plain/each_type.h"

PLAIN_OP(resize, "x:x", NULL);
PLAIN_OP(resize_grad, "x:x", NULL);
