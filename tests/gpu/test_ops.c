// Every op that CUDA has, node by node, against the plain kernels: the cases of tests/conform, and shapes
// that do not divide. $LOCKSTEP_CUDA_MODULE names the module: the stand-in, or the real one on a machine with
// a GPU.
#include "base/philox.h"
#include "conform/cases.h"
#include "gpu/bounds.h"
#include "gpu/stage.h"
#include "graph/augment.h"
#include "unit/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ls_device *device;
static bool tested[LS_OPS];

static void ok(ls_status status, const char *what) {
    if (status != LS_OK) fail_msg("%s: %s", what, ls_error_last()->text);
}

// ---- what is expected

static bool is_float(ls_dtype type) {
    return type == LS_F32 || type == LS_BF16 || type == LS_F16;
}

// Node `i` of the trial alone, on the same inputs, in f32 or f64, by the plain kernel.
static void run_plain(const struct ls_trial *trial, int i, ls_dtype type, struct ls_trial *alone) {
    const struct ls_node *node = &trial->graph.nodes[i];
    union ls_attr attrs[LS_MAX_ATTRS];
    ls_value in[LS_MAX_IN];
    memcpy(attrs, node->attr, sizeof attrs);
    if (node->op->id == LS_OP_CAST) attrs[LS_CAST_TO].i = type;
    ls_trial_open(alone);
    alone->control = trial->control;
    for (int k = 0; k < node->n_in; k++) {
        const struct ls_value_info *info = ls_info(&trial->graph, node->in[k]);
        in[k] = ls_trial_input(alone, ls_arena_format(&alone->graph.arena, "in%d", k),
                               is_float(info->dtype) ? type : info->dtype, info->shape);
        for (int64_t e = 0; e < ls_trial_count(alone, in[k]); e++)
            ls_trial_put(alone, in[k], e, ls_trial_get(trial, node->in[k], e));
    }
    if (ls_trial_node(alone, (enum ls_op_id)node->op->id, in, node->n_in, attrs, node->list, node->n_list) <
        0)
        fail_msg("%s", ls_error_last()->text);
    ok(ls_trial_run(alone, LS_CPU_PLAIN, 0, 1), node->op->name);
}

// The number that this type stores for it.
static double stored(ls_dtype type, double number) {
    if (type == LS_BF16) return (double)ls_bf16_to_f32(ls_bf16_from_f32((float)number));
    if (type == LS_F16) return (double)ls_f16_to_f32(ls_f16_from_f32((float)number));
    return type == LS_F32 ? (double)(float)number : number;
}

// What rounding a number near `size` to the type may change, and half a step of f16's smallest numbers.
static double rounding(ls_dtype type, double size) {
    if (type == LS_F32) return 0x1p-24 * size;
    if (type == LS_BF16) return 0x1p-8 * size;
    return type == LS_F16 ? 0x1p-11 * size + 0x1p-25 : 0;
}

static bool is_same(double a, double b) {
    return a == b || (isnan(a) && isnan(b));
}

// ---- a node

struct scene {
    const char *name;
    struct ls_trial *trial;
    struct ls_stage *stage, *in_place; // in_place NULL: not asked for
};

static void compare(const struct scene *scene, int i, const struct ls_trial *plain,
                    double *const bound[LS_MAX_OUT]) {
    const struct ls_node *node = &scene->trial->graph.nodes[i];
    for (int k = 0; k < node->n_out; k++) {
        const ls_dtype type = ls_info(&scene->trial->graph, node->out[k])->dtype;
        for (int64_t e = 0; e < ls_trial_count(scene->trial, node->out[k]); e++) {
            double found = ls_stage_get(scene->stage, node->out[k], e);
            double expected = ls_trial_get(plain, plain->graph.nodes[0].out[k], e);
            double far = bound ? bound[k][e] + rounding(type, fabs(expected) + bound[k][e]) : 0;
            if (!bound) expected = stored(type, expected);
            if (!is_same(found, expected) && !(fabs(found - expected) <= far))
                fail_msg("%s, %s in %s: output %d, element %lld: expected %.9g within %.3g, found %.9g",
                         scene->name, node->op->name, ls_dtype_name(type), k, (long long)e, expected, far,
                         found);
        }
    }
}

// The results of the plain kernel are what the next node reads.
static void keep(struct ls_trial *trial, int i, const struct ls_trial *plain) {
    const struct ls_node *node = &trial->graph.nodes[i];
    for (int k = 0; k < node->n_out; k++)
        for (int64_t e = 0; e < ls_trial_count(trial, node->out[k]); e++)
            ls_trial_put(trial, node->out[k], e, ls_trial_get(plain, plain->graph.nodes[0].out[k], e));
}

static void compare_in_place(const struct scene *scene, int i) {
    const struct ls_node *node = &scene->trial->graph.nodes[i];
    if (!scene->in_place || !(node->op->flags & LS_OP_ELEMENTWISE)) return;
    ok(ls_stage_run(scene->in_place, i), scene->name);
    for (int64_t e = 0; e < ls_trial_count(scene->trial, node->out[0]); e++)
        if (!is_same(ls_stage_get(scene->in_place, node->out[0], e),
                     ls_stage_get(scene->stage, node->out[0], e)))
            fail_msg("%s: %s differs in place, element %lld", scene->name, node->op->name, (long long)e);
}

static void check_node(const struct scene *scene, int i) {
    const struct ls_node *node = &scene->trial->graph.nodes[i];
    const enum ls_op_id op = (enum ls_op_id)node->op->id;
    struct ls_trial plain;
    double *bound[LS_MAX_OUT] = {0};
    tested[op] = true;
    run_plain(scene->trial, i, ls_is_exact(op) || (node->op->flags & LS_OP_VIEW) ? LS_F32 : LS_F64, &plain);
    keep(scene->trial, i, &plain);
    if (!(node->op->flags & LS_OP_VIEW)) {
        ok(ls_stage_run(scene->stage, i), scene->name);
        if (!ls_is_exact(op)) {
            for (int k = 0; k < node->n_out; k++)
                bound[k] = calloc((size_t)ls_trial_count(scene->trial, node->out[k]), sizeof *bound[k]);
            struct ls_trial sized;
            run_plain(scene->trial, i, LS_F64, &sized);
            ok(ls_bounds_of(&sized, bound), scene->name);
            ls_trial_close(&sized);
        }
        compare(scene, i, &plain, ls_is_exact(op) ? NULL : bound);
        compare_in_place(scene, i);
    }
    for (int k = 0; k < LS_MAX_OUT; k++) free(bound[k]);
    ls_trial_close(&plain);
}

