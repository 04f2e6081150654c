// Plain kernels: every type and level of instructions from the table of cases, and ops against their
// definitions.
#include "base/philox.h"
#include "conform/cases.h"
#include "cpu/floats.h"
#include "cpu/plain/plain.h"
#include "graph/augment.h"
#include "unit/check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool can_run(const struct ls_case *of, ls_dtype type) {
    switch (of->op) {
    case LS_OP_CROSS_ENTROPY:
    case LS_OP_MSE:
    case LS_OP_MAE:
    case LS_OP_HUBER:
    case LS_OP_BINARY_CROSS_ENTROPY: return type != LS_BF16;
    case LS_OP_INPUT: return type == LS_F32;
    default: return true;
    }
}

static void run_all(const struct ls_case *of, ls_dtype type, struct ls_case_trial *trial) {
    assert_ok(ls_case_open(of, type, trial));
    ls_status status = ls_trial_run(&trial->trial, LS_CPU_PLAIN, 0, trial->trial.graph.n_nodes);
    if (status != LS_OK) fail_msg("%s in %s: %s", of->name, ls_dtype_name(type), ls_error_last()->text);
}

// ---- types: f32 is near f64; bf16 is f32, rounded ----
// An f32 sum of n products of numbers below 2 with these few digits is off by less than n · 2^-20.
static void test_f32_is_near_f64(void **state) {
    (void)state;
    for (int i = 0; i < ls_case_count; i++) {
        if (!can_run(&ls_cases[i], LS_F32) || !can_run(&ls_cases[i], LS_F64)) continue;
        struct ls_case_trial narrow, wide;
        run_all(&ls_cases[i], LS_F32, &narrow);
        run_all(&ls_cases[i], LS_F64, &wide);
        assert_int_equal(narrow.trial.graph.n_values, wide.trial.graph.n_values);
        for (ls_value v = 0; v < narrow.trial.graph.n_values; v++)
            for (int64_t e = 0; e < ls_trial_count(&narrow.trial, v); e++) {
                double found = ls_trial_get(&narrow.trial, v, e), expected = ls_trial_get(&wide.trial, v, e);
                if (!(fabs(found - expected) <= 1e-5 * (1 + fabs(expected))))
                    fail_msg("%s: value %d, element %d: expected %.9g, found %.9g", ls_cases[i].name, (int)v,
                             (int)e, expected, found);
            }
        ls_case_close(&narrow);
        ls_case_close(&wide);
    }
}

// Has the op functions of its own in bf16? test_plain_values.c looks at those at every number there is; here
// a result may then be the one beside.
static bool has_functions(const struct ls_op *op) {
    static const int ops[] = {LS_OP_SIGMOID, LS_OP_TANH,      LS_OP_GELU,   LS_OP_GELU_GRAD,
                              LS_OP_SILU,    LS_OP_SILU_GRAD, LS_OP_SOFTMAX};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (op->id == ops[i]) return true;
    return false;
}

// Runs a node in f32 on the inputs that the bf16 node had; its results, rounded, must be the bf16 node's.
static void compare_with_f32(const struct ls_case *of, struct ls_trial *half, int i) {
    const struct ls_node *node = &half->graph.nodes[i];
    if (node->op->flags & LS_OP_VIEW) return;
    struct ls_trial single;
    ls_trial_open(&single);
    ls_value in[LS_MAX_IN];
    for (int k = 0; k < node->n_in; k++) {
        const struct ls_value_info *info = ls_info(&half->graph, node->in[k]);
        ls_dtype type = info->dtype == LS_BF16 ? LS_F32 : info->dtype;
        in[k] = ls_trial_input(&single, ls_arena_format(&single.graph.arena, "in%d", k), type, info->shape);
        for (int64_t e = 0; e < ls_trial_count(&single, in[k]); e++)
            ls_trial_put(&single, in[k], e, ls_trial_get(half, node->in[k], e));
    }
    if (ls_trial_node(&single, (enum ls_op_id)node->op->id, in, node->n_in, node->attr, NULL, 0) < 0)
        fail_msg("%s", ls_error_last()->text);
    assert_ok(ls_trial_run(&single, LS_CPU_PLAIN, 0, 1));
    for (int k = 0; k < node->n_out; k++) {
        ls_value out = node->out[k], other = single.graph.nodes[0].out[k];
        bool rounded = ls_info(&half->graph, out)->dtype == LS_BF16;
        for (int64_t e = 0; e < ls_trial_count(half, out); e++) {
            float number = (float)ls_trial_get(&single, other, e);
            float expected = rounded ? ls_bf16_to_f32(ls_bf16_from_f32(number)) : number;
            const double apart = fabs(ls_trial_get(half, out, e) - (double)expected);
            if (!(apart <= (has_functions(node->op) ? 0x1p-7 * fabs((double)expected) + 0x1p-14 : 0)))
                fail_msg("%s, %s: output %d, element %d: expected %.9g, found %.9g", of->name, node->op->name,
                         k, (int)e, (double)expected, ls_trial_get(half, out, e));
        }
    }
    ls_trial_close(&single);
}

