// The ops: their ids, attribute slots and exact meaning. This page is what every device's kernels are written
// to. x, y: activations [N, C, H, W] (f32 or, after the precision pass, bf16 or f16) unless said otherwise;
// d…: a gradient, of the type of what it is the gradient of. Arithmetic is f32 (of 16 bits: widened, f32
// accumulators, one rounding at the end); in conformance tests everything is f64. Weights reach kernels in
// the activations' type; biases, scales, shifts, statistics, and gradients of parameters are always f32 (f64
// in those tests).
#pragma once

#include "graph/op.h"

#include "base/begin.h"

enum ls_op_id {
    // raw [N,C,H,W] (u8 or f32; lies NHWC, or NCHW where channels_first), augment i32 [N,LS_AUGMENT_WORDS]
    // (struct ls_augment, graph/augment.h) -> x f32 [N,C,OH,OW], OH and OW the attributes height and width,
    // where these are 0 H and W. Kernels compute with ops/augment_pixel.h, a pixel at a time, and so give the
    // same bits everywhere.
    //
    // Output (h, w) of a sample, in this order:
    // - Its place. h' = flip_vertical ? OH - 1 - h : h, w' = flip ? OW - 1 - w : w; it shows the sample's
    //   pixel (h' + dy + (H - OH) / 2, w' + dx + (W - OW) / 2), or raw 0 where there is none. With
    //   LS_AUGMENT_AFFINE instead place (y + h * y_a_row + w * y_a_column, x + h * x_a_row + w * x_a_column)
    //   / 65536, pixel (i, j) being the square from (i, j) to (i + 1, j + 1): raw 0 outside the sample,
    //   bilinear between the centres of pixels inside it, and on its rim the pixel that is nearest.
    // - LS_AUGMENT_COLOR, where a pixel of the sample is shown. With three channels v'[k] = color[3k] * v[0]
    //   + color[3k+1] * v[1] + color[3k+2] * v[2] + contrast * g, with any other number v' = color[0] * v +
    //   contrast * g; g is the mean grey of the whole raw sample (0.299, 0.587, 0.114 of three channels, the
    //   mean of any other number). Of u8, v' is held to 0 to 255.
    // - The line of the channel. The node's list is mean (n/2 values) then std (n/2), n/2 being 1 or C. With
    //   a = (float)(scale / std) and b = (float)(-mean / std), both computed in f64: v * a + b, rounded
    //   twice.
    // - LS_AUGMENT_CUT: 0 inside `cut`.
    // - LS_AUGMENT_MIXUP: factor * this + (1 - factor) * the same of sample `partner` (under the partner's
    //   own parameters, before its mixing). LS_AUGMENT_CUTMIX: the partner's inside `mix`.
    LS_OP_INPUT,
    LS_OP_CAST, // x -> y of type `to`
    // x, w [O, C/groups, KH, KW] (lies O,KH,KW,C/groups), optional bias f32 [O] -> y. Cross-correlation, zero
    // padding.
    LS_OP_CONV,
    LS_OP_CONV_INPUT_GRAD, // dy, w -> dx; attributes of the convolution, and height and width of x
    // x, w [C, O/groups, KH, KW] (lies C,KH,KW,O/groups) -> y [N,O,OH,OW], OH and OW the attributes size_h
    // and size_w: the convolution with these attributes and this w that takes y's shape to x's, the other
    // way. y is what LS_OP_CONV_INPUT_GRAD makes of x and w.
    LS_OP_CONV_TRANSPOSE,
    LS_OP_CONV_WEIGHT_GRAD,   // x, dy -> dw f32; attributes of the convolution, and kernel height and width
    LS_OP_LINEAR,             // x [N,F], w [O,F], optional bias f32 [O] -> y [N,O] = x wᵀ + bias
    LS_OP_LINEAR_INPUT_GRAD,  // dy, w -> dx
    LS_OP_LINEAR_WEIGHT_GRAD, // x, dy -> dw f32 [O,F]
    LS_OP_BIAS,               // x, bias f32 [C] -> x + bias, of each channel
    LS_OP_BIAS_GRAD,          // dy -> f32 [C]: sum over all but the channel
    // x, scale [C], shift [C] -> y, mean [C], var [C] (f32; of the lane, var biased). Two passes over x.
    LS_OP_BATCHNORM,
    LS_OP_BATCHNORM_GRAD,      // x, dy, scale, mean, var -> dx, dscale, dshift
    LS_OP_BATCHNORM_EVAL,      // x, scale, shift, running mean, running var -> y
    LS_OP_BATCHNORM_EVAL_GRAD, // dy, scale, running var -> dx, where scale and shift are frozen
    LS_OP_RELU,                // x -> max(x, 0); NaN stays NaN
    LS_OP_RELU_GRAD,           // y, dy -> dy where y > 0, else 0 (NaN in y: dy)
    LS_OP_CLIP,                // x -> min(max(x, low), high); NaN stays NaN
    LS_OP_CLIP_GRAD,           // y, dy -> dy where low < y < high, both rounded to the type of y, else 0
    LS_OP_SIGMOID,             // x -> 1 / (1 + exp(-x)), without overflow
    LS_OP_SIGMOID_GRAD,        // y, dy -> dy * (y * (1 - y))
    LS_OP_LEAKY_RELU,          // x -> x where x > 0, else slope * x; NaN stays NaN
    LS_OP_LEAKY_RELU_GRAD,     // y, dy -> dy where y > 0, else slope * dy (NaN in y: dy)
    LS_OP_TANH,                // x -> tanh(x)
    LS_OP_TANH_GRAD,           // y, dy -> dy * ((1 - y) * (1 + y))
    // x -> x P(x) (Hendrycks, Gimpel 2016), P(x) = erfc(-x / sqrt(2)) / 2, the normal distribution's; where
    // the attribute tanh is 1, their approximation: P(x) = (1 + tanh(u)) / 2 = sigmoid(2u), u =
    // sqrt(2 / pi) * (x + 0.044715 x^3)
    LS_OP_GELU,
    // x, dy -> dy * (P(x) + x p(x)), p the derivative of P: exp(-x^2 / 2) / sqrt(2 pi), or with tanh
    // 2 P(x) (1 - P(x)) du/dx
    LS_OP_GELU_GRAD,
    LS_OP_SILU,            // x -> x * sigmoid(x)
    LS_OP_SILU_GRAD,       // x, dy -> dy * (s * (1 + x * (1 - s))), s = sigmoid(x)
    LS_OP_HARD_SWISH,      // x -> x * (min(max(x + 3, 0), 6) / 6); NaN stays NaN
    LS_OP_HARD_SWISH_GRAD, // x, dy -> 0 where x <= -3, dy where x >= 3, else dy * (x / 3 + 1/2)
    // x -> y, index (u8 where the window has at most 255 places, else i32): place kh * KW + kw of the first
    // maximum. Padding is never chosen. NaN in the window: y is NaN and index its place.
    LS_OP_MAX_POOL,
    LS_OP_MAX_POOL_GRAD, // dy, index -> dx; attributes of the pool, height and width of x
    LS_OP_AVG_POOL, // x -> y; divides by the whole window, or by its part inside x where count_padding is 0
    LS_OP_AVG_POOL_GRAD,        // dy -> dx
    LS_OP_GLOBAL_AVG_POOL,      // x -> y [N,C,1,1]
    LS_OP_GLOBAL_AVG_POOL_GRAD, // dy -> dx; height and width of x
    // a, b -> a + b. Shapes broadcast as in numpy, over the axes as shapes name them (N, C, H, W); where they
    // differ, the rank is 2 or more, and rank 4 goes with rank 4 alone.
    LS_OP_ADD,
    LS_OP_MUL, // a, b -> a * b, shapes as of add
    // x, optional factor -> f32 (f64 among f64) of the shape that the attributes say: x, or x * factor, whose
    // shape broadcasts to x's, summed over what that shape lacks. The gradient of add and mul by what was
    // spread.
    LS_OP_SUM_TO,
    // x -> y [N,C,OH,OW], OH and OW the attributes height and width. Place (i, j) of y sees a row and a
    // column of x, or with bilinear two of each, as ops/resample.h has them for i and j: y is their pixel, or
    // the mean of their four by the products of the weights, the columns' taken first.
    LS_OP_RESIZE,
    LS_OP_RESIZE_GRAD, // dy -> dx; size_h and size_w of x
    LS_OP_FLATTEN,     // x [N,C,H,W] -> [N, H*W*C], a view: features in memory order
    LS_OP_UNFLATTEN,   // x [N, H*W*C] -> [N,C,H,W], a view: the gradient of flatten
    // x -> y, same bits for forward and backward (the gradient of dropout is dropout of the gradient, same
    // site). Element e (in memory order, inside sample n): word e % 4 of philox(seed, LS_RANDOM_DROPOUT,
    // (site << 40) + e / 4, first_position + n); kept where ls_uniform(word) >= rate, then times (float)(1 /
    // (1 - rate)); else 0.
    LS_OP_DROPOUT,
    LS_OP_SOFTMAX,      // x [N,C] or [N,…,C], no image -> y, over C; subtracts the maximum first
    LS_OP_SOFTMAX_GRAD, // y, dy -> dx
    // A loss has a score beside it, what a person asks of the task; like the loss it counts times the weight.
    // logits [N,C], target i32 [N], weight f32 [N], optional augment i32 [N,LS_AUGMENT_WORDS] -> loss, score,
    // weight sum (scalars f32; summed over samples in order in f64). Loss of a sample: (1 - s) * -log
    // p[target] + s / C * sum over c of -log p[c]. Score: 1 where the first maximum is the target, else 0. A
    // sample of weight 0 is left out whatever its target. With augment, a sample under LS_AUGMENT_MIXUP or
    // LS_AUGMENT_CUTMIX has two targets: its own of weight factor * weight, and its partner's of (1 - factor)
    // * the partner's weight; one of weight 0 is left out. Losses add up, and so do weights, the target with
    // the larger share (its own at 1/2) first. Score: the whole weight where the first maximum is that
    // target.
    LS_OP_CROSS_ENTROPY,
    // logits, target, weight, seed (scalar), optional augment -> dlogits, = seed * weight * (p - q), q the
    // smoothed target; of two targets the sum of both.
    LS_OP_CROSS_ENTROPY_GRAD,
    // prediction [N,D], target f32 [N,D], weight f32 [N] -> loss, score, weight sum. Loss of a sample: mean
    // over D of (prediction - target)². Score: mean over D of |prediction - target|.
    LS_OP_MSE,
    LS_OP_MSE_GRAD, // prediction, target, weight, seed -> dprediction
    // Like mse, with d = prediction - target. Loss of a sample: mean over D of |d|. Its gradient is 0 where d
    // is.
    LS_OP_MAE,
    LS_OP_MAE_GRAD,
    // … of d² / 2 where |d| <= delta, else delta * (|d| - delta / 2) (Huber 1964).
    LS_OP_HUBER,
    LS_OP_HUBER_GRAD,
    // logits [N,L], target f32 [N,L], 0 to 1, weight f32 [N] -> loss, score, weight sum. Loss of a sample:
    // mean over L of max(x, 0) - x q + log(1 + exp(-|x|)), which is that of sigmoid(x) against q, the
    // target smoothed: q = (1 - s) * target + s / 2. Score: 1 where, for every label, x > 0 just where
    // target > 1/2; else 0.
    LS_OP_BINARY_CROSS_ENTROPY,
    // logits, target, weight, seed -> dlogits, = seed * weight / L * (sigmoid(x) - q)
    LS_OP_BINARY_CROSS_ENTROPY_GRAD,
    LS_OP_RANK_FLAGS, // -> stop, fault (scalars f32): the lane control's

