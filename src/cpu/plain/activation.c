// Activations beside relu and clip. The result may take the place of the first input.
#include "cpu/plain/functions.h"
#include "cpu/plain/plain.h"

// ---- gelu is f64 for every type, so that what is stored is rounded once: y, or dy's factor, of an element

static inline double gelu_of(double x) {
    return x * plain_normal(x);
}

static inline double gelu_slope(double x) {
    return plain_normal(x) + x * plain_normal_density(x);
}

// 2u of the approximation, and du/dx.
static inline double twice_u(double x) {
    return 0x1.9884533d43651p0 * (x + 0.044715 * (x * x * x)); // 2 sqrt(2 / pi)
}

static inline double slope_of_u(double x) {
    return 0x1.9884533d43651p-1 * (1 + 3 * 0.044715 * (x * x));
}

static inline double gelu_tanh_of(double x) {
    return x * plain_sigmoid(twice_u(x));
}

static inline double gelu_tanh_slope(double x) {
    const double s = plain_sigmoid(twice_u(x));
    return s + 2 * x * (s * (1 - s)) * slope_of_u(x);
}

// What the kernels of a type take.
#define SIGMOID_f32  plain_sigmoid_f32
#define SIGMOID_f64  plain_sigmoid
#define SIGMOID_bf16 plain_sigmoid_f32
#define TANH_f32     plain_tanh_f32
#define TANH_f64     plain_tanh
#define TANH_bf16    plain_tanh_f32

enum { PIECE = 512 };

#define PLAIN_FAMILY "cpu/plain/activation.inc"
#include "cpu/plain/each_type.h"

PLAIN_OP(sigmoid, "x:x", NULL);
PLAIN_OP(sigmoid_grad, "xx:x", NULL);
PLAIN_OP(leaky_relu, "x:x", NULL);
PLAIN_OP(leaky_relu_grad, "xx:x", NULL);
PLAIN_OP(tanh, "x:x", NULL);
PLAIN_OP(tanh_grad, "xx:x", NULL);
PLAIN_OP(gelu, "x:x", NULL);
PLAIN_OP(gelu_grad, "xx:x", NULL);
PLAIN_OP(silu, "x:x", NULL);
PLAIN_OP(silu_grad, "xx:x", NULL);
PLAIN_OP(hard_swish, "x:x", NULL);
PLAIN_OP(hard_swish_grad, "xx:x", NULL);