static void test_bf16_is_f32_rounded(void **state) {
    (void)state;
    for (int i = 0; i < ls_case_count; i++) {
        if (!can_run(&ls_cases[i], LS_BF16)) continue;
        struct ls_case_trial half;
        run_all(&ls_cases[i], LS_BF16, &half);
        for (int n = 0; n < half.trial.graph.n_nodes; n++) compare_with_f32(&ls_cases[i], &half.trial, n);
        ls_case_close(&half);
    }
}

// ---- levels of instructions: the same bits ----
static void compare_level(const struct ls_plain *level, const struct ls_case *of, struct ls_trial *trial,
                          int i) {
    const struct ls_node *node = &trial->graph.nodes[i];
    if (node->op->flags & LS_OP_VIEW) return;
    struct ls_kernel_call call = {.graph = &trial->graph, .node = node, .control = &trial->control};
    size_t workspace = 0, bytes[LS_MAX_OUT];
    assert_true(level->kernel->supports(&trial->graph, node, &workspace));
    call.workspace = aligned_alloc(64, (workspace + 64) / 64 * 64);
    memset(call.workspace, 0xff, workspace);
    for (int k = 0; k < node->n_in; k++) call.in[k] = trial->data[node->in[k]];
    for (int k = 0; k < node->n_out; k++) {
        bytes[k] = (size_t)ls_trial_count(trial, node->out[k]) *
                   ls_dtype_bytes(ls_info(&trial->graph, node->out[k])->dtype);
        call.out[k] = aligned_alloc(64, (bytes[k] + 64) / 64 * 64);
    }
    const ls_float_mode before = ls_float_mode_flush(); // as whatever computes does
    assert_ok(level->kernel->run(&call));
    ls_float_mode_put(before);
    for (int k = 0; k < node->n_out; k++) {
        if (memcmp(call.out[k], trial->data[node->out[k]], bytes[k]) != 0)
            fail_msg("%s, %s: output %d differs between %s and %s", of->name, node->op->name, k, level->level,
                     ls_plain()->level);
        free(call.out[k]);
    }
    free(call.workspace);
}

// The trial holds what the highest level gave.
static void compare_levels(const struct ls_case *of, struct ls_trial *trial, int i) {
    const struct ls_plain *levels[LS_PLAIN_LEVELS];
    for (int l = ls_plain_levels(levels) - 2; l >= 0; l--) compare_level(levels[l], of, trial, i);
}

static void test_levels_agree(void **state) {
    (void)state;
    static const ls_dtype types[] = {LS_F32, LS_F64, LS_BF16};
    for (int i = 0; i < ls_case_count; i++)
        for (int t = 0; t < 3; t++) {
            if (!can_run(&ls_cases[i], types[t])) continue;
            struct ls_case_trial trial;
            run_all(&ls_cases[i], types[t], &trial);
            for (int n = 0; n < trial.trial.graph.n_nodes; n++) compare_levels(&ls_cases[i], &trial.trial, n);
            ls_case_close(&trial);
        }
}

// ---- the maximum of windows that hold anything: ties, infinities, NaN, subnormal numbers

static double window_number(uint64_t i) {
    static const double numbers[] = {-INFINITY, -INFINITY, -1, -1, -2, 0,       -0.0,
                                     -0x1p-130, 0x1p-131,  1,  2,  2,  INFINITY};
    const uint32_t word = ls_philox(3, 0, i, 0).word[0];
    return word % 23 == 0 ? (double)NAN : numbers[word / 23 % (sizeof numbers / sizeof *numbers)];
}

