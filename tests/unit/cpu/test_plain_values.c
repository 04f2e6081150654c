// Plain kernels: small results worked out by hand, and what they do with NaN, infinity and bad targets.
#include "conform/trial.h"
#include "cpu/floats.h"
#include "cpu/plain/plain.h"
#include "graph/augment.h"
#include "unit/check.h"

#include <math.h>
#include <string.h>

struct small {
    struct ls_trial trial;
    ls_value in[LS_MAX_IN];
    int n_in;
};

static void small_in(struct small *small, ls_dtype type, struct ls_shape shape, const double *numbers) {
    ls_value in = ls_trial_input(
        &small->trial, ls_arena_format(&small->trial.graph.arena, "in%d", small->n_in), type, shape);
    for (int64_t i = 0; i < ls_trial_count(&small->trial, in); i++)
        ls_trial_put(&small->trial, in, i, numbers[i]);
    small->in[small->n_in++] = in;
}

static ls_status small_run(struct small *small, enum ls_op_id op, const union ls_attr *attrs) {
    if (ls_trial_node(&small->trial, op, small->in, small->n_in, attrs, NULL, 0) < 0)
        fail_msg("%s", ls_error_last()->text);
    return ls_trial_run(&small->trial, LS_CPU_PLAIN, 0, 1);
}

static void small_expect(const struct small *small, int output, const double *expected) {
    ls_value out = small->trial.graph.nodes[0].out[output];
    for (int64_t i = 0; i < ls_trial_count(&small->trial, out); i++) {
        double found = ls_trial_get(&small->trial, out, i);
        bool equal = found == expected[i] || (isnan(found) && isnan(expected[i]));
        if (!equal && !(fabs(found - expected[i]) <= 1e-6 * fabs(expected[i])))
            fail_msg("output %d, element %d: expected %.9g, found %.9g", output, (int)i, expected[i], found);
    }
}

static struct small small_open(void) {
    struct small small = {.n_in = 0};
    ls_trial_open(&small.trial);
    return small;
}

static void test_activations_keep_nan(void **state) {
    (void)state;
    struct small s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(1, 5), (double[]){-1, -0.0, 2, (double)NAN, (double)-INFINITY});
    assert_ok(small_run(&s, LS_OP_RELU, NULL));
    small_expect(&s, 0, (double[]){0, 0, 2, (double)NAN, 0});
    assert_false(signbit(ls_trial_get(&s.trial, s.trial.graph.nodes[0].out[0], 1)));
    ls_trial_close(&s.trial);

    s = small_open(); // y, dy
    small_in(&s, LS_F32, LS_SHAPE(1, 4), (double[]){0, 1, (double)NAN, 3});
    small_in(&s, LS_F32, LS_SHAPE(1, 4), (double[]){5, 6, 7, (double)NAN});
    assert_ok(small_run(&s, LS_OP_RELU_GRAD, NULL));
    small_expect(&s, 0, (double[]){0, 6, 7, (double)NAN});
    ls_trial_close(&s.trial);

    const union ls_attr limits[LS_MAX_ATTRS] = {[LS_CLIP_LOW].f = 0, [LS_CLIP_HIGH].f = 6};
    s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(1, 4), (double[]){-3, 2, 9, (double)NAN});
    assert_ok(small_run(&s, LS_OP_CLIP, limits));
    small_expect(&s, 0, (double[]){0, 2, 6, (double)NAN});
    ls_trial_close(&s.trial);

    s = small_open(); // at the limits themselves the gradient is 0
    small_in(&s, LS_F32, LS_SHAPE(1, 5), (double[]){0, 2, 6, 9, -1});
    small_in(&s, LS_F32, LS_SHAPE(1, 5), (double[]){1, 2, 3, 4, 5});
    assert_ok(small_run(&s, LS_OP_CLIP_GRAD, limits));
    small_expect(&s, 0, (double[]){0, 2, 0, 0, 0});
    ls_trial_close(&s.trial);
}

static void expect_of_one(enum ls_op_id op, union ls_attr attr, struct ls_shape shape, const double *x,
                          const double *y) {
    const union ls_attr attrs[LS_MAX_ATTRS] = {attr};
    struct small s = small_open();
    small_in(&s, LS_F32, shape, x);
    assert_ok(small_run(&s, op, attrs));
    small_expect(&s, 0, y);
    ls_trial_close(&s.trial);
}

static void expect_of_two(enum ls_op_id op, union ls_attr attr, struct ls_shape shape, const double *x,
                          const double *dy, const double *dx) {
    const union ls_attr attrs[LS_MAX_ATTRS] = {attr};
    struct small s = small_open();
    small_in(&s, LS_F32, shape, x);
    small_in(&s, LS_F32, shape, dy);
    assert_ok(small_run(&s, op, attrs));
    small_expect(&s, 0, dx);
    ls_trial_close(&s.trial);
}

