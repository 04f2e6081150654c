// The kernels of batchnorm.h; compiled for AVX-512 BF16.
#include "cpu/batchnorm.h"

#ifdef __AVX512BF16__

#include <immintrin.h>
#include <math.h>
#include <string.h>

// GROUP: rows that are summed in registers. BLOCK: rows that are summed in f32, before f64 takes over.
// STRETCH: numbers that the second pass goes through onwards; it takes stretches from the last to the first,
// so that it begins with what the first pass has left in cache. AHEAD: numbers fetched before they are read.
enum { VECTOR = LS_BATCHNORM_VECTOR, LENGTH = 16, GROUP = 4, BLOCK = 256, STRETCH = 1 << 17, AHEAD = 2048 };

#define INLINE static inline __attribute__((always_inline))

struct halves {
    __m512 even, odd;
};

// ---- vectors

INLINE struct halves widen(__m512i both) {
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    return (struct halves){_mm512_castsi512_ps(_mm512_slli_epi32(both, 16)),
                           _mm512_castsi512_ps(_mm512_and_si512(both, upper))};
}

INLINE struct halves load(const ls_bf16 *from) {
    return widen(_mm512_loadu_si512(from));
}

INLINE __m512i narrow(struct halves wide) {
    static const uint16_t in_turn[VECTOR] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                             8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_loadu_si512(in_turn),
                                    (__m512i)_mm512_cvtne2ps_pbh(wide.odd, wide.even));
}

INLINE struct halves get(const float *row, int64_t c) {
    return (struct halves){_mm512_loadu_ps(row + c), _mm512_loadu_ps(row + c + LENGTH)};
}

INLINE void put(float *row, int64_t c, struct halves wide) {
    _mm512_storeu_ps(row + c, wide.even);
    _mm512_storeu_ps(row + c + LENGTH, wide.odd);
}

INLINE struct halves subtract(struct halves a, struct halves b) {
    return (struct halves){_mm512_sub_ps(a.even, b.even), _mm512_sub_ps(a.odd, b.odd)};
}

INLINE struct halves add(struct halves a, struct halves b) {
    return (struct halves){_mm512_add_ps(a.even, b.even), _mm512_add_ps(a.odd, b.odd)};
}

// a b + c
INLINE struct halves multiply_add(struct halves a, struct halves b, struct halves c) {
    return (struct halves){_mm512_fmadd_ps(a.even, b.even, c.even), _mm512_fmadd_ps(a.odd, b.odd, c.odd)};
}

// ---- what is computed between the tensors

struct pass {
    const struct ls_batchnorm_call *call;
    double *total, *product_total;
    float *center, *factor, *shift, *tilt, *offset, *sum, *product;
};

static struct pass pass_of(const struct ls_batchnorm_call *call) {
    const int64_t n = call->channels;
    double *wide = call->workspace;
    float *rows = (float *)(wide + 2 * n);
    return (struct pass){call,         wide,         wide + n,     rows,         rows + n,
                         rows + 2 * n, rows + 3 * n, rows + 4 * n, rows + 5 * n, rows + 6 * n};
}

// Where channel c lies.
static inline int64_t place(int64_t c) {
    return c / VECTOR * VECTOR + c % 2 * LENGTH + c % VECTOR / 2;
}

static void spread(float *to, const float *from, int64_t channels) {
    for (int64_t c = 0; c < channels; c++) to[place(c)] = from[c];
}

static void spread_factor(const struct pass *pass, const float *var) {
    const struct ls_batchnorm_call *call = pass->call;
    for (int64_t c = 0; c < call->channels; c++)
        pass->factor[place(c)] = (float)((double)call->scale[c] / sqrt((double)var[c] + call->epsilon));
}

// `at`: of the first of `rows` rows, which is GROUP or fewer.
typedef void (*rows_fn)(const struct pass *pass, int64_t rows, int64_t at);

static inline int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

// Of a function that takes more: one in which that is known when it is compiled.
#define VARIANT(name, function, ...)                                                                         \
    INLINE void name(const struct pass *pass, int64_t rows, int64_t at) {                                    \
        function(pass, rows, at, __VA_ARGS__);                                                               \
    }

INLINE void through_rows(const struct pass *pass, int64_t begin, int64_t end, rows_fn rows) {
    const int64_t channels = pass->call->channels;
    for (; begin + GROUP <= end; begin += GROUP) rows(pass, GROUP, begin * channels);
    if (begin < end) rows(pass, end - begin, begin * channels);
}