    // ---- values that only move, of any float type and rank; an axis is one of the shape, from 0 on

    LS_OP_RESHAPE,   // x -> y of the shape dim0, dim1, … (0 ends it), a view: the numbers lie as they lay
    LS_OP_TRANSPOSE, // x -> y: axis i of y is axis axis<i> of x
    LS_OP_CONCAT,    // 2 to 8 inputs, alike but along `axis` -> y, one behind the other along it
    LS_OP_SLICE,     // x -> y: places begin to begin + size - 1 of x along `axis`
    LS_OP_PAD,       // x -> y of `size` places along `axis`, x from `begin` on and 0 elsewhere
    LS_OP_REPEAT,    // x [1, …] -> y [times, …]

    // ---- attention

    // a, b of rank 2, 3 or 5, equal but for their last two axes -> y = scale * a' b', a product for each
    // place of the axes before: a' [m,k] is the last two of a, or, with transpose_a, these [k,m] transposed;
    // b' [k,n] likewise. The sum is scaled.
    LS_OP_MATMUL,
    // x of rank 2 and more, scale [C], shift [C] -> y = (x - mean) / sqrt(var + epsilon) * scale + shift,
    // over the C numbers that lie side by side: the last axis, of an image the channels. var is biased.
    LS_OP_LAYERNORM,
    LS_OP_LAYERNORM_GRAD, // x, dy, scale -> dx, dscale, dshift
    // The same with a mean and a variance for each sample and each of `groups` groups of channels.
    LS_OP_GROUPNORM,
    LS_OP_GROUPNORM_GRAD, // x, dy, scale -> dx, dscale, dshift
    LS_OP_EMBEDDING,      // index i32 [N] or [N,L], table [V,D] -> y [N,D] or [N,L,D]: rows of the table
    // index, dy -> dtable f32 [V,D], V the attribute rows: rows of dy added in f32 to 0, in the order
    // of the index
    LS_OP_EMBEDDING_GRAD,