static void test_activations_at_their_corners(void **state) {
    (void)state;
    const double nan_ = (double)NAN, far = (double)INFINITY, ones[] = {1, 1, 1, 1, 1, 1, 1, 1};
    const union ls_attr none = {.i = 0}, quarter = {.f = 0.25}, by_tanh = {.i = 1};
    const struct ls_shape five = LS_SHAPE(1, 5), eight = LS_SHAPE(1, 8);
    expect_of_one(LS_OP_LEAKY_RELU, quarter, five, (double[]){-4, 0, 4, nan_, -far},
                  (double[]){-1, 0, 4, nan_, -far});
    expect_of_two(LS_OP_LEAKY_RELU_GRAD, quarter, five, (double[]){-4, 0, 4, nan_, -far},
                  (double[]){4, 4, 4, 4, 4}, (double[]){1, 1, 4, 4, 1});
    expect_of_one(LS_OP_TANH, none, five, (double[]){-far, 0, far, nan_, 1e-30},
                  (double[]){-1, 0, 1, nan_, 1e-30});
    expect_of_two(LS_OP_TANH_GRAD, none, five, (double[]){-1, 0, 1, nan_, 0.5}, ones,
                  (double[]){0, 1, 0, nan_, 0.75});
    for (int i = 0; i < 2; i++)
        expect_of_one(LS_OP_GELU, i ? by_tanh : none, five, (double[]){-1e30, 0, 1e30, nan_, far},
                      (double[]){0, 0, 1e30, nan_, far});
    for (int i = 0; i < 2; i++)
        expect_of_two(LS_OP_GELU_GRAD, i ? by_tanh : none, five, (double[]){-1e30, 0, 1e30, nan_, 1e15}, ones,
                      (double[]){0, 0.5, 1, nan_, 1});
    expect_of_one(LS_OP_SILU, none, five, (double[]){-1e30, 0, 1e30, nan_, far},
                  (double[]){0, 0, 1e30, nan_, far});
    expect_of_two(LS_OP_SILU_GRAD, none, five, (double[]){-1e30, 0, 1e30, nan_, 1e15}, ones,
                  (double[]){0, 0.5, 1, nan_, 1});
    expect_of_one(LS_OP_HARD_SWISH, none, eight, (double[]){-1e30, -3, -1, 0, 1, 3, 3e38, nan_},
                  (double[]){0, 0, -1.0 / 3, 0, 2.0 / 3, 3, 3e38, nan_});
    expect_of_two(LS_OP_HARD_SWISH_GRAD, none, eight, (double[]){-1e30, -3, -1.5, 0, 1.5, 3, 3e38, nan_},
                  ones, (double[]){0, 0, 0, 0.5, 1, 1, 1, nan_});
}

// ---- These are f32 throughout. Of sigmoid and silu the exponential is off by 3 halves of a unit, and two or
// three operations by one each; where the two terms of silu's slope cancel, of these. Of tanh the quotient is
// off by 2.7 units of the last place, which are 4 halves where that counts most. Of gelu the part of the
// normal distribution is off by 8 halves, the product by one; where the two terms of its slope cancel, of
// these. Its approximation has the exponential's 3, and 4 operations; du/dx one more. Results of numbers that
// are left out as too small: 0 as good as 2^-119, 87 times the least normal number.

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double silu(double x) {
    return x / (1 + exp(-x));
}

static double silu_slope(double x) {
    const double s = 1 / (1 + exp(-x));
    return s + x * s * (1 / (1 + exp(x)));
}

static double silu_terms(double x) {
    return sigmoid(x) * (1 + fabs(x));
}

static double gelu(double x) {
    return x * erfc(-x / sqrt(2)) / 2;
}

static double gelu_slope(double x) {
    return erfc(-x / sqrt(2)) / 2 + x * exp(-x * x / 2) / sqrt(8 * atan(1));
}

static double gelu_terms(double x) {
    return erfc(-x / sqrt(2)) / 2 + fabs(x) * exp(-x * x / 2) / sqrt(8 * atan(1));
}

static double share_by_tanh(double x) {
    return 1 / (1 + exp(-2 * sqrt(2 / (4 * atan(1))) * (x + 0.044715 * x * x * x)));
}

static double gelu_by_tanh(double x) {
    return x * share_by_tanh(x);
}

