// Convolutions as products, on the stand-in, against the definition: every index, in every direction, in
// parts, in groups. Numbers are small integers, so that every sum is exact in every type and order, and equal
// means equal.
#include "cuda/lib/parts.h"
#include "unit/check.h"
#include "unit/cuda/product.h"

#include <stdlib.h>
#include <string.h>

// ---- the product that im2col is given: by the definition, when nothing else runs ----

struct plain_product {
    struct ls_lib_task task;
    struct ls_matrix_product p;
};

static ls_status run_plain(struct ls_lib *lib, const struct ls_lib_task *task,
                           const struct ls_lib_arguments *with) {
    const struct ls_matrix_product *p = &((const struct plain_product *)task)->p;
    (void)lib;
    assert_int_equal(cudaStreamSynchronize(with->stream), cudaSuccess);
    assert_int_equal((uintptr_t)with->a % (uintptr_t)p->align, 0);
    assert_int_equal((uintptr_t)with->b % (uintptr_t)p->align, 0);
    assert_int_equal((uintptr_t)with->out % (uintptr_t)p->align, 0);
    define_product(p, with->a, with->b, with->bias, with->out);
    return LS_OK;
}

static void unmake_plain(struct ls_lib_task *task) {
    free(task);
}

static bool refuses; // any product

ls_status ls_matrix_make(struct ls_lib *lib, const struct ls_matrix_product *p, struct ls_lib_task **task) {
    if (refuses) return LS_FAIL(LS_SYSTEM, "no product");
    struct plain_product *made = malloc(sizeof *made);
    (void)lib;
    assert_non_null(made);
    *made = (struct plain_product){{256, 0, run_plain, unmake_plain}, *p};
    *task = &made->task;
    return LS_OK;
}

void ls_lib_unmake(struct ls_lib_task *task) {
    if (task) task->unmake(task);
}

// ---- the definition ----

struct sizes {
    int64_t x, w, y, oh, ow;
};

static struct sizes sizes_of(const struct ls_lib_conv *c) {
    const int64_t oh = ls_conv_out_h(c), ow = ls_conv_out_w(c);
    return (struct sizes){c->n * c->h * c->w * c->c, c->o * c->kh * c->kw * c->c / c->groups,
                          c->n * oh * ow * c->o, oh, ow};
}

// Adds to y, to dx or to dw, whichever the direction asks for.
static void define(const struct ls_lib_conv *c, const float *x, const float *w, const float *y, float *out) {
    const struct sizes s = sizes_of(c);
    const int64_t cg = c->c / c->groups, og = c->o / c->groups;
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t p = 0; p < s.oh * s.ow; p++)
            for (int64_t o = 0; o < c->o; o++)
                for (int64_t k = 0; k < c->kh * c->kw * cg; k++) {
                    const int64_t h = p / s.ow * c->stride_h - c->pad_h + k / cg / c->kw * c->dilation_h;
                    const int64_t v = p % s.ow * c->stride_w - c->pad_w + k / cg % c->kw * c->dilation_w;
                    if (h < 0 || h >= c->h || v < 0 || v >= c->w) continue;
                    const int64_t x_at = ((n * c->h + h) * c->w + v) * c->c + o / og * cg + k % cg;
                    const int64_t w_at = o * c->kh * c->kw * cg + k, y_at = (n * s.oh * s.ow + p) * c->o + o;
                    if (c->direction == LS_LIB_FORWARD) out[y_at] += x[x_at] * w[w_at];
                    if (c->direction == LS_LIB_INPUT_GRAD) out[x_at] += y[y_at] * w[w_at];
                    if (c->direction == LS_LIB_WEIGHT_GRAD) out[w_at] += y[y_at] * x[x_at];
                }
}

// ---- one case ----

static float *integers(int64_t n, unsigned seed) { // -1, 0 or 1: sums of up to 256 of them are exact in bf16
    float *values = malloc((size_t)n * sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(seed >> 16 & 3u) - 1.0f;
        if (values[i] > 1) values[i] = 0;
    }
    return values;
}