// Every node of the trial, whose inputs are filled.
static void check_trial(const char *name, struct ls_trial *trial) {
    struct scene scene = {.name = name, .trial = trial};
    ok(ls_stage_open(device, trial, false, &scene.stage), name);
    ok(ls_stage_open(device, trial, true, &scene.in_place), name);
    for (int i = 0; i < trial->graph.n_nodes; i++) check_node(&scene, i);
    ls_stage_close(scene.in_place);
    ls_stage_close(scene.stage);
}

// ---- the cases of tests/conform

static bool has_type(enum ls_op_id op, ls_dtype type) {
    switch (op) {
    case LS_OP_INPUT:
    case LS_OP_CROSS_ENTROPY:
    case LS_OP_BINARY_CROSS_ENTROPY:
    case LS_OP_MSE:
    case LS_OP_MAE:
    case LS_OP_HUBER: return type == LS_F32;
    default: return true;
    }
}

static void check_cases(ls_dtype type) {
    for (int i = 0; i < ls_case_count; i++) {
        if (!has_type(ls_cases[i].op, type)) continue;
        struct ls_case_trial trial;
        ok(ls_case_open(&ls_cases[i], type, &trial), ls_cases[i].name);
        check_trial(ls_cases[i].name, &trial.trial);
        ls_case_close(&trial);
    }
}

static void test_cases_f32(void **state) {
    (void)state;
    check_cases(LS_F32);
}

static void test_cases_bf16(void **state) {
    (void)state;
    check_cases(LS_BF16);
}

static void test_cases_f16(void **state) {
    (void)state;
    check_cases(LS_F16);
}

// ---- shapes that the table leaves out, filled at random

// Multiples of 2^-16 in [-2, 2), some of them 0, more digits than a half type has.
static double draw(uint64_t seed, int input, int64_t i) {
    uint32_t word = ls_philox(seed, LS_RANDOM_TEST, (uint64_t)i, (uint64_t)input).word[0];
    if (word % 16 == 0) return 0;
    return ((int)ls_below(word, 1 << 18) - (1 << 17)) / 65536.0;
}

static void fill(const struct ls_case_trial *trial, uint64_t seed) {
    struct ls_trial *values = (struct ls_trial *)&trial->trial;
    for (int k = 0; k < trial->of->n_in; k++)
        for (int64_t i = 0; i < ls_trial_count(values, trial->in[k]); i++) {
            double number = draw(seed, k, i);
            switch (trial->of->in[k].fill) {
            case LS_FILL_POSITIVE: number = fabs(number) + 0.25; break;
            case LS_FILL_CLASS:
                number = (double)ls_below((uint32_t)(i * 2654435761u), (uint32_t)trial->of->classes);
                break;
            case LS_FILL_WEIGHT: number = i % 3 == 1 ? 0 : number; break;
            case LS_FILL_RAW: number = (double)(i * 37 % 256); break;
            default: break;
            }
            ls_trial_put(values, trial->in[k], i, number);
        }
    if (trial->alone.dy == LS_NONE) return;
    for (int64_t i = 0; i < ls_trial_count(values, trial->alone.dy); i++)
        ls_trial_put(values, trial->alone.dy, i, draw(seed, LS_MAX_IN, i));
}

static void check_case_in(const struct ls_case *of, ls_dtype type, uint64_t seed) {
    struct ls_case_trial trial;
    ok(ls_case_make(of, type, &trial), of->name);
    fill(&trial, seed);
    check_trial(of->name, &trial.trial);
    ls_case_close(&trial);
}

static void check_case(const struct ls_case *of) {
    static const ls_dtype types[] = {LS_F32, LS_BF16, LS_F16};
    for (int t = 0; t < 3; t++)
        if (has_type(of->op, types[t])) check_case_in(of, types[t], (uint64_t)t);
}

static struct ls_case_input stored_input(enum ls_fill fill_with, struct ls_shape shape) {
    return (struct ls_case_input){.fill = fill_with, .type = LS_CASE_STORED, .shape = shape};
}

static struct ls_case_input wide_input(enum ls_fill fill_with, struct ls_shape shape) {
    return (struct ls_case_input){.fill = fill_with, .type = LS_CASE_WIDE, .shape = shape};
}

// Counts around those of a pack, a thread and a block.
static void test_elementwise(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 3, 4, 5, 8, 9, 31, 1024, 4095, 4097, 9000};
    static const struct {
        enum ls_op_id op;
        int n_in;
    } ops[] = {{LS_OP_RELU, 1},     {LS_OP_CLIP, 1},    {LS_OP_SIGMOID, 1},    {LS_OP_ADD, 2},
               {LS_OP_ADD_RELU, 2}, {LS_OP_DROPOUT, 1}, {LS_OP_LEAKY_RELU, 1}, {LS_OP_TANH, 1},
               {LS_OP_GELU, 1},     {LS_OP_SILU, 1},    {LS_OP_HARD_SWISH, 1}};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
            struct ls_case of = {.name = "elementwise", .op = ops[o].op, .n_in = ops[o].n_in};
            for (int k = 0; k < of.n_in; k++)
                of.in[k] = stored_input(LS_FILL_SIGNED, LS_SHAPE(c % 2 ? 3 : 1, counts[c]));
            if (of.op == LS_OP_CLIP) of.attrs[LS_CLIP_LOW].f = -0.5, of.attrs[LS_CLIP_HIGH].f = 1;
            if (of.op == LS_OP_LEAKY_RELU) of.attrs[LS_LEAKY_RELU_SLOPE].f = 0.2;
            if (of.op == LS_OP_GELU) of.attrs[LS_GELU_TANH].i = (int64_t)(c % 2);
            if (of.op == LS_OP_DROPOUT) of.attrs[LS_DROPOUT_RATE].f = 0.3, of.attrs[LS_DROPOUT_SITE].i = 5;
            check_case(&of);
        }
}

