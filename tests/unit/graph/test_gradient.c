// The gradient pass: text in, what it appends out.
#include "graph/passes.h"
#include "unit/check.h"
#include "unit/graph/graph_check.h"

// A loss behind %10, the prediction [2, 3].
#define LOSS                                                                                                 \
    "%90 = target \"target\" f32 2x3\n"                                                                      \
    "%91 = weight \"weight\" f32 2\n"                                                                        \
    "%92 = seed \"seed\" f32 scalar\n"                                                                       \
    "%93, %94, %95 = mse \"loss\" (%10, %90, %91)\n"                                                         \
    "  output %93 \"metric:loss\"\n"
#define MSE_GRAD "%96 = mse_grad \"loss/mse_grad\" (%10, %90, %91, %92) -> f32 2x3\n"

static const struct {
    const char *what, *forward, *backward;
} cases[] = {
    {"a parameter itself", "%10 = param \"p\" f32 2x3 constant(0)\n" LOSS,
     MSE_GRAD "  output %96 \"grad:p\" of %10\n"},

    {"linear: no gradient of what does not depend on a parameter",
     "%0 = raw \"raw\" f32 2x3x1x1\n"
     "%1 = param \"w\" f32 3x3 constant(0)\n"
     "%2 = param \"b\" f32 3 constant(0)\n"
     "%3 = input \"in\" (%0) [0, 1]\n"
     "%4 = flatten \"flat\" (%3)\n"
     "%10 = linear \"fc\" (%4, %1, %2)\n" LOSS,
     MSE_GRAD "%97 = linear_weight_grad \"fc/linear_weight_grad\" (%4, %96) -> f32 3x3\n"
              "  output %97 \"grad:w\" of %1\n"
              "%98 = bias_grad \"fc/bias_grad\" (%96) -> f32 3\n"
              "  output %98 \"grad:b\" of %2\n"},

    {"a parameter used twice: the sum is the output",
     "%1 = param \"w\" f32 3x3 constant(0)\n"
     "%2 = param \"x\" f32 2x3 constant(0)\n"
     "%4 = linear \"a\" (%2, %1)\n"
     "%10 = linear \"b\" (%4, %1)\n" LOSS,
     MSE_GRAD "%97 = linear_input_grad \"b/linear_input_grad\" (%96, %1) -> f32 2x3\n"
              "%98 = linear_weight_grad \"b/linear_weight_grad\" (%4, %96) -> f32 3x3\n"
              "%99 = linear_input_grad \"a/linear_input_grad\" (%97, %1) -> f32 2x3\n"
              "  output %99 \"grad:x\" of %2\n"
              "%100 = linear_weight_grad \"a/linear_weight_grad\" (%2, %97) -> f32 3x3\n"
              "%101 = add \"w/grad_sum8\" (%98, %100) -> f32 3x3\n"
              "  output %101 \"grad:w\" of %1\n"},

    {"one gradient of two parameters: the second is a copy",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%2 = param \"b\" f32 2x3 constant(0)\n"
     "%10 = add \"sum\" (%1, %2)\n" LOSS,
     MSE_GRAD "  output %96 \"grad:a\" of %1\n"
              "%97 = cast \"grad:b\" (%96) -> f32 2x3\n"
              "  output %97 \"grad:b\" of %2\n"},

    {"sums with what needs no gradient, twice",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%2 = raw \"raw\" f32 2x3x1x1\n"
     "%3 = input \"in\" (%2) [0, 1]\n"
     "%4 = flatten \"flat\" (%3)\n"
     "%5 = add \"once\" (%1, %4)\n"
     "%10 = add \"twice\" (%5, %4)\n" LOSS,
     MSE_GRAD "  output %96 \"grad:a\" of %1\n"},

    {"a sum with itself",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%10 = add \"sum\" (%1, %1)\n" LOSS,
     MSE_GRAD "%97 = add \"a/grad_sum3\" (%96, %96) -> f32 2x3\n"
              "  output %97 \"grad:a\" of %1\n"},

    {"a view's memory is another value's: the output is a copy",
     "%1 = param \"a\" f32 2x3x1x1 constant(0)\n"
     "%10 = flatten \"flat\" (%1)\n" LOSS,
     MSE_GRAD "%97 = unflatten \"flat/unflatten\" (%96) channels=3 -> f32 2x3x1x1\n"
              "%98 = cast \"grad:a\" (%97) -> f32 2x3x1x1\n"
              "  output %98 \"grad:a\" of %1\n"},

    {"views both ways",
     "%1 = param \"a\" f32 2x12 constant(0)\n"
     "%2 = unflatten \"image\" (%1) channels=3 height=2 width=2\n"
     "%3 = global_avg_pool \"pool\" (%2)\n"
     "%10 = flatten \"flat\" (%3)\n" LOSS,
     MSE_GRAD
     "%97 = unflatten \"flat/unflatten\" (%96) channels=3 -> f32 2x3x1x1\n"
     "%98 = global_avg_pool_grad \"pool/global_avg_pool_grad\" (%97) size_h=2 size_w=2 -> f32 2x3x2x2\n"
     "%99 = flatten \"image/flatten\" (%98) -> f32 2x12\n"
     "%100 = cast \"grad:a\" (%99) -> f32 2x12\n"
     "  output %100 \"grad:a\" of %1\n"},

    {"softmax, sigmoid, dropout, clip, relu",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%2 = relu \"relu\" (%1)\n"
     "%3 = clip \"clip\" (%2) low=-1 high=1\n"
     "%4 = dropout \"drop\" (%3) rate=0.25 site=3\n"
     "%5 = sigmoid \"gate\" (%4)\n"
     "%10 = softmax \"soft\" (%5)\n" LOSS,
     MSE_GRAD "%97 = softmax_grad \"soft/softmax_grad\" (%10, %96) -> f32 2x3\n"
              "%98 = sigmoid_grad \"gate/sigmoid_grad\" (%5, %97) -> f32 2x3\n"
              "%99 = dropout \"drop/dropout\" (%98) rate=0.25 site=3 -> f32 2x3\n"
              "%100 = clip_grad \"clip/clip_grad\" (%3, %99) low=-1 high=1 -> f32 2x3\n"
              "%101 = relu_grad \"relu/relu_grad\" (%2, %100) -> f32 2x3\n"
              "  output %101 \"grad:a\" of %1\n"},

    {"values that move, there and back",
     "%1 = param \"a\" f32 2x3x2 constant(0)\n"
     "%2 = param \"b\" f32 1x3x2 constant(0)\n"
     "%3 = concat \"join\" (%2, %1, %2) axis=0\n"
     "%4 = transpose \"turn\" (%3) axis0=1 axis1=2 axis2=0\n"
     "%5 = pad \"wide\" (%4) axis=2 begin=1 size=6\n"
     "%6 = slice \"some\" (%5) axis=2 begin=2 size=1\n"
     "%10 = reshape \"flat\" (%6) dim0=2 dim1=3\n" LOSS,
     MSE_GRAD "%97 = reshape \"flat/reshape\" (%96) dim0=3 dim1=2 dim2=1 -> f32 3x2x1\n"
              "%98 = pad \"some/pad\" (%97) axis=2 begin=2 size=6 -> f32 3x2x6\n"
              "%99 = slice \"wide/slice\" (%98) axis=2 begin=1 size=4 -> f32 3x2x4\n"
              "%100 = transpose \"turn/transpose\" (%99) axis0=2 axis1=0 axis2=1 -> f32 4x3x2\n"
              "%101 = slice \"join/slice\" (%100) -> f32 1x3x2\n"
              "%102 = slice \"join/slice\" (%100) begin=1 size=2 -> f32 2x3x2\n"
              "  output %102 \"grad:a\" of %1\n"
              "%103 = slice \"join/slice\" (%100) begin=3 -> f32 1x3x2\n"
              "%104 = add \"b/grad_sum14\" (%101, %103) -> f32 1x3x2\n"
              "  output %104 \"grad:b\" of %2\n"},

    {"a repeated value: the sum, and a copy where that is another value's memory",
     "%1 = param \"a\" f32 1x3 constant(0)\n"
     "%10 = repeat \"twice\" (%1) times=2\n" LOSS,
     MSE_GRAD "%97 = reshape \"reshape3\" (%96) dim0=2 dim1=3 -> f32 2x3\n"
              "%98 = bias_grad \"bias_grad4\" (%97) -> f32 3\n"
              "%99 = reshape \"reshape5\" (%98) dim0=1 dim1=3 -> f32 1x3\n"
              "%100 = cast \"grad:a\" (%99) -> f32 1x3\n"
              "  output %100 \"grad:a\" of %1\n"},

    {"products, with one factor transposed, and both",
     "%1 = param \"a\" f32 4x2 constant(0)\n"
     "%2 = param \"b\" f32 4x3 constant(0)\n"
     "%3 = param \"c\" f32 3x3 constant(0)\n"
     "%4 = matmul \"one\" (%1, %2) transpose_a=1 scale=0.5\n"
     "%10 = matmul \"two\" (%4, %3) transpose_b=1\n" LOSS,
     MSE_GRAD "%97 = matmul \"two/matmul\" (%96, %3) -> f32 2x3\n"
              "%98 = matmul \"two/matmul\" (%96, %4) transpose_a=1 -> f32 3x3\n"
              "  output %98 \"grad:c\" of %3\n"
              "%99 = matmul \"one/matmul\" (%2, %97) transpose_b=1 scale=0.5 -> f32 4x2\n"
              "  output %99 \"grad:a\" of %1\n"
              "%100 = matmul \"one/matmul\" (%1, %97) scale=0.5 -> f32 4x3\n"
              "  output %100 \"grad:b\" of %2\n"},

    {"normalization of rows and of groups, and rows of a table",
     "%0 = target \"target\" i32 2\n"
     "%1 = param \"table\" f32 5x3 constant(0)\n"
     "%2 = param \"scale\" f32 3 constant(0)\n"
     "%3 = param \"shift\" f32 3 constant(0)\n"
     "%4 = embedding \"words\" (%0, %1)\n"
     "%5 = layernorm \"norm\" (%4, %2, %3) epsilon=0.001\n"
     "%10 = groupnorm \"groups\" (%5, %2, %3)\n"
     "%91 = weight \"weight\" f32 2\n"
     "%92 = seed \"seed\" f32 scalar\n"
     "%93, %94, %95 = cross_entropy \"loss\" (%10, %0, %91)\n"
     "  output %93 \"metric:loss\"\n",
     "%96 = cross_entropy_grad \"loss/cross_entropy_grad\" (%10, %0, %91, %92) -> f32 2x3\n"
     "%97, %98, %99 = groupnorm_grad \"groups/groupnorm_grad\" (%5, %96, %2) -> f32 2x3, f32 3, f32 3\n"
     "%100, %101, %102 = layernorm_grad \"norm/layernorm_grad\" (%4, %97, %2) epsilon=0.001 -> f32 2x3, f32 "
     "3, f32 3\n"
     "%103 = add \"scale/grad_sum7\" (%98, %101) -> f32 3\n"
     "  output %103 \"grad:scale\" of %2\n"
     "%104 = add \"shift/grad_sum8\" (%99, %102) -> f32 3\n"
     "  output %104 \"grad:shift\" of %3\n"
     "%105 = embedding_grad \"words/embedding_grad\" (%0, %100) rows=5 -> f32 5x3\n"
     "  output %105 \"grad:table\" of %1\n"},

    {"products, and sums over what was spread",
     "%1 = param \"a\" f32 2x1 constant(0)\n"
     "%2 = param \"b\" f32 2x3 constant(0)\n"
     "%3 = param \"c\" f32 1x3 constant(0)\n"
     "%4 = mul \"gated\" (%2, %1)\n"
     "%10 = add \"shifted\" (%3, %4)\n" LOSS,
     MSE_GRAD "%97 = sum_to \"shifted/sum_to\" (%96) d1=3 -> f32 1x3\n"
              "  output %97 \"grad:c\" of %3\n"
              "%98 = mul \"gated/mul\" (%96, %1) -> f32 2x3\n"
              "  output %98 \"grad:b\" of %2\n"
              "%99 = sum_to \"gated/sum_to\" (%96, %2) d0=2 -> f32 2x1\n"
              "  output %99 \"grad:a\" of %1\n"},

    {"activations: some by what came out, some by what went in",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%2 = leaky_relu \"leaky\" (%1) slope=0.25\n"
     "%3 = tanh \"tanh\" (%2)\n"
     "%4 = gelu \"gelu\" (%3) tanh=1\n"
     "%5 = silu \"silu\" (%4)\n"
     "%10 = hard_swish \"swish\" (%5)\n" LOSS,
     MSE_GRAD "%97 = hard_swish_grad \"swish/hard_swish_grad\" (%5, %96) -> f32 2x3\n"
              "%98 = silu_grad \"silu/silu_grad\" (%4, %97) -> f32 2x3\n"
              "%99 = gelu_grad \"gelu/gelu_grad\" (%3, %98) tanh=1 -> f32 2x3\n"
              "%100 = tanh_grad \"tanh/tanh_grad\" (%3, %99) -> f32 2x3\n"
              "%101 = leaky_relu_grad \"leaky/leaky_relu_grad\" (%2, %100) slope=0.25 -> f32 2x3\n"
              "  output %101 \"grad:a\" of %1\n"},

    {"a cast back to the type of what was cast",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%2 = cast \"half\" (%1) to=bf16\n"
     "%3 = relu \"relu\" (%2)\n"
     "%10 = cast \"full\" (%3)\n" LOSS,
     MSE_GRAD "%97 = cast \"full/cast\" (%96) to=bf16 -> bf16 2x3\n"
              "%98 = relu_grad \"relu/relu_grad\" (%3, %97) -> bf16 2x3\n"
              "%99 = cast \"half/cast\" (%98) -> f32 2x3\n"
              "  output %99 \"grad:a\" of %1\n"},

    {"convolution, batch normalization and pools; no gradient of the image",
     "%0 = raw \"raw\" u8 2x4x9x7\n"
     "%1 = param \"w\" f32 6x2x3x3 constant(0)\n"
     "%2 = param \"b\" f32 6 constant(0)\n"
     "%3 = param \"scale\" f32 6 constant(0)\n"
     "%4 = param \"shift\" f32 6 constant(0)\n"
     "%5 = param \"v\" f32 3x6x1x1 constant(0)\n"
     "%11 = input \"in\" (%0) [0, 1]\n"
     "%12 = conv \"conv\" (%11, %1, %2) stride_h=2 pad_w=1 groups=2\n"
     "%13, %14, %15 = batchnorm \"bn\" (%12, %3, %4) epsilon=0.001\n"
     "%16, %17 = max_pool \"max\" (%13) stride_h=2 kernel_h=2 kernel_w=3 pad_w=1\n"
     "%18 = avg_pool \"avg\" (%16) stride_w=7 kernel_h=2 kernel_w=2 count_padding=0\n"
     "%19 = conv \"head\" (%18, %5)\n"
     "%10 = flatten \"flat\" (%19)\n" LOSS,
     MSE_GRAD
     "%97 = unflatten \"flat/unflatten\" (%96) channels=3 -> f32 2x3x1x1\n"
     "%98 = conv_input_grad \"head/conv_input_grad\" (%97, %5) -> f32 2x6x1x1\n"
     "%99 = conv_weight_grad \"head/conv_weight_grad\" (%18, %97) -> f32 3x6x1x1\n"
     "  output %99 \"grad:v\" of %5\n"
     "%100 = avg_pool_grad \"avg/avg_pool_grad\" (%98) stride_w=7 kernel_h=2 kernel_w=2 size_h=2 size_w=7 "
     "count_padding=0 -> f32 2x6x2x7\n"
     "%101 = max_pool_grad \"max/max_pool_grad\" (%100, %17) stride_h=2 pad_w=1 kernel_h=2 kernel_w=3 "
     "size_h=4 "
     "size_w=7 -> f32 2x6x4x7\n"
     "%102, %103, %104 = batchnorm_grad \"bn/batchnorm_grad\" (%12, %101, %3, %14, %15) epsilon=0.001 -> f32 "
     "2x6x4x7, f32 6, f32 6\n"
     "  output %103 \"grad:scale\" of %3\n"
     "  output %104 \"grad:shift\" of %4\n"
     "%105 = conv_weight_grad \"conv/conv_weight_grad\" (%11, %102) stride_h=2 pad_w=1 groups=2 kernel_h=3 "
     "kernel_w=3 -> f32 6x2x3x3\n"
     "  output %105 \"grad:w\" of %1\n"
     "%106 = bias_grad \"conv/bias_grad\" (%102) -> f32 6\n"
     "  output %106 \"grad:b\" of %2\n"},

    {"transposed convolution, and an image of another size",
     "%1 = param \"x\" f32 2x4x2x2 constant(0)\n"
     "%2 = param \"w\" f32 4x3x3x2 constant(0) frozen\n"
     "%3 = param \"v\" f32 3x1x2x2 constant(0)\n"
     "%4 = param \"b\" f32 3 constant(0)\n"
     "%5 = conv_transpose \"up\" (%1, %2) stride_h=2 pad_h=1 size_h=4 size_w=3\n"
     "%6 = conv_transpose \"wide\" (%5, %3) groups=3 size_h=5 size_w=4\n"
     "%8 = bias \"more\" (%6, %4)\n"
     "%7 = resize \"small\" (%8) height=1 width=1 bilinear=1\n"
     "%10 = flatten \"flat\" (%7)\n" LOSS,
     MSE_GRAD
     "%97 = unflatten \"flat/unflatten\" (%96) channels=3 -> f32 2x3x1x1\n"
     "%98 = resize_grad \"small/resize_grad\" (%97) size_h=5 size_w=4 bilinear=1 -> f32 2x3x5x4\n"
     "%99 = bias_grad \"more/bias_grad\" (%98) -> f32 3\n"
     "  output %99 \"grad:b\" of %4\n"
     "%100 = conv \"wide/conv\" (%98, %3) groups=3 -> f32 2x3x4x3\n"
     "%101 = conv_weight_grad \"wide/conv_weight_grad\" (%98, %5) groups=3 kernel_h=2 kernel_w=2 -> f32 "
     "3x1x2x2\n"
     "  output %101 \"grad:v\" of %3\n"
     "%102 = conv \"up/conv\" (%100, %2) stride_h=2 pad_h=1 -> f32 2x4x2x2\n"
     "  output %102 \"grad:x\" of %1\n"},

    {"frozen parameters: nothing below the first that is trained",
     "%0 = raw \"raw\" f32 2x4x3x3\n"
     "%1 = param \"w\" f32 6x4x3x3 constant(0) decay frozen\n"
     "%2 = param \"scale\" f32 6 constant(1) frozen\n"
     "%3 = param \"shift\" f32 6 constant(0) frozen\n"
     "%4 = state \"mean\" f32 6 constant(0) frozen\n"
     "%5 = state \"var\" f32 6 constant(1) frozen\n"
     "%6 = param \"v\" f32 3x6 constant(0)\n"
     "%7 = param \"b\" f32 3 constant(0) frozen\n"
     "%11 = input \"in\" (%0) [0, 1]\n"
     "%12 = conv \"conv\" (%11, %1)\n"
     "%13 = batchnorm_eval \"bn\" (%12, %2, %3, %4, %5)\n"
     "%14 = relu \"relu\" (%13)\n"
     "%15 = flatten \"flat\" (%14)\n"
     "%10 = linear \"fc\" (%15, %6, %7)\n" LOSS,
     MSE_GRAD "%97 = linear_weight_grad \"fc/linear_weight_grad\" (%15, %96) -> f32 3x6\n"
              "  output %97 \"grad:v\" of %6\n"},

    {"frozen parameters in the middle: the gradient passes them",
     "%0 = raw \"raw\" f32 2x4x3x3\n"
     "%1 = param \"w\" f32 6x4x3x3 constant(0)\n"
     "%2 = param \"scale\" f32 6 constant(1) frozen\n"
     "%3 = param \"shift\" f32 6 constant(0) frozen\n"
     "%4 = state \"mean\" f32 6 constant(0) frozen\n"
     "%5 = state \"var\" f32 6 constant(1) frozen\n"
     "%6 = param \"v\" f32 3x6 constant(0) frozen\n"
     "%11 = input \"in\" (%0) [0, 1]\n"
     "%12 = conv \"conv\" (%11, %1)\n"
     "%13 = batchnorm_eval \"bn\" (%12, %2, %3, %4, %5) epsilon=0.001\n"
     "%14 = flatten \"flat\" (%13)\n"
     "%10 = linear \"fc\" (%14, %6)\n" LOSS,
     MSE_GRAD "%97 = linear_input_grad \"fc/linear_input_grad\" (%96, %6) -> f32 2x6\n"
              "%98 = unflatten \"flat/unflatten\" (%97) channels=6 -> f32 2x6x1x1\n"
              "%99 = batchnorm_eval_grad \"bn/batchnorm_eval_grad\" (%98, %2, %5) epsilon=0.001 -> f32 "
              "2x6x1x1\n"
              "%100 = conv_weight_grad \"conv/conv_weight_grad\" (%11, %99) kernel_h=3 kernel_w=3 -> f32 "
              "6x4x3x3\n"
              "  output %100 \"grad:w\" of %1\n"},

    {"cross entropy, with a branch that leads nowhere",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%2 = relu \"unused\" (%1)\n"
     "%90 = target \"target\" i32 2\n"
     "%91 = weight \"weight\" f32 2\n"
     "%92 = seed \"seed\" f32 scalar\n"
     "%93, %94, %95 = cross_entropy \"loss\" (%1, %90, %91) smoothing=0.1\n"
     "  output %93 \"metric:loss\"\n",
     "%96 = cross_entropy_grad \"loss/cross_entropy_grad\" (%1, %90, %91, %92) smoothing=0.1 -> f32 2x3\n"
     "  output %96 \"grad:a\" of %1\n"},

    {"Huber's loss",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%90 = target \"target\" f32 2x3\n"
     "%91 = weight \"weight\" f32 2\n"
     "%92 = seed \"seed\" f32 scalar\n"
     "%93, %94, %95 = huber \"loss\" (%1, %90, %91) delta=0.5\n"
     "  output %93 \"metric:loss\"\n",
     "%96 = huber_grad \"loss/huber_grad\" (%1, %90, %91, %92) delta=0.5 -> f32 2x3\n"
     "  output %96 \"grad:a\" of %1\n"},

    {"binary cross entropy",
     "%1 = param \"a\" f32 2x3 constant(0)\n"
     "%90 = target \"target\" f32 2x3\n"
     "%91 = weight \"weight\" f32 2\n"
     "%92 = seed \"seed\" f32 scalar\n"
     "%93, %94, %95 = binary_cross_entropy \"loss\" (%1, %90, %91) smoothing=0.1\n"
     "  output %93 \"metric:loss\"\n",
     "%96 = binary_cross_entropy_grad \"loss/binary_cross_entropy_grad\" (%1, %90, %91, %92) smoothing=0.1 "
     "-> "
     "f32 2x3\n"
     "  output %96 \"grad:a\" of %1\n"},
};

