// Shape rules, case by case: a node written as text, and the types that its rule gives it or the words with
// which it refuses.
#include "unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/ops.h"

// Values that the cases use, all parameters but for their type: named by what they are.
static const char *const values[][2] = {
    {"image", "f32 2x4x9x7"},
    {"half", "bf16 2x4x9x7"},
    {"double", "f64 2x4x9x7"},
    {"flat", "f32 2x12"},
    {"logits", "f32 5x3"},
    {"labels", "i32 5"},
    {"wrong_labels", "i32 4"},
    {"float_labels", "f32 5"},
    {"ones", "f32 5"},
    {"scalar", "f32 scalar"},
    {"target", "f32 5x3"},
    {"w3", "f32 6x4x3x3"},
    {"w3half", "bf16 6x4x3x3"},
    {"w3grouped", "f32 6x2x3x3"},
    {"w1", "f32 6x4x1x1"},
    {"w5", "f32 6x4x5x5"},
    {"b6", "f32 6"},
    {"b6half", "bf16 6"},
    {"b6double", "f64 6"},
    {"fc", "f32 10x12"},
    {"fc_other", "f32 10x13"},
    {"b10", "f32 10"},
    {"c4", "f32 4"},
    {"c4half", "bf16 4"},
    {"c4double", "f64 4"},
    {"c5", "f32 5"},
    {"single", "f32 5x1"},
    {"raw", "u8 2x3x8x6"},
    {"raw16", "u16 2x3x8x6"},
    {"rawf", "f32 2x3x8x6"},
    {"augment", "i32 2x32"},
    {"augment3", "i32 2x3"},
    {"augment5", "i32 5x32"},
    {"one", "f32 1x4x1x1"},
    {"one_each", "f32 1x4"},
    {"y6", "f32 2x6x9x7"},
    {"y6s", "f32 2x6x5x4"},
    {"p4", "f32 2x4x4x3"},
    {"p4x", "f32 2x4x4x7"},
    {"index4", "u8 2x4x4x3"},
    {"index4i", "i32 2x4x4x3"},
    {"pooled", "f32 2x4x1x1"},
    {"rank3", "f32 2x4x9"},
    {"half3", "bf16 2x4x9"},
    {"rank3b", "f32 2x9x5"},
    {"rank5", "f32 2x3x1x4x9"},
    {"rank5b", "f32 2x3x1x5x9"},
    {"tokens", "i32 2x6"},
    {"tokens3", "i32 2x6x3"},
    {"dtokens", "f32 2x6x12"},
    {"c9", "f32 9"},
    {"c12", "f32 12"},
    {"w3double", "f64 6x4x3x3"},
    {"dlin", "f32 2x10"},
    {"flathalf", "bf16 2x12"},
    {"wide", "f32 2x2x40x40"},
    {"column", "f32 5x1"},
    {"row", "f32 1x12"},
    {"column9", "f32 4x1"},
};
enum { VALUES = sizeof values / sizeof *values };