// Kernels compare with subnormal numbers taken for 0; those here are normal in f64.
static double as_compared(ls_dtype type, double value) {
    return type != LS_F64 && fabs(value) < FLT_MIN ? 0 : value;
}

static bool takes_the_place(ls_dtype type, double value, double best) {
    return as_compared(type, value) > as_compared(type, best) || (isnan(value) && !isnan(best));
}

// Of output i: channels are the last axis in memory.
static void check_maximum(const struct ls_trial *trial, const struct ls_case *of, int64_t i) {
    const struct ls_node *node = &trial->graph.nodes[0];
    const struct ls_shape *x = &of->in[0].shape, *y = &ls_info(&trial->graph, node->out[0])->shape;
    const int64_t kernel = of->attrs[LS_KERNEL_H].i, pad = of->attrs[LS_PAD_H].i, c = i % y->dim[1];
    const int64_t ow = i / y->dim[1] % y->dim[3], oh = i / y->dim[1] / y->dim[3] % y->dim[2];
    const int64_t image = i / (y->dim[1] * y->dim[2] * y->dim[3]);
    int64_t place = -1;
    double best = 0;
    for (int64_t k = 0; k < kernel * kernel; k++) {
        const int64_t h = oh * of->attrs[LS_STRIDE_H].i - pad + k / kernel;
        const int64_t w = ow * of->attrs[LS_STRIDE_W].i - pad + k % kernel;
        if (h < 0 || h >= x->dim[2] || w < 0 || w >= x->dim[3]) continue;
        const int64_t at = ((image * x->dim[2] + h) * x->dim[3] + w) * x->dim[1] + c;
        const double value = ls_trial_get(trial, node->in[0], at);
        if (place < 0 || takes_the_place(ls_info(&trial->graph, node->in[0])->dtype, value, best))
            best = value, place = k;
    }
    const double found = ls_trial_get(trial, node->out[0], i), index = ls_trial_get(trial, node->out[1], i);
    if (index != (double)place || !(found == best || (isnan(found) && isnan(best))))
        fail_msg("%s, output %d: expected %g, place %d, found %g, place %g", of->name, (int)i, best,
                 (int)place, found, index);
}

static void test_maximum_of_anything(void **state) {
    (void)state;
#define WINDOWS(name_, kernel, stride, pad)                                                                  \
    {                                                                                                        \
        .name = (name_), .op = LS_OP_MAX_POOL, .n_in = 1, .in = {{.shape = {4, {2, 37, 19, 18}}}},           \
        .attrs = {                                                                                           \
            [LS_STRIDE_H].i = (stride),                                                                      \
            [LS_STRIDE_W].i = (stride),                                                                      \
            [LS_PAD_H].i = (pad),                                                                            \
            [LS_PAD_W].i = (pad),                                                                            \
            [LS_DILATION_H].i = 1,                                                                           \
            [LS_DILATION_W].i = 1,                                                                           \
            [LS_GROUPS].i = 1,                                                                               \
            [LS_KERNEL_H].i = (kernel),                                                                      \
            [LS_KERNEL_W].i = (kernel)                                                                       \
        }                                                                                                    \
    }
    static const struct ls_case windows[] = {WINDOWS("2x2", 2, 2, 1), WINDOWS("3x3", 3, 2, 1),
                                             WINDOWS("5x5", 5, 1, 2), WINDOWS("16x16", 16, 3, 3)};
#undef WINDOWS
    static const ls_dtype types[] = {LS_F32, LS_F64, LS_BF16};
    for (size_t k = 0; k < sizeof windows / sizeof *windows; k++)
        for (int t = 0; t < 3; t++) {
            struct ls_case_trial trial;
            assert_ok(ls_case_make(&windows[k], types[t], &trial));
            for (int64_t i = 0; i < ls_trial_count(&trial.trial, trial.in[0]); i++)
                ls_trial_put(&trial.trial, trial.in[0], i, window_number((uint64_t)i));
            assert_ok(ls_trial_run(&trial.trial, LS_CPU_PLAIN, 0, 1));
            const int64_t n = ls_trial_count(&trial.trial, trial.trial.graph.nodes[0].out[0]);
            for (int64_t i = 0; i < n; i++) check_maximum(&trial.trial, &windows[k], i);
            compare_levels(&windows[k], &trial.trial, 0);
            ls_case_close(&trial);
        }
}