// Up to 64 on both sides, and down to 2^-24: where exponentials vanish, and where a function is its argument.
static void test_activations_far_and_near(void **state) {
    (void)state;
    static const struct {
        enum ls_op_id op;
        int tanh;
    } ops[] = {{LS_OP_SIGMOID, 0}, {LS_OP_TANH, 0}, {LS_OP_GELU, 0},       {LS_OP_GELU, 1},
               {LS_OP_SILU, 0},    {LS_OP_CLIP, 0}, {LS_OP_LEAKY_RELU, 0}, {LS_OP_HARD_SWISH, 0}};
    enum { N = 1500 };
    for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
        struct ls_case of = {.name = "far and near", .op = ops[o].op, .n_in = 1};
        if (of.op == LS_OP_GELU) of.attrs[LS_GELU_TANH].i = ops[o].tanh;
        if (of.op == LS_OP_CLIP) of.attrs[LS_CLIP_HIGH].f = 6;
        of.in[0] = stored_input(LS_FILL_SIGNED, LS_SHAPE(3, N / 3));
        struct ls_case_trial trial;
        ok(ls_case_make(&of, LS_F32, &trial), of.name);
        fill(&trial, 4);
        for (int64_t i = 0; i < N; i++)
            ls_trial_put(&trial.trial, trial.in[0], i, ldexp(draw(4, 0, i), 5 - (int)(i % 30)));
        check_trial(of.name, &trial.trial);
        ls_case_close(&trial);
    }
}

// Channels that packs divide or not, each of the two spread along each axis or not, and sums of many terms.
static void test_broadcasts(void **state) {
    (void)state;
    static const int64_t shapes[][2][4] = {
        {{3, 8, 5, 7}, {3, 8, 1, 1}},       {{3, 5, 5, 7}, {3, 5, 1, 1}},    {{1, 8, 1, 1}, {2, 8, 9, 3}},
        {{2, 16, 3, 3}, {2, 1, 3, 3}},      {{2, 1, 40, 41}, {1, 3, 1, 41}}, {{40, 1, 1, 1}, {1, 33, 2, 1}},
        {{2, 1030, 2, 1}, {1, 1030, 1, 1}}, {{1, 1, 1, 1}, {1, 1, 1, 1}},    {{700, 4, 2, 3}, {1, 4, 1, 3}},
        {{2, 3, 100, 120}, {1, 1, 1, 1}}};
    static const enum ls_op_id ops[] = {LS_OP_ADD, LS_OP_ADD_RELU, LS_OP_MUL};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
            struct ls_case of = {.name = "broadcast", .op = ops[o], .n_in = 2};
            for (int k = 0; k < 2; k++) {
                const int64_t *d = shapes[s][k];
                of.in[k] = stored_input(LS_FILL_SIGNED, LS_SHAPE(d[0], d[1], d[2], d[3]));
            }
            check_case(&of);
        }
}

static void test_casts(void **state) {
    (void)state;
    static const ls_dtype types[] = {LS_F32, LS_BF16, LS_F16};
    static const int64_t counts[] = {1, 7, 8, 8195};
    for (int to = 0; to < 3; to++)
        for (int c = 0; c < 4; c++) {
            struct ls_case of = {
                .name = "cast", .op = LS_OP_CAST, .n_in = 1, .attrs = {[LS_CAST_TO].i = types[to]}};
            of.in[0] = stored_input(LS_FILL_SIGNED, LS_SHAPE(1, counts[c]));
            check_case(&of);
        }
}

// Channels around a pack and a tile, rows around a step, one row, one channel.
static void test_batchnorm(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{2, 1},   {5000, 1}, {7, 3},    {1030, 4}, {33, 8},   {200, 12},
                                        {97, 33}, {64, 64},  {300, 64}, {9, 256},  {3, 1032}, {2, 2048}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const int64_t rows = shapes[s][0], channels = shapes[s][1];
        const struct ls_shape x = LS_SHAPE(rows, channels), c = LS_SHAPE(channels);
        const struct ls_case_input signed_x = stored_input(LS_FILL_SIGNED, x),
                                   scale = wide_input(LS_FILL_SIGNED, c);
        const struct ls_case_input var = wide_input(LS_FILL_POSITIVE, c);
        const struct ls_case cases[] = {
            {.name = "batchnorm", .op = LS_OP_BATCHNORM, .n_in = 3, .in = {signed_x, scale, scale}},
            {.name = "batchnorm_relu", .op = LS_OP_BATCHNORM_RELU, .n_in = 3, .in = {signed_x, scale, scale}},
            {.name = "batchnorm_relu bounded",
             .op = LS_OP_BATCHNORM_RELU,
             .n_in = 3,
             .in = {signed_x, scale, scale},
             .attrs = {[LS_BATCHNORM_MOST].f = 0.5}},
            {.name = "batchnorm_eval_relu bounded",
             .op = LS_OP_BATCHNORM_EVAL_RELU,
             .n_in = 5,
             .in = {signed_x, scale, scale, scale, var},
             .attrs = {[LS_BATCHNORM_MOST].f = 0.5}},
            {.name = "batchnorm_relu_grad bounded",
             .op = LS_OP_BATCHNORM_RELU_GRAD,
             .n_in = 6,
             .in = {signed_x, signed_x, scale, scale, scale, var},
             .attrs = {[LS_BATCHNORM_MOST].f = 0.5}},
            {.name = "batchnorm_eval",
             .op = LS_OP_BATCHNORM_EVAL,
             .n_in = 5,
             .in = {signed_x, scale, scale, scale, var}},
            {.name = "batchnorm_eval_relu",
             .op = LS_OP_BATCHNORM_EVAL_RELU,
             .n_in = 5,
             .in = {signed_x, scale, scale, scale, var}},
            {.name = "batchnorm_eval_grad",
             .op = LS_OP_BATCHNORM_EVAL_GRAD,
             .n_in = 3,
             .in = {signed_x, scale, var}},
            {.name = "batchnorm_relu_grad",
             .op = LS_OP_BATCHNORM_RELU_GRAD,
             .n_in = 6,
             .in = {signed_x, signed_x, scale, scale, scale, var}},
            {.name = "batchnorm_add_relu",
             .op = LS_OP_BATCHNORM_ADD_RELU,
             .n_in = 4,
             .in = {signed_x, scale, scale, signed_x}},
            {.name = "batchnorm_add_relu_grad",
             .op = LS_OP_BATCHNORM_ADD_RELU_GRAD,
             .n_in = 6,
             .in = {signed_x, signed_x, signed_x, scale, scale, var}},
            {.name = "batchnorm_add_relu_grad of two",
             .op = LS_OP_BATCHNORM_ADD_RELU_GRAD,
             .n_in = 7,
             .in = {signed_x, signed_x, signed_x, scale, scale, var, signed_x}},
        };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct ls_case of = cases[i];
            of.attrs[LS_BATCHNORM_EPSILON].f = 1e-5;
            // A sum of two in half width is rounded for what follows: no bound here says by how much.
            if (of.n_in > 6)
                check_case_in(&of, LS_F32, 0);
            else
                check_case(&of);
        }
    }
}