// "node" is op, inputs by name, attributes; "expected" starts with "-> ", or it is a part of the error.
static const struct {
    const char *op, *inputs, *attributes, *expected;
} cases[] = {
    // convolution: (size + 2 pad - dilation (kernel - 1) - 1) / stride + 1, rounded down
    {"conv", "image w3", "", "-> f32 2x6x7x5"},
    {"conv", "image w3 b6", "pad_h=1 pad_w=1", "-> f32 2x6x9x7"},
    {"conv", "image w3", "stride_h=2 stride_w=2 pad_h=1 pad_w=1", "-> f32 2x6x5x4"},
    {"conv", "image w3", "stride_h=2 stride_w=3", "-> f32 2x6x4x2"},
    {"conv", "image w3", "dilation_h=4 dilation_w=3", "-> f32 2x6x1x1"},
    {"conv", "image w3", "dilation_h=2 dilation_w=2 pad_h=2 pad_w=2", "-> f32 2x6x9x7"},
    {"conv", "image w3grouped", "groups=2", "-> f32 2x6x7x5"},
    {"conv", "image w1", "pad_h=1", "-> f32 2x6x11x7"},
    {"conv", "half w3half b6", "", "-> bf16 2x6x7x5"},
    {"conv", "double w3double b6double", "", "-> f64 2x6x7x5"},
    {"conv_relu", "image w3 b6", "", "-> f32 2x6x7x5"},
    {"conv", "image", "", "1 inputs; expected 2 to 3"},
    {"conv", "flat w3", "", "x is 2x12; expected rank 4"},
    {"conv", "image fc", "", "the weight is 10x12; expected rank 4"},
    {"conv", "image w3half", "", "the weight is bf16; expected f32"},
    {"conv", "raw w3", "", "x is u8; expected a float type"},
    {"conv", "image w3grouped", "", "the weight takes 2 channels a group; expected 4"},
    {"conv", "image w3grouped", "groups=3", "3 groups do not divide 4 input and 6 output channels"},
    {"conv", "image w3", "groups=4", "4 groups do not divide 4 input and 6 output channels"},
    {"conv", "image w3", "groups=0", "groups is 0; expected 1 to 2147483647"},
    {"conv", "image w3", "stride_w=0", "stride_w is 0; expected 1 to"},
    {"conv", "image w3", "pad_h=-1", "pad_h is -1; expected 0 to"},
    {"conv", "image w3", "dilation_w=0", "dilation_w is 0; expected 1 to"},
    {"conv", "image w3 c5", "", "the bias is 5; expected 6"},
    {"conv", "half w3half b6half", "", "the bias is bf16; expected f32"},
    {"conv", "image w3", "dilation_h=5",
     "a window of height 3 (dilation 5) does not fit into height 9 with padding 0 on both sides"},
    {"conv", "image w5", "dilation_w=2",
     "a window of width 5 (dilation 2) does not fit into width 7 with padding 0 on both sides"},
    {"conv_input_grad", "y6 w3", "pad_h=1 pad_w=1 size_h=9 size_w=7", "-> f32 2x4x9x7"},
    {"conv_input_grad", "y6s w3", "stride_h=2 stride_w=2 pad_h=1 pad_w=1 size_h=10 size_w=7",
     "-> f32 2x4x10x7"},
    {"conv_input_grad", "y6 w3", "pad_h=1 pad_w=1 size_h=8 size_w=7", "dy is 2x6x9x7; expected 2x6x8x7"},
    {"conv_input_grad", "y6 w3", "size_h=2 size_w=7", "does not fit into height 2"},
    {"conv_input_grad", "y6 w3", "kernel_h=3", "kernel_h is 3; expected 0 to 0"},
    // transposed: (size - 1) stride - 2 pad + dilation (kernel - 1) + 1, and up to stride - 1 more
    {"conv_transpose", "y6 w3", "size_h=11 size_w=9", "-> f32 2x4x11x9"},
    {"conv_transpose", "y6s w3", "stride_h=2 stride_w=2 pad_h=1 pad_w=1 size_h=9 size_w=7", "-> f32 2x4x9x7"},
    {"conv_transpose", "y6s w3", "stride_h=2 stride_w=2 pad_h=1 pad_w=1 size_h=10 size_w=8",
     "-> f32 2x4x10x8"},
    {"conv_transpose", "y6s w3", "stride_h=2 stride_w=2 pad_h=1 pad_w=1 size_h=11 size_w=7",
     "x is 2x6x5x4; expected 2x6x6x4"},
    {"conv_transpose", "y6 w3grouped", "groups=2 size_h=11 size_w=9", "-> f32 2x4x11x9"},
    {"conv_transpose", "image w3", "size_h=11 size_w=9", "x is 2x4x9x7; expected 2x6x9x7"},
    {"conv_transpose", "y6 w3half", "size_h=11 size_w=9", "the weight is bf16; expected f32"},
    {"bias", "half c4", "", "-> bf16 2x4x9x7"},
    {"bias", "flat c4", "", "the bias is 4; expected 12"},
    {"bias", "half c4half", "", "the bias is bf16; expected f32"},
    {"conv_transpose", "y6 w3", "size_h=0 size_w=9", "size_h is 0; expected 1 to"},
    {"conv_transpose", "flat w3", "", "x is 2x12; expected rank 4"},
    {"resize", "image", "height=18 width=7", "-> f32 2x4x18x7"},
    {"resize", "half", "height=1 width=99 bilinear=1", "-> bf16 2x4x1x99"},
    {"resize", "image", "height=0", "height is 0; expected 1 to"},
    {"resize", "image", "bilinear=2", "bilinear is 2; expected 0 to 1"},
    {"resize", "flat", "height=2", "x is 2x12; expected rank 4"},
    {"resize", "raw", "height=2", "x is u8; expected a float type"},
    {"resize_grad", "half", "size_h=3 size_w=2", "-> bf16 2x4x3x2"},
    {"resize_grad", "flat", "size_h=3", "dy is 2x12; expected rank 4"},
    {"conv_weight_grad", "image y6", "pad_h=1 pad_w=1 kernel_h=3 kernel_w=3", "-> f32 6x4x3x3"},
    {"conv_weight_grad", "image y6", "pad_h=1 pad_w=1 kernel_h=3 kernel_w=3 groups=2", "-> f32 6x2x3x3"},
    {"conv_weight_grad", "image y6", "kernel_h=3 kernel_w=3", "dy is 2x6x9x7; expected 2x6x7x5"},
    {"conv_weight_grad", "image p4", "groups=3", "3 groups do not divide 4 input and 4 output channels"},
    {"conv_weight_grad", "half y6", "", "dy is f32; expected bf16"},

    {"linear", "flat fc", "", "-> f32 2x10"},
    {"linear", "flat fc b10", "", "-> f32 2x10"},
    {"linear_relu", "flat fc b10", "", "-> f32 2x10"},
    {"linear", "image fc", "", "x (flatten it first) is 2x4x9x7; expected rank 2"},
    {"linear", "flat fc_other", "", "the weight is 10x13; expected 10x12"},
    {"linear", "flat w3", "", "the weight is 6x4x3x3; expected rank 2"},
    {"linear", "flathalf fc", "", "the weight is f32; expected bf16"},
    {"linear", "flat fc b6", "", "the bias is 6; expected 10"},
    {"linear_input_grad", "dlin fc", "", "-> f32 2x12"},
    {"linear_input_grad", "flat fc", "", "the weight is 10x12; expected 12x12"},
    {"linear_weight_grad", "flat dlin", "", "-> f32 10x12"},
    {"linear_weight_grad", "flat logits", "", "dy is 5x3; expected 2x3"},
    {"linear_weight_grad", "flathalf dlin", "", "dy is f32; expected bf16"},
    {"bias_grad", "half", "", "-> f32 4"},
    {"bias_grad", "double", "", "-> f64 4"},
    {"bias_grad", "flat", "", "-> f32 12"},
    {"bias_grad", "rank3", "", "dy is 2x4x9; expected rank 4 or 2"},

    {"batchnorm", "image c4 c4", "", "-> f32 2x4x9x7, f32 4, f32 4"},
    {"batchnorm", "half c4 c4", "", "-> bf16 2x4x9x7, f32 4, f32 4"},
    {"batchnorm", "double c4double c4double", "", "-> f64 2x4x9x7, f64 4, f64 4"},
    {"batchnorm_relu", "half c4 c4", "", "-> bf16 2x4x9x7, f32 4, f32 4"},
    {"batchnorm", "image c5 c4", "", "the scale is 5; expected 4"},
    {"batchnorm", "half c4 c4half", "", "the shift or mean is bf16; expected f32"},
    {"batchnorm", "one c4 c4", "", "x is 1x4x1x1: the batch statistics of one value a channel say nothing"},
    {"batchnorm", "one_each c4 c4", "", "batch statistics of one value"},
    {"batchnorm", "rank3 c4 c4", "", "x is 2x4x9; expected rank 4 or 2"},
    {"batchnorm", "image c4 c4", "epsilon=0", "epsilon is 0; expected 1e-12 to 1"},
    {"batchnorm_eval", "one c4 c4 c4 c4", "", "-> f32 1x4x1x1"},
    {"batchnorm_eval_relu", "half c4 c4 c4 c4", "", "-> bf16 2x4x9x7"},
    {"batchnorm_eval", "image c4 c4 c4 c5", "", "the variance is 5; expected 4"},
    {"batchnorm_eval_grad", "half c4 c4", "", "-> bf16 2x4x9x7"},
    {"batchnorm_eval_grad", "flat c4 c4", "", "the scale is 4; expected 12"},
    {"batchnorm_eval_grad", "image c4 c5", "", "the variance is 5; expected 4"},
    {"batchnorm_grad", "half half c4 c4 c4", "", "-> bf16 2x4x9x7, f32 4, f32 4"},
    {"batchnorm_grad", "image half c4 c4 c4", "", "dy is bf16; expected f32"},
    {"batchnorm_relu_grad", "half half c4 c4 c4 c4", "", "-> bf16 2x4x9x7, f32 4, f32 4"},
    {"batchnorm_relu_grad", "image y6 c4 c4 c4 c4", "", "dy is 2x6x9x7; expected 2x4x9x7"},
    {"batchnorm_add_relu", "half c4 c4 half", "", "-> bf16 2x4x9x7, f32 4, f32 4"},
    {"batchnorm_add_relu", "image c4 c4 y6", "", "b is 2x6x9x7; expected 2x4x9x7"},
    {"batchnorm_add_relu_grad", "half half half c4 c4 c4", "", "-> bf16 2x4x9x7, f32 4, f32 4, bf16 2x4x9x7"},
    {"batchnorm_add_relu_grad", "image image image c4 c4 c4 image", "",
     "-> f32 2x4x9x7, f32 4, f32 4, f32 2x4x9x7"},
    {"batchnorm_add_relu_grad", "image y6 image c4 c4 c4", "", "y is 2x6x9x7; expected 2x4x9x7"},
    {"batchnorm_add_relu_grad", "image image image c4 c4 c4 half", "", "the second dy is bf16; expected f32"},

    {"relu", "half", "", "-> bf16 2x4x9x7"},
    {"relu", "raw", "", "x is u8; expected a float type"},
    {"relu", "c4", "", "x is 4; expected rank 4 or 2"},
    {"relu_grad", "image image", "", "-> f32 2x4x9x7"},
    {"relu_grad", "image half", "", "dy is bf16; expected f32"},
    {"clip", "flat", "low=-1 high=1", "-> f32 2x12"},
    {"clip", "flat", "low=2 high=1", "low is 2; expected at most high, which is 1"},
    {"clip_grad", "flat flat", "", "-> f32 2x12"},
    {"clip_grad", "flat dlin", "", "dy is 2x10; expected 2x12"},
    {"sigmoid", "half", "", "-> bf16 2x4x9x7"},
    {"sigmoid", "raw", "", "x is u8; expected a float type"},
    {"sigmoid_grad", "flat flat", "", "-> f32 2x12"},
    {"sigmoid_grad", "image half", "", "dy is bf16; expected f32"},
    {"leaky_relu", "half", "slope=0", "-> bf16 2x4x9x7"},
    {"leaky_relu", "flat", "slope=-0.1", "slope is -0.1; expected 0 to 1"},
    {"leaky_relu", "c4", "", "x is 4; expected rank 4 or 2"},
    {"leaky_relu_grad", "flat flat", "slope=0.2", "-> f32 2x12"},
    {"leaky_relu_grad", "image half", "", "dy is bf16; expected f32"},
    {"tanh", "double", "", "-> f64 2x4x9x7"},
    {"tanh", "raw", "", "x is u8; expected a float type"},
    {"tanh_grad", "flat flat", "", "-> f32 2x12"},
    {"tanh_grad", "image flat", "", "dy is 2x12; expected 2x4x9x7"},
    {"gelu", "half", "tanh=1", "-> bf16 2x4x9x7"},
    {"gelu", "half", "tanh=2", "tanh is 2; expected 0 to 1"},
    {"gelu_grad", "flat flat", "tanh=1", "-> f32 2x12"},
    {"gelu_grad", "flat dlin", "", "dy is 2x10; expected 2x12"},
    {"silu", "image", "", "-> f32 2x4x9x7"},
    {"silu", "labels", "", "x is i32; expected a float type"},
    {"silu_grad", "half half", "", "-> bf16 2x4x9x7"},
    {"silu_grad", "image half", "", "dy is bf16; expected f32"},
    {"hard_swish", "flat", "", "-> f32 2x12"},
    {"hard_swish", "raw", "", "x is u8; expected a float type"},
    {"hard_swish_grad", "flat flat", "", "-> f32 2x12"},
    {"hard_swish_grad", "flat dlin", "", "dy is 2x10; expected 2x12"},
    {"dropout", "half", "rate=0.999 site=16777215", "-> bf16 2x4x9x7"},
    {"dropout", "flat", "rate=1", "rate is 1; expected 0 to 0.999"},
    {"dropout", "flat", "rate=-0.1", "rate is -0.1; expected 0 to"},
    {"dropout", "flat", "site=16777216", "site is 16777216; expected 0 to 16777215"},

    {"max_pool", "image", "kernel_h=2 kernel_w=2 stride_h=2 stride_w=2", "-> f32 2x4x4x3, u8 2x4x4x3"},
    {"max_pool", "image", "kernel_h=3 kernel_w=3 stride_h=2 stride_w=2 pad_h=1 pad_w=1",
     "-> f32 2x4x5x4, u8 2x4x5x4"},
    {"max_pool", "wide", "kernel_h=15 kernel_w=17", "-> f32 2x2x26x24, u8 2x2x26x24"},
    {"max_pool", "wide", "kernel_h=16 kernel_w=16", "-> f32 2x2x25x25, i32 2x2x25x25"},
    {"max_pool", "image", "kernel_h=10", "a window of height 10 (dilation 1) does not fit into height 9"},
    {"max_pool", "image", "kernel_h=3 kernel_w=8",
     "a window of width 8 (dilation 1) does not fit into width 7"},
    {"max_pool", "image", "kernel_h=2 kernel_w=2 pad_h=2",
     "padding 2x0; expected less than the window, which is 2x2"},
    {"max_pool", "image", "dilation_h=2", "dilation_h is 2; expected 1 to 1"},
    {"max_pool", "flat", "", "x is 2x12; expected rank 4"},
    {"max_pool_grad", "p4 index4", "kernel_h=2 kernel_w=2 stride_h=2 stride_w=2 size_h=9 size_w=7",
     "-> f32 2x4x9x7"},
    {"max_pool_grad", "p4 index4i", "kernel_h=2 kernel_w=2 stride_h=2 stride_w=2 size_h=9 size_w=7",
     "the index is i32; expected u8"},
    {"max_pool_grad", "p4 index4", "kernel_h=2 kernel_w=2 stride_h=2 stride_w=2 size_h=10 size_w=7",
     "dy is 2x4x4x3; expected 2x4x5x3"},
    {"max_pool_grad", "image index4", "size_h=9 size_w=7", "the index is 2x4x4x3; expected 2x4x9x7"},
    {"avg_pool", "half", "kernel_h=9 kernel_w=7 count_padding=0", "-> bf16 2x4x1x1"},
    {"avg_pool", "image", "size_h=9", "size_h is 9; expected 0 to 0"},
    {"avg_pool", "image", "count_padding=2", "count_padding is 2; expected 0 to 1"},
    {"avg_pool_grad", "pooled", "kernel_h=9 kernel_w=7 size_h=9 size_w=7", "-> f32 2x4x9x7"},
    {"avg_pool_grad", "pooled", "kernel_h=8 kernel_w=7 size_h=9 size_w=7", "dy is 2x4x1x1; expected 2x4x2x1"},
    {"global_avg_pool", "image", "", "-> f32 2x4x1x1"},
    {"global_avg_pool", "flat", "", "x is 2x12; expected rank 4"},
    {"global_avg_pool_grad", "pooled", "size_h=9 size_w=7", "-> f32 2x4x9x7"},
    {"global_avg_pool_grad", "p4", "size_h=9 size_w=7", "dy is 2x4x4x3; expected 2x4x1x1"},

    {"add", "c4 c4", "", "-> f32 4"},
    {"add_relu", "half half", "", "-> bf16 2x4x9x7"},
    {"add", "image half", "", "b is bf16; expected f32"},
    {"add", "image flat", "", "b is 2x12; expected 2x4x9x7"},
    {"add", "labels labels", "", "a is i32; expected a float type"},
    {"add", "image one", "", "-> f32 2x4x9x7"},
    {"add_relu", "pooled image", "", "-> f32 2x4x9x7"},
    {"add", "c4 b6", "", "b is 6; expected 4, or 1"},
    {"add", "flat c4", "", "b is 4; expected 2x12, or 1"},
    {"add", "image rank3", "", "b is 2x4x9; expected 2x4x9x7, or 1"},
    {"mul", "image pooled", "", "-> f32 2x4x9x7"},
    {"mul", "pooled image", "", "-> f32 2x4x9x7"},
    {"mul", "column row", "", "-> f32 5x12"},
    {"mul", "rank3 column9", "", "-> f32 2x4x9"},
    {"mul", "half half", "", "-> bf16 2x4x9x7"},
    {"mul", "image half", "", "b is bf16; expected f32"},
    {"mul", "image scalar", "", "b is scalar; expected 2x4x9x7, or 1"},
    {"mul", "image y6", "", "b is 2x6x9x7; expected 2x4x9x7, or 1"},
    {"mul", "labels labels", "", "a is i32; expected a float type"},
    {"sum_to", "half", "rank=4 d0=2 d1=4", "-> f32 2x4x1x1"},
    {"sum_to", "half half", "rank=4 d0=1 d1=4", "-> f32 1x4x1x1"},
    {"sum_to", "double", "rank=4 d0=2 d1=4 d2=9 d3=7", "-> f64 2x4x9x7"},
    {"sum_to", "rank3", "rank=2 d0=4", "-> f32 4x1"},
    {"sum_to", "image pooled", "rank=4 d3=7", "-> f32 1x1x1x7"},
    {"sum_to", "image", "rank=4 d0=3", "to 3x1x1x1; expected a shape that broadcasts to that of x, 2x4x9x7"},
    {"sum_to", "image", "rank=3 d2=7", "to 1x1x7; expected a shape that broadcasts"},
    {"sum_to", "flat", "rank=1 d0=12", "to 12; expected a shape that broadcasts"},
    {"sum_to", "image", "rank=6", "rank is 6; expected 0 to 5"},
    {"sum_to", "image half", "rank=4", "the factor is bf16; expected f32"},
    {"sum_to", "image y6", "rank=4", "the factor is 2x6x9x7; expected a shape that broadcasts"},
    {"sum_to", "labels", "rank=2", "x is i32; expected a float type"},
    {"cast", "image", "to=bf16", "-> bf16 2x4x9x7"},
    {"cast", "image", "to=f16", "-> f16 2x4x9x7"},
    {"cast", "image", "to=i32", "from f32 to i32; expected two float types"},
    {"cast", "raw", "", "from u8 to f32; expected two float types"},
    {"flatten", "half", "", "-> bf16 2x252"},
    {"flatten", "flat", "", "x is 2x12; expected rank 4"},
    {"unflatten", "flat", "channels=2 height=3 width=2", "-> f32 2x2x3x2"},
    {"unflatten", "flat", "channels=2 height=3 width=3", "x is 2x12; expected 2x18"},
    {"unflatten", "image", "channels=4 height=9 width=7", "x is 2x4x9x7; expected 2x252"},

    {"reshape", "image", "dim0=2 dim1=63 dim2=4", "-> f32 2x63x4"},
    {"reshape", "half", "dim0=504", "-> bf16 504"},
    {"reshape", "flat", "dim0=2 dim1=1 dim2=3 dim3=4 dim4=1", "-> f32 2x1x3x4x1"},
    {"reshape", "flat", "dim0=5 dim1=5", "x is 2x12, 24 numbers, which do not fill 5x5"},
    {"reshape", "flat", "dim0=1099511627776 dim1=1099511627776",
     "which do not fill 1099511627776x1099511627776"},
    {"reshape", "flat", "", "x is 2x12, 24 numbers, which do not fill scalar"},
    {"reshape", "flat", "dim0=24 dim2=1", "dim2 is 1; expected 0, as dim1 is"},
    {"reshape", "labels", "dim0=5", "x is i32; expected a float type"},
    {"transpose", "flat", "axis0=1 axis1=0", "-> f32 12x2"},
    {"transpose", "half", "axis0=3 axis1=0 axis2=2 axis3=1", "-> bf16 7x2x9x4"},
    {"transpose", "rank3", "", "-> f32 2x4x9"},
    {"transpose", "flat", "axis0=1", "axis1 is 1, as is one before it"},
    {"transpose", "flat", "axis1=2", "axis1 is 2; x has rank 2"},
    {"transpose", "flat", "axis2=1", "axis2 is 1; x has rank 2"},
    {"transpose", "flat", "axis0=5", "axis0 is 5; expected 0 to 4"},
    {"transpose", "raw", "", "x is u8; expected a float type"},
    {"concat", "image p4x", "axis=2", "-> f32 2x4x13x7"},
    {"concat", "flat dlin", "axis=1", "-> f32 2x22"},
    {"concat", "c4 b6 c4", "", "-> f32 14"},
    {"concat", "image", "", "1 inputs; expected 2 to 8"},
    {"concat", "image p4x", "axis=4", "axis is 4; x has rank 4"},
    {"concat", "image p4x", "axis=3", "input 1 is 2x4x4x7; expected 2x4x9x7"},
    {"concat", "image flat", "", "input 1 is 2x12; expected rank 4"},
    {"concat", "image half", "", "input 1 is bf16; expected f32"},
    {"concat", "labels labels", "", "input 0 is i32; expected a float type"},
    {"concat", "c4 c4", "size=2", "size is 2; expected 1 to 1"},
    {"slice", "image", "axis=1 begin=1 size=3", "-> f32 2x3x9x7"},
    {"slice", "half", "axis=3 begin=6", "-> bf16 2x4x9x1"},
    {"slice", "flat", "axis=1 begin=12", "1 places from 12 on; x has 12 along axis 1"},
    {"slice", "flat", "axis=2", "axis is 2; x has rank 2"},
    {"slice", "flat", "size=0", "size is 0; expected 1 to 1099511627776"},
    {"slice", "labels", "", "x is i32; expected a float type"},
    {"pad", "image", "axis=1 begin=1 size=6", "-> f32 2x6x9x7"},
    {"pad", "rank3", "axis=2 size=9", "-> f32 2x4x9"},
    {"pad", "flat", "axis=1 begin=3 size=14",
     "x has 12 places along axis 1, which do not fit into 14 from 3 on"},
    {"pad", "scalar", "", "axis is 0; x has rank 0"},
    {"pad", "raw", "", "x is u8; expected a float type"},
    {"repeat", "one", "times=3", "-> f32 3x4x1x1"},
    {"repeat", "one_each", "", "-> f32 1x4"},
    {"repeat", "flat", "times=3", "x is 2x12; expected one place along axis 0"},
    {"repeat", "scalar", "times=3", "x is scalar; expected one place along axis 0"},

    {"matmul", "rank3 rank3b", "", "-> f32 2x4x5"},
    {"matmul", "rank3 rank3", "transpose_b=1 scale=0.5", "-> f32 2x4x4"},
    {"matmul", "rank3 rank3", "transpose_a=1", "-> f32 2x9x9"},
    {"matmul", "rank5 rank5b", "transpose_b=1", "-> f32 2x3x1x4x5"},
    {"matmul", "flat fc", "transpose_b=1", "-> f32 2x10"},
    {"matmul", "rank3 rank3", "", "b is 2x4x9; expected 2x9x9"},
    {"matmul", "rank3 rank3b", "scale=1e-50", "scale is 0 as f32"},
    {"matmul", "rank3 rank5", "", "b is 2x3x1x4x9; expected rank 3"},
    {"matmul", "image image", "", "a is 2x4x9x7; expected rank 2, 3 or 5"},
    {"matmul", "c4 c4", "", "a is 4; expected rank 2, 3 or 5"},
    {"matmul", "rank3 half3", "transpose_b=1", "b is bf16; expected f32"},
    {"matmul", "labels labels", "", "a is i32; expected a float type"},
    {"matmul", "rank3 rank3b", "scale=nan", "scale is nan; expected"},
    {"layernorm", "rank3 c9 c9", "", "-> f32 2x4x9"},
    {"layernorm", "half c4 c4", "epsilon=1e-6", "-> bf16 2x4x9x7"},
    {"layernorm", "flat c12 c12", "", "-> f32 2x12"},
    {"layernorm", "image c9 c4", "", "the scale is 9; expected 4"},
    {"layernorm", "half c4 c4half", "", "the shift is bf16; expected f32"},
    {"layernorm", "c4 c4 c4", "", "x is 4; expected rank 2 or more"},
    {"layernorm", "flat c12 c12", "groups=2", "groups is 2; expected 1 to 1"},
    {"layernorm", "single c5 c5", "", "x is 5x1: the statistics of one value say nothing"},
    {"layernorm_grad", "half half c4", "", "-> bf16 2x4x9x7, f32 4, f32 4"},
    {"layernorm_grad", "flat dlin c12", "", "dy is 2x10; expected 2x12"},
    {"groupnorm", "image c4 c4", "groups=2", "-> f32 2x4x9x7"},
    {"groupnorm", "flathalf c12 c12", "groups=3", "-> bf16 2x12"},
    {"groupnorm", "image c4 c4", "groups=3", "3 groups do not divide 4 channels"},
    {"groupnorm", "image c4 c4", "groups=0", "groups is 0; expected 1 to 2147483647"},
    {"groupnorm", "flat c12 c12", "groups=12", "x is 2x12: the statistics of one value say nothing"},
    {"groupnorm", "rank3 c4 c4", "", "x is 2x4x9; expected rank 4 or 2"},
    {"groupnorm", "image c4 c5", "", "the shift is 5; expected 4"},
    {"groupnorm_grad", "image image c4", "groups=4", "-> f32 2x4x9x7, f32 4, f32 4"},
    {"groupnorm_grad", "image half c4", "", "dy is bf16; expected f32"},
    {"embedding", "labels fc", "", "-> f32 5x12"},
    {"embedding", "tokens flathalf", "", "-> bf16 2x6x12"},
    {"embedding", "tokens3 fc", "", "the index is 2x6x3; expected rank 1 or 2"},
    {"embedding", "ones fc", "", "the index is f32; expected i32. Samples come to a model as f32"},
    {"embedding", "labels labels", "", "the table is i32; expected a float type"},
    {"embedding", "labels image", "", "the table is 2x4x9x7; expected rank 2"},
    {"embedding_grad", "tokens dtokens", "rows=30", "-> f32 30x12"},
    {"embedding_grad", "labels logits", "rows=30", "-> f32 30x3"},
    {"embedding_grad", "labels flat", "rows=30", "dy is 2x12; expected 5x12"},
    {"embedding_grad", "tokens flat", "", "dy is 2x12; expected rank 3"},

    {"softmax", "logits", "", "-> f32 5x3"},
    {"softmax", "half3", "", "-> bf16 2x4x9"},
    {"softmax", "labels", "", "x is i32; expected a float type"},
    {"softmax", "image", "",
     "x is 2x4x9x7; expected rank 2, 3 or 5: of an image, the last axis does not lie closest"},
    {"softmax", "c4", "", "x is 4; expected rank 2, 3 or 5"},
    {"softmax_grad", "logits target", "", "-> f32 5x3"},
    {"softmax_grad", "logits flat", "", "dy is 2x12; expected 5x3"},
    {"cross_entropy", "logits labels ones", "smoothing=0.1", "-> f32 scalar, f32 scalar, f32 scalar"},
    {"cross_entropy", "logits labels ones", "smoothing=1", "smoothing is 1; expected 0 to 0.999"},
    {"cross_entropy", "image labels ones", "", "the logits is 2x4x9x7; expected rank 2"},
    {"cross_entropy", "logits wrong_labels ones", "", "the target is 4; expected 5"},
    {"cross_entropy", "logits float_labels ones", "", "the target is f32; expected i32"},
    {"cross_entropy", "logits labels c4", "", "the weight is 4; expected 5"},
    {"cross_entropy_grad", "logits labels ones scalar", "", "-> f32 5x3"},
    {"cross_entropy", "logits labels ones augment5", "", "-> f32 scalar, f32 scalar, f32 scalar"},
    {"cross_entropy", "logits labels ones augment", "", "augment is 2x32; expected 5x32"},
    {"cross_entropy", "logits labels ones scalar", "", "augment is scalar; expected 5x32"},
    {"cross_entropy_grad", "logits labels ones scalar augment5", "", "-> f32 5x3"},
    {"cross_entropy_grad", "logits labels ones scalar augment", "", "augment is 2x32; expected 5x32"},
    {"mse", "logits target ones augment5", "", "4 inputs; expected 3 to 3"},
    {"cross_entropy_grad", "logits labels ones ones", "", "the seed is 5; expected rank 0"},
    {"mse", "logits target ones", "", "-> f32 scalar, f32 scalar, f32 scalar"},
    {"mse", "logits flat ones", "", "the target is 2x12; expected 5x3"},
    {"mse", "logits labels ones", "", "the target is i32; expected f32 or f64"},
    {"mse_grad", "logits target ones scalar", "", "-> f32 5x3"},
    {"mse_grad", "logits target ones", "", "3 inputs; expected 4 to 4"},
    {"mae", "logits target ones", "", "-> f32 scalar, f32 scalar, f32 scalar"},
    {"mae", "logits flat ones", "", "the target is 2x12; expected 5x3"},
    {"mae", "image target ones", "", "the prediction is 2x4x9x7; expected rank 2"},
    {"mae_grad", "logits target ones scalar", "", "-> f32 5x3"},
    {"mae_grad", "logits target ones ones", "", "the seed is 5; expected rank 0"},
    {"huber", "logits target ones", "delta=0.5", "-> f32 scalar, f32 scalar, f32 scalar"},
    {"huber", "logits target ones", "delta=0", "delta is 0; expected 1e-30 to 1e+30"},
    {"huber", "logits labels ones", "", "the target is i32; expected f32 or f64"},
    {"huber_grad", "logits target ones scalar", "delta=0.5", "-> f32 5x3"},
    {"huber_grad", "logits target ones", "", "3 inputs; expected 4 to 4"},
    {"binary_cross_entropy", "logits target ones", "smoothing=0.1", "-> f32 scalar, f32 scalar, f32 scalar"},
    {"binary_cross_entropy", "logits target ones", "smoothing=1", "smoothing is 1; expected 0 to 0.999"},
    {"binary_cross_entropy", "logits flat ones", "", "the target is 2x12; expected 5x3"},
    {"binary_cross_entropy", "logits labels ones", "", "the target is i32; expected f32 or f64"},
    {"binary_cross_entropy", "image target ones", "", "the logits is 2x4x9x7; expected rank 2"},
    {"binary_cross_entropy_grad", "logits target ones scalar", "", "-> f32 5x3"},
    {"binary_cross_entropy_grad", "logits target ones ones", "", "the seed is 5; expected rank 0"},
    {"rank_flags", "", "", "-> f32 scalar, f32 scalar"},

    {"input", "raw", "[0, 1]", "-> f32 2x3x8x6"},
    {"input", "rawf augment", "augmented=1 [0, 1, 2, 1, 1, 1]", "-> f32 2x3x8x6"},
    {"input", "raw", "",
     "a list of 0 numbers (means, then standard deviations); expected 2 or 6 for 3 channels"},
    {"input", "raw", "[0, 1, 2]", "a list of 3 numbers"},
    {"input", "raw", "[0, 0, 1, 1]", "a list of 4 numbers"},
    {"input", "raw", "[0, 0]", "std 0 is 0; expected a number above 0"},
    {"input", "raw", "[0, 0, 0, 1, -1, 1]", "std 1 is -1; expected a number above 0"},
    {"input", "raw", "[0, nan]", "std 0 is nan"},
    {"input", "raw", "[inf, 1]", "mean 0 is inf; expected a finite number"},
    {"input", "raw", "scale=0 [0, 1]", "scale is 0; expected any other number"},
    {"input", "raw", "scale=inf [0, 1]", "scale is inf; expected"},
    {"input", "raw", "augmented=1 [0, 1]", "1 inputs; expected 2 with augmented=1"},
    {"input", "raw augment", "[0, 1]", "2 inputs; expected 1 with augmented=0"},
    {"input", "raw augment3", "augmented=1 [0, 1]", "augment is 2x3; expected 2x32"},
    {"input", "raw rawf", "augmented=1 [0, 1]", "augment is 2x3x8x6; expected 2x32"},
    {"input", "raw", "height=5 width=6 [0, 1]", "-> f32 2x3x5x6"},
    {"input", "raw", "height=9 [0, 1]", "height is 9; expected at most the sample's, 8"},
    {"input", "raw", "width=7 [0, 1]", "width is 7; expected at most the sample's, 6"},
    {"input", "raw16", "[0, 1]", "raw samples are u16; expected u8 or f32"},
    {"input", "flat", "[0, 1]", "raw is 2x12; expected rank 4"},
};
enum { CASES = sizeof cases / sizeof *cases };