static void test_levels_agree_on_flat_buffers(void **state) {
    (void)state;
    enum { N = 1003 };
    static float data[LS_PLAIN_LEVELS][4][N];
    const struct ls_plain *levels[LS_PLAIN_LEVELS];
    const int n_levels = ls_plain_levels(levels);
    double sums[LS_PLAIN_LEVELS][5];
    for (int l = 0; l < n_levels; l++) {
        for (int k = 0; k < 4; k++)
            for (uint64_t i = 0; i < N; i++)
                data[l][k][i] = ls_uniform(ls_philox(3, LS_RANDOM_TEST, i, (uint64_t)k).word[0]);
        struct ls_decision decision = {1, 0.3f, 0};
        struct ls_update_range range = {0, N, 0.01f, 0.5f, 0, 1};
        struct ls_update_block block = {0, N, 0};
        double norms[2][1][2];
        float ratio = 0.3f;
        struct ls_update update = {.kind = LS_ADAMW,
                                   .lr = 0.1f,
                                   .momentum = 0.9f,
                                   .epsilon = 1e-8f,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .correction1 = 0.1,
                                   .correction2 = 0.001,
                                   .nesterov = true,
                                   .params = data[l][0],
                                   .grads = data[l][1],
                                   .slot = {data[l][2], data[l][3]},
                                   .ranges = &range,
                                   .n_ranges = 1,
                                   .blocks = &block,
                                   .ratios = &ratio,
                                   .end = N,
                                   .decision = &decision};
        levels[l]->update(&update);
        update.kind = LS_SGD;
        levels[l]->update(&update);
        for (int k = 0; k < 2; k++) {
            update.kind = k == 0 ? LS_LARS : LS_LAMB, update.norms = norms[k];
            levels[l]->update_norms(&update, 0, 1);
            levels[l]->update(&update);
        }
        memcpy(sums[l], norms, sizeof norms);
        levels[l]->average(&(struct ls_average){data[l][2], data[l][0], N, 0.1f, &decision});
        levels[l]->add(data[l][1], data[l][0], data[l][1], N);
        sums[l][4] = levels[l]->square_sum(data[l][1], N);
    }
    for (int l = 1; l < n_levels; l++) {
        assert_memory_equal(data[0], data[l], sizeof data[0]);
        assert_memory_equal(sums[0], sums[l], sizeof sums[0]);
    }
}

// ---- the result in place of the first input ----
static void test_in_place(void **state) {
    (void)state;
    for (int i = 0; i < ls_case_count; i++) {
        if (!(ls_op_table[ls_cases[i].op]->flags & LS_OP_ELEMENTWISE)) continue;
        struct ls_case_trial trial;
        run_all(&ls_cases[i], LS_F32, &trial);
        for (int n = 0; n < trial.trial.graph.n_nodes; n++) {
            const struct ls_node *node = &trial.trial.graph.nodes[n];
            const int64_t count = ls_trial_count(&trial.trial, node->out[0]);
            if (!(node->op->flags & LS_OP_ELEMENTWISE)) continue;
            if (ls_trial_count(&trial.trial, node->in[0]) != count) continue;
            size_t bytes = (size_t)ls_trial_count(&trial.trial, node->out[0]) * sizeof(float);
            void *expected = trial.trial.data[node->out[0]], *copy = malloc(bytes);
            struct ls_kernel_call call = {
                .graph = &trial.trial.graph, .node = node, .control = &trial.trial.control};
            for (int k = 0; k < node->n_in; k++) call.in[k] = trial.trial.data[node->in[k]];
            memcpy(copy, call.in[0], bytes);
            call.in[0] = call.out[0] = copy;
            assert_ok(ls_cpu_run_node(LS_CPU_PLAIN, &call));
            assert_memory_equal(copy, expected, bytes);
            free(copy);
        }
        ls_case_close(&trial);
    }
}

// ---- convolution, as its definition reads ----
static int64_t at(const struct ls_shape *s, int64_t n, int64_t c, int64_t h, int64_t w) {
    return ((n * s->dim[2] + h) * s->dim[3] + w) * s->dim[1] + c;
}