// 2x s (1 - s) du/dx, where gelu is x s
static double gelu_by_tanh_lean(double x) {
    const double c = sqrt(2 / (4 * atan(1))), e = exp(-2 * c * fabs(x + 0.044715 * x * x * x));
    return 2 * x * (e / (1 + e) / (1 + e)) * c * (1 + 3 * 0.044715 * x * x);
}

static double gelu_by_tanh_slope(double x) {
    return share_by_tanh(x) + gelu_by_tanh_lean(x);
}

static double gelu_by_tanh_terms(double x) {
    return share_by_tanh(x) + fabs(gelu_by_tanh_lean(x));
}

static const struct function {
    enum ls_op_id op;
    int tanh;
    double (*of)(double x);
    double (*terms)(double x); // what rounding errors go by
    double halves;             // of a unit
    double less;               // what the function here is good to
} functions[] = {{LS_OP_SIGMOID, 0, sigmoid, sigmoid, 5, 0},
                 {LS_OP_TANH, 0, tanh, tanh, 4, 0},
                 {LS_OP_SILU, 0, silu, silu, 6, 0},
                 {LS_OP_GELU, 0, gelu, gelu, 9, 0},
                 {LS_OP_GELU, 1, gelu_by_tanh, gelu_by_tanh, 7, 0},
                 {LS_OP_SILU_GRAD, 0, silu_slope, silu_terms, 6, 1e-15},
                 {LS_OP_GELU_GRAD, 0, gelu_slope, gelu_terms, 9, 1e-15},
                 {LS_OP_GELU_GRAD, 1, gelu_by_tanh_slope, gelu_by_tanh_terms, 8, 1e-15}};

static void test_activations_are_near_the_truth(void **state) {
    (void)state;
    enum { N = 40000 };
    static double x[N], one[N];
    for (int i = 0; i < N; i++) { // from 2^-40 to 2^7, of both signs, in steps that are no power of two
        x[i] = (double)(float)((i % 2 ? -1 : 1) * pow(2, -40 + 47.0 * i / N));
        one[i] = 1;
    }
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++) {
        const union ls_attr attrs[LS_MAX_ATTRS] = {[LS_GELU_TANH].i = functions[f].tanh};
        struct small s = small_open();
        small_in(&s, LS_F32, LS_SHAPE(N / 100, 100), x);
        if (ls_op_table[functions[f].op]->min_in == 2) small_in(&s, LS_F32, LS_SHAPE(N / 100, 100), one);
        assert_ok(small_run(&s, functions[f].op, attrs));
        for (int i = 0; i < N; i++) {
            const double expected = functions[f].of(x[i]);
            const double found = ls_trial_get(&s.trial, s.trial.graph.nodes[0].out[0], i);
            const double off = functions[f].halves * 0x1p-24 * fabs(functions[f].terms(x[i])) + 0x1p-119;
            if (!(fabs(found - expected) <= off + functions[f].less))
                fail_msg("%s(%.9g): expected %.17g, found %.9g", ls_op_table[functions[f].op]->name, x[i],
                         expected, found);
        }
        ls_trial_close(&s.trial);
    }
}

// ---- In bf16 functions may be as much shorter as nobody can see: over every number of bf16 there is, a
// result is off by half a unit of its last place, to which it is rounded, and 2^-14 of what rounding errors
// go by. The longest is the polynomial of gelu's tail, off by 4.4e-5; where |x| > 4, tanh is 1 before it is
// rounded to that. Every level of instructions gives the same bits.

static double unit_of_bf16(double y) {
    int exponent;
    frexp(y, &exponent);
    return ldexp(1, exponent - 8);
}

static void expect_near_in_bf16(const char *name, double x, double found, double expected, double terms) {
    if (isinf(x) || (isnan(x) && isnan(found))) return;
    const double off = unit_of_bf16(expected) / 2 + 0x1p-14 * fabs(terms) + 0x1p-119;
    if (!(fabs(found - expected) <= off))
        fail_msg("%s(%.9g) in bf16: expected %.17g, found %.9g", name, x, expected, found);
}

static void expect_of_every_level(const struct small *small) {
    const struct ls_trial *trial = &small->trial;
    const struct ls_node *node = &trial->graph.nodes[0];
    const size_t bytes = (size_t)ls_trial_count(trial, node->out[0]) * sizeof(ls_bf16);
    const struct ls_plain *levels[LS_PLAIN_LEVELS];
    for (int l = ls_plain_levels(levels) - 1; l >= 0; l--) {
        struct ls_kernel_call call = {.graph = &trial->graph, .node = node, .out = {malloc(bytes)}};
        size_t workspace = 0;
        for (int k = 0; k < node->n_in; k++) call.in[k] = trial->data[node->in[k]];
        assert_true(levels[l]->kernel->supports(&trial->graph, node, &workspace));
        call.workspace = workspace > 0 ? aligned_alloc(64, (workspace + 63) / 64 * 64) : NULL;
        assert_ok(levels[l]->kernel->run(&call));
        if (memcmp(call.out[0], trial->data[node->out[0]], bytes) != 0)
            fail_msg("%s in bf16 at %s", node->op->name, levels[l]->level);
        free(call.workspace);
        free(call.out[0]);
    }
}