static int value_named(const char *name) {
    for (int i = 0; i < VALUES; i++)
        if (strcmp(values[i][0], name) == 0) return i;
    fail_msg("no value '%s'", name);
    return -1;
}

static void write_case(struct ls_text *text, size_t at) {
    char inputs[128];
    ls_text_clear(text);
    ls_text_add(text, "graph eval\n");
    for (int i = 0; i < VALUES; i++)
        ls_text_add(text, "%%%d = param \"%s\" %s constant(0)\n", i, values[i][0], values[i][1]);
    for (int k = 0; k < ls_op_named(cases[at].op)->n_out; k++)
        ls_text_add(text, "%s%%%d", k ? ", " : "", VALUES + k);
    ls_text_add(text, " = %s \"node\" (", cases[at].op);
    snprintf(inputs, sizeof inputs, "%s", cases[at].inputs);
    char *rest = NULL;
    for (char *name = strtok_r(inputs, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        ls_text_add(text, "%s%%%d", name == inputs ? "" : ", ", value_named(name));
    ls_text_add(text, ") %s\n", cases[at].attributes);
}

static void each_rule(void **state) {
    (void)state;
    struct ls_text text = {0};
    for (size_t at = 0; at < CASES; at++) {
        struct ls_graph graph;
        write_case(&text, at);
        const char *expected = cases[at].expected;
        bool accepts = strncmp(expected, "-> ", 3) == 0;
        ls_status status = ls_graph_parse(&graph, text.data, "test");
        if (accepts && status) fail_msg("case %zu: %s", at, ls_error_last()->text);
        if (!accepts) {
            if (status != LS_INPUT) fail_msg("case %zu is not refused: %s", at, expected);
            char where[64];
            snprintf(where, sizeof where, "node \"node\" (%s): ", cases[at].op);
            if (!strstr(ls_error_last()->text, where))
                fail_msg("case %zu names no node: %s", at, ls_error_last()->text);
            if (!strstr(ls_error_last()->text, expected))
                fail_msg("case %zu: '%s'", at, ls_error_last()->text);
            continue;
        }
        ls_text_clear(&text);
        ls_graph_text(&graph, &text);
        const char *found = strstr(text.data, "-> ");
        if (strncmp(found, expected, strlen(expected)) != 0 || found[strlen(expected)] != '\n')
            fail_msg("case %zu (%s): expected %s, found %s", at, cases[at].op, expected, found);
        ls_graph_free(&graph);
    }
    ls_text_free(&text);
}

// Every op has an accepted and a refused case, but for the one that cannot be refused.
static void no_op_is_forgotten(void **state) {
    (void)state;
    for (int id = 0; id < ls_op_count; id++) {
        int accepted = 0, refused = 0;
        for (size_t at = 0; at < CASES; at++) {
            if (strcmp(cases[at].op, ls_op_table[id]->name) != 0) continue;
            if (strncmp(cases[at].expected, "-> ", 3) == 0)
                accepted++;
            else
                refused++;
        }
        if (!accepted) fail_msg("op %s has no case", ls_op_table[id]->name);
        bool same_rule = ls_op_table[id]->flags & LS_OP_FUSED;
        if (!refused && !same_rule && id != LS_OP_RANK_FLAGS)
            fail_msg("op %s is never refused", ls_op_table[id]->name);
    }
}

static void table_is_in_order(void **state) {
    (void)state;
    assert_int_equal(ls_op_count, LS_OPS);
    for (int id = 0; id < LS_OPS; id++) {
        const struct ls_op *op = ls_op_table[id];
        assert_non_null(op);
        assert_int_equal(op->id, id);
        assert_ptr_equal(ls_op_named(op->name), op);
        assert_non_null(op->infer);
        assert_in_range(op->n_out, 1, LS_MAX_OUT);
        assert_in_range(op->max_in, op->min_in, LS_MAX_IN);
        assert_in_range(op->n_attrs, 0, LS_MAX_ATTRS);
        if (op->flags & LS_OP_FUSED) assert_null(op->gradient);
        for (int i = 0; i < op->n_attrs; i++) assert_non_null(op->attrs[i].name);
    }
    assert_null(ls_op_named("nothing"));
}

static double flops_of(const char *text) {
    struct ls_graph graph;
    if (ls_graph_parse(&graph, text, "test")) fail_msg("%s", ls_error_last()->text);
    double flops = ls_node_flops(&graph, &graph.nodes[0]);
    ls_graph_free(&graph);
    return flops;
}

// Multiplications and additions are counted apart; a view costs nothing.
static void flops(void **state) {
    (void)state;
    assert_true(flops_of("graph eval\n%0 = param \"x\" f32 2x4x9x7 constant(0)\n%1 = param \"w\" f32 6x2x3x3 "
                         "constant(0)\n%2 = conv \"c\" (%0, %1) groups=2") == 2.0 * 2 * 6 * 7 * 5 * 2 * 9);
    assert_true(flops_of("graph eval\n%0 = param \"y\" f32 2x6x7x5 constant(0)\n%1 = param \"w\" f32 6x2x3x3 "
                         "constant(0)\n%2 = conv_input_grad \"c\" (%0, %1) groups=2 size_h=9 size_w=7") ==
                2.0 * 2 * 6 * 7 * 5 * 2 * 9);
    assert_true(
        flops_of("graph eval\n%0 = param \"x\" f32 2x4x9x7 constant(0)\n%1 = param \"y\" f32 2x6x7x5 "
                 "constant(0)\n%2 = conv_weight_grad \"c\" (%0, %1) groups=2 kernel_h=3 kernel_w=3") ==
        2.0 * 2 * 6 * 7 * 5 * 2 * 9);
    assert_true(
        flops_of("graph eval\n%0 = param \"x\" f32 3x5 constant(0)\n%1 = param \"w\" f32 7x5 constant(0)\n"
                 "%3 = param \"b\" f32 7 constant(0)\n%2 = linear \"l\" (%0, %1, %3)") ==
        2.0 * 3 * 5 * 7 + 3 * 7);
    assert_true(flops_of("graph eval\n%0 = param \"x\" f32 3x5 constant(0)\n%1 = relu \"r\" (%0)") == 15);
    assert_true(flops_of("graph eval\n%0 = param \"x\" f32 3x5x2x2 constant(0)\n%1 = flatten \"r\" (%0)") ==
                0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule),
        cmocka_unit_test(no_op_is_forgotten),
        cmocka_unit_test(table_is_in_order),
        cmocka_unit_test(flops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
