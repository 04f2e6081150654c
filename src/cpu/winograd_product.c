// The matrix products of winograd.h.
#ifdef LS_PLAIN_HAVE_V4

#include "cpu/winograd_vectors.h"

// DEPTH: of a sum over tiles, as many as keep both sides in the first cache.
enum { ROWS = LS_WINOGRAD_STRIP, VECTORS = 4, DEPTH = 128, STEP = LS_WINOGRAD_PANEL };

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8") // else the sums lie in memory before and after the loop

// c [rows][vectors of 16] += or = a [rows][depth] · b [depth][…], where a's element (i, k) is at
// a[i * a_row + k * a_step]. The sums stay in registers: 24 of the 32 at most.
INLINE void tile(int rows, int vectors, int64_t a_row, int64_t a_step, int64_t depth, const float *a,
                 const float *b, float *c, bool add) {
    __m512 sum[ROWS][VECTORS];
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++) sum[i][j] =
        add ? _mm512_loadu_ps(c + i * STEP + j * LS_WINOGRAD_VECTOR) : _mm512_setzero_ps();
    for (int64_t k = 0; k < depth; k++, a += a_step, b += STEP) {
        __m512 right[VECTORS];
        UNROLL for (int j = 0; j < vectors; j++) right[j] = _mm512_loadu_ps(b + j * LS_WINOGRAD_VECTOR);
        UNROLL for (int i = 0; i < rows; i++) {
            const __m512 left = _mm512_set1_ps(a[i * a_row]);
            UNROLL for (int j = 0; j < vectors; j++) sum[i][j] = _mm512_fmadd_ps(left, right[j], sum[i][j]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++)
        _mm512_storeu_ps(c + i * STEP + j * LS_WINOGRAD_VECTOR, sum[i][j]);
}

// One function for each size, with a by its rows or by its columns.
typedef void (*tile_fn)(int64_t depth, const float *a, const float *b, float *c, bool add);

#define TILE(name, rows, vectors, a_row, a_step)                                                             \
    static void name##_##rows##_##vectors(int64_t depth, const float *a, const float *b, float *c,           \
                                          bool add) {                                                        \
        tile(rows, vectors, a_row, a_step, depth, a, b, c, add);                                             \
    }
#define TILES(rows)                                                                                          \
    TILE(row, rows, 1, STEP, 1)                                                                              \
    TILE(row, rows, 2, STEP, 1)                                                                              \
    TILE(row, rows, 3, STEP, 1)                                                                              \
    TILE(row, rows, 4, STEP, 1)                                                                              \
    TILE(column, rows, 1, 1, STEP)                                                                           \
    TILE(column, rows, 2, 1, STEP)                                                                           \
    TILE(column, rows, 3, 1, STEP)                                                                           \
    TILE(column, rows, 4, 1, STEP)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)

#define SIZES(name, rows)                                                                                    \
    { name##_##rows##_1, name##_##rows##_2, name##_##rows##_3, name##_##rows##_4 }
static const tile_fn by_rows[ROWS][VECTORS] = {SIZES(row, 1), SIZES(row, 2), SIZES(row, 3),
                                               SIZES(row, 4), SIZES(row, 5), SIZES(row, 6)};
static const tile_fn by_columns[ROWS][VECTORS] = {SIZES(column, 1), SIZES(column, 2), SIZES(column, 3),
                                                  SIZES(column, 4), SIZES(column, 5), SIZES(column, 6)};

static int vectors_of(const struct ls_winograd_matrix *m) {
    return (int)((ls_winograd_min(m->columns, STEP) + LS_WINOGRAD_VECTOR - 1) / LS_WINOGRAD_VECTOR);
}

// Of one panel of v at a time: it stays in the first cache with its part of u.
void ls_winograd_multiply(int64_t rows, const struct ls_winograd_matrix *v,
                          const struct ls_winograd_matrix *u, const struct ls_winograd_matrix *m) {
    const int vectors = vectors_of(m);
    for (int64_t place = 0; place < LS_WINOGRAD_PLACES; place++)
        for (int64_t k = 0; k < v->columns; k += STEP) {
            const int64_t depth = ls_winograd_min(v->columns - k, STEP);
            const float *a = ls_winograd_at(v, place, 0, k), *b = ls_winograd_at(u, place, k, 0);
            float *c = ls_winograd_at(m, place, 0, 0);
            for (int64_t i = 0; i < rows; i += ROWS)
                by_rows[ls_winograd_min(rows - i, ROWS) - 1][vectors - 1](depth, a + i * STEP, b,
                                                                          c + i * STEP, k > 0);
        }
}

// One panel of du, of so many rows of w and v.
static void multiply_panel(int64_t depth, const float *a, int64_t columns, const float *b, int vectors,
                           bool add, float *c) {
    for (int64_t i = 0; i < columns; i += ROWS)
        by_columns[ls_winograd_min(columns - i, ROWS) - 1][vectors - 1](depth, a + i, b, c + i * STEP, add);
}

void ls_winograd_multiply_turned(int64_t rows, const struct ls_winograd_matrix *w,
                                 const struct ls_winograd_matrix *v, int64_t column, bool add,
                                 const struct ls_winograd_matrix *du) {
    for (int64_t place = 0; place < LS_WINOGRAD_PLACES; place++)
        for (int64_t panel = 0; panel < w->columns; panel += STEP)
            for (int64_t k = 0; k < rows; k += DEPTH)
                multiply_panel(ls_winograd_min(rows - k, DEPTH), ls_winograd_at(w, place, k, panel),
                               ls_winograd_min(w->columns - panel, STEP), ls_winograd_at(v, place, k, column),
                               vectors_of(du), add || k > 0, ls_winograd_at(du, place, panel, 0));
}

#endif