enum { EVERY = 65536 };

// x at every `stride`-th place.
static void expect_of_every_number(const struct function *function, int stride, const double *x,
                                   const double *dy) {
    const union ls_attr attrs[LS_MAX_ATTRS] = {[LS_GELU_TANH].i = function->tanh};
    struct small s = small_open();
    small_in(&s, LS_BF16, LS_SHAPE(EVERY, stride), x);
    if (ls_op_table[function->op]->min_in == 2) small_in(&s, LS_BF16, LS_SHAPE(EVERY, stride), dy);
    const ls_float_mode before = ls_float_mode_flush();
    assert_ok(small_run(&s, function->op, attrs));
    expect_of_every_level(&s);
    ls_float_mode_put(before);
    for (int i = 0; i < EVERY; i++) {
        const int at = i * stride;
        expect_near_in_bf16(ls_op_table[function->op]->name, x[at],
                            ls_trial_get(&s.trial, s.trial.graph.nodes[0].out[0], at), function->of(x[at]),
                            function->terms(x[at]));
    }
    ls_trial_close(&s.trial);
}

static void test_every_number_of_bf16(void **state) {
    (void)state;
    static const struct function softmax_of_two = {LS_OP_SOFTMAX, 0, sigmoid, sigmoid, 0, 0};
    static double x[EVERY], one[EVERY], pair[2 * EVERY]; // of a pair, the second is 0
    for (int i = 0; i < EVERY; i++) {
        const double number = (double)ls_bf16_to_f32((ls_bf16)i);
        x[i] = pair[2 * i] = isnan(number) ? (double)NAN : number; // others look like what a kernel left out
        one[i] = 1;
    }
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++)
        expect_of_every_number(&functions[f], 1, x, one);
    expect_of_every_number(&softmax_of_two, 2, pair, NULL);
}

#define POOL(kernel, stride, pad)                                                                            \
    {                                                                                                        \
        [LS_STRIDE_H].i = (stride), [LS_STRIDE_W].i = (stride), [LS_PAD_H].i = (pad), [LS_PAD_W].i = (pad),  \
        [LS_DILATION_H].i = 1, [LS_DILATION_W].i = 1, [LS_GROUPS].i = 1, [LS_KERNEL_H].i = (kernel),         \
        [LS_KERNEL_W].i = (kernel)                                                                           \
    }

static void test_max_pool_ties_and_nan(void **state) {
    (void)state;
    const union ls_attr attrs[LS_MAX_ATTRS] = POOL(2, 2, 0);
    const double nan_ = (double)NAN, low = (double)-INFINITY;
    struct small s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(1, 1, 2, 8),
             (double[]){3, 3, 1, nan_, nan_, 5, low, low, //
                        3, 3, 9, 2, nan_, 7, low, low});
    assert_ok(small_run(&s, LS_OP_MAX_POOL, attrs));
    small_expect(&s, 0, (double[]){3, nan_, nan_, low});
    small_expect(&s, 1, (double[]){0, 1, 0, 0});
    ls_trial_close(&s.trial);
}

static void test_avg_pool_divisors(void **state) {
    (void)state;
    union ls_attr attrs[LS_MAX_ATTRS] = POOL(3, 2, 1);
    const double x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int count = 0; count < 2; count++) {
        attrs[LS_COUNT_PADDING].i = count;
        struct small s = small_open();
        small_in(&s, LS_F32, LS_SHAPE(1, 1, 3, 3), x);
        assert_ok(small_run(&s, LS_OP_AVG_POOL, attrs));
        small_expect(&s, 0,
                     count ? (double[]){12.0 / 9, 16.0 / 9, 24.0 / 9, 28.0 / 9} : (double[]){3, 4, 6, 7});
        ls_trial_close(&s.trial);
    }
}

