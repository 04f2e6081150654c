// What winograd.c is made of: transforms and products, with AVX-512.
//
// A matrix here is one at each of 16 places, and lies in panels of 64 columns: [place][panel][row][64].
// Columns are filled up to a multiple of 16; what lies there is written, and never goes into a result.
#pragma once

#include "cpu/winograd.h"

// STRIP: rows that are multiplied together.
enum { LS_WINOGRAD_PLACES = 16, LS_WINOGRAD_PANEL = 64, LS_WINOGRAD_VECTOR = 16, LS_WINOGRAD_STRIP = 6 };

struct ls_winograd_matrix {
    float *data;
    int64_t rows, columns;
};

static inline int64_t ls_winograd_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t ls_winograd_panels(int64_t columns) {
    return (columns + LS_WINOGRAD_PANEL - 1) / LS_WINOGRAD_PANEL;
}

// Floats from one place to the next: a multiple of 4096 bytes and one row, so that the 16 places of a tile's
// row lie in different sets of the first cache.
static inline int64_t ls_winograd_step(const struct ls_winograd_matrix *m) {
    const int64_t rows = ls_winograd_panels(m->columns) * m->rows;
    return ((rows + 15) / 16 * 16 + 1) * LS_WINOGRAD_PANEL;
}

static inline float *ls_winograd_at(const struct ls_winograd_matrix *m, int64_t place, int64_t row,
                                    int64_t column) {
    const int64_t panel = column / LS_WINOGRAD_PANEL;
    return m->data + place * ls_winograd_step(m) + (panel * m->rows + row) * LS_WINOGRAD_PANEL +
           column % LS_WINOGRAD_PANEL;
}

// ---- winograd_pixels.c: of tiles [first, first + count), in rows [0, count) of a matrix. `zeros` stand for
// the pixels outside: as many as there are channels
// V = Bᵀ d B, of all channels.
void ls_winograd_put_x(const struct ls_winograd *conv, const float *x, const float *zeros, int64_t first,
                       int64_t count, const struct ls_winograd_matrix *v);
// W = A dy Aᵀ, of all channels.
void ls_winograd_put_dy(const struct ls_winograd *conv, const float *dy, const float *zeros, int64_t first,
                        int64_t count, const struct ls_winograd_matrix *w);
// y = Aᵀ M A, + bias, relu: of M's channels, which are those of y from `channel` on.
void ls_winograd_take_y(const struct ls_winograd *conv, const struct ls_winograd_matrix *m, int64_t channel,
                        int64_t first, int64_t count, const float *bias, bool relu, float *y);

// ---- winograd_windows.c: of the channels of u, one panel, which are those of w from `channel` on
// U[in][out] = G g Gᵀ of w [out][3][3][in]
void ls_winograd_put_w(const struct ls_winograd *conv, const float *w, int64_t channel,
                       const struct ls_winograd_matrix *u);
// … of w [in][3][3][out], turned.
void ls_winograd_put_turned_w(const struct ls_winograd *conv, const float *w, int64_t channel,
                              const struct ls_winograd_matrix *u);
// dw [out][3][3][in] = Gᵀ dU G, of dU[out][in]
void ls_winograd_take_dw(const struct ls_winograd *conv, const struct ls_winograd_matrix *du, int64_t channel,
                         float *dw);

// ---- winograd_product.c: at each place, by one panel. Each sum runs in the order of what it sums over
// m = v · u, of so many rows
void ls_winograd_multiply(int64_t rows, const struct ls_winograd_matrix *v,
                          const struct ls_winograd_matrix *u, const struct ls_winograd_matrix *m);
// du = wᵀ · v, or du + wᵀ · v; of so many rows of w and v, and of v the panel that starts at `column`
void ls_winograd_multiply_turned(int64_t rows, const struct ls_winograd_matrix *w,
                                 const struct ls_winograd_matrix *v, int64_t column, bool add,
                                 const struct ls_winograd_matrix *du);