static double conv_at(const struct ls_trial *trial, const struct ls_case *of, int64_t n, int64_t o,
                      int64_t oh, int64_t ow) {
    const struct ls_shape *x = &of->in[0].shape, *w = &of->in[1].shape;
    const union ls_attr *attr = of->attrs;
    int64_t group = o / (w->dim[0] / attr[LS_GROUPS].i);
    double sum = of->n_in > 2 ? ls_trial_get(trial, 2, o) : 0;
    for (int64_t c = 0; c < w->dim[1]; c++)
        for (int64_t kh = 0; kh < w->dim[2]; kh++)
            for (int64_t kw = 0; kw < w->dim[3]; kw++) {
                int64_t h = oh * attr[LS_STRIDE_H].i - attr[LS_PAD_H].i + kh * attr[LS_DILATION_H].i;
                int64_t ww = ow * attr[LS_STRIDE_W].i - attr[LS_PAD_W].i + kw * attr[LS_DILATION_W].i;
                if (h < 0 || h >= x->dim[2] || ww < 0 || ww >= x->dim[3]) continue;
                sum += ls_trial_get(trial, 0, at(x, n, group * w->dim[1] + c, h, ww)) *
                       ls_trial_get(trial, 1, at(w, o, c, kh, kw));
            }
    return of->op == LS_OP_CONV_RELU && sum < 0 ? 0 : sum;
}

static void test_conv_is_its_definition(void **state) {
    (void)state;
    for (int i = 0; i < ls_case_count; i++) {
        if (ls_cases[i].op != LS_OP_CONV && ls_cases[i].op != LS_OP_CONV_RELU) continue;
        struct ls_case_trial trial;
        run_all(&ls_cases[i], LS_F64, &trial);
        ls_value y = trial.trial.graph.nodes[0].out[0];
        const struct ls_shape *s = &ls_info(&trial.trial.graph, y)->shape;
        for (int64_t n = 0; n < s->dim[0]; n++)
            for (int64_t o = 0; o < s->dim[1]; o++)
                for (int64_t h = 0; h < s->dim[2]; h++)
                    for (int64_t w = 0; w < s->dim[3]; w++) {
                        double found = ls_trial_get(&trial.trial, y, at(s, n, o, h, w));
                        if (!(fabs(found - conv_at(&trial.trial, &ls_cases[i], n, o, h, w)) < 1e-9))
                            fail_msg("%s: y[%d %d %d %d] is %g", ls_cases[i].name, (int)n, (int)o, (int)h,
                                     (int)w, found);
                    }
        ls_case_close(&trial);
    }
}

// ---- input and dropout, as ops.h words them ----
static void test_input_is_its_definition(void **state) {
    (void)state;
    for (int i = 0; i < ls_case_count; i++) {
        const struct ls_case *of = &ls_cases[i];
        if (of->op != LS_OP_INPUT || of->in[1].fill == LS_FILL_CHANGE) continue; // that: test_augment.c
        struct ls_case_trial trial;
        run_all(of, LS_F32, &trial);
        const struct ls_shape *x = &of->in[0].shape;
        int64_t C = x->dim[1], H = x->dim[2], W = x->dim[3];
        for (int64_t n = 0; n < x->dim[0]; n++)
            for (int64_t c = 0; c < C; c++)
                for (int64_t h = 0; h < H; h++)
                    for (int64_t w = 0; w < W; w++) {
                        int64_t dy = 0, dx = 0, flags = 0;
                        if (of->n_in > 1) {
                            dy = (int64_t)ls_trial_get(&trial.trial, 1, n * LS_AUGMENT_WORDS);
                            dx = (int64_t)ls_trial_get(&trial.trial, 1, n * LS_AUGMENT_WORDS + 1);
                            flags = (int64_t)ls_trial_get(&trial.trial, 1, n * LS_AUGMENT_WORDS + 2);
                        }
                        int64_t sh = (flags & LS_AUGMENT_FLIP_VERTICAL ? H - 1 - h : h) + dy;
                        int64_t sw = (flags & LS_AUGMENT_FLIP ? W - 1 - w : w) + dx;
                        bool first = of->attrs[LS_INPUT_CHANNELS_FIRST].i != 0;
                        int64_t from =
                            first ? ((n * C + c) * H + sh) * W + sw : ((n * H + sh) * W + sw) * C + c;
                        bool inside = sh >= 0 && sh < H && sw >= 0 && sw < W;
                        float raw = inside ? (float)ls_trial_get(&trial.trial, 0, from) : 0;
                        int half = of->n_list / 2, k = half > 1 ? (int)c : 0;
                        float a = (float)(of->attrs[LS_INPUT_SCALE].f / of->list[half + k]);
                        float b = (float)(-of->list[k] / of->list[half + k]);
                        ls_value y = trial.trial.graph.nodes[0].out[0];
                        if ((float)ls_trial_get(&trial.trial, y, at(x, n, c, h, w)) != raw * a + b)
                            fail_msg("%s: x[%d %d %d %d]", of->name, (int)n, (int)c, (int)h, (int)w);
                    }
        ls_case_close(&trial);
    }
}

