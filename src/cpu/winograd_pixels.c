// Transforms of pixels: of x and dy to tiles, and of tiles to y.
#ifdef LS_PLAIN_HAVE_V4

#include "cpu/winograd_vectors.h"

enum { VECTOR = LS_WINOGRAD_VECTOR };

struct place_of_tile {
    int64_t image, row, column; // of the tile's first pixel of y
};

static struct place_of_tile find_tile(const struct ls_winograd *conv, int64_t tile) {
    return (struct place_of_tile){tile / (conv->tiles_h * conv->tiles_w),
                                  tile / conv->tiles_w % conv->tiles_h * 2, tile % conv->tiles_w * 2};
}

static void next_tile(const struct ls_winograd *conv, struct place_of_tile *at) {
    at->column += 2;
    if (at->column < conv->out_w) return;
    at->column = 0;
    at->row += 2;
    if (at->row < conv->out_h) return;
    at->row = 0;
    at->image++;
}

// Bᵀ
static inline void input_column(const __m512 d[4], __m512 v[4]) {
    v[0] = _mm512_sub_ps(d[0], d[2]);
    v[1] = _mm512_add_ps(d[1], d[2]);
    v[2] = _mm512_sub_ps(d[2], d[1]);
    v[3] = _mm512_sub_ps(d[1], d[3]);
}

static inline void store_column(float *to, int64_t step, const __m512 v[4]) {
    for (int i = 0; i < 4; i++) _mm512_storeu_ps(to + 4 * i * step, v[i]);
}

static void input_tile(const float *const pixel[16], int64_t channels, const struct ls_winograd_matrix *v,
                       int64_t row) {
    const int64_t step = ls_winograd_step(v);
    for (int64_t c = 0; c < channels; c += VECTOR) {
        float *to = ls_winograd_at(v, 0, row, c);
        __m512 half[4][4]; // d B: [row][place]
        for (int r = 0; r < 4; r++) {
            __m512 d[4];
            for (int k = 0; k < 4; k++) d[k] = ls_winograd_load(pixel[4 * r + k] + c, channels - c);
            input_column(d, half[r]);
        }
        for (int k = 0; k < 4; k++) {
            const __m512 d[4] = {half[0][k], half[1][k], half[2][k], half[3][k]};
            __m512 whole[4];
            input_column(d, whole);
            store_column(to + k * step, step, whole);
        }
    }
}

void ls_winograd_put_x(const struct ls_winograd *conv, const float *x, const float *zeros, int64_t first,
                       int64_t count, const struct ls_winograd_matrix *v) {
    struct place_of_tile at = find_tile(conv, first);
    for (int64_t tile = 0; tile < count; tile++, next_tile(conv, &at)) {
        const float *pixel[16], *image = x + at.image * conv->in_h * conv->in_w * conv->in;
        for (int i = 0; i < 16; i++) {
            const int64_t h = at.row - conv->pad_h + i / 4, w = at.column - conv->pad_w + i % 4;
            const bool inside = h >= 0 && h < conv->in_h && w >= 0 && w < conv->in_w;
            pixel[i] = inside ? image + (h * conv->in_w + w) * conv->in : zeros;
        }
        input_tile(pixel, conv->in, v, tile);
    }
}

// A
static inline void grad_column(__m512 a, __m512 b, __m512 w[4]) {
    w[0] = a;
    w[1] = _mm512_add_ps(a, b);
    w[2] = _mm512_sub_ps(a, b);
    w[3] = _mm512_sub_ps(_mm512_setzero_ps(), b);
}

static void grad_tile(const float *const pixel[4], int64_t channels, const struct ls_winograd_matrix *w,
                      int64_t row) {
    const int64_t step = ls_winograd_step(w);
    for (int64_t c = 0; c < channels; c += VECTOR) {
        float *to = ls_winograd_at(w, 0, row, c);
        __m512 half[2][4]; // dy Aᵀ
        for (int r = 0; r < 2; r++)
            grad_column(ls_winograd_load(pixel[2 * r] + c, channels - c),
                        ls_winograd_load(pixel[2 * r + 1] + c, channels - c), half[r]);
        for (int k = 0; k < 4; k++) {
            __m512 whole[4];
            grad_column(half[0][k], half[1][k], whole);
            store_column(to + k * step, step, whole);
        }
    }
}

void ls_winograd_put_dy(const struct ls_winograd *conv, const float *dy, const float *zeros, int64_t first,
                        int64_t count, const struct ls_winograd_matrix *w) {
    struct place_of_tile at = find_tile(conv, first);
    for (int64_t tile = 0; tile < count; tile++, next_tile(conv, &at)) {
        const float *pixel[4];
        for (int i = 0; i < 4; i++) {
            const int64_t h = at.row + i / 2, k = at.column + i % 2;
            pixel[i] = h < conv->out_h && k < conv->out_w
                           ? dy + ((at.image * conv->out_h + h) * conv->out_w + k) * conv->out
                           : zeros;
        }
        grad_tile(pixel, conv->out, w, tile);
    }
}

// Aᵀ
static inline void output_column(const __m512 m[4], __m512 y[2]) {
    y[0] = _mm512_add_ps(_mm512_add_ps(m[0], m[1]), m[2]);
    y[1] = _mm512_sub_ps(_mm512_sub_ps(m[1], m[2]), m[3]);
}

static inline void output_vector(const float *from, int64_t step, __m512 y[2][2]) {
    __m512 half[2][4]; // Aᵀ M
    for (int k = 0; k < 4; k++) {
        __m512 m[4], two[2];
        for (int r = 0; r < 4; r++) m[r] = _mm512_loadu_ps(from + (4 * r + k) * step);
        output_column(m, two);
        half[0][k] = two[0];
        half[1][k] = two[1];
    }
    output_column(half[0], y[0]);
    output_column(half[1], y[1]);
}

// 0 where x <= 0: NaN stays.
static inline __m512 relu_of(__m512 x) {
    return _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LE_OQ), _mm512_setzero_ps());
}

void ls_winograd_take_y(const struct ls_winograd *conv, const struct ls_winograd_matrix *m, int64_t channel,
                        int64_t first, int64_t count, const float *bias, bool relu, float *y) {
    const int64_t step = ls_winograd_step(m);
    struct place_of_tile at = find_tile(conv, first);
    for (int64_t tile = 0; tile < count; tile++, next_tile(conv, &at)) {
        float *to = y + ((at.image * conv->out_h + at.row) * conv->out_w + at.column) * conv->out + channel;
        const int high = at.row + 1 < conv->out_h ? 2 : 1, wide = at.column + 1 < conv->out_w ? 2 : 1;
        for (int64_t c = 0; c < m->columns; c += VECTOR) {
            const __m512 shift =
                bias ? ls_winograd_load(bias + channel + c, m->columns - c) : _mm512_setzero_ps();
            __m512 pixel[2][2];
            output_vector(ls_winograd_at(m, 0, tile, c), step, pixel);
            for (int r = 0; r < high; r++)
                for (int k = 0; k < wide; k++) {
                    __m512 value = bias ? _mm512_add_ps(pixel[r][k], shift) : pixel[r][k];
                    if (relu) value = relu_of(value);
                    ls_winograd_store(to + (r * conv->out_w + k) * conv->out + c, m->columns - c, value);
                }
        }
    }
}

#endif
