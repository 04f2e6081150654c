// Plain kernels: this folder is compiled once for every level of instructions in CMakeLists.txt, with the
// same result bit for bit (no contraction, no reordering; only the vectors get longer), and ls_plain() takes
// the highest level that the processor has. Everything here with external linkage is therefore named through
// LS_LEVEL.
#pragma once

#include "cpu/kernel.h"

#include <math.h>
#include <string.h>

#ifndef LS_PLAIN_LEVEL
#define LS_PLAIN_LEVEL base
#endif
#define LS_JOIN_(a, b) a##_##b
#define LS_JOIN(a, b)  LS_JOIN_(a, b)
#define LS_LEVEL(name) LS_JOIN(name, LS_PLAIN_LEVEL)

// What a level offers: the kernel of every op, and the passes over flat f32 buffers.
struct ls_plain {
    const char *level; // "x86-64-v3"
    const struct ls_kernel *kernel;
    void (*add)(float *to, const float *a, const float *b, size_t n); // to may be a or b
    double (*square_sum)(const float *data, size_t n);                // in one fixed order
    void (*update)(const struct ls_update *update);
    void (*update_norms)(const struct ls_update *update, size_t begin, size_t end); // of blocks
    void (*average)(const struct ls_average *average);
};

extern const struct ls_plain ls_plain_base;
#ifdef LS_PLAIN_HAVE_V3
extern const struct ls_plain ls_plain_v3;
#endif
#ifdef LS_PLAIN_HAVE_V4
extern const struct ls_plain ls_plain_v4;
#endif
// The levels that this processor has, lowest first; returns how many. The highest of them.
enum { LS_PLAIN_LEVELS = 3 };
int ls_plain_levels(const struct ls_plain *levels[LS_PLAIN_LEVELS]);
bool ls_has_avx512_bf16(void); // the last level, and the instructions for bf16
const struct ls_plain *ls_plain(void);

// ---- inside the folder ----

enum plain_type { PLAIN_F32, PLAIN_F64, PLAIN_BF16, PLAIN_TYPES };

typedef ls_status (*plain_function)(const struct ls_kernel_call *call);

// An op's plain kernel. The signature says the types of inputs, ':', and types of outputs, a letter each:
//   x  the type T that the kernel is compiled for: f32, f64 or bf16, the same throughout
//   a  the type that it computes in: f64 for f64, else f32
//   f  f32, f64 or bf16;  w  f32 or f64;  i  i32;  r  raw: u8 or f32;  n  place in a window: u8 or i32
// Inputs that are left out at the end of the node are left out of the comparison.
struct plain_op {
    const char *signature;
    plain_function run[PLAIN_TYPES];
    size_t (*workspace)(const struct ls_graph *graph, const struct ls_node *node); // NULL: none
};