static void test_batchnorm_far_from_zero(void **state) {
    (void)state;
    enum { ROWS = 1000 };
    static double x[ROWS * 2];
    for (int r = 0; r < ROWS; r++) x[2 * r] = 4096 + (r % 2 ? 0.25 : -0.25), x[2 * r + 1] = r;
    struct small s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(ROWS, 2), x);
    small_in(&s, LS_F32, LS_SHAPE(2), (double[]){2, 1});
    small_in(&s, LS_F32, LS_SHAPE(2), (double[]){1, 0});
    assert_ok(small_run(&s, LS_OP_BATCHNORM, (union ls_attr[LS_MAX_ATTRS]){{.f = 1e-12}}));
    small_expect(&s, 1, (double[]){4096, (ROWS - 1) / 2.0});
    small_expect(&s, 2, (double[]){0.0625, ((double)ROWS * ROWS - 1) / 12});
    ls_value y = s.trial.graph.nodes[0].out[0];
    assert_true(fabs(ls_trial_get(&s.trial, y, 0) + 1) < 1e-5 &&
                fabs(ls_trial_get(&s.trial, y, 2) - 3) < 1e-5);
    ls_trial_close(&s.trial);
}

// Loss and gradient of a mixed sample are those of its two targets, in parts.
static void test_cross_entropy_of_mixed_samples(void **state) {
    (void)state;
    static const double logits[] = {1, 2, 4, 0, 0, 0, 3, 1, 1};
    struct ls_augment augment[3] = {{.flags = LS_AUGMENT_MIXUP, .partner = 1, .factor = 0.25f},
                                    {.flags = LS_AUGMENT_CUTMIX, .partner = 2, .factor = 0.5f},
                                    {.partner = 77, .factor = 9}};
    const double targets[] = {0, 2, 1}, weights[] = {1, 2, 0.5};
    int32_t words[3 * LS_AUGMENT_WORDS];
    memcpy(words, augment, sizeof words);
    double numbers[3 * LS_AUGMENT_WORDS], log_p[3][3];
    for (int i = 0; i < 3 * LS_AUGMENT_WORDS; i++) numbers[i] = words[i];
    for (int n = 0; n < 3; n++) {
        double sum = 0;
        for (int c = 0; c < 3; c++) sum += exp(logits[3 * n + c]);
        for (int c = 0; c < 3; c++) log_p[n][c] = logits[3 * n + c] - log(sum);
    }
    // Sample 0: a quarter of class 0, the rest of its partner's class 2, with the partner's weight.
    const double share[3][3] = {{0.25, 0, 0.75 * 2}, {0, 0.5 * 0.5, 0.5 * 2}, {0, 0.5, 0}};
    double loss = 0, weight = 0, gradient[9];
    for (int n = 0; n < 3; n++) {
        const double all = share[n][0] + share[n][1] + share[n][2];
        weight += all;
        for (int c = 0; c < 3; c++) {
            loss -= share[n][c] * log_p[n][c];
            gradient[3 * n + c] = 3 * (all * exp(log_p[n][c]) - share[n][c]);
        }
    }
    // The larger share of sample 0 is class 2, which it is; that of 1, a tie, its own class 2, which is not
    // the first of three alike.
    struct small s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(3, 3), logits);
    small_in(&s, LS_I32, LS_SHAPE(3), targets);
    small_in(&s, LS_F32, LS_SHAPE(3), weights);
    small_in(&s, LS_I32, LS_SHAPE(3, LS_AUGMENT_WORDS), numbers);
    assert_ok(small_run(&s, LS_OP_CROSS_ENTROPY, (union ls_attr[LS_MAX_ATTRS]){{0}}));
    small_expect(&s, 0, &loss);
    small_expect(&s, 1, (double[]){1.75});
    small_expect(&s, 2, &weight);
    ls_trial_close(&s.trial);

    s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(3, 3), logits);
    small_in(&s, LS_I32, LS_SHAPE(3), targets);
    small_in(&s, LS_F32, LS_SHAPE(3), weights);
    small_in(&s, LS_F32, (struct ls_shape){.rank = 0}, (double[]){3});
    small_in(&s, LS_I32, LS_SHAPE(3, LS_AUGMENT_WORDS), numbers);
    assert_ok(small_run(&s, LS_OP_CROSS_ENTROPY_GRAD, (union ls_attr[LS_MAX_ATTRS]){{0}}));
    small_expect(&s, 0, gradient);
    ls_trial_close(&s.trial);

    augment[1].partner = 3;
    memcpy(words, augment, sizeof words);
    for (int i = 0; i < 3 * LS_AUGMENT_WORDS; i++) numbers[i] = words[i];
    s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(3, 3), logits);
    small_in(&s, LS_I32, LS_SHAPE(3), targets);
    small_in(&s, LS_F32, LS_SHAPE(3), weights);
    small_in(&s, LS_I32, LS_SHAPE(3, LS_AUGMENT_WORDS), numbers);
    assert_int_equal(small_run(&s, LS_OP_CROSS_ENTROPY, (union ls_attr[LS_MAX_ATTRS]){{0}}), LS_SYSTEM);
    assert_non_null(strstr(ls_error_last()->text, "the partner of the lane's sample 1 is 3; expected 0..2"));
    ls_trial_close(&s.trial);
}