    // ---- made by the fusion pass

    LS_OP_CONV_RELU,
    LS_OP_LINEAR_RELU,
    // As LS_OP_BATCHNORM, y = relu(…), or where the attribute most is not 0, clip from 0 to that (relu6).
    LS_OP_BATCHNORM_RELU,
    // x, dy, scale, shift, mean, var -> dx, dscale, dshift: dy counts where relu or clip let it
    // through, which is computed again from x
    LS_OP_BATCHNORM_RELU_GRAD,
    LS_OP_BATCHNORM_EVAL_RELU,
    LS_OP_ADD_RELU,
    LS_OP_BATCHNORM_ADD_RELU, // x, scale, shift, b -> y = relu(… + b), rounded once, mean, var
    // x, y, dy, scale, mean, var, optional second dy -> dx, dscale, dshift, db: the dy's sum counts where
    // y > 0, and that, rounded, is db.
    LS_OP_BATCHNORM_ADD_RELU_GRAD,
    LS_OPS,
};

// Attribute slots. Ops that share a family share the slots.
enum {
    LS_INPUT_AUGMENTED, // 0: no second input
    LS_INPUT_CHANNELS_FIRST,
    LS_INPUT_SCALE,
    LS_INPUT_HEIGHT, // of the output, at most that of the sample; 0: the sample's
    LS_INPUT_WIDTH,
};
enum { LS_CAST_TO }; // an ls_dtype
enum {               // convolutions and pools
    LS_STRIDE_H,
    LS_STRIDE_W,
    LS_PAD_H,
    LS_PAD_W, // padding on both sides
    LS_DILATION_H,
    LS_DILATION_W,
    LS_GROUPS, // convolutions; 1, 1, 1 elsewhere
    LS_KERNEL_H,
    LS_KERNEL_W, // pools and LS_OP_CONV_WEIGHT_GRAD
    LS_SIZE_H,
    LS_SIZE_W,        // of x, for gradients of inputs; of y, where a convolution is transposed
    LS_COUNT_PADDING, // average pools
};
enum { LS_BATCHNORM_EPSILON, LS_BATCHNORM_MOST }; // the second of the fused ones
enum { LS_CLIP_LOW, LS_CLIP_HIGH };
enum { LS_DROPOUT_RATE, LS_DROPOUT_SITE };
enum { LS_LEAKY_RELU_SLOPE };
enum { LS_GELU_TANH };
enum { LS_LOSS_SMOOTHING };
enum { LS_HUBER_DELTA };
enum { LS_SUM_TO_RANK, LS_SUM_TO_DIMS, LS_SUM_TO_ATTRS = LS_SUM_TO_DIMS + LS_MAX_RANK };
enum { LS_GLOBAL_SIZE_H, LS_GLOBAL_SIZE_W };
enum { LS_RESIZE_HEIGHT, LS_RESIZE_WIDTH, LS_RESIZE_BILINEAR }; // of y; of the gradient: of x
enum { LS_UNFLATTEN_C, LS_UNFLATTEN_H, LS_UNFLATTEN_W };
enum { LS_RESHAPE_DIM };    // … and the LS_MAX_RANK - 1 behind it
enum { LS_TRANSPOSE_AXIS }; // likewise
enum { LS_MOVE_AXIS, LS_MOVE_BEGIN, LS_MOVE_SIZE };
enum { LS_REPEAT_TIMES };
enum { LS_MATMUL_TRANSPOSE_A, LS_MATMUL_TRANSPOSE_B, LS_MATMUL_SCALE };
enum { LS_GROUPNORM_GROUPS, LS_GROUPNORM_EPSILON }; // layernorm: 1 group
enum { LS_EMBEDDING_ROWS };

