#include "conform/cases.h"

#include "base/philox.h"
#include "graph/augment.h"

#include <string.h>

#define CASE(name_, op_, n_) .name = (name_), .op = LS_OP_##op_, .n_in = (n_)
#define INPUT(fill_, type_, fixed_, ...)                                                                     \
    {                                                                                                        \
        .fill = LS_FILL_##fill_, .type = (type_), .fixed = (fixed_), .shape = {                              \
            .rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                               \
            .dim = {__VA_ARGS__}                                                                             \
        }                                                                                                    \
    }
#define X(fill_, ...)            INPUT(fill_, LS_CASE_STORED, LS_F32, __VA_ARGS__)
#define WIDE(fill_, ...)         INPUT(fill_, LS_CASE_WIDE, LS_F32, __VA_ARGS__)
#define FIXED(fill_, type_, ...) INPUT(fill_, LS_CASE_FIXED, type_, __VA_ARGS__)
#define WINDOW(stride, pad, dilation, groups)                                                                \
    [LS_STRIDE_H].i = (stride), [LS_STRIDE_W].i = (stride), [LS_PAD_H].i = (pad), [LS_PAD_W].i = (pad),      \
    [LS_DILATION_H].i = (dilation), [LS_DILATION_W].i = (dilation), [LS_GROUPS].i = (groups)
#define POOL(kernel, stride, pad)                                                                            \
    WINDOW(stride, pad, 1, 1), [LS_KERNEL_H].i = (kernel), [LS_KERNEL_W].i = (kernel)
#define ALONG(axis, begin, size)                                                                             \
    [LS_MOVE_AXIS].i = (axis), [LS_MOVE_BEGIN].i = (begin), [LS_MOVE_SIZE].i = (size)
#define PRODUCT(transpose_a, transpose_b, scale)                                                             \
    [LS_MATMUL_TRANSPOSE_A].i = (transpose_a), [LS_MATMUL_TRANSPOSE_B].i = (transpose_b),                    \
    [LS_MATMUL_SCALE].f = (scale)
#define GROUPS(groups) [LS_GROUPNORM_GROUPS].i = (groups), [LS_GROUPNORM_EPSILON].f = 1e-5
#define SIZE(height, width, bilinear)                                                                        \
    [LS_RESIZE_HEIGHT].i = (height), [LS_RESIZE_WIDTH].i = (width), [LS_RESIZE_BILINEAR].i = (bilinear)
#define EPSILON                                                                                              \
    { [LS_BATCHNORM_EPSILON].f = 1e-5 }

