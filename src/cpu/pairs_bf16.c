// The kernel of pairs.h; this file alone is compiled for AVX-512 BF16.
#include "cpu/pairs.h"

#ifdef __AVX512BF16__

#include <immintrin.h>
#include <string.h>

typedef uint32_t pair; // two bf16, the left pixel in the lower half

enum { PANEL = LS_PAIRS_PANEL, BLOCK = LS_PAIRS_BLOCK, LENGTH = 16, VECTORS = PANEL / LENGTH };

static inline int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// ---- laying out

// 32 channels of two pixels in turn.
static inline void interleave(const ls_bf16 *left, const ls_bf16 *right, __m512i half[2]) {
    static const uint16_t low[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                     8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    const __m512i lower = _mm512_loadu_si512(low), upper = _mm512_add_epi16(lower, _mm512_set1_epi16(16));
    const __m512i a = _mm512_loadu_si512(left), b = _mm512_loadu_si512(right);
    half[0] = _mm512_permutex2var_epi16(a, lower, b);
    half[1] = _mm512_permutex2var_epi16(a, upper, b);
}

// Pixels of row `row` of the output.
static inline int64_t row_pixels(const struct ls_pairs *conv, int64_t row) {
    return smaller(conv->out_w, conv->pixels - row * conv->out_w);
}

// A row that is laid out: of pairs of `pixels` pixels, pixel w lies at place w * stride + shift of `length`;
// others are zero. A pair is of pixels 2p and 2p + 1 of one row, or of pixel p of two: `step` and `next` say
// so. NULL is a row of zeros.
struct row {
    const ls_bf16 *left, *right, *zeros;
    int64_t step, next, pixels, stride, shift, length, channels;
};

// Rows go by value: behind a pointer, each vector stored could change them.
static inline const ls_bf16 *pixel(struct row row, const ls_bf16 *from, int64_t w) {
    const int64_t at = w * row.stride + row.shift;
    return !from || w >= row.pixels || at < 0 || at >= row.length ? row.zeros : from + at * row.channels;
}

static inline const ls_bf16 *left_pixel(struct row row, int64_t p) {
    return pixel(row, row.left, row.step * p);
}

static inline const ls_bf16 *right_pixel(struct row row, int64_t p) {
    return pixel(row, row.right, row.step * p + row.next);
}

static void lay_x(const struct ls_pairs *conv, struct row row, pair *to) {
    const int64_t panel = ls_pairs_panel(conv);
    for (int64_t p = 0; p < conv->pairs; p++, to += PANEL) {
        const ls_bf16 *left = left_pixel(row, p), *right = right_pixel(row, p);
        pair *at = to;
        for (int64_t c = 0; c < row.channels; c += PANEL, at += panel) {
            __m512i half[2];
            interleave(left + c, right + c, half);
            _mm512_store_si512(at, half[0]);
            _mm512_store_si512(at + LENGTH, half[1]);
        }
    }
}

static void lay_dy(const struct ls_pairs *conv, struct row row, pair *to) {
    const int64_t block = ls_pairs_block(conv);
    for (int64_t p = 0; p < conv->pairs; p++, to += BLOCK) {
        const ls_bf16 *left = left_pixel(row, p), *right = right_pixel(row, p);
        pair *at = to;
        for (int64_t c = 0; c < row.channels; c += PANEL) {
            __m512i half[2];
            interleave(left + c, right + c, half);
            for (int i = 0; i < 2; i++, at += 2 * block) {
                _mm256_store_si256((__m256i *)at, _mm512_castsi512_si256(half[i]));
                _mm256_store_si256((__m256i *)(at + block), _mm512_extracti64x4_epi64(half[i], 1));
            }
        }
    }
}

struct segment {
    int64_t image, row, rows;
};

static struct segment segment_at(const struct ls_pairs *conv, int64_t i) {
    const int64_t bands = (conv->out_h + conv->band - 1) / conv->band, row = i % bands * conv->band;
    return (struct segment){i / bands, row, smaller(conv->band, conv->out_h - row)};
}

// Row h of the segment's image, or images; `length` pixels of `channels`.
static struct row row_at(const struct ls_pairs *conv, const struct segment *segment, const ls_bf16 *from,
                         int64_t h, int64_t height, int64_t length, int64_t channels) {
    const int64_t image = segment->image * (conv->two ? 2 : 1), size = height * length * channels;
    const ls_bf16 *left = from + image * size + h * length * channels;
    const bool inside = h >= 0 && h < height;
    struct row row = {
        .step = conv->two ? 1 : 2, .next = conv->two ? 0 : 1, .length = length, .channels = channels};
    row.left = inside ? left : NULL;
    row.right = !inside || (conv->two && image + 1 >= conv->images) ? NULL : conv->two ? left + size : left;
    return row;
}

static void lay_segment_x(const struct ls_pairs *conv, const struct segment *segment, const ls_bf16 *x,
                          const ls_bf16 *zeros, int64_t phase, pair *to) {
    const int64_t panels = conv->in_c / PANEL;
    for (int64_t i = 0; i < ls_pairs_phase_rows(conv, phase, segment->rows); i++) {
        const int64_t h = (segment->row + i) * conv->stride_h + phase - conv->pad_h;
        struct row row = row_at(conv, segment, x, h, conv->in_h, conv->in_w, conv->in_c);
        row.zeros = zeros, row.pixels = row_pixels(conv, segment->row), row.stride = conv->stride_w;
        for (int64_t s = 0; s < conv->kernel_w; s++) {
            row.shift = s - conv->pad_w;
            lay_x(conv, row, to + s * panels * ls_pairs_panel(conv) + i * conv->pairs * PANEL);
        }
    }
}

static void lay_segment(const struct ls_pairs *conv, const struct segment *segment, const ls_bf16 *x,
                        const ls_bf16 *dy, const ls_bf16 *zeros, pair *to_x, pair *to_dy) {
    for (int64_t phase = 0; phase < ls_pairs_phases(conv); phase++)
        lay_segment_x(conv, segment, x, zeros, phase,
                      to_x + ls_pairs_phase_begin(conv, phase) * conv->pairs * PANEL);
    for (int64_t i = 0; i < segment->rows; i++) {
        const int64_t h = segment->row + i;
        struct row row = row_at(conv, segment, dy, h, conv->out_h, conv->out_w, conv->out_c);
        row.zeros = zeros, row.pixels = row_pixels(conv, h), row.stride = 1;
        lay_dy(conv, row, to_dy + i * conv->pairs * BLOCK);
    }
}

// ---- products

struct operands {
    const pair *x, *dy;
    int64_t x_step, dy_step; // from segment to segment
    int segments;
    const int64_t *pairs; // of each
};

// What the next pieces are laid out from, fetched while the products are made: some of it before each.
struct ahead {
    const char *at, *end;
    int64_t bytes;
};

static struct ahead ahead_of(const ls_bf16 *begin, int64_t count, int64_t times) {
    const char *at = (const char *)begin;
    return (struct ahead){at, at + count * (int64_t)sizeof *begin,
                          count * (int64_t)sizeof *begin / times + 64};
}

static inline void fetch(struct ahead *ahead) {
    const char *end = ahead->end - ahead->at < ahead->bytes ? ahead->end : ahead->at + ahead->bytes;
    for (; ahead->at < end; ahead->at += 64) _mm_prefetch(ahead->at, _MM_HINT_T1);
}

// dw [BLOCK][PANEL] (+)= …, rows `row` apart. A function of its own: inlined, gcc 12 keeps a sum in memory.
static __attribute__((noinline)) void multiply(const struct operands *operands, float *dw, int64_t row,
                                               bool add) {
    __m512 sum[BLOCK][VECTORS];
    for (int i = 0; i < BLOCK; i++)
        for (int j = 0; j < VECTORS; j++)
            sum[i][j] = add ? _mm512_loadu_ps(dw + i * row + j * LENGTH) : _mm512_setzero_ps();
    for (int s = 0; s < operands->segments; s++) {
        const pair *x = operands->x + s * operands->x_step, *dy = operands->dy + s * operands->dy_step;
        for (int64_t p = 0; p < operands->pairs[s]; p++, x += PANEL, dy += BLOCK) {
            __m512i right[VECTORS];
            for (int j = 0; j < VECTORS; j++) right[j] = _mm512_load_si512(x + j * LENGTH);
            for (int i = 0; i < BLOCK; i++) {
                const __m512bh left = (__m512bh)_mm512_set1_epi32((int)dy[i]);
                for (int j = 0; j < VECTORS; j++)
                    sum[i][j] = _mm512_dpbf16_ps(sum[i][j], left, (__m512bh)right[j]);
            }
        }
    }
    for (int i = 0; i < BLOCK; i++)
        for (int j = 0; j < VECTORS; j++) _mm512_storeu_ps(dw + i * row + j * LENGTH, sum[i][j]);
}

static void multiply_taps(const struct ls_pairs *conv, struct operands *operands, const pair *x,
                          const pair *dy, struct ahead next[2], float *dw, bool add) {
    const int64_t taps = conv->kernel_h * conv->kernel_w, panels = conv->in_c / PANEL;
    for (int64_t tap = 0; tap < taps; tap++) {
        const int64_t h = tap / conv->kernel_w;
        const int64_t row = ls_pairs_phase_begin(conv, h % conv->stride_h) + h / conv->stride_h;
        for (int64_t panel = 0; panel < panels; panel++) {
            operands->x = x + (tap % conv->kernel_w * panels + panel) * ls_pairs_panel(conv) +
                          row * conv->pairs * PANEL;
            for (int64_t out = 0; out < conv->out_c; out += BLOCK) {
                fetch(&next[0]), fetch(&next[1]);
                operands->dy = dy + out / BLOCK * ls_pairs_block(conv);
                multiply(operands, dw + (out * taps + tap) * conv->in_c + panel * PANEL, taps * conv->in_c,
                         add);
            }
        }
    }
}

// Of joined images, which have few products for each number, the next row of x and of dy.
static void look_ahead(const struct ls_pairs *conv, const ls_bf16 *x, const ls_bf16 *dy, int64_t row,
                       struct ahead next[2]) {
    const int64_t begin = row * conv->out_w, pixels = row < conv->out_h ? row_pixels(conv, row) : 0;
    const int64_t times = conv->in_c / PANEL * (conv->out_c / BLOCK);
    if (!conv->joined || pixels == 0) return;
    next[0] = ahead_of(x + begin * conv->in_c, pixels * conv->in_c, times);
    next[1] = ahead_of(dy + begin * conv->out_c, pixels * conv->out_c, times);
}

void ls_pairs_weight_grad(const struct ls_pairs *conv, const ls_bf16 *x, const ls_bf16 *dy, float *dw,
                          void *workspace) {
    pair *own_x = workspace, *own_dy = own_x + conv->kernel_w * (conv->in_c / PANEL) * ls_pairs_panel(conv);
    ls_bf16 *zeros = (ls_bf16 *)(own_dy + conv->out_c / BLOCK * ls_pairs_block(conv));
    memset(zeros, 0, (size_t)(conv->in_c > conv->out_c ? conv->in_c : conv->out_c) * sizeof *zeros);
    int64_t lengths[LS_PAIRS_GROUP];
    struct operands operands = {.x_step = ls_pairs_rows(conv) * conv->pairs * PANEL,
                                .dy_step = conv->band * conv->pairs * BLOCK,
                                .pairs = lengths};
    const int64_t images = conv->two ? (conv->images + 1) / 2 : conv->images;
    const int64_t segments = images * ((conv->out_h + conv->band - 1) / conv->band);
    for (int64_t begin = 0; begin < segments; begin += conv->group) {
        operands.segments = (int)smaller(conv->group, segments - begin);
        for (int s = 0; s < operands.segments; s++) {
            const struct segment segment = segment_at(conv, begin + s);
            lay_segment(conv, &segment, x, dy, zeros, own_x + s * operands.x_step,
                        own_dy + s * operands.dy_step);
            lengths[s] = segment.rows * conv->pairs;
        }
        struct ahead next[2] = {{0}};
        look_ahead(conv, x, dy, begin + 1, next);
        multiply_taps(conv, &operands, own_x, own_dy, next, dw, begin > 0);
    }
}

#endif