// ---- builders, for models ----

// Each appends nodes to the graph and returns the result; names get the graph's scope in front ("layer1.0." +
// "conv1"). Parameters are named as PyTorch names them (conv1.weight, bn1.running_mean). Weights start
// uniform in ±sqrt(6 / fan_in) for convolutions (He et al. 2015, fan-in, gain of relu) and ±1/sqrt(fan_in)
// for linear layers and their biases.

struct ls_input_spec {
    int64_t batch, channels, height, width;
    int64_t out_height, out_width; // of the centre that is shown, or of the crop; 0: the whole
    ls_dtype raw_type;             // u8 or f32
    bool channels_first, augment;  // augment: a second input, the augmentation parameters
    double scale;
    const double *mean, *std; // [n_normalize], 1 or `channels` of them; std > 0
    int n_normalize;
};
// Makes the input values "raw" and (where asked for) "augment", and the input op.
ls_value ls_input(struct ls_graph *graph, const struct ls_input_spec *spec);
struct ls_conv_spec {
    int64_t out, kernel, stride, pad; // square
    int64_t groups, dilation;         // 0 is read as 1
    bool bias;
};
// x [N,C,H,W] -> [N,out,OH,OW]; parameters NAME.weight [out, C/groups, kernel, kernel] and NAME.bias [out].
ls_value ls_conv(struct ls_graph *graph, ls_value x, const char *name, const struct ls_conv_spec *spec);
// Along the width alone. A signal of L points and C channels is an image [N,C,1,L] here, so that what runs
// 2-D runs it: no op is one-dimensional. The weight is [O, C/groups, 1, K]. The same for the pools below.
ls_value ls_conv1d(struct ls_graph *graph, ls_value x, const char *name, const struct ls_conv_spec *spec);
// Transposed, a convolution upsamples: y has (x - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1 +
// output_pad places along each axis, output_pad being less than stride. The weight is [C, O/groups, K, K].
// Weights start as those of a convolution do; fan_in is what an output sums on average, C / groups *
// (kernel / stride)^2, at least 1.
struct ls_conv_transpose_spec {
    int64_t out, kernel, stride, pad, output_pad; // square
    int64_t groups, dilation;                     // 0 is read as 1
    bool bias;
};
ls_value ls_conv_transpose(struct ls_graph *graph, ls_value x, const char *name,
                           const struct ls_conv_transpose_spec *spec);