const struct ls_case ls_cases[] = {
    {CASE("conv 1x1", CONV, 2), .in = {X(SIGNED, 2, 5, 4, 3), X(SIGNED, 7, 5, 1, 1)},
     .attrs = {WINDOW(1, 0, 1, 1)}},
    {CASE("conv 1x1 even", CONV, 2), .in = {X(SIGNED, 3, 32, 5, 7), X(SIGNED, 48, 32, 1, 1)},
     .attrs = {WINDOW(1, 0, 1, 1)}},
    {CASE("conv 3x3 bias", CONV, 3), .in = {X(SIGNED, 2, 3, 7, 5), X(SIGNED, 4, 3, 3, 3), WIDE(SIGNED, 4)},
     .attrs = {WINDOW(1, 1, 1, 1)}},
    {CASE("conv 3x3 stride 2", CONV, 2), .in = {X(SIGNED, 1, 4, 8, 7), X(SIGNED, 6, 4, 3, 3)},
     .attrs = {WINDOW(2, 1, 1, 1)}},
    {CASE("conv 5x2 dilated", CONV, 2), .in = {X(SIGNED, 2, 2, 11, 6), X(SIGNED, 3, 2, 5, 2)},
     .attrs = {WINDOW(1, 2, 2, 1)}},
    {CASE("conv grouped", CONV, 3), .in = {X(SIGNED, 2, 6, 5, 5), X(SIGNED, 9, 2, 3, 3), WIDE(SIGNED, 9)},
     .attrs = {WINDOW(2, 1, 1, 3)}},
    {CASE("conv uneven", CONV, 2), .in = {X(SIGNED, 2, 3, 6, 9), X(SIGNED, 2, 3, 2, 3)},
     .attrs = {[LS_STRIDE_H].i = 3,
               [LS_STRIDE_W].i = 2,
               [LS_PAD_H].i = 0,
               [LS_PAD_W].i = 2,
               [LS_DILATION_H].i = 2,
               [LS_DILATION_W].i = 1,
               [LS_GROUPS].i = 1}},
    {CASE("conv 1-D", CONV, 3), .in = {X(SIGNED, 2, 3, 1, 23), X(SIGNED, 4, 3, 1, 5), WIDE(SIGNED, 4)},
     .attrs = {[LS_STRIDE_H].i = 1,
               [LS_STRIDE_W].i = 2,
               [LS_PAD_W].i = 2,
               [LS_DILATION_H].i = 1,
               [LS_DILATION_W].i = 1,
               [LS_GROUPS].i = 1}},
    {CASE("conv wide", CONV, 2), .in = {X(SIGNED, 2, 40, 9, 9), X(SIGNED, 35, 40, 3, 3)},
     .attrs = {WINDOW(1, 1, 1, 1)}},
    {CASE("conv one pixel", CONV, 2), .in = {X(SIGNED, 1, 3, 1, 1), X(SIGNED, 2, 3, 3, 3)},
     .attrs = {WINDOW(1, 1, 1, 1)}},
    {CASE("conv bias many rows", CONV, 3),
     .in = {X(SIGNED, 2, 2, 15, 12), X(SIGNED, 3, 2, 1, 1), WIDE(SIGNED, 3)}, .attrs = {WINDOW(1, 0, 1, 1)}},
    {CASE("conv depthwise", CONV, 3),
     .in = {X(SIGNED, 2, 70, 6, 5), X(SIGNED, 70, 1, 3, 3), WIDE(SIGNED, 70)},
     .attrs = {WINDOW(1, 1, 1, 70)}},
    {CASE("conv depthwise stride 2", CONV, 2), .in = {X(SIGNED, 1, 5, 7, 8), X(SIGNED, 5, 1, 3, 3)},
     .attrs = {WINDOW(2, 1, 1, 5)}},
    {CASE("conv depthwise dilated", CONV, 2), .in = {X(SIGNED, 2, 3, 9, 9), X(SIGNED, 3, 1, 3, 3)},
     .attrs = {WINDOW(2, 2, 2, 3)}},
    {CASE("conv_transpose 2x2 stride 2", CONV_TRANSPOSE, 2),
     .in = {X(SIGNED, 2, 5, 4, 3), X(SIGNED, 5, 7, 2, 2)},
     .attrs = {WINDOW(2, 0, 1, 1), [LS_SIZE_H].i = 8, [LS_SIZE_W].i = 6}},
    {CASE("conv_transpose padded out", CONV_TRANSPOSE, 2),
     .in = {X(SIGNED, 2, 3, 5, 4), X(SIGNED, 3, 4, 3, 3)},
     .attrs = {WINDOW(2, 1, 1, 1), [LS_SIZE_H].i = 10, [LS_SIZE_W].i = 7}},
    {CASE("conv_transpose grouped", CONV_TRANSPOSE, 2), .in = {X(SIGNED, 2, 6, 3, 4), X(SIGNED, 6, 3, 3, 2)},
     .attrs = {WINDOW(3, 1, 1, 3), [LS_SIZE_H].i = 8, [LS_SIZE_W].i = 9}},
    {CASE("conv_transpose dilated", CONV_TRANSPOSE, 2), .in = {X(SIGNED, 1, 2, 4, 4), X(SIGNED, 2, 3, 3, 3)},
     .attrs = {WINDOW(1, 1, 2, 1), [LS_SIZE_H].i = 6, [LS_SIZE_W].i = 6}},
    {CASE("conv_transpose depthwise", CONV_TRANSPOSE, 2),
     .in = {X(SIGNED, 2, 70, 3, 3), X(SIGNED, 70, 1, 4, 4)},
     .attrs = {WINDOW(2, 1, 1, 70), [LS_SIZE_H].i = 6, [LS_SIZE_W].i = 6}},
    {CASE("conv_transpose one pixel", CONV_TRANSPOSE, 2),
     .in = {X(SIGNED, 1, 3, 1, 1), X(SIGNED, 3, 2, 7, 7)},
     .attrs = {WINDOW(1, 0, 1, 1), [LS_SIZE_H].i = 7, [LS_SIZE_W].i = 7}},
    {CASE("bias", BIAS, 2), .in = {X(SIGNED, 2, 5, 4, 3), WIDE(SIGNED, 5)}},
    {CASE("bias flat", BIAS, 2), .in = {X(SIGNED, 3, 70), WIDE(SIGNED, 70)}},
    {CASE("resize nearest twice", RESIZE, 1), .in = {X(SIGNED, 2, 3, 4, 5)}, .attrs = {SIZE(8, 10, 0)}},
    {CASE("resize nearest uneven", RESIZE, 1), .in = {X(SIGNED, 2, 70, 3, 5)}, .attrs = {SIZE(7, 8, 0)}},
    {CASE("resize nearest smaller", RESIZE, 1), .in = {X(SIGNED, 1, 8, 7, 5)}, .attrs = {SIZE(3, 4, 0)}},
    {CASE("resize bilinear twice", RESIZE, 1), .in = {X(SIGNED, 2, 3, 4, 5)}, .attrs = {SIZE(8, 10, 1)}},
    {CASE("resize bilinear three times", RESIZE, 1), .in = {X(SIGNED, 1, 8, 3, 2)}, .attrs = {SIZE(9, 6, 1)}},
    {CASE("resize bilinear uneven", RESIZE, 1), .in = {X(SIGNED, 2, 70, 3, 5)}, .attrs = {SIZE(7, 8, 1)}},
    {CASE("resize bilinear smaller", RESIZE, 1), .in = {X(SIGNED, 1, 5, 9, 7)}, .attrs = {SIZE(4, 3, 1)}},
    {CASE("resize bilinear one pixel", RESIZE, 1), .in = {X(SIGNED, 1, 2, 1, 1)}, .attrs = {SIZE(3, 2, 1)}},
    {CASE("conv_relu", CONV_RELU, 3), .in = {X(SIGNED, 2, 3, 6, 5), X(SIGNED, 4, 3, 3, 3), WIDE(SIGNED, 4)},
     .attrs = {WINDOW(1, 1, 1, 1)}},
    {CASE("conv_relu depthwise", CONV_RELU, 2), .in = {X(SIGNED, 2, 4, 6, 5), X(SIGNED, 4, 1, 3, 3)},
     .attrs = {WINDOW(1, 1, 1, 4)}},
    {CASE("linear", LINEAR, 3), .in = {X(SIGNED, 5, 33), X(SIGNED, 10, 33), WIDE(SIGNED, 10)}},
    {CASE("linear one sample", LINEAR, 2), .in = {X(SIGNED, 1, 3), X(SIGNED, 1, 3)}},
    {CASE("linear long", LINEAR, 3), .in = {X(SIGNED, 40, 700), X(SIGNED, 17, 700), WIDE(SIGNED, 17)}},
    {CASE("linear_relu", LINEAR_RELU, 3), .in = {X(SIGNED, 5, 8), X(SIGNED, 20, 8), WIDE(SIGNED, 20)}},
    {CASE("batchnorm", BATCHNORM, 3), .in = {X(SIGNED, 4, 7, 5, 6), WIDE(POSITIVE, 7), WIDE(SIGNED, 7)},
     .attrs = EPSILON},
    {CASE("batchnorm many rows", BATCHNORM, 3),
     .in = {X(SIGNED, 3, 2, 17, 13), WIDE(SIGNED, 2), WIDE(SIGNED, 2)}, .attrs = EPSILON},
    {CASE("batchnorm flat", BATCHNORM, 3), .in = {X(SIGNED, 9, 5), WIDE(POSITIVE, 5), WIDE(SIGNED, 5)},
     .attrs = EPSILON},
    {CASE("batchnorm wide", BATCHNORM, 3),
     .in = {X(SIGNED, 11, 1100), WIDE(POSITIVE, 1100), WIDE(SIGNED, 1100)}, .attrs = EPSILON},
    {CASE("batchnorm_relu", BATCHNORM_RELU, 3),
     .in = {X(SIGNED, 4, 7, 5, 6), WIDE(POSITIVE, 7), WIDE(SIGNED, 7)}, .attrs = EPSILON},
    {CASE("batchnorm_relu bounded", BATCHNORM_RELU, 3),
     .in = {X(SIGNED, 4, 7, 5, 6), WIDE(POSITIVE, 7), WIDE(SIGNED, 7)},
     .attrs = {[LS_BATCHNORM_EPSILON].f = 1e-5, [LS_BATCHNORM_MOST].f = 1.25}},
    {CASE("batchnorm_add_relu", BATCHNORM_ADD_RELU, 4),
     .in = {X(SIGNED, 4, 7, 5, 6), WIDE(POSITIVE, 7), WIDE(SIGNED, 7), X(SIGNED, 4, 7, 5, 6)},
     .attrs = EPSILON},
    {CASE("batchnorm_eval", BATCHNORM_EVAL, 5),
     .in = {X(SIGNED, 2, 7, 3, 4), WIDE(POSITIVE, 7), WIDE(SIGNED, 7), WIDE(SIGNED, 7), WIDE(POSITIVE, 7)},
     .attrs = EPSILON},
    {CASE("batchnorm_eval_relu", BATCHNORM_EVAL_RELU, 5),
     .in = {X(SIGNED, 2, 7, 3, 4), WIDE(POSITIVE, 7), WIDE(SIGNED, 7), WIDE(SIGNED, 7), WIDE(POSITIVE, 7)},
     .attrs = EPSILON},
    {CASE("batchnorm_eval_relu bounded", BATCHNORM_EVAL_RELU, 5),
     .in = {X(SIGNED, 2, 7, 3, 4), WIDE(POSITIVE, 7), WIDE(SIGNED, 7), WIDE(SIGNED, 7), WIDE(POSITIVE, 7)},
     .attrs = {[LS_BATCHNORM_EPSILON].f = 1e-5, [LS_BATCHNORM_MOST].f = 1.25}},
    {CASE("relu", RELU, 1), .in = {X(SIGNED, 3, 5, 4, 3)}},
    {CASE("clip", CLIP, 1), .in = {X(SIGNED, 3, 37)},
     .attrs = {[LS_CLIP_LOW].f = -0.515625, [LS_CLIP_HIGH].f = 1.015625}},
    {CASE("sigmoid", SIGMOID, 1), .in = {X(SIGNED, 3, 5, 4, 3)}},
    {CASE("leaky_relu", LEAKY_RELU, 1), .in = {X(SIGNED, 3, 5, 4, 3)},
     .attrs = {[LS_LEAKY_RELU_SLOPE].f = 0.2}},
    {CASE("tanh", TANH, 1), .in = {X(SIGNED, 3, 5, 4, 3)}},
    {CASE("gelu", GELU, 1), .in = {X(SIGNED, 3, 5, 4, 3)}},
    {CASE("gelu tanh", GELU, 1), .in = {X(SIGNED, 3, 5, 4, 3)}, .attrs = {[LS_GELU_TANH].i = 1}},
    {CASE("silu", SILU, 1), .in = {X(SIGNED, 3, 5, 4, 3)}},
    {CASE("hard_swish", HARD_SWISH, 1), .in = {X(SIGNED, 3, 5, 4, 3)}},
    {CASE("add", ADD, 2), .in = {X(SIGNED, 2, 3, 3, 5), X(SIGNED, 2, 3, 3, 5)}},
    {CASE("add_relu", ADD_RELU, 2), .in = {X(SIGNED, 2, 3, 3, 5), X(SIGNED, 2, 3, 3, 5)}},
    {CASE("add_relu spread", ADD_RELU, 2), .in = {X(SIGNED, 2, 3, 3, 5), X(SIGNED, 1, 3, 1, 5)}},
    {CASE("add to a gate", ADD, 2), .in = {X(SIGNED, 2, 9, 3, 5), X(SIGNED, 2, 9, 1, 1)}},
    {CASE("add both spread", ADD, 2), .in = {X(SIGNED, 2, 1, 4, 1), X(SIGNED, 1, 3, 4, 5)}},
    {CASE("mul", MUL, 2), .in = {X(SIGNED, 2, 3, 3, 5), X(SIGNED, 2, 3, 3, 5)}},
    {CASE("mul by a gate", MUL, 2), .in = {X(SIGNED, 2, 70, 3, 5), X(SIGNED, 2, 70, 1, 1)}},
    {CASE("mul by a mask", MUL, 2), .in = {X(SIGNED, 2, 6, 3, 5), X(SIGNED, 2, 1, 3, 5)}},
    {CASE("mul both spread", MUL, 2), .in = {X(SIGNED, 7, 1), X(SIGNED, 1, 9)}},
    {CASE("mul by one", MUL, 2), .in = {X(SIGNED, 1, 1, 1, 1), X(SIGNED, 2, 3, 4, 2)}},
    {CASE("mul rank 3", MUL, 2), .in = {X(SIGNED, 2, 3, 5), X(SIGNED, 3, 1)}},
    {CASE("mul rank 5", MUL, 2), .in = {X(SIGNED, 2, 3, 2, 3, 2), X(SIGNED, 2, 1, 2, 1, 2)}},
    {CASE("flatten", FLATTEN, 1), .in = {X(SIGNED, 2, 3, 3, 5)}},
    {CASE("dropout", DROPOUT, 1), .in = {X(SIGNED, 3, 5, 3, 2)},
     .attrs = {[LS_DROPOUT_RATE].f = 0.3, [LS_DROPOUT_SITE].i = 2}},
    {CASE("max_pool 2", MAX_POOL, 1), .in = {X(DISTINCT, 2, 3, 6, 5)}, .attrs = {POOL(2, 2, 0)}},
    {CASE("max_pool 3 pad", MAX_POOL, 1), .in = {X(DISTINCT, 2, 70, 5, 4)}, .attrs = {POOL(3, 2, 1)}},
    {CASE("max_pool overlapping", MAX_POOL, 1), .in = {X(DISTINCT, 1, 2, 5, 5)}, .attrs = {POOL(3, 1, 2)}},
    {CASE("max_pool large", MAX_POOL, 1), .in = {X(DISTINCT, 1, 2, 18, 17)}, .attrs = {POOL(16, 1, 3)}},
    {CASE("max_pool 1-D", MAX_POOL, 1), .in = {X(DISTINCT, 2, 5, 1, 21)},
     .attrs = {[LS_STRIDE_H].i = 1,
               [LS_STRIDE_W].i = 2,
               [LS_PAD_W].i = 1,
               [LS_DILATION_H].i = 1,
               [LS_DILATION_W].i = 1,
               [LS_GROUPS].i = 1,
               [LS_KERNEL_H].i = 1,
               [LS_KERNEL_W].i = 3}},
    {CASE("avg_pool 2", AVG_POOL, 1), .in = {X(SIGNED, 2, 3, 6, 5)},
     .attrs = {POOL(2, 2, 0), [LS_COUNT_PADDING].i = 1}},
    {CASE("avg_pool padded", AVG_POOL, 1), .in = {X(SIGNED, 2, 70, 5, 4)},
     .attrs = {POOL(3, 2, 1), [LS_COUNT_PADDING].i = 1}},
    {CASE("avg_pool inside", AVG_POOL, 1), .in = {X(SIGNED, 2, 3, 5, 4)},
     .attrs = {POOL(3, 1, 1), [LS_COUNT_PADDING].i = 0}},
    {CASE("global_avg_pool", GLOBAL_AVG_POOL, 1), .in = {X(SIGNED, 3, 9, 5, 4)}},
    {CASE("global_avg_pool many rows", GLOBAL_AVG_POOL, 1), .in = {X(SIGNED, 2, 3, 20, 15)}},
    {CASE("global_avg_pool one", GLOBAL_AVG_POOL, 1), .in = {X(SIGNED, 1, 1, 1, 1)}},
    {CASE("reshape", RESHAPE, 1), .in = {X(SIGNED, 2, 3, 3, 5)}, .attrs = {{.i = 2}, {.i = 15}, {.i = 3}}},
    {CASE("transpose", TRANSPOSE, 1), .in = {X(SIGNED, 2, 3, 5)},
     .attrs = {{.i = 2}, {.i = 0}, {.i = 1}, {.i = 3}, {.i = 4}}},
    {CASE("transpose image", TRANSPOSE, 1), .in = {X(SIGNED, 2, 3, 4, 5)},
     .attrs = {{.i = 3}, {.i = 1}, {.i = 0}, {.i = 2}, {.i = 4}}},
    {CASE("transpose squares", TRANSPOSE, 1), .in = {X(SIGNED, 1, 18, 20)},
     .attrs = {{.i = 0}, {.i = 2}, {.i = 1}, {.i = 3}, {.i = 4}}},
    {CASE("transpose heads", TRANSPOSE, 1), .in = {X(SIGNED, 2, 5, 1, 3, 8)},
     .attrs = {{.i = 0}, {.i = 3}, {.i = 2}, {.i = 1}, {.i = 4}}},
    {CASE("concat", CONCAT, 3), .in = {X(SIGNED, 2, 1, 3), X(SIGNED, 2, 4, 3), X(SIGNED, 2, 2, 3)},
     .attrs = {ALONG(1, 0, 1)}},
    {CASE("concat channels", CONCAT, 2), .in = {X(SIGNED, 2, 8, 3, 4), X(SIGNED, 2, 16, 3, 4)},
     .attrs = {ALONG(1, 0, 1)}},
    {CASE("slice", SLICE, 1), .in = {X(SIGNED, 2, 7, 8)}, .attrs = {ALONG(1, 2, 3)}},
    {CASE("slice channels", SLICE, 1), .in = {X(SIGNED, 2, 7, 3, 4)}, .attrs = {ALONG(1, 2, 3)}},
    {CASE("slice height", SLICE, 1), .in = {X(SIGNED, 2, 8, 5, 4)}, .attrs = {ALONG(2, 1, 2)}},
    {CASE("pad", PAD, 1), .in = {X(SIGNED, 3, 2, 8)}, .attrs = {ALONG(1, 1, 5)}},
    {CASE("pad channels", PAD, 1), .in = {X(SIGNED, 2, 3, 2, 4)}, .attrs = {ALONG(1, 2, 6)}},
    {CASE("repeat", REPEAT, 1), .in = {X(SIGNED, 1, 3, 8)}, .attrs = {{.i = 5}}},
    {CASE("softmax", SOFTMAX, 1), .in = {X(SIGNED, 4, 9)}},
    {CASE("softmax rows", SOFTMAX, 1), .in = {X(SIGNED, 2, 3, 9)}},
    {CASE("softmax long", SOFTMAX, 1), .in = {X(SIGNED, 2, 301)}},
    {CASE("matmul", MATMUL, 2), .in = {X(SIGNED, 3, 5, 7), X(SIGNED, 3, 7, 4)}, .attrs = {PRODUCT(0, 0, 1)}},
    {CASE("matmul b transposed", MATMUL, 2), .in = {X(SIGNED, 2, 5, 8), X(SIGNED, 2, 9, 8)},
     .attrs = {PRODUCT(0, 1, 0.125)}},
    {CASE("matmul a transposed", MATMUL, 2), .in = {X(SIGNED, 2, 3, 3, 7, 5), X(SIGNED, 2, 3, 3, 7, 6)},
     .attrs = {PRODUCT(1, 0, 0.5)}},
    {CASE("matmul both transposed", MATMUL, 2), .in = {X(SIGNED, 100, 3), X(SIGNED, 20, 100)},
     .attrs = {PRODUCT(1, 1, 2)}},
    {CASE("matmul long", MATMUL, 2), .in = {X(SIGNED, 1, 130, 33), X(SIGNED, 1, 33, 18)},
     .attrs = {PRODUCT(0, 0, 1)}},
    {CASE("layernorm", LAYERNORM, 3), .in = {X(SIGNED, 6, 37), WIDE(POSITIVE, 37), WIDE(SIGNED, 37)},
     .attrs = {GROUPS(1)}},
    {CASE("layernorm three", LAYERNORM, 3), .in = {X(SIGNED, 2, 3, 16), WIDE(SIGNED, 16), WIDE(SIGNED, 16)},
     .attrs = {GROUPS(1)}},
    {CASE("layernorm image", LAYERNORM, 3), .in = {X(SIGNED, 2, 5, 3, 4), WIDE(SIGNED, 5), WIDE(SIGNED, 5)},
     .attrs = {GROUPS(1)}},
    {CASE("layernorm many rows", LAYERNORM, 3), .in = {X(SIGNED, 67, 3), WIDE(SIGNED, 3), WIDE(SIGNED, 3)},
     .attrs = {GROUPS(1)}},
    {CASE("layernorm long", LAYERNORM, 3),
     .in = {X(SIGNED, 2, 5000), WIDE(POSITIVE, 5000), WIDE(SIGNED, 5000)}, .attrs = {GROUPS(1)}},
    {CASE("groupnorm", GROUPNORM, 3), .in = {X(SIGNED, 2, 12, 3, 4), WIDE(POSITIVE, 12), WIDE(SIGNED, 12)},
     .attrs = {GROUPS(3)}},
    {CASE("groupnorm each", GROUPNORM, 3), .in = {X(SIGNED, 2, 3, 5, 4), WIDE(SIGNED, 3), WIDE(SIGNED, 3)},
     .attrs = {GROUPS(3)}},
    {CASE("groupnorm flat", GROUPNORM, 3), .in = {X(SIGNED, 3, 40), WIDE(SIGNED, 40), WIDE(SIGNED, 40)},
     .attrs = {GROUPS(2)}},
    {CASE("groupnorm many pixels", GROUPNORM, 3),
     .in = {X(SIGNED, 1, 2, 50, 50), WIDE(SIGNED, 2), WIDE(SIGNED, 2)}, .attrs = {GROUPS(1)}},
    {CASE("embedding", EMBEDDING, 2), .in = {FIXED(CLASS, LS_I32, 9), X(SIGNED, 4, 5)}, .classes = 4},
    {CASE("embedding rows", EMBEDDING, 2), .in = {FIXED(CLASS, LS_I32, 2, 6), X(SIGNED, 7, 8)}, .classes = 7},
    {CASE("cross_entropy", CROSS_ENTROPY, 3),
     .in = {X(SIGNED, 5, 7), FIXED(CLASS, LS_I32, 5), WIDE(WEIGHT, 5)}, .classes = 7},
    {CASE("cross_entropy smooth", CROSS_ENTROPY, 3),
     .in = {X(SIGNED, 5, 7), FIXED(CLASS, LS_I32, 5), WIDE(WEIGHT, 5)},
     .attrs = {[LS_LOSS_SMOOTHING].f = 0.1}, .classes = 7},
    {CASE("cross_entropy mixed", CROSS_ENTROPY, 4),
     .in = {X(SIGNED, 6, 7), FIXED(CLASS, LS_I32, 6), WIDE(WEIGHT, 6),
            FIXED(MIX, LS_I32, 6, LS_AUGMENT_WORDS)},
     .attrs = {[LS_LOSS_SMOOTHING].f = 0.1}, .classes = 7},
    {CASE("mse", MSE, 3), .in = {X(SIGNED, 5, 3), WIDE(SIGNED, 5, 3), WIDE(WEIGHT, 5)}},
    {CASE("mae", MAE, 3), .in = {X(SIGNED, 5, 3), WIDE(BETWEEN, 5, 3), WIDE(WEIGHT, 5)}},
    {CASE("huber", HUBER, 3), .in = {X(SIGNED, 5, 3), WIDE(BETWEEN, 5, 3), WIDE(WEIGHT, 5)},
     .attrs = {[LS_HUBER_DELTA].f = 0.75}},
    {CASE("huber far", HUBER, 3), .in = {X(SIGNED, 4, 2), WIDE(BETWEEN, 4, 2), WIDE(WEIGHT, 4)},
     .attrs = {[LS_HUBER_DELTA].f = 8}},
    {CASE("binary_cross_entropy", BINARY_CROSS_ENTROPY, 3),
     .in = {X(SIGNED, 5, 3), WIDE(LABEL, 5, 3), WIDE(WEIGHT, 5)}},
    {CASE("binary_cross_entropy smooth", BINARY_CROSS_ENTROPY, 3),
     .in = {X(SIGNED, 4, 7), WIDE(LABEL, 4, 7), WIDE(WEIGHT, 4)}, .attrs = {[LS_LOSS_SMOOTHING].f = 0.1}},
    {CASE("input", INPUT, 2),
     .in = {FIXED(RAW, LS_U8, 6, 3, 5, 4), FIXED(AUGMENT, LS_I32, 6, LS_AUGMENT_WORDS)},
     .attrs = {[LS_INPUT_AUGMENTED].i = 1, [LS_INPUT_SCALE].f = 1.0 / 255}, .list = {0.25, 0.5}, .n_list = 2},
    {CASE("input changed", INPUT, 2),
     .in = {FIXED(RAW, LS_U8, 40, 3, 7, 6), FIXED(CHANGE, LS_I32, 40, LS_AUGMENT_WORDS)},
     .attrs = {[LS_INPUT_AUGMENTED].i = 1, [LS_INPUT_SCALE].f = 1.0 / 255, [LS_INPUT_HEIGHT].i = 5},
     .list = {0.25, 0.4, 0.5, 0.5, 0.3, 0.2}, .n_list = 6},
    {CASE("input changed numbers", INPUT, 2),
     .in = {FIXED(SIGNED, LS_F32, 40, 3, 7, 20), FIXED(CHANGE, LS_I32, 40, LS_AUGMENT_WORDS)},
     .attrs = {[LS_INPUT_AUGMENTED].i = 1, [LS_INPUT_CHANNELS_FIRST].i = 1, [LS_INPUT_SCALE].f = 1},
     .list = {0, 1}, .n_list = 2},
    {CASE("input changed channels", INPUT, 2),
     .in = {FIXED(RAW, LS_U8, 40, 5, 7, 6), FIXED(CHANGE, LS_I32, 40, LS_AUGMENT_WORDS)},
     .attrs = {[LS_INPUT_AUGMENTED].i = 1, [LS_INPUT_SCALE].f = 1, [LS_INPUT_WIDTH].i = 4}, .list = {0, 3},
     .n_list = 2},
    {CASE("input channels first", INPUT, 1), .in = {FIXED(SIGNED, LS_F32, 2, 2, 5, 4)},
     .attrs = {[LS_INPUT_CHANNELS_FIRST].i = 1, [LS_INPUT_SCALE].f = 1}, .list = {0.25, -1, 0.5, 3},
     .n_list = 4},
};
const int ls_case_count = sizeof ls_cases / sizeof ls_cases[0];