INLINE void first_pass(const struct pass *pass, rows_fn rows,
                       void (*take_block)(const struct pass *pass, int64_t before, int64_t rows)) {
    const struct ls_batchnorm_call *call = pass->call;
    const size_t bytes = (size_t)call->channels * sizeof(float);
    for (int64_t begin = 0; begin < call->rows; begin += BLOCK) {
        const int64_t end = smaller(begin + BLOCK, call->rows);
        memset(pass->sum, 0, bytes), memset(pass->product, 0, bytes);
        through_rows(pass, begin, end, rows);
        take_block(pass, begin, end - begin);
    }
}

INLINE void second_pass(const struct pass *pass, rows_fn rows) {
    const int64_t n = pass->call->rows;
    const int64_t stretch = larger(STRETCH / pass->call->channels / GROUP, 1) * GROUP;
    for (int64_t begin = (n - 1) / stretch * stretch; begin >= 0; begin -= stretch)
        through_rows(pass, begin, smaller(begin + stretch, n), rows);
}

INLINE void fetch(const ls_bf16 *at, int64_t rows, int64_t channels) {
    _mm_prefetch((const char *)(at + larger(rows * channels, AHEAD)), _MM_HINT_T0);
}

// ---- forward

// Sums of distances from the center, and of their squares.
INLINE void add_moments(const struct pass *pass, int64_t rows, int64_t at) {
    const int64_t channels = pass->call->channels;
    for (int64_t c = 0; c < channels; c += VECTOR) {
        const struct halves center = get(pass->center, c);
        struct halves sum = get(pass->sum, c), square = get(pass->product, c);
        const ls_bf16 *x = pass->call->x + at + c;
        for (int64_t r = 0; r < rows; r++, x += channels) {
            fetch(x, GROUP, channels);
            const struct halves apart = subtract(load(x), center);
            sum = add(sum, apart);
            square = multiply_add(apart, apart, square);
        }
        put(pass->sum, c, sum), put(pass->product, c, square);
    }
}

// Merges a block's mean and sum of squared distances from it into those of all rows before it (Chan, Golub,
// LeVeque 1979). The next block's center is the mean so far: near its own mean, no digits cancel.
static void take_moments(const struct pass *pass, int64_t before, int64_t rows) {
    double *mean = pass->total, *square = pass->product_total;
    const double n = (double)rows, share = n / (double)(before + rows);
    for (int64_t c = 0; c < pass->call->channels; c++) {
        const double sum = pass->sum[c], of_block = pass->product[c] - sum * sum / n;
        const double apart = (before > 0 ? pass->center[c] - mean[c] : 0) + sum / n;
        if (before == 0) mean[c] = pass->center[c], square[c] = 0;
        mean[c] += apart * share;
        square[c] += (of_block < 0 ? 0 : of_block) + apart * apart * (double)before * share;
        pass->center[c] = (float)mean[c];
    }
}

static void statistics(const struct pass *pass) {
    const struct ls_batchnorm_call *call = pass->call;
    for (int64_t c = 0; c < call->channels; c += VECTOR) put(pass->center, c, load(call->x + c));
    first_pass(pass, add_moments, take_moments);
    for (int64_t c = 0; c < call->channels; c++) {
        call->mean_out[c] = (float)pass->total[place(c)];
        call->var_out[c] = (float)(pass->product_total[place(c)] / (double)call->rows);
    }
}

enum after { AS_IS, RELU, CLIP }; // what follows in the same kernel

// Held to 0 and `most`; NaN stays NaN, as min and max give their second argument where one is NaN.
INLINE __m512 held(__m512 value, __m512 most, enum after after) {
    if (after == AS_IS) return value;
    const __m512 least = _mm512_max_ps(_mm512_setzero_ps(), value);
    return after == CLIP ? _mm512_min_ps(most, least) : least;
}

INLINE void normalize(const struct pass *pass, int64_t rows, int64_t at, bool adds, enum after after) {
    const struct ls_batchnorm_call *call = pass->call;
    const int64_t channels = call->channels;
    const __m512 most = _mm512_set1_ps(call->most);
    for (int64_t c = 0; c < channels; c += VECTOR) {
        const struct halves center = get(pass->center, c), factor = get(pass->factor, c),
                            shift = get(pass->shift, c);
        const ls_bf16 *x = call->x + at + c, *b = adds ? call->b + at + c : NULL;
        ls_bf16 *y = call->y + at + c;
        for (int64_t r = 0; r < rows; r++, x += channels, y += channels) {
            fetch(x, GROUP, channels);
            struct halves value = multiply_add(subtract(load(x), center), factor, shift);
            if (adds) {
                fetch(b, GROUP, channels);
                value = add(value, load(b));
                b += channels;
            }
            value = (struct halves){held(value.even, most, after), held(value.odd, most, after)};
            _mm512_storeu_si512(y, narrow(value));
        }
    }
}