static void appends_backward(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ls_graph graph;
        struct ls_text text = {0};
        ls_text_add(&text, "graph train\n%s", cases[i].forward);
        parse(&graph, text.data);
        graph_text(&graph, &text);
        // Backward is what follows the text of the last forward node.
        size_t forward = text.length;
        if (ls_pass_gradient(&graph)) fail_msg("%s: %s", cases[i].what, ls_error_last()->text);
        graph_text(&graph, &text);
        if (strcmp(text.data + forward, cases[i].backward) != 0)
            fail_msg("%s: found\n%s", cases[i].what, text.data + forward);
        ls_text_free(&text);
        ls_graph_free(&graph);
    }
}

static const struct {
    const char *text, *error;
} refusals[] = {
    {"graph eval\n%10 = param \"p\" f32 2x3 constant(0)\n", "an evaluation graph has no backward"},
    {"graph train\n%10 = param \"p\" f32 2x3 constant(0)\n", "no value \"metric:loss\" to differentiate"},
    {"graph train\n%10 = param \"p\" f32 2x3 constant(0)\n%90 = target \"t\" f32 2x3\n%91 = weight \"w\" f32 "
     "2\n"
     "%93, %94, %95 = mse \"loss\" (%10, %90, %91)\noutput %93 \"metric:loss\"\n",
     "the graph has no seed"},
    {"graph train\n%10 = param \"p\" f32 2x3 constant(0)\n%1 = param \"lost\" f32 2x3 constant(0)\n" LOSS,
     "the loss does not depend on parameter \"lost\""},
    {"graph train\n%0 = param \"p\" f32 2x3 constant(0)\n%1 = param \"s\" f32 3 constant(0)\n"
     "%10 = batchnorm_eval \"bn\" (%0, %1, %1, %1, %1)\n" LOSS,
     "backward of node \"bn\" (batchnorm_eval): \"s\" has no gradient where running statistics are used; "
     "expected frozen"},
    {"graph train\n%0 = param \"p\" f32 2x3 constant(0)\n%1 = param \"s\" f32 3 constant(0)\n"
     "%2, %3, %4 = batchnorm \"bn\" (%0, %1, %1)\n%5 = param \"w\" f32 3x3 constant(0)\n"
     "%10 = linear \"fc\" (%2, %5, %3)\n" LOSS,
     "backward of node \"bn\" (batchnorm): the loss depends on the statistics themselves"},
};

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct ls_graph graph;
        parse(&graph, refusals[i].text);
        assert_error(ls_pass_gradient(&graph), LS_INPUT, refusals[i].error);
        ls_graph_free(&graph);
    }
}

// Every parameter of every model gets one output, and nothing flows back into the samples.
static void every_model(void **state) {
    (void)state;
    const struct ls_zoo_options options = {.classes = 10, .dropout = 0.5};
    for (int i = 0; ls_zoo_at(i); i++) {
        struct ls_graph graph;
        assert_int_equal(build_model(&graph, LS_TRAIN, ls_zoo_at(i)->name, &options, 64, 3), LS_OK);
        assert_int_equal(ls_pass_gradient(&graph), LS_OK);
        int params = 0, gradients = 0;
        for (ls_value value = 0; value < graph.n_values; value++) {
            const struct ls_value_info *info = ls_info(&graph, value);
            params += info->kind == LS_PARAM;
            gradients += info->kind == LS_OUTPUT && info->output_of != LS_NONE &&
                         ls_info(&graph, info->output_of)->kind == LS_PARAM;
        }
        assert_int_equal(params, gradients);
        assert_true(params > 0);
        ls_graph_free(&graph);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_backward),
        cmocka_unit_test(refuses),
        cmocka_unit_test(every_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