static uint32_t draw(const struct ls_case *of, int input, int64_t i) {
    return ls_philox((uint64_t)(of - ls_cases), LS_RANDOM_TEST, (uint64_t)i, (uint64_t)input).word[0];
}

// From least to most - 1.
static int32_t whole(uint64_t sample, uint64_t field, int32_t least, int32_t most) {
    return least + (int32_t)ls_below(ls_philox(sample, LS_RANDOM_TEST, field, LS_FILL_CHANGE).word[0],
                                     (uint32_t)(most - least));
}

static double change_word(uint64_t sample, uint64_t samples, size_t field) {
    struct ls_augment change = {
        .dy = whole(sample, 0, -2, 3),
        .dx = whole(sample, 1, -2, 3),
        .flags = whole(sample, 2, 0, 2 * LS_AUGMENT_CUTMIX),
        .y = whole(sample, 3, -65536, 4 * 65536),
        .x = whole(sample, 4, -65536, 4 * 65536),
        .y_a_row = whole(sample, 5, -80000, 80000),
        .y_a_column = whole(sample, 6, -80000, 80000),
        .x_a_row = whole(sample, 7, -80000, 80000),
        .x_a_column = whole(sample, 8, -80000, 80000),
        .contrast = (float)whole(sample, 9, -9, 10) / 32,
        .cut = {1, whole(sample, 10, 0, 3), 4, whole(sample, 11, 2, 5)},
        .mix = {0, whole(sample, 12, 0, 3), 3, whole(sample, 13, 2, 5)},
        .partner = whole(sample, 14, 0, (int32_t)samples),
        .factor = (float)whole(sample, 15, 0, 100) / 99,
    };
    for (uint64_t i = 0; i < 9; i++) change.color[i] = (float)whole(sample, 20 + i, -40, 90) / 101;
    int32_t words[LS_AUGMENT_WORDS];
    memcpy(words, &change, sizeof words);
    return words[field];
}