static void test_cross_entropy(void **state) {
    (void)state;
    const union ls_attr none[LS_MAX_ATTRS] = {{0}};
    const double far = (double)-INFINITY;
    struct small s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(4, 3), (double[]){1000, 1000, 0, 0, 0, far, 1, 2, 3, 7, 7, 7});
    small_in(&s, LS_I32, LS_SHAPE(4), (double[]){1, 0, 2, -5});
    small_in(&s, LS_F32, LS_SHAPE(4), (double[]){1, 1, 0.5, 0});
    assert_ok(small_run(&s, LS_OP_CROSS_ENTROPY, none));
    double third = log(exp(-2) + exp(-1) + 1);
    small_expect(&s, 0, (double[]){2 * log(2) + 0.5 * third}); // neither 1000 nor -inf overflows
    small_expect(&s, 1, (double[]){1.5});                      // a tie goes to the first: sample 0 is wrong
    small_expect(&s, 2, (double[]){2.5});
    ls_trial_close(&s.trial);

    s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(2, 2), (double[]){0, 0, (double)NAN, 1});
    small_in(&s, LS_I32, LS_SHAPE(2), (double[]){1, 99});
    small_in(&s, LS_F32, LS_SHAPE(2), (double[]){1, 0});
    small_in(&s, LS_F32, (struct ls_shape){0}, (double[]){0.25});
    assert_ok(small_run(&s, LS_OP_CROSS_ENTROPY_GRAD, none));
    small_expect(&s, 0, (double[]){0.125, -0.125, 0, 0});
    ls_trial_close(&s.trial);

    s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(2, 2), (double[]){0, 0, 1, 1});
    small_in(&s, LS_I32, LS_SHAPE(2), (double[]){1, 2});
    small_in(&s, LS_F32, LS_SHAPE(2), (double[]){1, 1});
    assert_int_equal(small_run(&s, LS_OP_CROSS_ENTROPY, none), LS_INPUT);
    assert_non_null(strstr(ls_error_last()->text, "target 2 of the lane's sample 1 is not in 0..1"));
    ls_trial_close(&s.trial);
}

static void test_mse(void **state) {
    (void)state;
    struct small s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(2, 2), (double[]){1, 2, 5, 5});
    small_in(&s, LS_F32, LS_SHAPE(2, 2), (double[]){0, 4, (double)NAN, 1});
    small_in(&s, LS_F32, LS_SHAPE(2), (double[]){2, 0});
    assert_ok(small_run(&s, LS_OP_MSE, NULL));
    small_expect(&s, 0, (double[]){5});
    small_expect(&s, 1, (double[]){3});
    small_expect(&s, 2, (double[]){2});
    ls_trial_close(&s.trial);
}

// Inside delta, at it, beyond it on both sides, no distance, and a sample of weight 0 whose target is
// anything.
static void test_mae_and_huber(void **state) {
    (void)state;
    const double x[] = {1, 2, 5, -3, 0, 7}, target[] = {1.5, 0, 0, 0, 0, (double)NAN}, weight[] = {1, 2, 0};
    const double dmae[] = {-2, 2, 4, -4, 0, 0}, dhuber[] = {-1, 4, 8, -8, 0, 0};
    const union ls_attr none[LS_MAX_ATTRS] = {{0}}, two[LS_MAX_ATTRS] = {[LS_HUBER_DELTA].f = 2};
    for (int huber = 0; huber < 2; huber++) {
        struct small s = small_open();
        small_in(&s, LS_F32, LS_SHAPE(3, 2), x);
        small_in(&s, LS_F32, LS_SHAPE(3, 2), target);
        small_in(&s, LS_F32, LS_SHAPE(3), weight);
        assert_ok(small_run(&s, huber ? LS_OP_HUBER : LS_OP_MAE, huber ? two : none));
        small_expect(&s, 0, (double[]){huber ? (0.125 + 2) / 2 + 2 * (8 + 4) / 2.0 : 1.25 + 2 * 4});
        small_expect(&s, 1, (double[]){1.25 + 2 * 4});
        small_expect(&s, 2, (double[]){3});
        ls_trial_close(&s.trial);

        s = small_open();
        small_in(&s, LS_F32, LS_SHAPE(3, 2), x);
        small_in(&s, LS_F32, LS_SHAPE(3, 2), target);
        small_in(&s, LS_F32, LS_SHAPE(3), weight);
        small_in(&s, LS_F32, (struct ls_shape){.rank = 0}, (double[]){4});
        assert_ok(small_run(&s, huber ? LS_OP_HUBER_GRAD : LS_OP_MAE_GRAD, huber ? two : none));
        small_expect(&s, 0, huber ? dhuber : dmae);
        ls_trial_close(&s.trial);
    }

    struct small s = small_open(); // no distance, and none that is known
    small_in(&s, LS_F32, LS_SHAPE(1, 2), (double[]){3, (double)NAN});
    small_in(&s, LS_F32, LS_SHAPE(1, 2), (double[]){3, 1});
    small_in(&s, LS_F32, LS_SHAPE(1), (double[]){1});
    small_in(&s, LS_F32, (struct ls_shape){.rank = 0}, (double[]){1});
    assert_ok(small_run(&s, LS_OP_MAE_GRAD, none));
    small_expect(&s, 0, (double[]){0, (double)NAN});
    ls_trial_close(&s.trial);
}