static void test_dropout_is_its_definition(void **state) {
    (void)state;
    for (int i = 0; i < ls_case_count; i++) {
        const struct ls_case *of = &ls_cases[i];
        if (of->op != LS_OP_DROPOUT) continue;
        struct ls_case_trial trial;
        run_all(of, LS_F32, &trial);
        int64_t samples = of->in[0].shape.dim[0], each = ls_trial_count(&trial.trial, 0) / samples;
        uint64_t site = (uint64_t)of->attrs[LS_DROPOUT_SITE].i << 40;
        float factor = (float)(1 / (1 - of->attrs[LS_DROPOUT_RATE].f));
        for (int64_t e = 0; e < samples * each; e++) {
            uint64_t place = (uint64_t)(e % each), position = 1000 + (uint64_t)(e / each);
            struct ls_random4 random = ls_philox(7, LS_RANDOM_DROPOUT, site + place / 4, position);
            bool kept = ls_uniform(random.word[place % 4]) >= (float)of->attrs[LS_DROPOUT_RATE].f;
            float x = (float)ls_trial_get(&trial.trial, 0, e);
            ls_value y = trial.trial.graph.nodes[0].out[0];
            assert_true((float)ls_trial_get(&trial.trial, y, e) == (kept ? x * factor : 0));
        }
        ls_case_close(&trial);
    }
}

// ---- fused ops are what they are made of ----
struct norm {
    struct ls_trial trial;
    ls_value x, dy, scale, shift, b, more;
};

static void open_norm(struct norm *norm, ls_dtype type) {
    struct ls_trial *trial = &norm->trial;
    const struct ls_shape shape = LS_SHAPE(3, 19, 4, 5), vector = LS_SHAPE(19);
    ls_trial_open(trial);
    norm->x = ls_trial_input(trial, "x", type, shape);
    norm->dy = ls_trial_input(trial, "dy", type, shape);
    norm->scale = ls_trial_input(trial, "scale", type, vector);
    norm->shift = ls_trial_input(trial, "shift", type, vector);
    norm->b = ls_trial_input(trial, "b", type, shape);
    norm->more = ls_trial_input(trial, "more", type, shape);
    for (ls_value v = 0; v <= norm->more; v++)
        for (int64_t i = 0; i < ls_trial_count(trial, v); i++) {
            struct ls_random4 random = ls_philox(5, LS_RANDOM_TEST, (uint64_t)i, (uint64_t)v);
            ls_trial_put(trial, v, i, (double)ls_uniform(random.word[0]) - 0.5);
        }
}

static const union ls_attr norm_attrs[LS_MAX_ATTRS] = {[LS_BATCHNORM_EPSILON].f = 1e-5};
static const union ls_attr bounded_attrs[LS_MAX_ATTRS] = {
    [LS_BATCHNORM_EPSILON].f = 1e-5, [LS_BATCHNORM_MOST].f = 0.125};

// The outputs of a new node.
static const ls_value *node_of(struct norm *norm, enum ls_op_id op, const union ls_attr *attrs,
                               const ls_value *in, int n_in) {
    int i = ls_trial_node(&norm->trial, op, in, n_in, attrs, NULL, 0);
    if (i < 0) fail_msg("%s", ls_error_last()->text);
    return norm->trial.graph.nodes[i].out;
}

#define NODE(norm, op, attrs, ...)                                                                           \
    node_of(norm, LS_OP_##op, attrs, (ls_value[]){__VA_ARGS__},                                              \
            (int)(sizeof((ls_value[]){__VA_ARGS__}) / sizeof(ls_value)))

static void expect_equal(const struct ls_trial *trial, ls_value a, ls_value b) {
    for (int64_t i = 0; i < ls_trial_count(trial, a); i++)
        if (ls_trial_get(trial, a, i) != ls_trial_get(trial, b, i))
            fail_msg("%s and %s, element %d: %.9g and %.9g", ls_info(&trial->graph, a)->name,
                     ls_info(&trial->graph, b)->name, (int)i, ls_trial_get(trial, a, i),
                     ls_trial_get(trial, b, i));
}

