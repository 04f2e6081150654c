// Convolutions by Winograd's algorithm: against sums in f64, in all sizes that its blocks, tiles and vectors
// are cut from; and which nodes take it.
#include "base/philox.h"
#include "conform/cases.h"
#include "cpu/internal.h"
#include "cpu/winograd.h"
#include "unit/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef LS_PLAIN_HAVE_V4

static bool is_there(void) {
    return ls_winograd_kernel(LS_OP_CONV, ls_plain()) != NULL;
}

// Of matrices with the norms |A'| = 3, |G| = 3/2 and |B'| = 2 (largest row sums of magnitudes), a result of
//   y = A' [(G g G') x (B' d B)] A     is made of numbers of at most 9 * 9/4 * 4 = 81 |g| |d| a channel, and
//   dg = G' [(B' d B) x (A dy A')] G   of at most 4 * 4 * 4 = 64 |d| |dy| a tile.
// A number passes through a rounding at each addition: 2 in B' d B and in A dy A', 4 in G g G', A' M A and
// G' dU G, one for each of the n terms of the sum (multiplied and added at once), one for the bias. So it is
// off by less than (n + 12) u of that, u = 2^-24 (Higham, "Accuracy and stability of numerical
// algorithms", 3.1). All inputs are within 1. A tap that is missing or stands in the wrong place is off by
// some tenths; the largest bound here, of 270 tiles, is 0.3, and others are below 0.1.
static double bound_of(double terms, double norm) {
    return (terms + 12) * 0x1p-24 * norm * terms;
}

// ---- sizes
struct size {
    int64_t images, in, in_h, in_w, out, pad_h, pad_w;
};

static const struct size sizes[] = {
    {1, 1, 3, 3, 1, 0, 0},      // one pixel of y
    {1, 1, 1, 1, 1, 1, 1},      // one pixel of x
    {1, 16, 4, 4, 16, 1, 1},    // whole vectors, whole tiles
    {2, 17, 5, 7, 33, 1, 1},    // odd, and a little more than whole vectors
    {3, 64, 8, 6, 64, 1, 1},    // whole panels
    {1, 65, 7, 4, 130, 0, 1},   // a little more than whole panels, no pad above
    {2, 130, 6, 5, 66, 2, 2},   // pads wider than a window needs
    {1, 3, 4, 9, 15, 0, 2},     // less than a vector
    {3, 20, 17, 19, 36, 1, 1},  // 270 tiles: two blocks
    {17, 40, 11, 13, 70, 1, 1}, // 714 tiles: four blocks, two panels, windows kept from block to block
    {5, 70, 9, 31, 5, 2, 0},    // the same the other way
    {3, 9, 14, 14, 150, 1, 1},  // a block of 147 tiles: more than are multiplied at once
};

struct data {
    struct ls_winograd conv;
    float *x, *w, *y, *bias;
    int64_t n_x, n_w, n_y;
    void *workspace;
};

static uint64_t draws;

static float number(void) {
    return 2 * ls_uniform(ls_philox(31, LS_RANDOM_TEST, draws++, 0).word[0]) - 1;
}

static float *numbers(int64_t n) {
    float *data = malloc((size_t)n * sizeof *data);
    assert_non_null(data);
    for (int64_t i = 0; i < n; i++) data[i] = number();
    return data;
}

static struct data data_of(const struct size *s) {
    struct data data = {.conv = {.images = s->images,
                                 .in = s->in,
                                 .in_h = s->in_h,
                                 .in_w = s->in_w,
                                 .out = s->out,
                                 .out_h = s->in_h + 2 * s->pad_h - 2,
                                 .out_w = s->in_w + 2 * s->pad_w - 2,
                                 .pad_h = s->pad_h,
                                 .pad_w = s->pad_w}};
    ls_winograd_cut(&data.conv);
    data.n_x = s->images * s->in_h * s->in_w * s->in;
    data.n_w = 9 * s->in * s->out;
    data.n_y = s->images * data.conv.out_h * data.conv.out_w * s->out;
    data.x = numbers(data.n_x), data.w = numbers(data.n_w), data.y = numbers(data.n_y);
    data.bias = numbers(s->out);
    const size_t bytes = ls_winograd_workspace(&data.conv);
    data.workspace = aligned_alloc(LS_ALIGN, (bytes + LS_ALIGN - 1) / LS_ALIGN * LS_ALIGN + LS_ALIGN);
    assert_non_null(data.workspace);
    memset(data.workspace, 0xff, bytes + LS_ALIGN); // NaN, and a guard behind it
    return data;
}

static void check_guard(const struct data *data) {
    const unsigned char *guard = (unsigned char *)data->workspace + ls_winograd_workspace(&data->conv);
    for (int i = 0; i < LS_ALIGN; i++) assert_int_equal(guard[i], 0xff);
}