static void test_binary_cross_entropy(void **state) {
    (void)state;
    const union ls_attr none[LS_MAX_ATTRS] = {{0}}, half[LS_MAX_ATTRS] = {[LS_LOSS_SMOOTHING].f = 0.5};
    const double infinite = (double)INFINITY;
    struct small s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(4, 2), (double[]){1000, -1000, 0, 0, 1000, -1, (double)NAN, infinite});
    small_in(&s, LS_F32, LS_SHAPE(4, 2), (double[]){1, 0, 1, 0, 0, 0, 1, 7});
    small_in(&s, LS_F32, LS_SHAPE(4), (double[]){1, 1, 0.5, 0});
    assert_ok(small_run(&s, LS_OP_BINARY_CROSS_ENTROPY, none));
    // Far from 0 the loss is 0 or the logit itself; a logit of 0 says no.
    small_expect(&s, 0, (double[]){0 + log(2) + 0.25 * (1000 + log1p(exp(-1)))});
    small_expect(&s, 1, (double[]){1});
    small_expect(&s, 2, (double[]){2.5});
    ls_trial_close(&s.trial);

    s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(3, 2), (double[]){0, 1000, -1000, 0, (double)NAN, 1});
    small_in(&s, LS_F32, LS_SHAPE(3, 2), (double[]){1, 0, 1, 0, 1, 1});
    small_in(&s, LS_F32, LS_SHAPE(3), (double[]){1, 2, 0});
    small_in(&s, LS_F32, (struct ls_shape){0}, (double[]){0.5});
    assert_ok(small_run(&s, LS_OP_BINARY_CROSS_ENTROPY_GRAD, half)); // targets are 3/4 and 1/4
    small_expect(&s, 0, (double[]){-0.0625, 0.1875, -0.375, 0.125, 0, 0});
    ls_trial_close(&s.trial);
}

static void test_sigmoid_far_from_zero(void **state) {
    (void)state;
    struct small s = small_open();
    small_in(&s, LS_F32, LS_SHAPE(1, 5), (double[]){0, 1000, -1000, -1, (double)NAN});
    assert_ok(small_run(&s, LS_OP_SIGMOID, NULL));
    small_expect(&s, 0, (double[]){0.5, 1, 0, exp(-1) / (1 + exp(-1)), (double)NAN});
    ls_trial_close(&s.trial);
}

static void test_rank_flags(void **state) {
    (void)state;
    struct small s = small_open();
    s.trial.control.stop = 1, s.trial.control.fault = 3;
    assert_ok(small_run(&s, LS_OP_RANK_FLAGS, NULL));
    small_expect(&s, 0, (double[]){1});
    small_expect(&s, 1, (double[]){3});
    ls_trial_close(&s.trial);
}

static void test_cast(void **state) {
    (void)state;
    static const ls_dtype types[] = {LS_F32, LS_F64, LS_BF16};
    for (int from = 0; from < 3; from++)
        for (int to = 0; to < 3; to++) {
            struct small s = small_open();
            const double third = 1.0 / 3;
            small_in(&s, types[from], LS_SHAPE(1, 3), (double[]){third, -4, (double)NAN});
            assert_ok(small_run(&s, LS_OP_CAST, (union ls_attr[LS_MAX_ATTRS]){{.i = types[to]}}));
            double held = ls_trial_get(&s.trial, 0, 0), expected = held;
            if (types[to] == LS_F32) expected = (double)(float)held;
            if (types[to] == LS_BF16) expected = (double)ls_bf16_to_f32(ls_bf16_from_f32((float)held));
            ls_value y = s.trial.graph.nodes[0].out[0];
            assert_true(ls_trial_get(&s.trial, y, 0) == expected);
            small_expect(&s, 0, (double[]){expected, -4, (double)NAN});
            ls_trial_close(&s.trial);
        }
}