// A channel of numbers near 1000 and one of small ones: no digits may cancel.
static void test_batchnorm_far_from_zero(void **state) {
    (void)state;
    const struct ls_case of = {.name = "batchnorm far from zero",
                               .op = LS_OP_BATCHNORM,
                               .n_in = 3,
                               .in = {stored_input(LS_FILL_NONE, LS_SHAPE(700, 4)),
                                      wide_input(LS_FILL_POSITIVE, LS_SHAPE(4)),
                                      wide_input(LS_FILL_SIGNED, LS_SHAPE(4))},
                               .attrs = {[LS_BATCHNORM_EPSILON].f = 1e-5}};
    struct ls_case_trial trial;
    ok(ls_case_make(&of, LS_F32, &trial), of.name);
    fill(&trial, 1);
    for (int64_t i = 0; i < 700 * 4; i++)
        ls_trial_put(&trial.trial, trial.in[0], i, draw(1, 0, i) + (i % 4 == 1 ? 1000 : 0));
    check_trial(of.name, &trial.trial);
    ls_case_close(&trial);
}

// Windows of every kind that the shape rule lets pass: larger than the image, all in the padding, apart, over
// each other.
static void test_pools(void **state) {
    (void)state;
    static const int64_t channels[] = {1, 3, 4, 8, 20, 40};
    enum { TRIES = 60 };
    int run = 0;
    for (int t = 0; t < TRIES; t++) {
        uint32_t word[12];
        for (int i = 0; i < 12; i++)
            word[i] = ls_philox((uint64_t)t, LS_RANDOM_TEST, (uint64_t)i, 99).word[0];
        struct ls_case of = {.name = "pool", .op = t % 2 ? LS_OP_MAX_POOL : LS_OP_AVG_POOL, .n_in = 1};
        of.in[0] =
            stored_input(LS_FILL_SIGNED, LS_SHAPE(1 + ls_below(word[0], 3), channels[ls_below(word[1], 6)],
                                                  1 + ls_below(word[2], 9), 1 + ls_below(word[3], 9)));
        of.attrs[LS_KERNEL_H].i = 1 + ls_below(word[4], t % 10 == 9 ? 20 : 5);
        of.attrs[LS_KERNEL_W].i = 1 + ls_below(word[5], t % 10 == 9 ? 20 : 5);
        of.attrs[LS_STRIDE_H].i = 1 + ls_below(word[6], 4),
        of.attrs[LS_STRIDE_W].i = 1 + ls_below(word[7], 4);
        of.attrs[LS_PAD_H].i = ls_below(word[8], (uint32_t)of.attrs[LS_KERNEL_H].i);
        of.attrs[LS_PAD_W].i = ls_below(word[9], (uint32_t)of.attrs[LS_KERNEL_W].i);
        of.attrs[LS_DILATION_H].i = of.attrs[LS_DILATION_W].i = of.attrs[LS_GROUPS].i = 1;
        if (of.op == LS_OP_AVG_POOL) of.attrs[LS_COUNT_PADDING].i = t % 4 / 2;
        struct ls_case_trial trial; // what does not fit is refused by the shape rule
        bool fits = ls_case_make(&of, LS_F32, &trial) == LS_OK;
        ls_case_close(&trial);
        if (fits) check_case(&of), run++;
    }
    assert_true(run > TRIES / 2);
}