static void *on_device(const float *values, int64_t n, ls_dtype type) {
    void *host = malloc((size_t)n * 4), *device = NULL;
    assert_non_null(host);
    for (int64_t i = 0; i < n; i++) put(host, i, type, values[i]);
    assert_int_equal(cudaMalloc(&device, (size_t)n * ls_dtype_bytes(type)), cudaSuccess);
    assert_int_equal(cudaMemcpy(device, host, (size_t)n * ls_dtype_bytes(type), cudaMemcpyHostToDevice),
                     cudaSuccess);
    free(host);
    return device;
}

static void run_task(struct ls_lib *lib, struct ls_lib_task *task, const void *a, const void *b,
                     const void *bias, void *out) {
    cudaStream_t stream;
    void *workspace = NULL;
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    assert_int_equal(cudaMalloc(&workspace, task->workspace), cudaSuccess);
    const struct ls_lib_arguments with = {a, b, bias, out, workspace, stream};
    assert_int_equal(task->run(lib, task, &with), LS_OK);
    assert_int_equal(cudaStreamSynchronize(stream), cudaSuccess);
    cudaFree(workspace);
    cudaStreamDestroy(stream);
}

static void expect(const struct ls_lib_conv *c, const float *right, const void *device, int64_t n,
                   ls_dtype type, const float *bias) {
    void *host = malloc((size_t)n * 4);
    assert_non_null(host);
    assert_int_equal(cudaMemcpy(host, device, (size_t)n * ls_dtype_bytes(type), cudaMemcpyDeviceToHost),
                     cudaSuccess);
    for (int64_t i = 0; i < n; i++) {
        float value = right[i] + (c->bias ? bias[i % c->o] : 0);
        if (c->relu && value < 0) value = 0;
        if (get(host, i, type) != value)
            fail_msg("direction %d, element %lld: expected %g, found %g", c->direction, (long long)i,
                     (double)value, (double)get(host, i, type));
    }
    free(host);
}

static void check(struct ls_lib *lib, const struct ls_lib_conv *c) {
    const struct sizes s = sizes_of(c);
    float *x = integers(s.x, 1), *w = integers(s.w, 2), *y = integers(s.y, 3), *bias = integers(c->o, 4);
    const bool forward = c->direction == LS_LIB_FORWARD, weights = c->direction == LS_LIB_WEIGHT_GRAD;
    const int64_t n_out = forward ? s.y : weights ? s.w : s.x;
    float *right = calloc((size_t)n_out, sizeof *right);
    void *device_x = on_device(x, s.x, c->type), *device_w = on_device(w, s.w, c->type);
    void *device_y = on_device(y, s.y, c->type), *device_bias = on_device(bias, c->o, LS_F32), *out = NULL;
    struct ls_lib_task *task = NULL;
    assert_non_null(right);
    define(c, x, w, y, right);
    assert_int_equal(cudaMalloc(&out, (size_t)n_out * 4), cudaSuccess);
    assert_int_equal(ls_im2col_make(lib, c, &task), LS_OK);
    run_task(lib, task, forward || weights ? device_x : device_y, weights ? device_y : device_w, device_bias,
             out);
    expect(c, right, out, n_out, weights ? LS_F32 : c->type, bias);
    ls_lib_unmake(task);
    free(x), free(w), free(y), free(bias), free(right);
    cudaFree(device_x), cudaFree(device_w), cudaFree(device_y), cudaFree(device_bias), cudaFree(out);
}