VARIANT(normalize_alone, normalize, false, AS_IS)
VARIANT(normalize_relu, normalize, false, RELU)
VARIANT(normalize_clip, normalize, false, CLIP)
VARIANT(normalize_add_relu, normalize, true, RELU)

void ls_batchnorm_forward(const struct ls_batchnorm_call *call) {
    const struct pass pass = pass_of(call);
    statistics(&pass);
    spread(pass.center, call->mean_out, call->channels);
    spread(pass.shift, call->shift, call->channels);
    spread_factor(&pass, call->var_out);
    if (call->b)
        second_pass(&pass, normalize_add_relu);
    else if (!call->relu)
        second_pass(&pass, normalize_alone);
    else if (isnan(call->most))
        second_pass(&pass, normalize_relu);
    else
        second_pass(&pass, normalize_clip);
}

// ---- backward

// Where what follows let y through. y is computed again from x, which is read anyway: by the operations of
// the forward pass, so that its bits are the same.
INLINE __mmask16 let_through(__m512 apart, __m512 factor, __m512 shift, __m512 most, enum after after) {
    if (after == AS_IS) return 0xffff;
    const __m512 y = _mm512_fmadd_ps(apart, factor, shift);
    const __mmask16 above = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_NLE_UQ);
    return after == CLIP ? _mm512_mask_cmp_ps_mask(above, y, most, _CMP_NGE_UQ) : above;
}

INLINE void add_inflows(const struct pass *pass, int64_t rows, int64_t at, enum after after) {
    const struct ls_batchnorm_call *call = pass->call;
    const int64_t channels = call->channels;
    const __m512 most = _mm512_set1_ps(call->most);
    for (int64_t c = 0; c < channels; c += VECTOR) {
        const struct halves center = get(pass->center, c), factor = get(pass->factor, c),
                            shift = get(pass->shift, c);
        struct halves sum = get(pass->sum, c), product = get(pass->product, c);
        const ls_bf16 *x = call->x + at + c, *dy = call->dy + at + c;
        for (int64_t r = 0; r < rows; r++, x += channels, dy += channels) {
            fetch(x, GROUP, channels), fetch(dy, GROUP, channels);
            const struct halves apart = subtract(load(x), center), in = load(dy);
            const __mmask16 even = let_through(apart.even, factor.even, shift.even, most, after),
                            odd = let_through(apart.odd, factor.odd, shift.odd, most, after);
            sum.even = _mm512_mask_add_ps(sum.even, even, sum.even, in.even);
            sum.odd = _mm512_mask_add_ps(sum.odd, odd, sum.odd, in.odd);
            product.even = _mm512_mask3_fmadd_ps(in.even, apart.even, product.even, even);
            product.odd = _mm512_mask3_fmadd_ps(in.odd, apart.odd, product.odd, odd);
        }
        put(pass->sum, c, sum), put(pass->product, c, product);
    }
}

// Positive, or a NaN.
INLINE __mmask32 is_above_zero(__m512i y) {
    const __m512i infinity = _mm512_set1_epi16((short)0xff80);
    return _mm512_cmpgt_epi16_mask(y, _mm512_setzero_si512()) | _mm512_cmpgt_epu16_mask(y, infinity);
}

// The same where a sum and a relu follow, whose y is read; it is left in db.
INLINE void add_sum_inflows(const struct pass *pass, int64_t rows, int64_t at, bool more) {
    const struct ls_batchnorm_call *call = pass->call;
    const int64_t channels = call->channels;
    for (int64_t c = 0; c < channels; c += VECTOR) {
        const struct halves center = get(pass->center, c);
        struct halves sum = get(pass->sum, c), product = get(pass->product, c);
        for (int64_t r = 0, i = at + c; r < rows; r++, i += channels) {
            fetch(call->x + i, GROUP, channels), fetch(call->dy + i, GROUP, channels),
                fetch(call->sum_y + i, GROUP, channels);
            __m512i in = _mm512_loadu_si512(call->dy + i);
            if (more) {
                fetch(call->more + i, GROUP, channels);
                in = narrow(add(widen(in), load(call->more + i)));
            }
            in = _mm512_maskz_mov_epi16(is_above_zero(_mm512_loadu_si512(call->sum_y + i)), in);
            _mm512_storeu_si512(call->db + i, in);
            const struct halves inflow = widen(in);
            sum = add(sum, inflow);
            product = multiply_add(inflow, subtract(load(call->x + i), center), product);
        }
        put(pass->sum, c, sum), put(pass->product, c, product);
    }
}