// Word `field` of a sample's parameters. A part's bits are an integer that f64 holds.
static double mix_word(int64_t sample, int64_t samples, size_t field) {
    const float factor = sample < samples / 2 ? 0.25f : 0.7f;
    int32_t bits;
    memcpy(&bits, &factor, sizeof bits);
    if (field == offsetof(struct ls_augment, flags) / sizeof bits)
        return sample % 2 ? 0 : sample % 4 ? LS_AUGMENT_MIXUP : LS_AUGMENT_CUTMIX;
    if (field == offsetof(struct ls_augment, partner) / sizeof bits) return (double)((sample + 1) % samples);
    return field == offsetof(struct ls_augment, factor) / sizeof bits ? bits : 0;
}

static double number(const struct ls_case *of, int input, int64_t i) {
    uint32_t word = draw(of, input, i);
    switch (of->in[input].fill) {
    case LS_FILL_SIGNED: {
        int step = (int)ls_below(word, 127) - 63;
        return (step >= 0 ? step + 1 : step) / 32.0;
    }
    case LS_FILL_BETWEEN: return ((int)ls_below(word, 127) - 63 + 0.5) / 32.0;
    case LS_FILL_DISTINCT: return (double)((i * 37) % 251 - 125) / 64; // 251 is prime: no two in a row alike
    case LS_FILL_POSITIVE: return 0.5 + ls_below(word, 64) / 64.0;
    case LS_FILL_RAW: return ls_below(word, 256);
    case LS_FILL_AUGMENT: {
        static const int shift[] = {0, 1, -1, 2, -2, 9}; // the last shows nothing of the sample
        int64_t sample = i / LS_AUGMENT_WORDS;
        int field = (int)(i % LS_AUGMENT_WORDS); // dy, dx, flags
        return field < 2 ? shift[(sample + field) % 6] : field == 2 ? sample % 4 : 0;
    }
    case LS_FILL_CHANGE:
        return change_word((uint64_t)(i / LS_AUGMENT_WORDS), (uint64_t)of->in[input].shape.dim[0],
                           (size_t)(i % LS_AUGMENT_WORDS));
    case LS_FILL_MIX:
        return mix_word(i / LS_AUGMENT_WORDS, of->in[input].shape.dim[0], (size_t)(i % LS_AUGMENT_WORDS));
    case LS_FILL_CLASS: return ls_below(word, (uint32_t)of->classes);
    case LS_FILL_LABEL: return word % 2;
    case LS_FILL_WEIGHT: return i == 1 ? 0 : 1;
    case LS_FILL_NONE: break;
    }
    return 0;
}