static void close_norm(struct norm *norm) {
    ls_trial_close(&norm->trial);
}

static void test_batchnorm_relu_grad_is_relu_grad_then_batchnorm_grad(void **state) {
    (void)state;
    for (int t = 0; t < 2; t++) {
        struct norm n;
        open_norm(&n, t ? LS_F64 : LS_F32);
        ls_value y[3], apart[3], fused[3];
        memcpy(y, NODE(&n, BATCHNORM_RELU, norm_attrs, n.x, n.scale, n.shift), sizeof y);
        ls_value g = NODE(&n, RELU_GRAD, NULL, y[0], n.dy)[0];
        memcpy(apart, NODE(&n, BATCHNORM_GRAD, norm_attrs, n.x, g, n.scale, y[1], y[2]), sizeof apart);
        memcpy(fused, NODE(&n, BATCHNORM_RELU_GRAD, norm_attrs, n.x, n.dy, n.scale, n.shift, y[1], y[2]),
               sizeof fused);
        assert_ok(ls_trial_run(&n.trial, LS_CPU_PLAIN, 0, n.trial.graph.n_nodes));
        for (int k = 0; k < 3; k++) expect_equal(&n.trial, apart[k], fused[k]);
        close_norm(&n);
    }
}

static void test_batchnorm_bounded_is_batchnorm_then_clip(void **state) {
    (void)state;
    for (int t = 0; t < 2; t++) {
        struct norm n;
        open_norm(&n, t ? LS_F64 : LS_F32);
        ls_value y0[3], y[3], apart[3], fused[3];
        const union ls_attr clip[LS_MAX_ATTRS] = {[LS_CLIP_LOW].f = 0, [LS_CLIP_HIGH].f = 0.125};
        memcpy(y0, NODE(&n, BATCHNORM, norm_attrs, n.x, n.scale, n.shift), sizeof y0);
        ls_value clipped = NODE(&n, CLIP, clip, y0[0])[0], g = NODE(&n, CLIP_GRAD, clip, clipped, n.dy)[0];
        memcpy(y, NODE(&n, BATCHNORM_RELU, bounded_attrs, n.x, n.scale, n.shift), sizeof y);
        memcpy(apart, NODE(&n, BATCHNORM_GRAD, norm_attrs, n.x, g, n.scale, y0[1], y0[2]), sizeof apart);
        memcpy(fused, NODE(&n, BATCHNORM_RELU_GRAD, bounded_attrs, n.x, n.dy, n.scale, n.shift, y[1], y[2]),
               sizeof fused);
        assert_ok(ls_trial_run(&n.trial, LS_CPU_PLAIN, 0, n.trial.graph.n_nodes));
        expect_equal(&n.trial, clipped, y[0]);
        for (int k = 0; k < 3; k++) expect_equal(&n.trial, apart[k], fused[k]);
        close_norm(&n);
    }
}

static void test_batchnorm_add_relu_is_its_parts(void **state) {
    (void)state;
    for (int t = 0; t < 4; t++) {
        struct norm n;
        open_norm(&n, t % 2 ? LS_F64 : LS_F32);
        ls_value y0[3], y[3], apart[3], fused[4];
        const bool two = t >= 2;
        memcpy(y0, NODE(&n, BATCHNORM, norm_attrs, n.x, n.scale, n.shift), sizeof y0);
        ls_value sum = NODE(&n, ADD_RELU, NULL, y0[0], n.b)[0];
        memcpy(y, NODE(&n, BATCHNORM_ADD_RELU, norm_attrs, n.x, n.scale, n.shift, n.b), sizeof y);
        ls_value dy = two ? NODE(&n, ADD, NULL, n.dy, n.more)[0] : n.dy;
        ls_value g = NODE(&n, RELU_GRAD, NULL, sum, dy)[0];
        memcpy(apart, NODE(&n, BATCHNORM_GRAD, norm_attrs, n.x, g, n.scale, y0[1], y0[2]), sizeof apart);
        const ls_value in[] = {n.x, y[0], n.dy, n.scale, y[1], y[2], n.more};
        memcpy(fused, node_of(&n, LS_OP_BATCHNORM_ADD_RELU_GRAD, norm_attrs, in, two ? 7 : 6), sizeof fused);
        assert_ok(ls_trial_run(&n.trial, LS_CPU_PLAIN, 0, n.trial.graph.n_nodes));
        for (int k = 0; k < 3; k++) expect_equal(&n.trial, k ? y0[k] : sum, y[k]);
        for (int k = 0; k < 3; k++) expect_equal(&n.trial, apart[k], fused[k]);
        expect_equal(&n.trial, g, fused[3]);
        close_norm(&n);
    }
}

