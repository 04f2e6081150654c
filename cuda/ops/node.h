// What the files of this folder have in common: an op on CUDA, from a node to the launches in kernels/ or the
// tasks of lib/. Private to the folder; ops/table.c makes a kernel (cuda/kernel.h) of each.
#pragma once

#include "cuda/kernel.h"
#include "cuda/lib/lib.h"

// What a kernel keeps from run to run; released by table.c.
struct ls_cuda_made {
    struct ls_lib_task *task;
    void *table; // device memory, from cudaMalloc
};

static inline const struct ls_cuda_made *ls_cuda_made(const struct ls_cuda_call *call) {
    return (const struct ls_cuda_made *)call->made;
}

// The signature says the types of inputs, ':', and types of outputs, a letter each:
//   x  the type that the node stores: f32, bf16 or f16, the same throughout;  f  any of these
//   w  f32;  i  i32;  r  raw: u8 or f32;  n  place in a window: u8 or i32
// Inputs that are left out at the end of the node are left out of the comparison.
struct ls_cuda_op {
    const char *signature;
    // As those of struct ls_cuda_kernel. `fits` is asked where the signature fits; NULL: it does, without
    // workspace.
    bool (*fits)(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                 size_t *workspace);
    ls_status (*make)(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      struct ls_cuda_made *made); // NULL: keeps nothing
    ls_status (*run)(const struct ls_cuda_call *call);
};

#define CUDA_OPS(X)                                                                                          \
    X(LS_OP_INPUT, input)                                                                                    \
    X(LS_OP_CAST, cast)                                                                                      \
    X(LS_OP_CONV, conv)                                                                                      \
    X(LS_OP_CONV_INPUT_GRAD, conv_input_grad)                                                                \
    X(LS_OP_CONV_TRANSPOSE, conv_transpose)                                                                  \
    X(LS_OP_CONV_WEIGHT_GRAD, conv_weight_grad)                                                              \
    X(LS_OP_LINEAR, linear)                                                                                  \
    X(LS_OP_LINEAR_INPUT_GRAD, linear_input_grad)                                                            \
    X(LS_OP_LINEAR_WEIGHT_GRAD, linear_weight_grad)                                                          \
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
    X(LS_OP_LINEAR_RELU, linear_relu)                                                                        \
    X(LS_OP_BATCHNORM_RELU, batchnorm_relu)                                                                  \
    X(LS_OP_BATCHNORM_RELU_GRAD, batchnorm_relu_grad)                                                        \
    X(LS_OP_BATCHNORM_EVAL_RELU, batchnorm_eval_relu)                                                        \
    X(LS_OP_ADD_RELU, add_relu)                                                                              \
    X(LS_OP_BATCHNORM_ADD_RELU, batchnorm_add_relu)                                                          \
    X(LS_OP_BATCHNORM_ADD_RELU_GRAD, batchnorm_add_relu_grad)

#define CUDA_DECLARE(op, name) extern const struct ls_cuda_op ls_cuda_##name##_op;
CUDA_OPS(CUDA_DECLARE)
#undef CUDA_DECLARE

struct ls_cuda_dims {
    int64_t n, c, h, w;
};

// Shape as N, C, H, W; what the rank lacks is 1.
static inline struct ls_cuda_dims ls_cuda_dims(const struct ls_graph *graph, ls_value value) {
    const struct ls_shape *shape = &ls_info(graph, value)->shape;
    struct ls_cuda_dims dims = {1, 1, 1, 1};
    int64_t *const field[4] = {&dims.n, &dims.c, &dims.h, &dims.w};
    for (int i = 0; i < shape->rank && i < 4; i++) *field[i] = shape->dim[i];
    return dims;
}

static inline int64_t ls_cuda_count(const struct ls_graph *graph, ls_value value) {
    return ls_shape_count(&ls_info(graph, value)->shape);
}

// The number that `type` stores for it.
static inline float ls_cuda_stored(ls_dtype type, double number) {
    if (type == LS_BF16) return ls_bf16_to_f32(ls_bf16_from_f32((float)number));
    if (type == LS_F16) return ls_f16_to_f32(ls_f16_from_f32((float)number));
    return (float)number;
}

static inline ls_dtype ls_cuda_type(const struct ls_graph *graph, ls_value value) {
    return ls_info(graph, value)->dtype;
}

// What `fits` says of a task of lib/ that was tried: whether it could be made, and its workspace. Releases
// it.
static inline bool ls_cuda_task_fits(ls_status status, struct ls_cuda_made *made, size_t *workspace) {
    if (status != LS_OK) return false;
    *workspace = ls_lib_workspace(made->task);
    ls_lib_unmake(made->task);
    return true;
}