// Convolutions of few numbers, every second one depthwise.
static void test_convolutions(void **state) {
    (void)state;
    static const int64_t channels[] = {2, 3, 4, 8, 20, 40, 272};
    enum { TRIES = 60 };
    int run = 0;
    for (int t = 0; t < TRIES; t++) {
        uint32_t word[16];
        for (int i = 0; i < 16; i++)
            word[i] = ls_philox((uint64_t)t, LS_RANDOM_TEST, (uint64_t)i, 98).word[0];
        const bool depthwise = t % 2;
        const int64_t groups = depthwise ? channels[ls_below(word[0], 7)] : 1 + ls_below(word[0], 3);
        const int64_t c = depthwise ? groups : groups * (1 + ls_below(word[1], 5));
        const int64_t o = depthwise ? groups : groups * (1 + ls_below(word[2], 5));
        struct ls_case of = {.name = depthwise ? "depthwise conv" : "conv",
                             .op = t % 4 < 2 ? LS_OP_CONV : LS_OP_CONV_RELU};
        of.n_in = 2 + t % 3 / 2;
        of.in[0] = stored_input(LS_FILL_SIGNED, LS_SHAPE(1 + ls_below(word[3], 3), c,
                                                         1 + ls_below(word[4], 9), 1 + ls_below(word[5], 9)));
        of.in[1] = stored_input(LS_FILL_SIGNED,
                                LS_SHAPE(o, c / groups, 1 + ls_below(word[6], 5), 1 + ls_below(word[7], 5)));
        of.in[2] = wide_input(LS_FILL_SIGNED, LS_SHAPE(o));
        of.attrs[LS_STRIDE_H].i = 1 + ls_below(word[8], 3),
        of.attrs[LS_STRIDE_W].i = 1 + ls_below(word[9], 3);
        of.attrs[LS_PAD_H].i = ls_below(word[10], 4), of.attrs[LS_PAD_W].i = ls_below(word[11], 4);
        of.attrs[LS_DILATION_H].i = 1 + ls_below(word[12], 2),
        of.attrs[LS_DILATION_W].i = 1 + ls_below(word[13], 2);
        of.attrs[LS_GROUPS].i = groups;
        struct ls_case_trial trial; // what does not fit is refused by the shape rule
        bool fits = ls_case_make(&of, LS_F32, &trial) == LS_OK;
        ls_case_close(&trial);
        if (fits) check_case(&of), run++;
    }
    assert_true(run > TRIES / 2);
}

// Of three channels, as networks begin: windows that fill no tile of a Tensor Core, lines that fill no block.
static void test_first_layers(void **state) {
    (void)state;
    static const int64_t shapes[][5] = {
        {2, 37, 19, 64, 7}, {3, 9, 21, 32, 3}, {1, 66, 224, 64, 7}}; // n h w o k
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const int64_t *d = shapes[s];
        struct ls_case of = {.name = "first conv", .op = LS_OP_CONV, .n_in = 2};
        of.in[0] = stored_input(LS_FILL_SIGNED, LS_SHAPE(d[0], 3, d[1], d[2]));
        of.in[1] = stored_input(LS_FILL_SIGNED, LS_SHAPE(d[3], 3, d[4], d[4]));
        of.attrs[LS_STRIDE_H].i = of.attrs[LS_STRIDE_W].i = 2;
        of.attrs[LS_PAD_H].i = of.attrs[LS_PAD_W].i = d[4] / 2;
        of.attrs[LS_DILATION_H].i = of.attrs[LS_DILATION_W].i = of.attrs[LS_GROUPS].i = 1;
        check_case(&of);
    }
}

// Sums of whole numbers are exact in f32 in any order, and these are too long for 16 bits: a weight gradient
// that is rounded on its way shows.
static void check_whole_numbers(const struct ls_case *of, ls_dtype type) {
    struct ls_case_trial trial;
    ok(ls_case_make(of, type, &trial), of->name);
    const ls_value filled[] = {trial.in[0], trial.in[1], trial.alone.dy};
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < ls_trial_count(&trial.trial, filled[k]); i++)
            ls_trial_put(
                &trial.trial, filled[k], i,
                (double)ls_below(ls_philox(99, LS_RANDOM_TEST, (uint64_t)i, (uint64_t)k).word[0], 9) - 4);
    struct scene scene = {.name = of->name, .trial = &trial.trial};
    ok(ls_stage_open(device, &trial.trial, false, &scene.stage), of->name);
    for (int i = 0; i < trial.trial.graph.n_nodes; i++) {
        struct ls_trial plain;
        if (trial.trial.graph.nodes[i].op->id != LS_OP_CONV_WEIGHT_GRAD) continue;
        run_plain(&trial.trial, i, LS_F32, &plain);
        ok(ls_stage_run(scene.stage, i), of->name);
        compare(&scene, i, &plain, NULL);
        ls_trial_close(&plain);
    }
    ls_stage_close(scene.stage);
    ls_case_close(&trial);
}

static void test_weight_gradients_of_whole_numbers(void **state) {
    (void)state;
    static const int64_t shapes[][4] = {
        {64, 64, 3, 1}, {64, 32, 1, 2}, {3, 64, 7, 2}}; // c, o, kernel, stride
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const int64_t c = shapes[s][0], o = shapes[s][1], kernel = shapes[s][2];
        struct ls_case of = {.name = "whole numbers", .op = LS_OP_CONV, .n_in = 2};
        of.in[0] = stored_input(LS_FILL_SIGNED, LS_SHAPE(2, c, 24, 24));
        of.in[1] = stored_input(LS_FILL_SIGNED, LS_SHAPE(o, c, kernel, kernel));
        of.attrs[LS_STRIDE_H].i = of.attrs[LS_STRIDE_W].i = shapes[s][3];
        of.attrs[LS_PAD_H].i = of.attrs[LS_PAD_W].i = kernel / 2;
        of.attrs[LS_DILATION_H].i = of.attrs[LS_DILATION_W].i = of.attrs[LS_GROUPS].i = 1;
        check_whole_numbers(&of, LS_BF16);
        check_whole_numbers(&of, LS_F16);
    }
}

// Larger and smaller, by what divides and what does not.
static void test_resizes(void **state) {
    (void)state;
    static const int64_t channels[] = {1, 3, 4, 8, 20, 40, 272};
    for (int t = 0; t < 40; t++) {
        uint32_t word[8];
        for (int i = 0; i < 8; i++) word[i] = ls_philox((uint64_t)t, LS_RANDOM_TEST, (uint64_t)i, 96).word[0];
        struct ls_case of = {.name = "resize", .op = LS_OP_RESIZE, .n_in = 1};
        of.in[0] =
            stored_input(LS_FILL_SIGNED, LS_SHAPE(1 + ls_below(word[0], 3), channels[ls_below(word[1], 7)],
                                                  1 + ls_below(word[2], 9), 1 + ls_below(word[3], 9)));
        of.attrs[LS_RESIZE_HEIGHT].i = 1 + ls_below(word[4], 20);
        of.attrs[LS_RESIZE_WIDTH].i = 1 + ls_below(word[5], 20);
        of.attrs[LS_RESIZE_BILINEAR].i = t % 2;
        check_case(&of);
    }
}