static void data_free(struct data *data) {
    check_guard(data);
    free(data->x), free(data->w), free(data->y), free(data->bias), free(data->workspace);
}

static int64_t x_at(const struct ls_winograd *c, int64_t n, int64_t h, int64_t w) {
    return ((n * c->in_h + h) * c->in_w + w) * c->in;
}

// The tap (i, j) of output channel o, whose input channels are `step` apart.
static const float *tap_at(const struct data *d, bool turned, int64_t o, int64_t i, int64_t j,
                           int64_t *step) {
    *step = turned ? 9 * d->conv.out : 1;
    return turned ? d->w + ((2 - i) * 3 + 2 - j) * d->conv.out + o : d->w + (o * 9 + i * 3 + j) * d->conv.in;
}

static double y_of(const struct data *d, bool turned, int64_t n, int64_t h, int64_t w, int64_t o) {
    const struct ls_winograd *c = &d->conv;
    double sum = 0;
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 3; j++) {
            const int64_t row = h + i - c->pad_h, column = w + j - c->pad_w;
            if (row < 0 || row >= c->in_h || column < 0 || column >= c->in_w) continue;
            int64_t step;
            const float *x = d->x + x_at(c, n, row, column), *tap = tap_at(d, turned, o, i, j, &step);
            for (int64_t k = 0; k < c->in; k++) sum += (double)x[k] * (double)tap[k * step];
        }
    return sum;
}

static void check_forward(const struct data *d, bool turned, bool bias, bool relu, const float *found) {
    const struct ls_winograd *c = &d->conv;
    const double bound = bound_of((double)c->in, 81);
    for (int64_t i = 0; i < d->n_y; i++) {
        const int64_t o = i % c->out, pixel = i / c->out, w = pixel % c->out_w,
                      h = pixel / c->out_w % c->out_h;
        double expected = y_of(d, turned, pixel / (c->out_w * c->out_h), h, w, o);
        if (bias) expected += (double)d->bias[o];
        if (relu && expected < 0) expected = 0;
        if (!(fabs((double)found[i] - expected) <= bound))
            fail_msg("y[%d %d %d], channel %d: expected %.9g within %.1e, found %.9g",
                     (int)(pixel / (c->out_w * c->out_h)), (int)h, (int)w, (int)o, expected, bound,
                     (double)found[i]);
    }
}

static void test_forward(void **state) {
    (void)state;
    if (!is_there()) skip();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int how = 0; how < 8; how++) {
            const bool turned = how & 1, bias = how & 2, relu = how & 4;
            struct data d = data_of(&sizes[s]);
            float *y = malloc((size_t)(d.n_y + 1) * sizeof *y);
            assert_non_null(y);
            memset(y, 0xff, (size_t)(d.n_y + 1) * sizeof *y);
            void *windows = aligned_alloc(LS_ALIGN, ls_winograd_windows_bytes(&d.conv));
            assert_non_null(windows);
            ls_winograd_put_windows(&d.conv, d.w, turned, windows);
            ls_winograd_forward(&d.conv, d.x, windows, bias ? d.bias : NULL, relu, y, d.workspace);
            free(windows);
            check_forward(&d, turned, bias, relu, y);
            assert_true(isnan(y[d.n_y]));
            free(y);
            data_free(&d);
        }
}

static double dw_of(const struct data *d, int64_t o, int64_t i, int64_t j, int64_t k) {
    const struct ls_winograd *c = &d->conv;
    double sum = 0;
    for (int64_t pixel = 0; pixel < d->n_y / c->out; pixel++) {
        const int64_t row = pixel / c->out_w % c->out_h + i - c->pad_h,
                      column = pixel % c->out_w + j - c->pad_w;
        if (row < 0 || row >= c->in_h || column < 0 || column >= c->in_w) continue;
        sum += (double)d->y[pixel * c->out + o] *
               (double)d->x[x_at(c, pixel / (c->out_w * c->out_h), row, column) + k];
    }
    return sum;
}

static void test_weight_grad(void **state) {
    (void)state;
    if (!is_there()) skip();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct data d = data_of(&sizes[s]);
        float *dw = malloc((size_t)(d.n_w + 1) * sizeof *dw);
        assert_non_null(dw);
        memset(dw, 0xff, (size_t)(d.n_w + 1) * sizeof *dw);
        ls_winograd_weight_grad(&d.conv, d.x, d.y, dw, d.workspace);
        const double bound = bound_of((double)d.conv.tiles, 64);
        for (int64_t i = 0; i < d.n_w; i++) {
            const int64_t k = i % d.conv.in, tap = i / d.conv.in % 9, o = i / d.conv.in / 9;
            const double expected = dw_of(&d, o, tap / 3, tap % 3, k);
            if (!(fabs((double)dw[i] - expected) <= bound))
                fail_msg("size %d, dw[%d %d %d]: expected %.9g within %.1e, found %.9g", (int)s, (int)o,
                         (int)tap, (int)k, expected, bound, (double)dw[i]);
        }
        assert_true(isnan(dw[d.n_w]));
        free(dw);
        data_free(&d);
    }
}