static ls_dtype type_of(const struct ls_case_input *in, ls_dtype stored) {
    if (in->type == LS_CASE_FIXED) return in->fixed;
    return in->type == LS_CASE_STORED || stored == LS_F64 ? stored : LS_F32;
}

static void fill_inputs(struct ls_case_trial *trial) {
    for (int k = 0; k < trial->of->n_in; k++)
        for (int64_t i = 0; i < ls_trial_count(&trial->trial, trial->in[k]); i++)
            ls_trial_put(&trial->trial, trial->in[k], i, number(trial->of, k, i));
    if (trial->alone.dy == LS_NONE) return;
    for (int64_t i = 0; i < ls_trial_count(&trial->trial, trial->alone.dy); i++)
        ls_trial_put(&trial->trial, trial->alone.dy, i,
                     (int)ls_below(draw(trial->of, LS_MAX_IN, i), 64) / 32.0 - 0.75);
}

static ls_status add_backward(struct ls_case_trial *trial) {
    struct ls_graph *graph = &trial->trial.graph;
    bool wanted[LS_MAX_IN] = {0};
    // Of batchnorm_eval, x alone has a gradient.
    const int wanting = graph->nodes[0].op->id == LS_OP_BATCHNORM_EVAL ? 1 : trial->of->n_in;
    for (int k = 0; k < wanting; k++) wanted[k] = trial->of->in[k].fill != LS_FILL_CLASS;
    return ls_alone_backward(graph, wanted, &trial->alone);
}