static void test_transposed_convolutions(void **state) {
    (void)state;
    for (int t = 0; t < 30; t++) {
        uint32_t word[16];
        for (int i = 0; i < 16; i++)
            word[i] = ls_philox((uint64_t)t, LS_RANDOM_TEST, (uint64_t)i, 95).word[0];
        const int64_t groups = t % 3 == 0 ? 20 : 1 + ls_below(word[0], 3);
        const int64_t c = t % 3 == 0 ? groups : groups * (1 + ls_below(word[1], 5)),
                      o = t % 3 == 0 ? 1 : 1 + ls_below(word[2], 5);
        const int64_t h = 1 + ls_below(word[3], 6), w = 1 + ls_below(word[4], 6),
                      kernel = 2 + ls_below(word[5], 4), stride = 1 + ls_below(word[6], 3),
                      pad = ls_below(word[7], 2);
        struct ls_case of = {.name = "conv_transpose", .op = LS_OP_CONV_TRANSPOSE, .n_in = 2};
        of.in[0] = stored_input(LS_FILL_SIGNED, LS_SHAPE(2, c, h, w));
        of.in[1] = stored_input(LS_FILL_SIGNED, LS_SHAPE(c, o, kernel, kernel));
        of.attrs[LS_STRIDE_H].i = of.attrs[LS_STRIDE_W].i = stride;
        of.attrs[LS_PAD_H].i = of.attrs[LS_PAD_W].i = pad;
        of.attrs[LS_DILATION_H].i = of.attrs[LS_DILATION_W].i = 1;
        of.attrs[LS_GROUPS].i = groups;
        of.attrs[LS_SIZE_H].i = (h - 1) * stride + kernel - 2 * pad + ls_below(word[8], (uint32_t)stride);
        of.attrs[LS_SIZE_W].i = (w - 1) * stride + kernel - 2 * pad + ls_below(word[9], (uint32_t)stride);
        if (of.attrs[LS_SIZE_H].i > 0 && of.attrs[LS_SIZE_W].i > 0) check_case(&of);
    }
}

// ---- the input op: every kind of augmentation, alone and together

static void draw_augment(struct ls_augment *augment, int sample, int samples, int height, int width) {
    int32_t number[32];
    for (int i = 0; i < 32; i++)
        number[i] = (int32_t)ls_philox((uint64_t)sample, LS_RANDOM_TEST, (uint64_t)i, 97).word[0];
    *augment = (struct ls_augment){.dy = number[0] % 4, .dx = number[1] % 4};
    augment->flags = sample < 7 ? 1 << sample : number[2] & 127; // each alone, then any of them
    augment->y = number[3] % (65536 * 2), augment->x = number[4] % (65536 * 2);
    augment->y_a_row = 65536 + number[5] % 30000, augment->y_a_column = number[6] % 40000;
    augment->x_a_row = number[7] % 40000, augment->x_a_column = 65536 + number[8] % 30000;
    for (int i = 0; i < 9; i++) augment->color[i] = (float)(number[9 + i] % 1000) / 700.0f;
    augment->contrast = number[18] % 3 == 0 ? 0 : (float)(number[18] % 1000) / 1000.0f;
    augment->cut = (struct ls_augment_box){1, 0, height / 2 + 1, width / 2};
    augment->mix = (struct ls_augment_box){0, 1, height - 1, width};
    augment->partner = (sample + 3) % samples;
    augment->factor = 0.625f;
}

static void test_input(void **state) {
    (void)state;
    static const int64_t channels[] = {1, 2, 3, 5};
    enum { SAMPLES = 40, HEIGHT = 9, WIDTH = 13 };
    for (int t = 0; t < 32; t++) {
        const bool small = t & 16, augmented = t != 4 && t != 14;
        const int64_t c = channels[t & 3];
        struct ls_case of = {
            .name = "input", .op = LS_OP_INPUT, .n_in = augmented ? 2 : 1, .n_list = 2 * (int)c};
        of.in[0] = (struct ls_case_input){LS_FILL_RAW, LS_CASE_FIXED, t & 4 ? LS_U8 : LS_F32,
                                          LS_SHAPE(SAMPLES, c, HEIGHT, WIDTH)};
        of.in[1] =
            (struct ls_case_input){LS_FILL_NONE, LS_CASE_FIXED, LS_I32, LS_SHAPE(SAMPLES, LS_AUGMENT_WORDS)};
        of.attrs[LS_INPUT_AUGMENTED].i = augmented;
        of.attrs[LS_INPUT_CHANNELS_FIRST].i = (t & 8) != 0;
        of.attrs[LS_INPUT_SCALE].f = 1.0 / 255;
        if (small) of.attrs[LS_INPUT_HEIGHT].i = HEIGHT - 2, of.attrs[LS_INPUT_WIDTH].i = WIDTH - 5;
        double list[10] = {0};
        for (int i = 0; i < (int)c; i++) list[i] = 0.4 + 0.03 * i, list[(int)c + i] = 0.2 + 0.05 * i;
        memcpy(of.list, list, sizeof of.list < sizeof list ? sizeof of.list : sizeof list);
        if (c > 4) of.n_list = 2; // one for all
        struct ls_case_trial trial;
        ok(ls_case_make(&of, LS_F32, &trial), of.name);
        fill(&trial, (uint64_t)t);
        struct ls_augment *augments = augmented ? trial.trial.data[trial.in[1]] : NULL;
        for (int n = 0; augments && n < SAMPLES; n++)
            draw_augment(&augments[n], n, SAMPLES, small ? HEIGHT - 2 : HEIGHT, small ? WIDTH - 5 : WIDTH);
        check_trial(of.name, &trial.trial);
        ls_case_close(&trial);
    }
}