// ---- nodes
static const char *library_of(enum ls_cpu_kernels choice, const struct ls_graph *graph, int node) {
    const struct ls_kernel *kernel;
    size_t workspace;
    assert_ok(ls_kernel_choose(choice, graph, &graph->nodes[node], &kernel, &workspace));
    return kernel->library;
}

#define WINDOW(pad_h, pad_w)                                                                                 \
    [LS_STRIDE_H].i = 1, [LS_STRIDE_W].i = 1, [LS_PAD_H].i = (pad_h), [LS_PAD_W].i = (pad_w),                \
    [LS_DILATION_H].i = 1, [LS_DILATION_W].i = 1, [LS_GROUPS].i = 1

// All large enough. Not among ls_cases: central differences would take long.
static const struct ls_case cases[] = {
    {.name = "conv",
     .op = LS_OP_CONV,
     .n_in = 3,
     .in = {{.shape = LS_SHAPE(4, 48, 12, 13)},
            {.shape = LS_SHAPE(64, 48, 3, 3)},
            {.type = LS_CASE_WIDE, .shape = LS_SHAPE(64)}},
     .attrs = {WINDOW(1, 1)}},
    {.name = "conv, uneven pads",
     .op = LS_OP_CONV,
     .n_in = 2,
     .in = {{.shape = LS_SHAPE(3, 64, 14, 12)}, {.shape = LS_SHAPE(60, 64, 3, 3)}},
     .attrs = {WINDOW(0, 2)}},
    {.name = "conv_transpose",
     .op = LS_OP_CONV_TRANSPOSE,
     .n_in = 2,
     .in = {{.shape = LS_SHAPE(3, 64, 12, 13)}, {.shape = LS_SHAPE(64, 70, 3, 3)}},
     .attrs = {WINDOW(1, 0), [LS_SIZE_H].i = 12, [LS_SIZE_W].i = 15}},
    {.name = "conv_relu",
     .op = LS_OP_CONV_RELU,
     .n_in = 3,
     .in = {{.shape = LS_SHAPE(4, 48, 12, 13)},
            {.shape = LS_SHAPE(64, 48, 3, 3)},
            {.type = LS_CASE_WIDE, .shape = LS_SHAPE(64)}},
     .attrs = {WINDOW(1, 1)}},
};

// The case with numbers in [-1, 1) in what nodes read: inputs and dy.
static void open_case(const struct ls_case *of, ls_dtype type, struct ls_case_trial *trial) {
    assert_ok(ls_case_make(of, type, trial));
    draws = 0;
    for (int k = 0; k < of->n_in; k++)
        for (int64_t i = 0; i < ls_trial_count(&trial->trial, trial->in[k]); i++)
            ls_trial_put(&trial->trial, trial->in[k], i, (double)number());
    if (trial->alone.dy == LS_NONE) return;
    for (int64_t i = 0; i < ls_trial_count(&trial->trial, trial->alone.dy); i++)
        ls_trial_put(&trial->trial, trial->alone.dy, i, (double)number());
}

static void compare_node(const struct ls_trial *narrow, const struct ls_trial *wide, int i) {
    const struct ls_node *node = &narrow->graph.nodes[i];
    const bool grad = node->op->id == LS_OP_CONV_WEIGHT_GRAD;
    const int64_t *dim = ls_info(&narrow->graph, node->in[0])->shape.dim;
    const double terms = (double)(grad ? dim[0] * ((dim[2] + 2) / 2) * ((dim[3] + 2) / 2) : dim[1]);
    const double bound = bound_of(terms, grad ? 64 : 81);
    for (int64_t k = 0; k < ls_trial_count(narrow, node->out[0]); k++) {
        const double found = ls_trial_get(narrow, node->out[0], k),
                     expected = ls_trial_get(wide, node->out[0], k);
        if (!(fabs(found - expected) <= bound))
            fail_msg("%s, element %d: expected %.9g within %.1e, found %.9g", node->op->name, (int)k,
                     expected, bound, found);
    }
}