// x [N,F] -> [N,out]; parameters NAME.weight [out,F] and NAME.bias [out].
ls_value ls_linear(struct ls_graph *graph, ls_value x, const char *name, int64_t out);
// x -> x's shape; parameters NAME.weight, the scale, and NAME.bias, the shift [C], statistics
// NAME.running_mean and NAME.running_var [C]. Training graph: statistics of the lane, running ones as outputs
// (momentum 0.1); evaluation, and where scale and shift are both frozen: the running ones, which stay as they
// are. epsilon 1e-5.
ls_value ls_batchnorm(struct ls_graph *graph, ls_value x, const char *name, float initial_scale);
// Activations, element by element: what each computes stands at its id.
ls_value ls_relu(struct ls_graph *graph, ls_value x);
ls_value ls_sigmoid(struct ls_graph *graph, ls_value x);
ls_value ls_clip(struct ls_graph *graph, ls_value x, double low, double high);
ls_value ls_leaky_relu(struct ls_graph *graph, ls_value x, double slope);
ls_value ls_tanh(struct ls_graph *graph, ls_value x);
ls_value ls_gelu(struct ls_graph *graph, ls_value x, bool tanh); // tanh: the approximation
ls_value ls_silu(struct ls_graph *graph, ls_value x);
ls_value ls_hard_swish(struct ls_graph *graph, ls_value x);
// Pools over windows of kernel x kernel: x [N,C,H,W] -> [N,C,OH,OW], OH = (H + 2 pad - kernel) / stride + 1,
// rounded down. `count_padding`: an average divides by the whole window, else by its part inside x.
ls_value ls_max_pool(struct ls_graph *graph, ls_value x, int64_t kernel, int64_t stride, int64_t pad);
ls_value ls_avg_pool(struct ls_graph *graph, ls_value x, int64_t kernel, int64_t stride, int64_t pad,
                     bool count_padding);