static void take_sums(const struct pass *pass, int64_t before, int64_t rows) {
    (void)rows;
    for (int64_t c = 0; c < pass->call->channels; c++) {
        pass->total[c] = (before > 0 ? pass->total[c] : 0) + (double)pass->sum[c];
        pass->product_total[c] = (before > 0 ? pass->product_total[c] : 0) + (double)pass->product[c];
    }
}

// With xhat = (x - mean) / deviation and averages over the rows,
// dx = factor * (inflow - average(inflow) - xhat * average(inflow xhat)), factor = scale / deviation:
// factor * inflow + (x - mean) * tilt + offset.
static void close_sums(const struct pass *pass) {
    const struct ls_batchnorm_call *call = pass->call;
    for (int64_t c = 0; c < call->channels; c++) {
        const int64_t at = place(c);
        const double variance = (double)call->var[c] + call->epsilon, rows = (double)call->rows,
                     factor = -(double)pass->factor[at];
        call->dscale[c] = (float)(pass->product_total[at] / sqrt(variance));
        call->dshift[c] = (float)pass->total[at];
        pass->tilt[at] = (float)(factor * (pass->product_total[at] / variance / rows));
        pass->offset[at] = (float)(factor * (pass->total[at] / rows));
    }
}

INLINE void rows_to_input(const struct pass *pass, int64_t rows, int64_t at, const ls_bf16 *inflow,
                          enum after after) {
    const struct ls_batchnorm_call *call = pass->call;
    const int64_t channels = call->channels;
    const __m512 most = _mm512_set1_ps(call->most);
    for (int64_t c = 0; c < channels; c += VECTOR) {
        const struct halves center = get(pass->center, c), factor = get(pass->factor, c),
                            shift = get(pass->shift, c), tilt = get(pass->tilt, c),
                            offset = get(pass->offset, c);
        const ls_bf16 *x = call->x + at + c, *dy = inflow + at + c;
        ls_bf16 *dx = call->dx + at + c;
        for (int64_t r = 0; r < rows; r++, x += channels, dy += channels, dx += channels) {
            fetch(x, GROUP, channels), fetch(dy, GROUP, channels);
            const struct halves apart = subtract(load(x), center), in = load(dy);
            const __mmask16 even = let_through(apart.even, factor.even, shift.even, most, after),
                            odd = let_through(apart.odd, factor.odd, shift.odd, most, after);
            const struct halves rest = multiply_add(apart, tilt, offset);
            const struct halves out = {_mm512_mask3_fmadd_ps(in.even, factor.even, rest.even, even),
                                       _mm512_mask3_fmadd_ps(in.odd, factor.odd, rest.odd, odd)};
            _mm512_storeu_si512(dx, narrow(out));
        }
    }
}

VARIANT(add_all, add_inflows, AS_IS)
VARIANT(add_relu, add_inflows, RELU)
VARIANT(add_clip, add_inflows, CLIP)
VARIANT(add_one_sum, add_sum_inflows, false)
VARIANT(add_two_sums, add_sum_inflows, true)
VARIANT(to_input, rows_to_input, pass->call->dy, AS_IS)
VARIANT(to_input_relu, rows_to_input, pass->call->dy, RELU)
VARIANT(to_input_clip, rows_to_input, pass->call->dy, CLIP)
VARIANT(to_input_sum, rows_to_input, pass->call->db, AS_IS)

// One of the ways through both passes.
INLINE void both_passes(const struct pass *pass, rows_fn first, rows_fn second) {
    first_pass(pass, first, take_sums);
    close_sums(pass);
    second_pass(pass, second);
}

void ls_batchnorm_backward(const struct ls_batchnorm_call *call) {
    const struct pass pass = pass_of(call);
    spread(pass.center, call->mean, call->channels);
    if (call->shift) spread(pass.shift, call->shift, call->channels);
    spread_factor(&pass, call->var);
    if (call->sum_y && call->more)
        both_passes(&pass, add_two_sums, to_input_sum);
    else if (call->sum_y)
        both_passes(&pass, add_one_sum, to_input_sum);
    else if (!call->relu)
        both_passes(&pass, add_all, to_input);
    else if (isnan(call->most))
        both_passes(&pass, add_relu, to_input_relu);
    else
        both_passes(&pass, add_clip, to_input_clip);
}

#endif
