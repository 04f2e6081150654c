// Loops whose innermost one runs over numbers that lie side by side and do not depend on each other, so that
// the compiler makes vectors of it without changing a sum.
#include "lib/plain.h"

#include <stdbool.h>
#include <string.h>

static void transpose(float *to, const float *from, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

// to += factor * from
static inline void add_scaled(float *restrict to, float factor, const float *restrict from, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] += factor * from[i];
}

void ls_plain_product(const struct ls_lib_product *p, const float *a, const float *b, float *out,
                      float *scratch) {
    const int64_t a_row = p->transpose_a ? 1 : p->k, a_column = p->transpose_a ? p->m : 1;
    if (p->transpose_b) transpose(scratch, b, p->n, p->k);
    const float *b_rows = p->transpose_b ? scratch : b;
    memset(out, 0, (size_t)(p->m * p->n) * sizeof *out);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t k = 0; k < p->k; k++)
            add_scaled(out + i * p->n, a[i * a_row + k * a_column], b_rows + k * p->n, p->n);
}

// A convolution is a walk over the pairs of an output position and a tap of the window: `visit` gets the
// channels of the input there, those of the output, and the number of the tap.
struct walk {
    const struct ls_lib_conv *conv;
    float *x, *y; // the one that is read is not written
    float *w;
};

typedef void visit_function(const struct walk *walk, float *x, float *y, int64_t tap);

static void walk_position(const struct walk *walk, int64_t image, int64_t oh, int64_t ow,
                          visit_function *visit) {
    const struct ls_lib_conv *c = walk->conv;
    float *y = walk->y + ((image * ls_plain_out_h(c) + oh) * ls_plain_out_w(c) + ow) * c->o;
    for (int64_t kh = 0; kh < c->kh; kh++)
        for (int64_t kw = 0; kw < c->kw; kw++) {
            const int64_t ih = oh * c->stride_h - c->pad_h + kh * c->dilation_h;
            const int64_t iw = ow * c->stride_w - c->pad_w + kw * c->dilation_w;
            if (ih < 0 || ih >= c->h || iw < 0 || iw >= c->w) continue;
            visit(walk, walk->x + ((image * c->h + ih) * c->w + iw) * c->c, y, kh * c->kw + kw);
        }
}

static void walk_all(const struct walk *walk, visit_function *visit) {
    const struct ls_lib_conv *c = walk->conv;
    for (int64_t image = 0; image < c->n; image++)
        for (int64_t oh = 0; oh < ls_plain_out_h(c); oh++)
            for (int64_t ow = 0; ow < ls_plain_out_w(c); ow++) walk_position(walk, image, oh, ow, visit);
}

// Forward and the weights' gradient have the weights as [tap][channel][o].
static void visit_forward(const struct walk *walk, float *x, float *y, int64_t tap) {
    const struct ls_lib_conv *c = walk->conv;
    const int64_t cg = c->c / c->groups, og = c->o / c->groups;
    for (int64_t channel = 0; channel < c->c; channel++) {
        const int64_t first = channel / cg * og;
        add_scaled(y + first, x[channel], walk->w + (tap * cg + channel % cg) * c->o + first, og);
    }
}

static void visit_weight_grad(const struct walk *walk, float *x, float *y, int64_t tap) {
    const struct ls_lib_conv *c = walk->conv;
    const int64_t cg = c->c / c->groups, og = c->o / c->groups;
    for (int64_t channel = 0; channel < c->c; channel++) {
        const int64_t first = channel / cg * og;
        add_scaled(walk->w + (tap * cg + channel % cg) * c->o + first, x[channel], y + first, og);
    }
}

// The weights as they lie: [o][tap][channel].
static void visit_input_grad(const struct walk *walk, float *x, float *y, int64_t tap) {
    const struct ls_lib_conv *c = walk->conv;
    const int64_t cg = c->c / c->groups, og = c->o / c->groups, taps = c->kh * c->kw;
    for (int64_t o = 0; o < c->o; o++) add_scaled(x + o / og * cg, y[o], walk->w + (o * taps + tap) * cg, cg);
}

void ls_plain_conv(const struct ls_lib_conv *c, const float *a, const float *b, float *out, float *scratch) {
    const int64_t columns = c->kh * c->kw * (c->c / c->groups); // of the weights, seen as [o][columns]
    const size_t n_x = (size_t)(c->n * c->h * c->w * c->c);
    const size_t n_y = (size_t)(c->n * ls_plain_out_h(c) * ls_plain_out_w(c) * c->o);
    switch (c->direction) {
    case LS_LIB_FORWARD:
        transpose(scratch, b, c->o, columns);
        memset(out, 0, n_y * sizeof *out);
        walk_all(&(struct walk){c, (float *)a, out, scratch}, visit_forward);
        break;
    case LS_LIB_INPUT_GRAD:
        memset(out, 0, n_x * sizeof *out);
        walk_all(&(struct walk){c, out, (float *)a, (float *)b}, visit_input_grad);
        break;
    case LS_LIB_WEIGHT_GRAD:
        memset(scratch, 0, (size_t)(c->o * columns) * sizeof *scratch);
        walk_all(&(struct walk){c, (float *)a, (float *)b, scratch}, visit_weight_grad);
        transpose(out, scratch, columns, c->o);
        break;
    }
}