ls_value ls_max_pool1d(struct ls_graph *graph, ls_value x, int64_t kernel, int64_t stride, int64_t pad);
ls_value ls_avg_pool1d(struct ls_graph *graph, ls_value x, int64_t kernel, int64_t stride, int64_t pad,
                       bool count_padding);
ls_value ls_global_avg_pool(struct ls_graph *graph, ls_value x); // [N,C,H,W] -> [N,C,1,1]
// Averages x to height x width places, of which it has at least as many: along each axis windows of one size
// at one distance, the largest at which they cover x. Where the places divide x this is PyTorch's
// adaptive_avg_pool2d. x itself where it has that size.
ls_value ls_avg_pool_to(struct ls_graph *graph, ls_value x, int64_t height, int64_t width);
// To height x width pixels: the nearest pixel, or bilinear between centres (PyTorch's interpolate with
// align_corners false, whose "nearest" this is). x itself where it has that size.
ls_value ls_resize(struct ls_graph *graph, ls_value x, int64_t height, int64_t width, bool bilinear);
// The same to `factor` times as many in both directions.
ls_value ls_upsample(struct ls_graph *graph, ls_value x, int64_t factor, bool bilinear);
// Element by element, of shapes that broadcast as at LS_OP_ADD.
ls_value ls_add(struct ls_graph *graph, ls_value a, ls_value b);
ls_value ls_mul(struct ls_graph *graph, ls_value a, ls_value b);
// Values that only move; an axis is one of the shape, from 0 on. Slice takes places [begin, begin + size) of
// `axis`, pad makes it `size` long, with x from `begin` on and 0 elsewhere, repeat wants a first axis of 1.
ls_value ls_flatten(struct ls_graph *graph, ls_value x); // [N,C,H,W] -> [N, H*W*C]
ls_value ls_reshape(struct ls_graph *graph, ls_value x, struct ls_shape shape);
ls_value ls_transpose(struct ls_graph *graph, ls_value x, const int *axes); // one for each of x
ls_value ls_concat(struct ls_graph *graph, const ls_value *parts, int n, int axis);
ls_value ls_slice(struct ls_graph *graph, ls_value x, int axis, int64_t begin, int64_t size);
ls_value ls_pad(struct ls_graph *graph, ls_value x, int axis, int64_t begin, int64_t size);
ls_value ls_repeat(struct ls_graph *graph, ls_value x, int64_t times);
// scale * a' b' over the last two axes, for each place of those before; a' is a, or a transposed.
ls_value ls_matmul(struct ls_graph *graph, ls_value a, ls_value b, bool transpose_a, bool transpose_b,
                   double scale);
// x -> x's shape; parameters NAME.weight, which starts at 1, and NAME.bias at 0, both [C].
ls_value ls_layernorm(struct ls_graph *graph, ls_value x, const char *name, double epsilon);
ls_value ls_groupnorm(struct ls_graph *graph, ls_value x, const char *name, int64_t groups, double epsilon);
// `index` is i32 [N] or [N,T]: the samples of a model of LS_SAMPLES_TOKENS, which lie in
// 0 to rows - 1 where rows is model.vocabulary or more. Parameter NAME.weight [rows,width], which starts
// uniform in ±sqrt(3), of variance 1.
ls_value ls_embedding(struct ls_graph *graph, ls_value index, const char *name, int64_t rows, int64_t width);
ls_value ls_dropout(struct ls_graph *graph, ls_value x, double rate); // evaluation: x itself
ls_value ls_softmax(struct ls_graph *graph, ls_value x);              // over the last axis
// Losses make the metrics (LS_OUTPUT values "metric:loss", "metric:score", "metric:weight") and, in a
// training graph, the rank flags ("metric:stop", "metric:fault"); they add the target, weight and seed
// inputs. Outputs of the model are [N,C]. `augment`: the input of augmentation parameters where samples are
// mixed, else LS_NONE. They return the graph's status; formulas stand at the ids.
ls_status ls_cross_entropy(struct ls_graph *graph, ls_value logits, double smoothing, ls_value augment);
ls_status ls_mse(struct ls_graph *graph, ls_value prediction);
ls_status ls_mae(struct ls_graph *graph, ls_value prediction);
ls_status ls_huber(struct ls_graph *graph, ls_value prediction, double delta);
ls_status ls_binary_cross_entropy(struct ls_graph *graph, ls_value logits, double smoothing);

#include "base/end.h"