static void test_no_kernel_is_an_error_that_names_op_and_types(void **state) {
    (void)state;
    struct small s = small_open();
    ls_value in = ls_trial_input(&s.trial, "half", LS_F16, LS_SHAPE(1, 2, 1, 1));
    assert_int_equal(ls_trial_node(&s.trial, LS_OP_RELU, &in, 1, NULL, NULL, 0), 0);
    const struct ls_kernel *kernel;
    size_t workspace;
    ls_status status =
        ls_kernel_choose(LS_CPU_PLAIN, &s.trial.graph, &s.trial.graph.nodes[0], &kernel, &workspace);
    assert_int_equal(status, LS_INPUT);
    assert_non_null(strstr(ls_error_last()->text, "relu"));
    assert_non_null(strstr(ls_error_last()->text, "f16 -> f16"));
    ls_trial_close(&s.trial);
}

static void test_bf16_needs_its_instructions_or_plain_kernels(void **state) {
    (void)state;
    struct small s = small_open();
    small_in(&s, LS_BF16, LS_SHAPE(1, 2), (double[]){1, -1});
    assert_ok(small_run(&s, LS_OP_RELU, NULL));
    const struct ls_kernel *kernel;
    size_t workspace;
    ls_status status =
        ls_kernel_choose(LS_CPU_AUTO, &s.trial.graph, &s.trial.graph.nodes[0], &kernel, &workspace);
    if (!ls_cpu_library() || ls_cpu_has_bf16()) {
        assert_int_equal(status, LS_OK);
    } else {
        assert_int_equal(status, LS_INPUT);
        assert_non_null(strstr(ls_error_last()->text, "no bf16 instructions"));
        assert_non_null(strstr(ls_error_last()->text, "device.kernels=plain"));
    }
    ls_trial_close(&s.trial);
}

static void test_an_index_that_is_no_row(void **state) {
    (void)state;
    for (int backward = 0; backward < 2; backward++) {
        const union ls_attr attrs[LS_MAX_ATTRS] = {[LS_EMBEDDING_ROWS].i = 3};
        struct small s = small_open();
        small_in(&s, LS_I32, LS_SHAPE(3), (double[]){2, 3, -1});
        small_in(&s, LS_F32, LS_SHAPE(3, 2), (double[]){1, 2, 3, 4, 5, 6});
        assert_int_equal(small_run(&s, backward ? LS_OP_EMBEDDING_GRAD : LS_OP_EMBEDDING, attrs), LS_INPUT);
        assert_non_null(strstr(ls_error_last()->text, "index 1 is 3; expected 0..2"));
        ls_trial_close(&s.trial);
    }
}

// Rows that are meant twice are added; what is not meant is 0.
static void test_embedding_gradient(void **state) {
    (void)state;
    const union ls_attr attrs[LS_MAX_ATTRS] = {[LS_EMBEDDING_ROWS].i = 3};
    struct small s = small_open();
    small_in(&s, LS_I32, LS_SHAPE(3), (double[]){2, 0, 2});
    small_in(&s, LS_F32, LS_SHAPE(3, 2), (double[]){1, 2, 3, 4, 5, 6});
    assert_ok(small_run(&s, LS_OP_EMBEDDING_GRAD, attrs));
    small_expect(&s, 0, (double[]){3, 4, 0, 0, 6, 8});
    ls_trial_close(&s.trial);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activations_keep_nan),
        cmocka_unit_test(test_an_index_that_is_no_row),
        cmocka_unit_test(test_embedding_gradient),
        cmocka_unit_test(test_activations_at_their_corners),
        cmocka_unit_test(test_activations_are_near_the_truth),
        cmocka_unit_test(test_every_number_of_bf16),
        cmocka_unit_test(test_max_pool_ties_and_nan),
        cmocka_unit_test(test_avg_pool_divisors),
        cmocka_unit_test(test_batchnorm_far_from_zero),
        cmocka_unit_test(test_cross_entropy),
        cmocka_unit_test(test_cross_entropy_of_mixed_samples),
        cmocka_unit_test(test_mse),
        cmocka_unit_test(test_mae_and_huber),
        cmocka_unit_test(test_binary_cross_entropy),
        cmocka_unit_test(test_sigmoid_far_from_zero),
        cmocka_unit_test(test_rank_flags),
        cmocka_unit_test(test_cast),
        cmocka_unit_test(test_no_kernel_is_an_error_that_names_op_and_types),
        cmocka_unit_test(test_bf16_needs_its_instructions_or_plain_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
