// Activations beside relu and clip. The result may take the place of the first input.
#include "cpu/plain/functions.h"
#include "cpu/plain/plain.h"

// ---- gelu: y, or dy's factor, of an element

static inline double gelu_of(double x) {
    return x * plain_normal(x);
}

static inline float gelu_of_f32(float x) {
    const float below = plain_normal_f32(x).below;
    return x * (x < 0 ? below : 1 - below);
}

static inline double gelu_slope(double x) {
    return plain_normal(x) + x * plain_normal_density(x);
}

static inline float gelu_slope_f32(float x) {
    const struct plain_normal_f32 normal = plain_normal_f32(x);
    const float near = fabsf(x) > 13 ? 13 : fabsf(x), slope = normal.below - near * normal.density;
    return x < 0 ? slope : 1 - slope;
}

// 2u of the approximation, and du/dx.
static inline double twice_u(double x) {
    return 0x1.9884533d43651p0 * (x + 0.044715 * (x * x * x)); // 2 sqrt(2 / pi)
}

static inline double slope_of_u(double x) {
    return 0x1.9884533d43651p-1 * (1 + 3 * 0.044715 * (x * x));
}

// exp(-|2u|), 0 beyond 87. A rounding of u would count 2u times, so that it is f64 and comes in two parts.
static inline float power_of_u(float x) {
    const double size = fabs(twice_u((double)x)), near = size > 87 ? 87 : size;
    const float head = (float)near, power = plain_exp_within_f32(-head, (float)(near - (double)head));
    return size > 87 ? 0 : power;
}

static inline double gelu_tanh_of(double x) {
    return x * plain_sigmoid(twice_u(x));
}

static inline double gelu_tanh_slope(double x) {
    const double s = plain_sigmoid(twice_u(x));
    return s + 2 * x * (s * (1 - s)) * slope_of_u(x);
}

static inline float gelu_tanh_of_f32(float x) {
    const float e = power_of_u(x);
    return x * ((x < 0 ? e : 1) / (1 + e));
}

// Beyond 13 the factor of du/dx is 0, and du/dx no more than it is there.
static inline float gelu_tanh_slope_f32(float x) {
    const float e = power_of_u(x), share = 1 / (1 + e), s = x < 0 ? e * share : share;
    const float near = x > 13 ? 13 : x < -13 ? -13 : x;
    return s + 2 * near * (e * share * share) * (float)slope_of_u((double)near);
}

// ---- … in bf16

static inline float gelu_of_bf16(float x) {
    const float below = plain_normal_bf16(x).below;
    return x * (x < 0 ? below : 1 - below);
}

static inline float gelu_slope_bf16(float x) {
    const struct plain_normal_f32 normal = plain_normal_bf16(x);
    const float near = fabsf(x) > 13 ? 13 : fabsf(x), slope = normal.below - near * normal.density;
    return x < 0 ? slope : 1 - slope;
}

static inline float gelu_tanh_of_bf16(float x) {
    return x * plain_sigmoid_bf16(x * (0x1.988454p0f + 0x1.2444f2p-4f * (x * x)));
}

static inline float gelu_tanh_slope_bf16(float x) {
    const float near = x > 13 ? 13 : x < -13 ? -13 : x, square = near * near;
    const float s = plain_sigmoid_bf16(near * (0x1.988454p0f + 0x1.2444f2p-4f * square));
    return s + near * (s * (1 - s)) * (0x1.988454p0f + 0x1.b6676cp-3f * square);
}

// What the kernels of a type take.
#define SIGMOID_f32          plain_sigmoid_f32
#define SIGMOID_f64          plain_sigmoid
#define SIGMOID_bf16         plain_sigmoid_bf16
#define TANH_f32             plain_tanh_f32
#define TANH_f64             plain_tanh
#define TANH_bf16            plain_tanh_bf16
#define GELU_f32             gelu_of_f32
#define GELU_f64             gelu_of
#define GELU_bf16            gelu_of_bf16
#define GELU_SLOPE_f32       gelu_slope_f32
#define GELU_SLOPE_f64       gelu_slope
#define GELU_SLOPE_bf16      gelu_slope_bf16
#define GELU_TANH_f32        gelu_tanh_of_f32
#define GELU_TANH_f64        gelu_tanh_of
#define GELU_TANH_bf16       gelu_tanh_of_bf16
#define GELU_TANH_SLOPE_f32  gelu_tanh_slope_f32
#define GELU_TANH_SLOPE_f64  gelu_tanh_slope
#define GELU_TANH_SLOPE_bf16 gelu_tanh_slope_bf16

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