static bool is_half(ls_dtype type) {
    return type == LS_BF16 || type == LS_F16;
}

static ls_status make_half(struct ls_case_trial *trial, ls_dtype half) {
    bool narrow[LS_MAX_IN];
    for (int k = 0; k < trial->of->n_in; k++) narrow[k] = trial->of->in[k].type == LS_CASE_STORED;
    return ls_alone_narrow(&trial->trial.graph, half, narrow, &trial->alone);
}

ls_status ls_case_make(const struct ls_case *of, ls_dtype type, struct ls_case_trial *trial) {
    static const char *const names[LS_MAX_IN] = {"in0", "in1", "in2", "in3", "in4", "in5", "in6", "in7"};
    ls_trial_open(&trial->trial);
    trial->of = of;
    for (int k = 0; k < of->n_in; k++)
        trial->in[k] = ls_trial_input(&trial->trial, names[k],
                                      type_of(&of->in[k], is_half(type) ? LS_F32 : type), of->in[k].shape);
    if (ls_trial_node(&trial->trial, of->op, trial->in, of->n_in, of->attrs, of->list, of->n_list) < 0)
        return ls_error_last()->status;
    LS_TRY(add_backward(trial));
    if (is_half(type)) LS_TRY(make_half(trial, type));
    ls_trial_grow(&trial->trial);
    return LS_OK;
}

ls_status ls_case_open(const struct ls_case *of, ls_dtype type, struct ls_case_trial *trial) {
    LS_TRY(ls_case_make(of, type, trial));
    fill_inputs(trial);
    return LS_OK;
}

void ls_case_close(struct ls_case_trial *trial) {
    ls_trial_close(&trial->trial);
}
