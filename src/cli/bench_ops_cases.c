// What `bench ops` measures: each op of the table on a shape that models have. Gradients come with their ops,
// by rule; what the fusion pass makes stands here, forward and backward.
#include "cli/bench_ops.h"

#define IMAGE   "f32 8x64x56x56"
#define ROWS    "f32 1576x384" // 8 samples of 197 tokens
#define CHANNEL "f32 64"
#define LOGITS  "f32 256x1000"
#define VALUES  "f32 4096x64"

const struct ls_bench_case ls_bench_cases[] = {
    {"input", {"u8 8x3x224x224", "i32 8x32"}, "augmented=1 scale=0.0039 [0.5, 0.25]"},
    {"cast", {IMAGE}, "to=bf16"},
    {"conv", {IMAGE, "f32 64x64x3x3"}, "pad_h=1 pad_w=1"},
    {"conv", {"f32 8x256x28x28", "f32 128x256x1x1"}, ""},
    {"conv", {"f32 8x96x56x56", "f32 96x1x3x3"}, "pad_h=1 pad_w=1 groups=96"},
    {"conv", {"f32 8x64x28x28", "f32 64x64x3x3", CHANNEL}, "pad_h=1 pad_w=1"},
    {"conv_relu", {"f32 8x64x28x28", "f32 64x64x3x3", CHANNEL}, "pad_h=1 pad_w=1"},
    {"conv_transpose", {"f32 8x128x28x28", "f32 128x64x2x2"}, "stride_h=2 stride_w=2 size_h=56 size_w=56"},
    {"linear", {"f32 1576x384", "f32 1536x384", "f32 1536"}, ""},
    {"linear_relu", {"f32 256x1024", "f32 1024x1024", "f32 1024"}, ""},
    {"bias", {IMAGE, CHANNEL}, ""},
    {"batchnorm", {IMAGE, CHANNEL, CHANNEL}, ""},
    {"batchnorm_relu", {IMAGE, CHANNEL, CHANNEL}, ""},
    {"batchnorm_relu_grad", {IMAGE, IMAGE, CHANNEL, CHANNEL, CHANNEL, CHANNEL}, ""},
    {"batchnorm_add_relu", {IMAGE, CHANNEL, CHANNEL, IMAGE}, ""},
    {"batchnorm_add_relu_grad", {IMAGE, IMAGE, IMAGE, CHANNEL, CHANNEL, CHANNEL}, ""},
    {"batchnorm_eval", {IMAGE, CHANNEL, CHANNEL, CHANNEL, CHANNEL}, ""},
    {"batchnorm_eval_relu", {IMAGE, CHANNEL, CHANNEL, CHANNEL, CHANNEL}, ""},
    {"relu", {IMAGE}, ""},
    {"clip", {IMAGE}, "low=0 high=6"},
    {"sigmoid", {IMAGE}, ""},
    {"leaky_relu", {IMAGE}, ""},
    {"tanh", {IMAGE}, ""},
    {"gelu", {"f32 1576x1536"}, ""},
    {"silu", {IMAGE}, ""},
    {"hard_swish", {IMAGE}, ""},
    {"max_pool", {IMAGE}, "stride_h=2 stride_w=2 pad_h=1 pad_w=1 kernel_h=3 kernel_w=3"},
    {"avg_pool", {IMAGE}, "stride_h=2 stride_w=2 kernel_h=2 kernel_w=2"},
    {"global_avg_pool", {"f32 8x512x28x28"}, ""},
    {"resize", {"f32 8x64x28x28"}, "height=56 width=56"},
    {"resize", {"f32 8x64x28x28"}, "height=56 width=56 bilinear=1"},
    {"add", {IMAGE, IMAGE}, ""},
    {"add_relu", {IMAGE, IMAGE}, ""},
    {"mul", {IMAGE, IMAGE}, ""},
    {"mul", {IMAGE, "f32 8x64x1x1"}, ""},
    {"dropout", {IMAGE}, "rate=0.2"},
    {"softmax", {"f32 48x197x197"}, ""},
    {"cross_entropy", {LOGITS, "i32 256", "f32 256"}, ""},
    {"binary_cross_entropy", {VALUES, VALUES, "f32 4096"}, ""},
    {"mse", {VALUES, VALUES, "f32 4096"}, ""},
    {"mae", {VALUES, VALUES, "f32 4096"}, ""},
    {"huber", {VALUES, VALUES, "f32 4096"}, ""},
    {"transpose", {"f32 8x197x1x6x64"}, "axis0=0 axis1=3 axis2=2 axis3=1 axis4=4"},
    {"concat", {IMAGE, IMAGE}, "axis=1"},
    {"slice", {IMAGE}, "axis=1 begin=16 size=32"},
    {"pad", {IMAGE}, "axis=2 begin=4 size=64"},
    {"repeat", {"f32 1x197x384"}, "times=8"},
    {"matmul", {"f32 48x197x64", "f32 48x197x64"}, "transpose_b=1 scale=0.125"},
    {"layernorm", {ROWS, "f32 384", "f32 384"}, ""},
    {"groupnorm", {IMAGE, CHANNEL, CHANNEL}, "groups=16"},
    {"embedding", {"i32 8x197", "f32 1000x384"}, ""},
};
const int ls_bench_case_count = sizeof ls_bench_cases / sizeof *ls_bench_cases;
