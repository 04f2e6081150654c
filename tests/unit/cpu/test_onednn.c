// oneDNN's kernels against the plain ones: same nodes, same inputs. The plain kernel runs in f64 on the same
// numbers, and once more on their absolute values: that gives the sum of |products| behind every output, S.
// Whatever the order of a sum of n products, f32 keeps it within (n + 2) u S of the true one, u = 2^-24
// (Higham, "Accuracy and stability of numerical algorithms", 3.1 and 4.2); one rounding to bf16 adds 2^-8
// |y|.
#include "base/philox.h"
#include "cpu/kernel.h"
#include "unit/check.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef LOCKSTEP_HAVE_ONEDNN

#include <omp.h>

enum { GUARD = 256 };

struct problem {
    struct ls_graph graph;
    struct ls_op op;
    struct ls_node node;
    double terms; // products in the longest sum
};

static uint64_t draws;

static uint32_t draw(void) {
    return ls_philox(20, LS_RANDOM_TEST, draws++, 0).word[0];
}

static int64_t one_of(const int64_t *choices, int n) {
    return choices[ls_below(draw(), (uint32_t)n)];
}

static int64_t between(int64_t low, int64_t high) {
    return low + ls_below(draw(), (uint32_t)(high - low + 1));
}

// ---- memory with a guard behind it; all of it NaN in any float type
struct block {
    char *data;
    size_t bytes;
};

static struct block block_new(size_t bytes) {
    size_t whole = (bytes + GUARD + LS_ALIGN - 1) / LS_ALIGN * LS_ALIGN;
    struct block block = {aligned_alloc(LS_ALIGN, whole), bytes};
    assert_non_null(block.data);
    memset(block.data, 0xff, whole);
    return block;
}

static void block_free(struct block *block) {
    for (int i = 0; i < GUARD; i++)
        assert_int_equal((unsigned char)block->data[block->bytes + (size_t)i], 0xff);
    free(block->data);
}

static double number_at(const void *data, ls_dtype type, int64_t i) {
    if (type == LS_F64) return ((const double *)data)[i];
    if (type == LS_BF16) return ls_bf16_to_f32(((const ls_bf16 *)data)[i]);
    return ((const float *)data)[i];
}

static void number_put(void *data, ls_dtype type, int64_t i, double value) {
    if (type == LS_F64)
        ((double *)data)[i] = value;
    else if (type == LS_BF16)
        ((ls_bf16 *)data)[i] = ls_bf16_from_f32((float)value);
    else
        ((float *)data)[i] = (float)value;
}

// ---- problems
static void problem_open(struct problem *problem, enum ls_op_id id, const char *name) {
    *problem = (struct problem){.op = {.id = id, .name = name}};
    ls_graph_init(&problem->graph, LS_TRAIN);
    problem->node.name = name;
    problem->node.op = &problem->op;
}

static ls_value add(struct problem *problem, ls_dtype type, struct ls_shape shape) {
    char name[16];
    snprintf(name, sizeof name, "v%d", problem->graph.n_values);
    return ls_graph_add_value(&problem->graph, LS_ACTIVATION, name, type, shape);
}

static void problem_in(struct problem *problem, ls_dtype type, struct ls_shape shape) {
    problem->node.in[problem->node.n_in++] = add(problem, type, shape);
}

static void problem_out(struct problem *problem, ls_dtype type, struct ls_shape shape) {
    problem->node.out[problem->node.n_out++] = add(problem, type, shape);
}

static void problem_close(struct problem *problem) {
    ls_graph_free(&problem->graph);
}

static void set_types(struct problem *problem, ls_dtype type) {
    for (int i = 0; i < problem->graph.n_values; i++) problem->graph.values[i].dtype = type;
}

struct conv {
    int64_t batch, in, height, width, out, kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h,
        dilation_w, groups;
    bool bias;
};

