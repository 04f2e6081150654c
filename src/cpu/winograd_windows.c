// Windows and their gradient, transformed: 16 channels at a time.
#ifdef LS_PLAIN_HAVE_V4

#include "cpu/winograd_vectors.h"

enum { VECTOR = LS_WINOGRAD_VECTOR, TAPS = 9 };

// G
static inline void put_three(const __m512 g[3], __m512 u[4]) {
    const __m512 half = _mm512_set1_ps(0.5f);
    const __m512 ends = _mm512_add_ps(g[0], g[2]);
    u[0] = g[0];
    u[1] = _mm512_mul_ps(_mm512_add_ps(ends, g[1]), half);
    u[2] = _mm512_mul_ps(_mm512_sub_ps(ends, g[1]), half);
    u[3] = g[2];
}

// U of 16 windows side by side, g[row][column].
static inline void put_vector(const __m512 g[3][3], float *to, int64_t step) {
    __m512 half[3][4]; // g Gᵀ
    for (int r = 0; r < 3; r++) put_three(g[r], half[r]);
    for (int k = 0; k < 4; k++) {
        const __m512 column[3] = {half[0][k], half[1][k], half[2][k]};
        __m512 whole[4];
        put_three(column, whole);
        for (int r = 0; r < 4; r++) _mm512_storeu_ps(to + (4 * r + k) * step, whole[r]);
    }
}

static inline void transpose(__m512 x[16]) {
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int k = 0; k < 2; k++) {
            const __m512d a = _mm512_castps_pd(t[i + k]), b = _mm512_castps_pd(t[i + k + 2]);
            x[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            x[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    // x[4q + j] has column 4l + j of rows 4q..4q+3 in its quarter l.
    for (int j = 0; j < 4; j++) {
        const __m512 low = _mm512_shuffle_f32x4(x[j], x[j + 4], 0x88),
                     high = _mm512_shuffle_f32x4(x[j], x[j + 4], 0xdd),
                     low2 = _mm512_shuffle_f32x4(x[j + 8], x[j + 12], 0x88),
                     high2 = _mm512_shuffle_f32x4(x[j + 8], x[j + 12], 0xdd);
        t[j] = _mm512_shuffle_f32x4(low, low2, 0x88);
        t[j + 8] = _mm512_shuffle_f32x4(low, low2, 0xdd);
        t[j + 4] = _mm512_shuffle_f32x4(high, high2, 0x88);
        t[j + 12] = _mm512_shuffle_f32x4(high, high2, 0xdd);
    }
    for (int i = 0; i < 16; i++) x[i] = t[i];
}

// tap[in][out] of 16 x 16 windows; what lies outside is 0.
static void load_windows(const float *w, int64_t in, int64_t ins, int64_t outs, float tap[TAPS][16][16]) {
    for (int t = 0; t < TAPS; t++) {
        __m512 x[16];
        for (int o = 0; o < 16; o++)
            x[o] = o < outs ? ls_winograd_load(w + (o * TAPS + t) * in, ins) : _mm512_setzero_ps();
        transpose(x);
        for (int i = 0; i < 16; i++) _mm512_storeu_ps(tap[t][i], x[i]);
    }
}

void ls_winograd_put_w(const struct ls_winograd *conv, const float *w, int64_t channel,
                       const struct ls_winograd_matrix *u) {
    const int64_t step = ls_winograd_step(u), in = conv->in;
    float tap[TAPS][VECTOR][VECTOR];
    for (int64_t o = 0; o < u->columns; o += VECTOR)
        for (int64_t i = 0; i < in; i += VECTOR) {
            const int64_t ins = ls_winograd_min(in - i, VECTOR);
            load_windows(w + (channel + o) * TAPS * in + i, in, ins, u->columns - o, tap);
            for (int64_t k = 0; k < ins; k++) {
                __m512 g[3][3];
                for (int t = 0; t < TAPS; t++) g[t / 3][t % 3] = _mm512_loadu_ps(tap[t][k]);
                put_vector(g, ls_winograd_at(u, 0, i + k, o), step);
            }
        }
}

void ls_winograd_put_turned_w(const struct ls_winograd *conv, const float *w, int64_t channel,
                              const struct ls_winograd_matrix *u) {
    const int64_t step = ls_winograd_step(u), out = conv->out;
    for (int64_t row = 0; row < conv->in; row++)
        for (int64_t c = 0; c < u->columns; c += VECTOR) {
            const float *from = w + row * TAPS * out + channel + c;
            __m512 g[3][3];
            for (int t = 0; t < TAPS; t++)
                g[2 - t / 3][2 - t % 3] = ls_winograd_load(from + t * out, u->columns - c);
            put_vector(g, ls_winograd_at(u, 0, row, c), step);
        }
}

// Gᵀ
static inline void take_three(const __m512 u[4], __m512 g[3]) {
    const __m512 half = _mm512_set1_ps(0.5f);
    const __m512 middle = _mm512_mul_ps(_mm512_add_ps(u[1], u[2]), half);
    g[0] = _mm512_add_ps(u[0], middle);
    g[1] = _mm512_mul_ps(_mm512_sub_ps(u[1], u[2]), half);
    g[2] = _mm512_add_ps(middle, u[3]);
}

void ls_winograd_take_dw(const struct ls_winograd *conv, const struct ls_winograd_matrix *du, int64_t channel,
                         float *dw) {
    const int64_t step = ls_winograd_step(du), in = conv->in;
    for (int64_t row = 0; row < conv->out; row++)
        for (int64_t c = 0; c < du->columns; c += VECTOR) {
            const float *from = ls_winograd_at(du, 0, row, c);
            float *to = dw + row * TAPS * in + channel + c;
            __m512 half[4][3]; // dU G
            for (int r = 0; r < 4; r++) {
                __m512 u[4];
                for (int k = 0; k < 4; k++) u[k] = _mm512_loadu_ps(from + (4 * r + k) * step);
                take_three(u, half[r]);
            }
            for (int k = 0; k < 3; k++) {
                const __m512 u[4] = {half[0][k], half[1][k], half[2][k], half[3][k]};
                __m512 g[3];
                take_three(u, g);
                for (int r = 0; r < 3; r++) ls_winograd_store(to + (3 * r + k) * in, du->columns - c, g[r]);
            }
        }
}

#endif