static void test_every_direction(void **state) {
    static const struct ls_lib_conv cases[] = {
        // n, h, w, c, o, kh, kw, strides, pads, dilations, groups
        {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, LS_F32, false, false},
        {0, 3, 6, 5, 3, 4, 3, 2, 1, 1, 1, 0, 1, 1, 1, LS_F32, false, false},
        {0, 5, 7, 9, 8, 6, 3, 3, 2, 3, 1, 2, 1, 1, 1, LS_F32, false, false},
        {0, 2, 9, 8, 16, 8, 3, 3, 1, 1, 2, 3, 2, 3, 1, LS_F32, false, false},
        {0, 4, 5, 6, 12, 6, 3, 2, 2, 1, 1, 1, 1, 1, 3, LS_F32, false, false},
        {0, 3, 6, 6, 8, 8, 3, 3, 1, 1, 1, 1, 1, 1, 8, LS_F32, false, false}, // depthwise
        {0, 2, 8, 8, 4, 4, 1, 1, 2, 2, 0, 0, 1, 1, 1, LS_F32, false, false},
        {0, 3, 9, 9, 3, 8, 5, 4, 2, 2, 2, 3, 1, 1, 1, LS_F32, false, false}, // rows that are filled up
        {0, 2, 3, 19, 3, 8, 2, 3, 1, 1, 0, 1, 1, 1, 1, LS_F32, false,
         false}, // of more windows than go together
        {0, 2, 7, 6, 10, 4, 3, 3, 1, 2, 1, 1, 2, 1, 2, LS_F32, false, false}, // of each group
    };
    static const int64_t samples[] = {1, 2, 100}; // at a time, f32, rows filled up
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int direction = 0; direction < 3; direction++)
            for (int type = 0; type < 2; type++)
                for (int part = 0; part < 3; part++) {
                    struct ls_lib_conv c = cases[i];
                    const int64_t one =
                        sizes_of(&c).oh * sizes_of(&c).ow * (c.kh * c.kw * c.c + 3 * c.groups) * 4;
                    struct ls_lib lib = {.columns = samples[part] * one + 3};
                    c.direction = (enum ls_lib_direction)direction;
                    c.type = type == 0 ? LS_F32 : LS_BF16;
                    check(&lib, &c);
                    c.bias = c.relu = direction == LS_LIB_FORWARD;
                    if (c.bias) check(&lib, &c);
                }
}

// Read where they lie: lines and windows that fill no tile, a line of a window of an odd length, few and many
// outputs.
static void test_windows_in_place(void **state) {
    static const struct ls_lib_conv cases[] = {
        {0, 2, 19, 37, 3, 64, 7, 7, 2, 2, 3, 3, 1, 1, 1, LS_BF16, false, false},
        {0, 1, 6, 9, 3, 32, 3, 3, 2, 2, 1, 1, 1, 1, 1, LS_BF16, false, false},
        {0, 3, 5, 8, 2, 128, 3, 2, 1, 1, 1, 0, 1, 1, 1, LS_BF16, false, false},
        {0, 1, 11, 12, 3, 32, 5, 5, 2, 2, 2, 2, 1, 1, 1, LS_BF16, false, false},
    };
    struct ls_lib lib = {.windows = true};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int weights = 0; weights < 2; weights++) {
            struct ls_lib_conv c = cases[i];
            if (weights && c.o > 64) continue;
            c.direction = weights ? LS_LIB_WEIGHT_GRAD : LS_LIB_FORWARD;
            check(&lib, &c);
        }
}

// The caller unmakes what it was given, whatever the status.
static void test_nothing_is_left_of_what_failed(void **state) {
    static const struct ls_lib_conv conv = {0, 2, 8, 8, 4, 4, 3,      3,     1,
                                            1, 1, 1, 1, 1, 1, LS_F32, false, false};
    struct ls_lib lib = {.columns = 1 << 20};
    struct ls_lib_task *task = NULL;
    (void)state;
    refuses = true;
    assert_int_equal(ls_im2col_make(&lib, &conv, &task), LS_SYSTEM);
    refuses = false;
    assert_null(task);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_direction),
                                       cmocka_unit_test(test_windows_in_place),
                                       cmocka_unit_test(test_nothing_is_left_of_what_failed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