static int64_t conv_size(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    return (size + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
}

static void conv_problem(struct problem *problem, enum ls_op_id id, ls_dtype type, const struct conv *c) {
    struct ls_shape x = {4, {c->batch, c->in, c->height, c->width}};
    struct ls_shape w = {4, {c->out, c->in / c->groups, c->kernel_h, c->kernel_w}};
    struct ls_shape y = {4,
                         {c->batch, c->out,
                          conv_size(c->height, c->kernel_h, c->stride_h, c->pad_h, c->dilation_h),
                          conv_size(c->width, c->kernel_w, c->stride_w, c->pad_w, c->dilation_w)}};
    problem_open(problem, id, "conv");
    double window = (double)(c->kernel_h * c->kernel_w);
    if (id == LS_OP_CONV_INPUT_GRAD) {
        problem_in(problem, type, y);
        problem_in(problem, type, w);
        problem_out(problem, type, x);
        problem->terms = (double)(c->out / c->groups) * window;
    } else if (id == LS_OP_CONV_WEIGHT_GRAD) {
        problem_in(problem, type, x);
        problem_in(problem, type, y);
        problem_out(problem, LS_F32, w);
        problem->terms = (double)(c->batch * y.dim[2] * y.dim[3]);
    } else {
        problem_in(problem, type, x);
        problem_in(problem, type, w);
        if (c->bias) problem_in(problem, LS_F32, (struct ls_shape){1, {c->out}});
        problem_out(problem, type, y);
        problem->terms = (double)(c->in / c->groups) * window + 1;
    }
    union ls_attr *attr = problem->node.attr;
    attr[LS_STRIDE_H].i = c->stride_h, attr[LS_STRIDE_W].i = c->stride_w;
    attr[LS_PAD_H].i = c->pad_h, attr[LS_PAD_W].i = c->pad_w;
    attr[LS_DILATION_H].i = c->dilation_h, attr[LS_DILATION_W].i = c->dilation_w;
    attr[LS_GROUPS].i = c->groups;
    attr[LS_KERNEL_H].i = c->kernel_h, attr[LS_KERNEL_W].i = c->kernel_w;
    attr[LS_SIZE_H].i = c->height, attr[LS_SIZE_W].i = c->width;
}

static void linear_problem(struct problem *problem, enum ls_op_id id, ls_dtype type, int64_t n, int64_t f,
                           int64_t o, bool bias) {
    struct ls_shape x = {2, {n, f}}, w = {2, {o, f}}, y = {2, {n, o}};
    problem_open(problem, id, "linear");
    if (id == LS_OP_LINEAR_INPUT_GRAD) {
        problem_in(problem, type, y);
        problem_in(problem, type, w);
        problem_out(problem, type, x);
        problem->terms = (double)o;
    } else if (id == LS_OP_LINEAR_WEIGHT_GRAD) {
        problem_in(problem, type, x);
        problem_in(problem, type, y);
        problem_out(problem, LS_F32, w);
        problem->terms = (double)n;
    } else {
        problem_in(problem, type, x);
        problem_in(problem, type, w);
        if (bias) problem_in(problem, LS_F32, (struct ls_shape){1, {o}});
        problem_out(problem, type, y);
        problem->terms = (double)f + 1;
    }
}

static void matmul_problem(struct problem *problem, ls_dtype type, int64_t batch, int64_t m, int64_t n,
                           int64_t k, int transposed, double scale) {
    const bool ta = transposed & 1, tb = transposed & 2;
    problem_open(problem, LS_OP_MATMUL, "matmul");
    problem_in(problem, type, LS_SHAPE(batch, ta ? k : m, ta ? m : k));
    problem_in(problem, type, LS_SHAPE(batch, tb ? n : k, tb ? k : n));
    problem_out(problem, type, LS_SHAPE(batch, m, n));
    problem->terms = (double)k + 1;
    problem->node.attr[LS_MATMUL_TRANSPOSE_A].i = ta, problem->node.attr[LS_MATMUL_TRANSPOSE_B].i = tb;
    problem->node.attr[LS_MATMUL_SCALE].f = scale;
}

// ---- running
struct tensors {
    struct block in[LS_MAX_IN];
};

static int64_t count_of(const struct problem *problem, ls_value value) {
    return ls_shape_count(&ls_info(&problem->graph, value)->shape);
}

static size_t bytes_of(const struct problem *problem, ls_value value) {
    return (size_t)count_of(problem, value) * ls_dtype_bytes(ls_info(&problem->graph, value)->dtype);
}

static struct tensors draw_inputs(const struct problem *problem) {
    struct tensors tensors = {0};
    for (int i = 0; i < problem->node.n_in; i++) {
        ls_value value = problem->node.in[i];
        tensors.in[i] = block_new(bytes_of(problem, value));
        for (int64_t k = 0; k < count_of(problem, value); k++)
            number_put(tensors.in[i].data, ls_info(&problem->graph, value)->dtype, k,
                       2.0 * ls_uniform(draw()) - 1.0);
    }
    return tensors;
}

static void free_inputs(const struct problem *problem, struct tensors *tensors) {
    for (int i = 0; i < problem->node.n_in; i++) block_free(&tensors->in[i]);
}

struct prepared {
    const struct ls_kernel *kernel;
    void *made;
    struct block workspace;
    size_t workspace_bytes;
};

// False where the kernel does not support the node.
static bool prepare(const struct problem *problem, const struct ls_kernel *kernel,
                    struct prepared *prepared) {
    *prepared = (struct prepared){.kernel = kernel};
    if (!kernel->supports(&problem->graph, &problem->node, &prepared->workspace_bytes)) return false;
    prepared->workspace = block_new(prepared->workspace_bytes);
    if (kernel->make) assert_int_equal(kernel->make(&problem->graph, &problem->node, &prepared->made), LS_OK);
    return true;
}

static void finish(struct prepared *prepared) {
    ls_kernel_unmake(prepared->kernel, prepared->made);
    block_free(&prepared->workspace);
}

static struct block run(const struct problem *problem, const struct prepared *prepared,
                        const struct tensors *tensors) {
    struct block out = block_new(bytes_of(problem, problem->node.out[0]));
    struct ls_kernel_call call = {.graph = &problem->graph,
                                  .node = &problem->node,
                                  .out = {out.data},
                                  .workspace = prepared->workspace_bytes ? prepared->workspace.data : NULL,
                                  .made = prepared->made};
    for (int i = 0; i < problem->node.n_in; i++) call.in[i] = tensors->in[i].data;
    assert_int_equal(prepared->kernel->run(&call), LS_OK);
    return out;
}

static enum ls_op_id without_relu(enum ls_op_id id) {
    return id == LS_OP_CONV_RELU ? LS_OP_CONV : id == LS_OP_LINEAR_RELU ? LS_OP_LINEAR : id;
}

// The plain kernel in f64, on the inputs or on their absolute values.
static struct block run_wide(struct problem *problem, const struct tensors *tensors, bool absolute) {
    enum ls_op_id id = (enum ls_op_id)problem->op.id;
    ls_dtype types[LS_MAX_IN + 1];
    struct tensors wide = {0};
    for (int i = 0; i < problem->graph.n_values; i++) types[i] = problem->graph.values[i].dtype;
    for (int i = 0; i < problem->node.n_in; i++) {
        int64_t n = count_of(problem, problem->node.in[i]);
        wide.in[i] = block_new((size_t)n * sizeof(double));
        for (int64_t k = 0; k < n; k++) {
            double value = number_at(tensors->in[i].data, types[problem->node.in[i]], k);
            number_put(wide.in[i].data, LS_F64, k, absolute ? fabs(value) : value);
        }
    }
    set_types(problem, LS_F64);
    problem->op.id = without_relu(id);
    struct prepared prepared;
    assert_true(prepare(problem, ls_plain_kernel((enum ls_op_id)problem->op.id), &prepared));
    struct block out = run(problem, &prepared, &wide);
    finish(&prepared);
    free_inputs(problem, &wide);
    problem->op.id = id;
    for (int i = 0; i < problem->graph.n_values; i++) problem->graph.values[i].dtype = types[i];
    return out;
}

static void compare(struct problem *problem, const struct tensors *tensors, const struct block *got) {
    struct block truth = run_wide(problem, tensors, false), size = run_wide(problem, tensors, true);
    ls_dtype type = ls_info(&problem->graph, problem->node.out[0])->dtype;
    bool relu = without_relu((enum ls_op_id)problem->op.id) != (enum ls_op_id)problem->op.id;
    for (int64_t i = 0; i < count_of(problem, problem->node.out[0]); i++) {
        double y = number_at(got->data, type, i), expected = number_at(truth.data, LS_F64, i);
        if (relu && expected < 0) expected = 0;
        double bound = (problem->terms + 2) * 0x1p-24 * number_at(size.data, LS_F64, i);
        if (type == LS_BF16) bound += 0x1p-8 * fabs(expected);
        if (!(fabs(y - expected) <= bound))
            fail_msg("%s (op %d): element %lld is %.9g, expected %.9g within %.3g", problem->node.name,
                     problem->op.id, (long long)i, y, expected, bound);
    }
    block_free(&truth);
    block_free(&size);
}

// Runs the problem with oneDNN's kernel twice, with the plain one, and compares. False: oneDNN does not
// support it.
static bool check(struct problem *problem) {
    const struct ls_kernel *kernel = ls_onednn_kernel((enum ls_op_id)problem->op.id);
    assert_non_null(kernel);
    struct prepared prepared;
    if (!prepare(problem, kernel, &prepared)) return false;
    struct tensors tensors = draw_inputs(problem);
    struct block first = run(problem, &prepared, &tensors);
    memset(prepared.workspace.data, 0xff, prepared.workspace_bytes);
    struct block second = run(problem, &prepared, &tensors);
    compare(problem, &tensors, &first);
    assert_memory_equal(first.data, second.data, first.bytes);
    block_free(&first);
    block_free(&second);
    free_inputs(problem, &tensors);
    finish(&prepared);
    return true;
}

static const enum ls_op_id conv_ops[] = {LS_OP_CONV, LS_OP_CONV_RELU, LS_OP_CONV_INPUT_GRAD,
                                         LS_OP_CONV_WEIGHT_GRAD};
static const enum ls_op_id linear_ops[] = {LS_OP_LINEAR, LS_OP_LINEAR_RELU, LS_OP_LINEAR_INPUT_GRAD,
                                           LS_OP_LINEAR_WEIGHT_GRAD};

// How many of the four ops oneDNN runs.
static int check_conv(ls_dtype type, const struct conv *conv) {
    int supported = 0;
    for (int k = 0; k < 4; k++) {
        struct problem problem;
        conv_problem(&problem, conv_ops[k], type, conv);
        supported += check(&problem);
        problem_close(&problem);
    }
    return supported;
}

static struct conv square(int64_t batch, int64_t in, int64_t size, int64_t out, int64_t kernel,
                          int64_t stride, int64_t pad) {
    return (struct conv){batch, in, size, size, out, kernel, kernel, stride, stride, pad, pad, 1, 1, 1, true};
}

// The library's forward kernels are wrong there, or have been.
static void test_one_wide_strided_window(void **state) {
    (void)state;
    struct conv conv = {2, 1, 7, 4, 8, 2, 4, 1, 3, 1, 0, 1, 1, 1, false};
    assert_int_equal(check_conv(LS_F32, &conv), 2);
}

// What residual networks are made of must be oneDNN's.
static void test_common_shapes(void **state) {
    (void)state;
    struct conv shapes[] = {
        square(2, 3, 32, 64, 7, 2, 3),  square(2, 1, 28, 64, 3, 1, 1),   square(2, 64, 8, 64, 3, 1, 1),
        square(1, 64, 8, 128, 3, 2, 1), square(2, 64, 8, 128, 1, 2, 0),  square(2, 64, 7, 256, 1, 1, 0),
        square(2, 256, 7, 64, 1, 1, 0), square(3, 128, 2, 128, 3, 1, 1), square(2, 128, 1, 64, 3, 1, 1),
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        assert_int_equal(check_conv(LS_F32, &shapes[i]), 4);
}

static struct conv draw_conv(void) {
    static const int64_t channels[] = {1, 3, 5, 8, 16, 17}, groups[] = {1, 1, 1, 2, 3, 8};
    struct conv c = {.batch = between(1, 3), .groups = one_of(groups, 6), .bias = draw() & 1};
    c.in = one_of(channels, 6) * c.groups, c.out = one_of(channels, 6) * c.groups;
    c.kernel_h = between(1, 4), c.kernel_w = between(1, 4);
    c.stride_h = between(1, 3), c.stride_w = between(1, 3);
    c.dilation_h = between(1, 2), c.dilation_w = between(1, 2);
    c.pad_h = between(0, c.kernel_h - 1), c.pad_w = between(0, c.kernel_w - 1);
    c.height = (c.kernel_h - 1) * c.dilation_h + between(1, 12);
    c.width = (c.kernel_w - 1) * c.dilation_w + between(1, 12);
    return c;
}

static void test_random_convs(void **state) {
    (void)state;
    int ran = 0;
    for (int i = 0; i < 150; i++) {
        struct conv conv = draw_conv();
        ran += check_conv(LS_F32, &conv);
    }
    print_message("oneDNN runs %d of 600 random convolutions\n", ran);
    assert_true(ran > 300);
}

// Wide ones, which go by columns with AVX2: more rows than a piece has, runs cut at either edge.
static void test_wide_convs(void **state) {
    (void)state;
    struct conv several_pieces = square(3, 64, 17, 64, 3, 1, 1), wide_window = square(1, 24, 9, 70, 5, 1, 4),
                dilated = square(2, 65, 11, 71, 3, 2, 2), point = square(2, 257, 5, 513, 1, 2, 0),
                padded_point = square(2, 256, 3, 512, 1, 1, 1), flat = square(3, 40, 12, 64, 3, 1, 1);
    dilated.dilation_h = 2, dilated.dilation_w = 3, dilated.pad_w = 3, dilated.bias = false;
    flat.kernel_h = 1, flat.pad_h = 0, flat.stride_w = 2;
    struct conv shapes[] = {several_pieces, wide_window, dilated, point, padded_point, flat};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        assert_int_equal(check_conv(LS_F32, &shapes[i]), 4);
}

static void test_depthwise(void **state) {
    (void)state;
    static const int64_t channels[] = {1, 3, 8, 17, 32};
    int ran = 0;
    for (int i = 0; i < 10; i++) {
        struct conv conv = square(2, one_of(channels, 5), between(3, 9), 0, 3, between(1, 2), 1);
        conv.out = conv.groups = conv.in;
        ran += check_conv(LS_F32, &conv);
    }
    print_message("oneDNN runs %d of 40 depthwise convolutions\n", ran);
    assert_true(ran > 20);
}

// How many of the four ops oneDNN runs.
static int check_linear(ls_dtype type, int64_t n, int64_t f, int64_t o, bool bias) {
    int supported = 0;
    for (int k = 0; k < 4; k++) {
        struct problem problem;
        linear_problem(&problem, linear_ops[k], type, n, f, o, bias);
        supported += check(&problem);
        problem_close(&problem);
    }
    return supported;
}

static void test_linear(void **state) {
    (void)state;
    assert_int_equal(check_linear(LS_F32, 1, 1, 1, true), 4);
    assert_int_equal(check_linear(LS_F32, 1, 512, 10, true), 4);
    assert_int_equal(check_linear(LS_F32, 32, 512, 1, false), 4);
    assert_int_equal(check_linear(LS_F32, 32, 1, 10, true), 4);
    for (int i = 0; i < 40; i++)
        assert_int_equal(check_linear(LS_F32, between(1, 40), between(1, 70), between(1, 70), draw() & 1), 4);
}

static bool check_matmul(ls_dtype type, int64_t batch, int64_t m, int64_t n, int64_t k, int transposed,
                         double scale) {
    struct problem problem;
    matmul_problem(&problem, type, batch, m, n, k, transposed, scale);
    const bool supported = check(&problem);
    problem_close(&problem);
    return supported;
}

static void test_matmul(void **state) {
    (void)state;
    for (int t = 0; t < 4; t++) {
        assert_true(check_matmul(LS_F32, 1, 1, 1, 1, t, 1));
        assert_true(check_matmul(LS_F32, 6, 50, 50, 64, t, 0.125));
        assert_true(check_matmul(LS_F32, 6, 50, 64, 50, t, 1));
        for (int i = 0; i < 10; i++)
            assert_true(check_matmul(LS_F32, between(1, 4), between(1, 40), between(1, 40), between(1, 70), t,
                                     draw() & 1 ? 0.3 : 1));
    }
}

// The path is the same code; without the instructions every kernel must say no, and leave it to the plain
// ones.
static void test_bf16(void **state) {
    (void)state;
    struct conv conv = square(2, 64, 8, 64, 3, 1, 1);
    if (!ls_onednn_has_bf16()) {
        print_message("bf16: not on this processor (%s)\n", ls_onednn_isa());
        for (int k = 0; k < 4; k++) {
            struct problem problem;
            size_t workspace;
            conv_problem(&problem, conv_ops[k], LS_BF16, &conv);
            assert_false(ls_onednn_kernel(conv_ops[k])->supports(&problem.graph, &problem.node, &workspace));
            problem_close(&problem);
        }
        return;
    }
    assert_int_equal(check_conv(LS_BF16, &conv), 4);
    struct conv blind = {1, 16, 2, 2, 32, 1, 2, 3, 3, 0, 1, 1, 1, 1, false};
    assert_int_equal(check_conv(LS_BF16, &blind), 1);
    // A reference implementation of the library's is slower than ours, and refused: so most, not all.
    int convs = 0, linears = 0;
    for (int i = 0; i < 50; i++) {
        conv = draw_conv();
        convs += check_conv(LS_BF16, &conv);
        linears += check_linear(LS_BF16, between(1, 40), between(1, 70), between(1, 70), draw() & 1);
        (void)check_matmul(LS_BF16, between(1, 4), between(1, 40), between(1, 40), between(1, 70), i % 4,
                           0.3);
    }
    print_message("bf16: oneDNN runs %d of 200 random convolutions, %d of 200 linear ops\n", convs, linears);
    assert_true(convs > 100);
    assert_true(linears > 100);
}

// A NaN goes through the convolution and through its fused relu: it is how a broken step is noticed.
static void test_relu_keeps_nan(void **state) {
    (void)state;
    struct conv conv = square(2, 16, 8, 16, 3, 1, 1);
    struct problem problem;
    struct prepared prepared;
    conv_problem(&problem, LS_OP_CONV_RELU, LS_F32, &conv);
    assert_true(prepare(&problem, ls_onednn_kernel(LS_OP_CONV_RELU), &prepared));
    struct tensors tensors = draw_inputs(&problem);
    number_put(tensors.in[0].data, LS_F32, (0 * 8 + 4) * 8 * 16 + 4 * 16 + 7,
               NAN); // sample 0, (4, 4), channel 7
    struct block out = run(&problem, &prepared, &tensors);
    for (int64_t i = 0; i < count_of(&problem, problem.node.out[0]); i++) {
        int64_t n = i / (8 * 8 * 16), h = i / (8 * 16) % 8, w = i / 16 % 8;
        bool reached = n == 0 && h >= 3 && h <= 5 && w >= 3 && w <= 5;
        assert_int_equal(isnan(number_at(out.data, LS_F32, i)) != 0, reached);
    }
    block_free(&out);
    free_inputs(&problem, &tensors);
    finish(&prepared);
    problem_close(&problem);
}

// ---- equal bits on threads side by side, and whatever the threads are set to
struct side {
    const struct problem *problem;
    const struct tensors *tensors;
    const struct block *expected;
    size_t workspace_bytes;
    int threads, equal;
};

static void *run_side(void *argument) {
    struct side *side = argument;
    omp_set_num_threads(side->threads);
    struct prepared prepared;
    if (!prepare(side->problem, ls_onednn_kernel((enum ls_op_id)side->problem->op.id), &prepared))
        return NULL;
    for (int i = 0; i < 20 && prepared.workspace_bytes == side->workspace_bytes; i++) {
        struct block out = run(side->problem, &prepared, side->tensors);
        side->equal += memcmp(out.data, side->expected->data, out.bytes) == 0;
        block_free(&out);
    }
    finish(&prepared);
    return NULL;
}

static void check_side_by_side(const struct problem *problem) {
    struct prepared prepared;
    assert_true(prepare(problem, ls_onednn_kernel((enum ls_op_id)problem->op.id), &prepared));
    struct tensors tensors = draw_inputs(problem);
    struct block out = run(problem, &prepared, &tensors);
    pthread_t threads[3];
    struct side sides[3];
    for (int t = 0; t < 3; t++) {
        sides[t] = (struct side){problem, &tensors, &out, prepared.workspace_bytes, t + 1, 0};
        assert_int_equal(pthread_create(&threads[t], NULL, run_side, &sides[t]), 0);
    }
    for (int t = 0; t < 3; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(sides[t].equal, 20);
    }
    block_free(&out);
    free_inputs(problem, &tensors);
    finish(&prepared);
}

static void test_threads_agree(void **state) {
    (void)state;
    struct conv shapes[] = {square(4, 64, 14, 64, 3, 1, 1), square(4, 64, 14, 96, 1, 1, 0),
                            square(4, 3, 32, 64, 7, 2, 3)};
    struct problem problem;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 4; k++) {
            conv_problem(&problem, conv_ops[k], LS_F32, &shapes[i]);
            check_side_by_side(&problem);
            problem_close(&problem);
        }
    }
    for (int k = 0; k < 4; k++) {
        linear_problem(&problem, linear_ops[k], LS_F32, 64, 512, 100, true);
        check_side_by_side(&problem);
        problem_close(&problem);
        matmul_problem(&problem, LS_F32, 12, 65, 64, 65, k, 0.125);
        check_side_by_side(&problem);
        problem_close(&problem);
    }
}

static void test_what_it_is_not_for(void **state) {
    (void)state;
    assert_null(ls_onednn_kernel(LS_OP_RELU));
    struct problem problem;
    struct conv conv = square(1, 8, 8, 8, 3, 1, 1);
    size_t workspace;
    conv_problem(&problem, LS_OP_CONV, LS_F64, &conv);
    assert_false(ls_onednn_kernel(LS_OP_CONV)->supports(&problem.graph, &problem.node, &workspace));
    problem_close(&problem);
}

static void test_names(void **state) {
    (void)state;
    int major = 0, minor = 0;
    assert_int_equal(sscanf(ls_onednn_library(), "oneDNN %d.%d", &major, &minor), 2);
    assert_true(major >= 2);
    print_message("%s, %s\n", ls_onednn_library(), ls_onednn_isa());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_common_shapes),
        cmocka_unit_test(test_one_wide_strided_window),
        cmocka_unit_test(test_random_convs),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_wide_convs),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_relu_keeps_nan),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_what_it_is_not_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
    printf("skipped: oneDNN is not built in\n");
    return 0;
}

#endif