// Forward and both gradients, as the device chooses: all three are taken, and equal the plain ones in f64.
static void check_nodes(const struct ls_case *of) {
    struct ls_case_trial narrow, wide;
    open_case(of, LS_F32, &narrow);
    open_case(of, LS_F64, &wide);
    assert_ok(ls_trial_run(&narrow.trial, LS_CPU_AUTO, 0, narrow.trial.graph.n_nodes));
    assert_ok(ls_trial_run(&wide.trial, LS_CPU_PLAIN, 0, wide.trial.graph.n_nodes));
    int taken = 0;
    for (int i = 0; i < narrow.trial.graph.n_nodes; i++) {
        assert_string_not_equal(library_of(LS_CPU_PLAIN, &narrow.trial.graph, i), "winograd");
        if (ls_cpu_library())
            assert_string_not_equal(library_of(LS_CPU_ONEDNN, &narrow.trial.graph, i), "winograd");
        if (strcmp(library_of(LS_CPU_AUTO, &narrow.trial.graph, i), "winograd") != 0) continue;
        compare_node(&narrow.trial, &wide.trial, i);
        taken++;
    }
    const int expected = narrow.trial.graph.nodes[0].op->gradient ? 3 : 1;
    if (taken != expected) fail_msg("%s: %d nodes are taken, not %d", of->name, taken, expected);
    ls_case_close(&narrow);
    ls_case_close(&wide);
}

static void test_nodes(void **state) {
    (void)state;
    if (!is_there()) skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_nodes(&cases[i]);
}

// What is taken: a convolution of so many samples [in, size, size] with a window [out, in, kernel, kernel].
struct choice {
    int64_t samples, in, size, out, kernel, stride, dilation, groups;
    ls_dtype type;
    bool taken;
};

static const struct choice choices[] = {
    {32, 64, 32, 64, 3, 1, 1, 1, LS_F32, true},   {32, 512, 4, 512, 3, 1, 1, 1, LS_F32, true},
    {1, 64, 32, 64, 3, 1, 1, 1, LS_F32, true},    {8, 512, 7, 512, 3, 1, 1, 1, LS_F32, true},
    {32, 64, 32, 64, 3, 1, 1, 1, LS_BF16, false}, {32, 64, 32, 64, 3, 2, 1, 1, LS_F32, false},
    {32, 64, 32, 64, 3, 1, 2, 1, LS_F32, false},  {32, 64, 32, 64, 3, 1, 1, 2, LS_F32, false},
    {32, 64, 32, 64, 5, 1, 1, 1, LS_F32, false},  {32, 64, 32, 64, 1, 1, 1, 1, LS_F32, false},
    {32, 3, 32, 64, 3, 1, 1, 1, LS_F32, false},   // too few channels
    {1, 512, 7, 512, 3, 1, 1, 1, LS_F32, true},   // one sample
    {64, 512, 1, 512, 3, 1, 1, 1, LS_F32, false}, // a quarter of each tile
    {8, 128, 3, 128, 3, 1, 1, 1, LS_F32, false},  // little more than half of each
};

static void test_choices(void **state) {
    (void)state;
    if (!is_there()) skip();
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        const struct choice *c = &choices[i];
        const struct ls_case of = {
            .name = "choice",
            .op = LS_OP_CONV,
            .n_in = 2,
            .in = {{.shape = LS_SHAPE(c->samples, c->in, c->size, c->size)},
                   {.shape = LS_SHAPE(c->out, c->in / c->groups, c->kernel, c->kernel)}},
            .attrs = {[LS_STRIDE_H].i = c->stride,
                      [LS_STRIDE_W].i = c->stride,
                      [LS_PAD_H].i = c->kernel / 2 * c->dilation,
                      [LS_PAD_W].i = c->kernel / 2 * c->dilation,
                      [LS_DILATION_H].i = c->dilation,
                      [LS_DILATION_W].i = c->dilation,
                      [LS_GROUPS].i = c->groups}};
        struct ls_case_trial trial;
        size_t workspace;
        assert_ok(ls_case_make(&of, c->type, &trial));
        for (int n = 0; n < trial.trial.graph.n_nodes; n++) {
            const struct ls_node *node = &trial.trial.graph.nodes[n];
            const struct ls_kernel *kernel = ls_winograd_kernel((enum ls_op_id)node->op->id, ls_plain());
            if (!kernel) continue; // a cast
            if (kernel->supports(&trial.trial.graph, node, &workspace) != c->taken)
                fail_msg("choice %d, %s: expected it %s", (int)i, node->op->name,
                         c->taken ? "taken" : "left");
        }
        ls_case_close(&trial);
    }
}

// A processor without AVX-512 has lower levels alone.
static void test_other_levels(void **state) {
    (void)state;
    const struct ls_plain *levels[LS_PLAIN_LEVELS];
    const int n = ls_plain_levels(levels);
    for (int i = 0; i < n; i++)
        assert_int_equal(ls_winograd_kernel(LS_OP_CONV, levels[i]) != NULL, levels[i] == &ls_plain_v4);
    assert_null(ls_winograd_kernel(LS_OP_LINEAR, ls_plain()));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward), cmocka_unit_test(test_weight_grad),  cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_choices), cmocka_unit_test(test_other_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
    return 0; // no such kernels are built for this processor
}

#endif