static void test_nan_in_a_pool(void **state) {
    (void)state;
    const struct ls_case of = {.name = "pool with NaN",
                               .op = LS_OP_MAX_POOL,
                               .n_in = 1,
                               .in = {stored_input(LS_FILL_SIGNED, LS_SHAPE(1, 2, 4, 4))},
                               .attrs = {[LS_STRIDE_H].i = 2,
                                         [LS_STRIDE_W].i = 2,
                                         [LS_DILATION_H].i = 1,
                                         [LS_DILATION_W].i = 1,
                                         [LS_GROUPS].i = 1,
                                         [LS_KERNEL_H].i = 2,
                                         [LS_KERNEL_W].i = 2}};
    struct ls_case_trial trial;
    ok(ls_case_make(&of, LS_F32, &trial), of.name);
    fill(&trial, 3);
    for (int64_t i = 5; i < 32; i += 6) ls_trial_put(&trial.trial, trial.in[0], i, NAN);
    check_trial(of.name, &trial.trial);
    ls_case_close(&trial);
}

static void test_sums(void **state) {
    (void)state;
    static const int64_t shapes[][4] = {{1, 1, 1, 1},    {3, 5, 7, 7},    {2, 64, 7, 7}, {1, 3, 40, 41},
                                        {5, 2048, 1, 1}, {9, 1030, 2, 1}, {40, 8, 6, 5}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const struct ls_shape x = LS_SHAPE(shapes[s][0], shapes[s][1], shapes[s][2], shapes[s][3]);
        const struct ls_case cases[] = {
            {.name = "bias_grad", .op = LS_OP_BIAS_GRAD, .n_in = 1, .in = {stored_input(LS_FILL_SIGNED, x)}},
            {.name = "global_avg_pool",
             .op = LS_OP_GLOBAL_AVG_POOL,
             .n_in = 1,
             .in = {stored_input(LS_FILL_SIGNED, x)}},
        };
        for (int i = 0; i < 2; i++) check_case(&cases[i]);
    }
}

static void test_losses(void **state) {
    (void)state;
    static const int64_t shapes[][2] = {{1, 1}, {1, 2}, {5, 10}, {3, 129}, {2, 1000}, {700, 3}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const struct ls_shape x = LS_SHAPE(shapes[s][0], shapes[s][1]), n = LS_SHAPE(shapes[s][0]);
        const struct ls_case_input logits = stored_input(LS_FILL_SIGNED, x),
                                   weight = wide_input(LS_FILL_WEIGHT, n);
        const struct ls_case_input numbers = wide_input(LS_FILL_POSITIVE, x);
        const struct ls_case_input classes = {
            .fill = LS_FILL_CLASS, .type = LS_CASE_FIXED, .fixed = LS_I32, .shape = n};
        struct ls_case cases[] = {
            {.name = "softmax", .op = LS_OP_SOFTMAX, .n_in = 1, .in = {logits}},
            {.name = "cross_entropy", .op = LS_OP_CROSS_ENTROPY, .n_in = 3, .in = {logits, classes, weight}},
            {.name = "mse", .op = LS_OP_MSE, .n_in = 3, .in = {logits, numbers, weight}},
            {.name = "mae", .op = LS_OP_MAE, .n_in = 3, .in = {logits, numbers, weight}},
            {.name = "huber",
             .op = LS_OP_HUBER,
             .n_in = 3,
             .in = {logits, numbers, weight},
             .attrs = {[LS_HUBER_DELTA].f = 0.75}},
            {.name = "binary_cross_entropy",
             .op = LS_OP_BINARY_CROSS_ENTROPY,
             .n_in = 3,
             .in = {logits, numbers, weight}},
        };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            cases[i].classes = (int)shapes[s][1];
            check_case(&cases[i]);
            if (cases[i].op != LS_OP_CROSS_ENTROPY && cases[i].op != LS_OP_BINARY_CROSS_ENTROPY) continue;
            cases[i].attrs[LS_LOSS_SMOOTHING].f = 0.1;
            check_case(&cases[i]);
        }
    }
}

// Axes and sizes at random, some of them multiples of a pack; of every rank, of images too.
static void draw_move(struct ls_case *of, uint64_t t) {
    static const enum ls_op_id ops[] = {LS_OP_TRANSPOSE, LS_OP_CONCAT, LS_OP_SLICE, LS_OP_PAD, LS_OP_REPEAT};
    static const int64_t sizes[] = {1, 2, 3, 5, 8, 16};
    uint32_t word[12];
    for (uint64_t i = 0; i < 12; i++) word[i] = ls_philox(t, LS_RANDOM_TEST, i, 96).word[0];
    struct ls_shape shape = {.rank = 1 + (int)ls_below(word[0], LS_MAX_RANK)};
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = sizes[ls_below(word[1 + i], 6)];
    *of = (struct ls_case){.name = "move", .op = ops[t % 5], .n_in = 1};
    of->in[0] = of->in[1] = of->in[2] = stored_input(LS_FILL_SIGNED, shape);
    const uint32_t axis = ls_below(word[6], (uint32_t)shape.rank);
    const int64_t size = shape.dim[axis];
    if (of->op == LS_OP_REPEAT) {
        of->in[0].shape.dim[0] = 1;
        of->attrs[LS_REPEAT_TIMES].i = size;
        return;
    }
    if (of->op == LS_OP_TRANSPOSE) {
        for (int i = 0; i < LS_MAX_RANK; i++) of->attrs[LS_TRANSPOSE_AXIS + i].i = i;
        for (int i = shape.rank - 1; i > 0; i--) {
            union ls_attr *a = &of->attrs[LS_TRANSPOSE_AXIS + i],
                          *b = &of->attrs[LS_TRANSPOSE_AXIS + (int)ls_below(word[6 + i], (uint32_t)i + 1)];
            const int64_t kept = a->i;
            a->i = b->i, b->i = kept;
        }
        return;
    }
    of->attrs[LS_MOVE_AXIS].i = axis;
    of->attrs[LS_MOVE_SIZE].i = 1;
    if (of->op == LS_OP_CONCAT) {
        of->n_in = 2 + (int)ls_below(word[7], 2);
        of->in[1].shape.dim[axis] = sizes[ls_below(word[8], 6)];
    } else if (of->op == LS_OP_SLICE) {
        of->attrs[LS_MOVE_BEGIN].i = ls_below(word[7], (uint32_t)size);
        of->attrs[LS_MOVE_SIZE].i = 1 + ls_below(word[8], (uint32_t)(size - of->attrs[LS_MOVE_BEGIN].i));
    } else {
        of->attrs[LS_MOVE_BEGIN].i = 4 * ls_below(word[7], 3);
        of->attrs[LS_MOVE_SIZE].i = of->attrs[LS_MOVE_BEGIN].i + size + 4 * ls_below(word[8], 2);
    }
}