static double held_to(double most, double before) {
    const double least = before > 0 ? before : 0;
    return most != 0 && least > most ? most : least;
}

static void test_fused_forward_is_relu_of_unfused(void **state) {
    (void)state;
    static const enum ls_op_id pairs[][2] = {{LS_OP_CONV_RELU, LS_OP_CONV},
                                             {LS_OP_LINEAR_RELU, LS_OP_LINEAR},
                                             {LS_OP_BATCHNORM_RELU, LS_OP_BATCHNORM},
                                             {LS_OP_BATCHNORM_EVAL_RELU, LS_OP_BATCHNORM_EVAL},
                                             {LS_OP_ADD_RELU, LS_OP_ADD}};
    int compared = 0;
    for (int i = 0; i < ls_case_count; i++)
        for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
            if (ls_cases[i].op != pairs[p][0]) continue;
            struct ls_case_trial fused, apart;
            run_all(&ls_cases[i], LS_F32, &fused);
            assert_ok(ls_case_open(&ls_cases[i], LS_F32, &apart));
            apart.trial.graph.nodes[0].op = ls_op_table[pairs[p][1]];
            assert_ok(ls_trial_run(&apart.trial, LS_CPU_PLAIN, 0, 1));
            ls_value y = fused.trial.graph.nodes[0].out[0];
            const bool norm = pairs[p][1] == LS_OP_BATCHNORM || pairs[p][1] == LS_OP_BATCHNORM_EVAL;
            const double most = norm ? ls_cases[i].attrs[LS_BATCHNORM_MOST].f : 0;
            for (int64_t e = 0; e < ls_trial_count(&fused.trial, y); e++) {
                double before = ls_trial_get(&apart.trial, y, e);
                assert_true(ls_trial_get(&fused.trial, y, e) == held_to(most, before));
                compared++;
            }
            ls_case_close(&fused);
            ls_case_close(&apart);
        }
    assert_true(compared > 500);
}

static void test_every_op_has_a_case_and_a_kernel(void **state) {
    (void)state;
    bool seen[LS_OPS] = {[LS_OP_CAST] = true,
                         [LS_OP_RANK_FLAGS] = true,
                         [LS_OP_BATCHNORM_RELU_GRAD] = true,
                         [LS_OP_BATCHNORM_ADD_RELU_GRAD] = true};
    for (int i = 0; i < ls_case_count; i++) {
        struct ls_case_trial trial;
        run_all(&ls_cases[i], LS_F32, &trial);
        for (int n = 0; n < trial.trial.graph.n_nodes; n++) seen[trial.trial.graph.nodes[n].op->id] = true;
        ls_case_close(&trial);
    }
    for (int op = 0; op < LS_OPS; op++) {
        if (!seen[op]) fail_msg("nothing tests %s", ls_op_table[op]->name);
        assert_true((ls_plain_kernel((enum ls_op_id)op) == NULL) ==
                    ((ls_op_table[op]->flags & LS_OP_VIEW) != 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_has_a_case_and_a_kernel),
        cmocka_unit_test(test_f32_is_near_f64),
        cmocka_unit_test(test_bf16_is_f32_rounded),
        cmocka_unit_test(test_levels_agree),
        cmocka_unit_test(test_maximum_of_anything),
        cmocka_unit_test(test_levels_agree_on_flat_buffers),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_conv_is_its_definition),
        cmocka_unit_test(test_input_is_its_definition),
        cmocka_unit_test(test_dropout_is_its_definition),
        cmocka_unit_test(test_batchnorm_relu_grad_is_relu_grad_then_batchnorm_grad),
        cmocka_unit_test(test_batchnorm_bounded_is_batchnorm_then_clip),
        cmocka_unit_test(test_batchnorm_add_relu_is_its_parts),
        cmocka_unit_test(test_fused_forward_is_relu_of_unfused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