#define PLAIN_OP(name, signature, workspace)                                                                 \
    const struct plain_op LS_LEVEL(plain_##name) = {                                                         \
        signature, {name##_f32, name##_f64, name##_bf16}, workspace}

#define PLAIN_OPS(X)                                                                                         \
    X(LS_OP_INPUT, input)                                                                                    \
    X(LS_OP_CAST, cast)                                                                                      \
    X(LS_OP_CONV, conv)                                                                                      \
    X(LS_OP_CONV_INPUT_GRAD, conv_input_grad)                                                                \
    X(LS_OP_CONV_TRANSPOSE, conv_input_grad)                                                                 \
    X(LS_OP_CONV_WEIGHT_GRAD, conv_weight_grad)                                                              \
    X(LS_OP_LINEAR, conv)                                                                                    \
    X(LS_OP_LINEAR_INPUT_GRAD, conv_input_grad)                                                              \
    X(LS_OP_LINEAR_WEIGHT_GRAD, conv_weight_grad)                                                            \
    X(LS_OP_BIAS, bias)                                                                                      \
    X(LS_OP_BIAS_GRAD, bias_grad)                                                                            \
    X(LS_OP_BATCHNORM, batchnorm)                                                                            \
    X(LS_OP_BATCHNORM_GRAD, batchnorm_grad)                                                                  \
    X(LS_OP_BATCHNORM_EVAL, batchnorm_eval)                                                                  \
    X(LS_OP_BATCHNORM_EVAL_GRAD, batchnorm_eval_grad)                                                        \
    X(LS_OP_RELU, relu)                                                                                      \
    X(LS_OP_RELU_GRAD, relu_grad)                                                                            \
    X(LS_OP_CLIP, clip)                                                                                      \
    X(LS_OP_CLIP_GRAD, clip_grad)                                                                            \
    X(LS_OP_SIGMOID, sigmoid)                                                                                \
    X(LS_OP_SIGMOID_GRAD, sigmoid_grad)                                                                      \
    X(LS_OP_LEAKY_RELU, leaky_relu)                                                                          \
    X(LS_OP_LEAKY_RELU_GRAD, leaky_relu_grad)                                                                \
    X(LS_OP_TANH, tanh)                                                                                      \
    X(LS_OP_TANH_GRAD, tanh_grad)                                                                            \
    X(LS_OP_GELU, gelu)                                                                                      \
    X(LS_OP_GELU_GRAD, gelu_grad)                                                                            \
    X(LS_OP_SILU, silu)                                                                                      \
    X(LS_OP_SILU_GRAD, silu_grad)                                                                            \
    X(LS_OP_HARD_SWISH, hard_swish)                                                                          \
    X(LS_OP_HARD_SWISH_GRAD, hard_swish_grad)                                                                \
    X(LS_OP_MAX_POOL, max_pool)                                                                              \
    X(LS_OP_MAX_POOL_GRAD, max_pool_grad)                                                                    \
    X(LS_OP_AVG_POOL, avg_pool)                                                                              \
    X(LS_OP_AVG_POOL_GRAD, avg_pool_grad)                                                                    \
    X(LS_OP_GLOBAL_AVG_POOL, global_avg_pool)                                                                \
    X(LS_OP_GLOBAL_AVG_POOL_GRAD, global_avg_pool_grad)                                                      \
    X(LS_OP_RESIZE, resize)                                                                                  \
    X(LS_OP_RESIZE_GRAD, resize_grad)                                                                        \
    X(LS_OP_ADD, add)                                                                                        \
    X(LS_OP_MUL, mul)                                                                                        \
    X(LS_OP_SUM_TO, sum_to)                                                                                  \
    X(LS_OP_DROPOUT, dropout)                                                                                \
    X(LS_OP_SOFTMAX, softmax)                                                                                \
    X(LS_OP_SOFTMAX_GRAD, softmax_grad)                                                                      \
    X(LS_OP_CROSS_ENTROPY, cross_entropy)                                                                    \
    X(LS_OP_CROSS_ENTROPY_GRAD, cross_entropy_grad)                                                          \
    X(LS_OP_MSE, mse)                                                                                        \
    X(LS_OP_MSE_GRAD, mse_grad)                                                                              \
    X(LS_OP_MAE, mae)                                                                                        \
    X(LS_OP_MAE_GRAD, mae_grad)                                                                              \
    X(LS_OP_HUBER, huber)                                                                                    \
    X(LS_OP_HUBER_GRAD, huber_grad)                                                                          \
    X(LS_OP_BINARY_CROSS_ENTROPY, binary_cross_entropy)                                                      \
    X(LS_OP_BINARY_CROSS_ENTROPY_GRAD, binary_cross_entropy_grad)                                            \
    X(LS_OP_RANK_FLAGS, rank_flags)                                                                          \
    X(LS_OP_TRANSPOSE, transpose)                                                                            \
    X(LS_OP_CONCAT, concat)                                                                                  \
    X(LS_OP_SLICE, slice)                                                                                    \
    X(LS_OP_PAD, pad)                                                                                        \
    X(LS_OP_REPEAT, repeat)                                                                                  \
    X(LS_OP_MATMUL, matmul)                                                                                  \
    X(LS_OP_LAYERNORM, layernorm)                                                                            \
    X(LS_OP_LAYERNORM_GRAD, layernorm_grad)                                                                  \
    X(LS_OP_GROUPNORM, groupnorm)                                                                            \
    X(LS_OP_GROUPNORM_GRAD, groupnorm_grad)                                                                  \
    X(LS_OP_EMBEDDING, embedding)                                                                            \
    X(LS_OP_EMBEDDING_GRAD, embedding_grad)                                                                  \
    X(LS_OP_CONV_RELU, conv_relu)                                                                            \
    X(LS_OP_LINEAR_RELU, conv_relu)                                                                          \
    X(LS_OP_BATCHNORM_RELU, batchnorm_relu)                                                                  \
    X(LS_OP_BATCHNORM_RELU_GRAD, batchnorm_relu_grad)                                                        \
    X(LS_OP_BATCHNORM_EVAL_RELU, batchnorm_eval_relu)                                                        \
    X(LS_OP_ADD_RELU, add_relu)                                                                              \
    X(LS_OP_BATCHNORM_ADD_RELU, batchnorm_add_relu)                                                          \
    X(LS_OP_BATCHNORM_ADD_RELU_GRAD, batchnorm_add_relu_grad)

#define PLAIN_DECLARE(op, name) extern const struct plain_op LS_LEVEL(plain_##name);
PLAIN_OPS(PLAIN_DECLARE)
#undef PLAIN_DECLARE

// Vectorise this loop: an output may be an input's memory, but then element by element.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed" // where it can't, the loop is only slower
#define PLAIN_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define PLAIN_UNROLLED    _Pragma("clang loop unroll(full)")
#else
#define PLAIN_INDEPENDENT _Pragma("GCC ivdep")
#define PLAIN_UNROLLED    _Pragma("GCC unroll 16")
#endif

// A loop that is compiled apart for each constant that it is called with.
#define PLAIN_INLINE static inline __attribute__((always_inline))

// Channels that a kernel works on at a time where it keeps a value for each: they stay in registers or L1.
enum { PLAIN_CHANNELS = 64 };

struct plain_dims {
    int64_t n, c, h, w;
};

// Shape as N, C, H, W; what the rank lacks is 1.
static inline struct plain_dims plain_dims(const struct ls_graph *graph, ls_value value) {
    const struct ls_shape *shape = &ls_info(graph, value)->shape;
    struct plain_dims dims = {1, 1, 1, 1};
    int64_t *const field[4] = {&dims.n, &dims.c, &dims.h, &dims.w};
    for (int i = 0; i < shape->rank && i < 4; i++) *field[i] = shape->dim[i];
    return dims;
}

static inline int64_t plain_count(const struct ls_graph *graph, ls_value value) {
    const struct ls_shape *shape = &ls_info(graph, value)->shape;
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= shape->dim[i];
    return count;
}

static inline int64_t plain_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t plain_max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static inline int64_t plain_round_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

// The window that starts at `position`, where windows start at multiples of `stride`; -1 where none does.
static inline int64_t plain_window_at(int64_t position, int64_t stride, int64_t windows) {
    if (position < 0 || position % stride != 0 || position / stride >= windows) return -1;
    return position / stride;
}

// Rows of [rows][channels] that are summed together before f64 takes over: some 32 KiB of them.
static inline int64_t plain_block_rows(int64_t channels) {
    return plain_min(plain_max(8192 / channels, 8), 256);
}

// A short run moves by the instructions for vectors, not by a call.
static inline void plain_copy(void *restrict to, const void *restrict from, size_t bytes) {
    enum { STEP = 64, SHORT = 16 * STEP };
    size_t done = 0;
    if (bytes <= SHORT)
        for (; done + STEP <= bytes; done += STEP) memcpy((char *)to + done, (const char *)from + done, STEP);
    if (done < bytes) memcpy((char *)to + done, (const char *)from + done, bytes - done);
}

// Bytes of one element of the type that a kernel computes in, given the type that it stores.
static inline size_t plain_wide_bytes(const struct ls_graph *graph, ls_value value) {
    return ls_info(graph, value)->dtype == LS_F64 ? sizeof(double) : sizeof(float);
}