static void test_moves(void **state) {
    (void)state;
    for (uint64_t t = 0; t < 120; t++) {
        struct ls_case of;
        draw_move(&of, t);
        check_case(&of);
    }
}

// Matrices of every shape, transposed and not, one and many.
static void test_products(void **state) {
    (void)state;
    for (uint64_t t = 0; t < 40; t++) {
        uint32_t word[4];
        for (uint64_t i = 0; i < 4; i++) word[i] = ls_philox(t, LS_RANDOM_TEST, i, 95).word[0];
        const int64_t m = 1 + ls_below(word[0], 20), n = 1 + ls_below(word[1], 20),
                      k = 1 + ls_below(word[2], 40), batch = 1 + ls_below(word[3], 4);
        const bool ta = t & 1, tb = t & 2;
        struct ls_case of = {.name = "matmul", .op = LS_OP_MATMUL, .n_in = 2};
        of.in[0] = stored_input(LS_FILL_SIGNED, LS_SHAPE(batch, ta ? k : m, ta ? m : k));
        of.in[1] = stored_input(LS_FILL_SIGNED, LS_SHAPE(batch, tb ? n : k, tb ? k : n));
        of.attrs[LS_MATMUL_TRANSPOSE_A].i = ta, of.attrs[LS_MATMUL_TRANSPOSE_B].i = tb;
        of.attrs[LS_MATMUL_SCALE].f = t & 4 ? 0.3 : 1;
        check_case(&of);
    }
}

// Channels around a pack and a block, one group and many, one pixel and many.
static void test_groupnorm(void **state) {
    (void)state;
    static const int64_t shapes[][5] = {{2, 2, 1, 1, 1},  {3, 12, 5, 7, 4},  {1, 64, 9, 9, 8},
                                        {5, 33, 3, 2, 3}, {2, 130, 1, 6, 5}, {7, 8, 40, 3, 2},
                                        {1, 2, 70, 70, 1}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const struct ls_shape x = LS_SHAPE(shapes[s][0], shapes[s][1], shapes[s][2], shapes[s][3]);
        const struct ls_case_input vector = wide_input(LS_FILL_SIGNED, LS_SHAPE(shapes[s][1]));
        struct ls_case of = {.name = "groupnorm", .op = LS_OP_GROUPNORM, .n_in = 3};
        of.in[0] = stored_input(LS_FILL_SIGNED, x), of.in[1] = of.in[2] = vector;
        of.attrs[LS_GROUPNORM_GROUPS].i = shapes[s][4], of.attrs[LS_GROUPNORM_EPSILON].f = 1e-5;
        check_case(&of);
        if (shapes[s][2] * shapes[s][3] > 100) continue; // a block for each pixel
        of.name = "layernorm", of.op = LS_OP_LAYERNORM, of.attrs[LS_GROUPNORM_GROUPS].i = 1;
        check_case(&of);
    }
}

// More indices than a block looks at together; widths around a pack and a tile.
static void test_embedding(void **state) {
    (void)state;
    static const int64_t shapes[][4] = {
        {1, 1, 1, 1}, {5, 3, 7, 8}, {300, 2, 4, 5}, {2, 140, 3, 130}, {1, 9, 400, 3}};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct ls_case of = {
            .name = "embedding", .op = LS_OP_EMBEDDING, .n_in = 2, .classes = (int)shapes[s][2]};
        of.in[0] = (struct ls_case_input){LS_FILL_CLASS, LS_CASE_FIXED, LS_I32,
                                          LS_SHAPE(shapes[s][0], shapes[s][1])};
        of.in[1] = stored_input(LS_FILL_SIGNED, LS_SHAPE(shapes[s][2], shapes[s][3]));
        check_case(&of);
    }
}

static void test_rank_flags(void **state) {
    (void)state;
    const struct ls_case of = {.name = "rank_flags", .op = LS_OP_RANK_FLAGS};
    struct ls_case_trial trial;
    ok(ls_case_make(&of, LS_F32, &trial), of.name);
    trial.trial.control.stop = 1, trial.trial.control.fault = 2;
    check_trial(of.name, &trial.trial);
    ls_case_close(&trial);
}

static void test_every_op_was_tested(void **state) {
    (void)state;
    for (int op = 0; op < LS_OPS; op++)
        if (!tested[op]) fail_msg("nothing tests %s on CUDA", ls_op_table[op]->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases_f32),
        cmocka_unit_test(test_cases_bf16),
        cmocka_unit_test(test_cases_f16),
        cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_activations_far_and_near),
        cmocka_unit_test(test_broadcasts),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_batchnorm),
        cmocka_unit_test(test_batchnorm_far_from_zero),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_resizes),
        cmocka_unit_test(test_transposed_convolutions),
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_first_layers),
        cmocka_unit_test(test_weight_gradients_of_whole_numbers),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_nan_in_a_pool),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_groupnorm),
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_rank_flags),
        cmocka_unit_test(test_every_op_was_tested),
    };
    char why[256] = "";
    if (ls_stage_device(&device, why) != LS_OK) {
        fprintf(stderr, "%s\n", ls_error_last()->text);
        return 1;
    }
    if (!device) {
        fprintf(stderr, "skipped: no GPU: %s\n", why);
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    device->api->close(device);
    return failed;
}
