// The transcendental functions of the kernels, made of additions, multiplications and a quotient, which are
// exact to the last bit everywhere: loops over them vectorise, and every level of instructions gives the same
// bits. NaN goes through all of them. What kernels of f32 and bf16 take ends in _f32; its units are those of
// the last place of the result in f32.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

// exp(x) for x <= 0, good to 1e-14 of itself; below -708 as at -708, where it is 3e-308.
//
// x = k log 2 + r, |r| <= log(2) / 2, exp(x) = 2^k exp(r). k is what stays of x / log 2 beside 1.5 * 2^52, in
// whose last bits it then stands. log 2 is in two parts, so that k times the first is exact. exp(r) is its
// Taylor polynomial: the first term left out is r^12 / 12! < 7e-15.
static inline double plain_exp(double x) {
    const double round = 0x1.8p52;
    const double bounded = x < -708 ? -708 : x;
    const double shifted = bounded * 0x1.71547652b82fep0 + round, k = shifted - round;
    const double r = (bounded - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33;
    double sum = 1.0 / 39916800;
    sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880;
    sum = sum * r + 1.0 / 40320;
    sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720;
    sum = sum * r + 1.0 / 120;
    sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6;
    sum = sum * r + 1.0 / 2;
    sum = sum * r + 1;
    sum = sum * r + 1;
    uint64_t bits;
    double power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

// 2^k, of k + 1.5 * 2^23: its last bits are k.
static inline float plain_power_of_two(float shifted) {
    uint32_t bits;
    float power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    memcpy(&power, &bits, sizeof power);
    return power;
}

// exp(x - less) in f32, good to 1.5 units, for -87 <= x <= 0 and |less| < 1/19. The first term left out is
// r^8 / 8! < 2e-8, without `less` < 6e-9.
static inline float plain_exp_within_f32(float x, float less) {
    const float round = 0x1.8p23f;
    const float shifted = x * 0x1.715476p0f + round, k = shifted - round;
    const float r = ((x - k * 0x1.62e4p-1f) - k * 0x1.7f7d1cp-20f) - less, square = r * r;
    float sum = 1.0f / 720 + 1.0f / 5040 * r;
    sum = (1.0f / 24 + 1.0f / 120 * r) + square * sum;
    sum = (1.0f / 2 + 1.0f / 6 * r) + square * sum;
    sum = 1 + (r + square * sum);
    return sum * plain_power_of_two(shifted);
}

// exp(x) for x <= 0; below -87, where it is 1e-38, 0.
static inline float plain_exp_f32(float x) {
    const float power = plain_exp_within_f32(x < -87 ? -87 : x, 0);
    return x < -87 ? 0 : power;
}

// 1 / (1 + exp(-x)). The exponential is of a number that is not above 0: no overflow, and no digits cancel.
static inline double plain_sigmoid(double x) {
    const double e = plain_exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

// Good to 2.5 units.
static inline float plain_sigmoid_f32(float x) {
    const float e = plain_exp_f32(-fabsf(x));
    return (x < 0 ? e : 1) / (1 + e);
}

// Near 0, where 1 - exp loses digits, by its series: the first term left out is 17/315 x^7, 4e-18 of x at
// 2^-9.
static inline double plain_tanh(double x) {
    const double e = plain_exp(-2 * fabs(x)), size = (1 - e) / (1 + e), square = x * x;
    const double near = x - x * square * (1.0 / 3 - square * (2.0 / 15));
    const double far = x < 0 ? -size : size;
    return fabs(x) < 0x1p-9 ? near : far;
}

// Good to 2.7 units: e / (e + 2), e = exp(2 |x|) - 1 = 2^k (exp(r) - 1) + (2^k - 1), which loses no digits
// near 0. What 2 |x| - k log 2 is off by counts less the larger k is. exp(r) - 1 is its minimax polynomial,
// off by 1.4e-8.
static inline float plain_tanh_f32(float x) {
    const float size = fabsf(x), twice = 2 * (size > 9.02f ? 9.02f : size), round = 0x1.8p23f;
    const float shifted = twice * 0x1.715476p0f + round, k = shifted - round;
    const float r = twice - k * 0x1.62e430p-1f, square = r * r;
    float sum = 0x1.555674p-5f + 0x1.1227b0p-7f * r + 0x1.6bebfep-10f * square;
    sum = r + square * ((0x1.fffffep-2f + 0x1.5554b0p-3f * r) + square * sum);
    const float power = plain_power_of_two(shifted), e = power * sum + (power - 1);
    return copysignf(e / (e + 2), x);
}

// log(1 + e) for 0 <= e <= 1, good to 1e-14 of itself: 2 artanh(s), s = e / (2 + e) <= 1/3. The first term
// left out is 2 s^31 / 31, 4e-17 of e.
static inline double plain_log1p(double e) {
    const double s = e / (2 + e), square = s * s;
    double sum = 1.0 / 29;
    for (int k = 27; k > 0; k -= 2) sum = sum * square + 1.0 / k;
    return 2 * s * sum;
}

// Good to 3 units: the first term left out is 2 s^17 / 17, 3e-9 of e.
static inline float plain_log1p_f32(float e) {
    const float s = e / (2 + e), square = s * s;
    float sum = 1.0f / 15;
    sum = sum * square + 1.0f / 13;
    sum = sum * square + 1.0f / 11;
    sum = sum * square + 1.0f / 9;
    sum = sum * square + 1.0f / 7;
    sum = sum * square + 1.0f / 5;
    sum = sum * square + 1.0f / 3;
    return 2 * (s + s * (square * sum));
}

// The normal distribution: the part below x, good to 1e-13 of itself, far below 0 too.
//
// With z = |x| / sqrt(2) the part beyond |x| is erfc(z) / 2, and (1 + 2z) exp(z^2) erfc(z) is a smooth
// function of s = (z - 3.75) / (z + 3.75) between 1 and 1.3 (Shepherd, Laframboise 1981): here its first 19
// Chebyshev polynomials, in powers of s.
static inline double plain_normal(double x) {
    const double far = fabs(x) * 0x1.6a09e667f3bccp-1, z = far > 100 ? 100 : far; // where nothing is left
    const double share = 1 / ((z + 3.75) * (1 + 2 * z)), s = (z - 3.75) * (1 + 2 * z) * share;
    double sum = -0x1.0fce386829eeep-23;
    sum = sum * s + 0x1.b52260d68ada1p-27;
    sum = sum * s + 0x1.953bdc5d8f452p-20;
    sum = sum * s - 0x1.2462208c5a569p-20;
    sum = sum * s - 0x1.77281f5ae5861p-17;
    sum = sum * s + 0x1.7975b68f4b1a3p-16;
    sum = sum * s + 0x1.afc391132ec04p-15;
    sum = sum * s - 0x1.30524fca82834p-12;
    sum = sum * s + 0x1.340fa0cd3b6dfp-12;
    sum = sum * s + 0x1.cc3bcf7574eaep-10;
    sum = sum * s - 0x1.3f6067170a3b7p-7;
    sum = sum * s + 0x1.d0affd391478ep-6;
    sum = sum * s - 0x1.e0d0f8cf3fa6bp-5;
    sum = sum * s + 0x1.7a1418bb770cfp-4;
    sum = sum * s - 0x1.bda930aa1dcefp-4;
    sum = sum * s + 0x1.510169cdde58cp-4;
    sum = sum * s + 0x1.d5f2949099473p-9;
    sum = sum * s - 0x1.1f367683f2e70p-3;
    sum = sum * s + 0x1.3ccda0b5d5d29p+0;
    const double tail = sum * ((z + 3.75) * share) * plain_exp(x * x / -2) / 2;
    return x < 0 ? tail : 1 - tail;
}

static inline double plain_normal_density(double x) {
    return 0x1.9884533d43651p-2 * plain_exp(x * x / -2); // 1 / sqrt(2 pi)
}

// The same in f32, as both parts together, since both take exp(-x^2 / 2): what is below -|x|, good to 5
// units, and the density, good to 3. Beyond 13, where they are 1e-38, both are 0.
//
// x^2 has more digits than f32: its head h, the upper half of x's digits, has a square of as many as there
// are, and (x - h) (x + h) is the rest. With t = 1 / (1 + |x| / 4), what is below -|x| is t exp(-x^2 / 2)
// times a smooth function of s = 2t - 1: here a minimax polynomial, which is off by 2e-8 of it up to 13.
struct plain_normal_f32 {
    float below, density;
};

static inline struct plain_normal_f32 plain_normal_f32(float x) {
    const float size = fabsf(x), near = size > 13 ? 13 : size;
    uint32_t bits;
    float head;
    memcpy(&bits, &near, sizeof bits);
    bits &= 0xfffff000u;
    memcpy(&head, &bits, sizeof head);
    const float exact = plain_exp_within_f32(head * head / -2, (near - head) * (near + head) / 2);
    const float power = size > 13 ? 0 : exact;
    const float t = 1 / (1 + near * 0.25f), s = 2 * t - 1;
    const float square = s * s;
    float sum = 0x1.9dbc2cp-15f + 0x1.03ca3p-15f * s;
    sum = (-0x1.cd5f06p-11f - 0x1.9d813ap-12f * s) + square * sum;
    sum = (0x1.eed5aep-7f + 0x1.ed816ap-10f * s) + square * sum;
    sum = (0x1.8c6d9cp-4f + 0x1.7dff9ap-5f * s) + square * sum;
    sum = (0x1.82b4bcp-3f + 0x1.373e3ap-3f * s) + square * sum;
    return (struct plain_normal_f32){t * sum * power, 0x1.988454p-2f * power}; // 1 / sqrt(2 pi)
}

// ---- What kernels of bf16 take: f32, good to 2^-14 of the result or better, before it is rounded by up to
// 2^-9.

// exp(x) for -87 <= x <= 89, good to 2^-16: 2^k times a minimax polynomial, which is off by 2.6e-6.
static inline float plain_exp_within_bf16(float x) {
    const float round = 0x1.8p23f, scaled = x * 0x1.715476p0f;
    const float shifted = scaled + round, k = shifted - round, r = scaled - k, square = r * r;
    float sum = 0x1.ec06dap-3f + 0x1.ca1440p-5f * r + 0x1.3997d6p-7f * square;
    sum = (0x1.ffffe8p-1f + 0x1.62e0dcp-1f * r) + square * sum;
    return sum * plain_power_of_two(shifted);
}

// exp(x) for x <= 0; below -87, where it is 1e-38, 0.
static inline float plain_exp_bf16(float x) {
    const float power = plain_exp_within_bf16(x < -87 ? -87 : x);
    return x < -87 ? 0 : power;
}

// Where the exponential is infinite, 0.
static inline float plain_sigmoid_bf16(float x) {
    const float least = x < -89 ? -89 : x, near = least > 87 ? 87 : least;
    return 1 / (1 + plain_exp_within_bf16(-near));
}

// x times a quotient of polynomials in x^2, which is off by 1.4e-5 of it up to 4, beyond which bf16 has 1.
static inline float plain_tanh_bf16(float x) {
    const float below = x > 4 ? 4 : x, near = below < -4 ? -4 : below, square = near * near;
    const float over = (0x1.93be6cp-11f * square + 0x1.af6350p-4f) * square + 0x1.fffe3ap-1f;
    const float under = (0x1.c2858ap-7f * square + 0x1.c113aep-2f) * square + 1;
    return near * over / under;
}

// As in f32, with a polynomial that is off by 4.4e-5. A square of a number of bf16 is exact.
static inline struct plain_normal_f32 plain_normal_bf16(float x) {
    const float size = fabsf(x), near = size > 13 ? 13 : size;
    const float exact = plain_exp_within_bf16(near * near * -0.5f), power = size > 13 ? 0 : exact;
    const float t = 1 / (1 + near * 0.25f), s = 2 * t - 1, square = s * s;
    float sum = 0x1.8c3d64p-4f + 0x1.843e96p-5f * s + 0x1.ef9c0cp-7f * square;
    sum = (0x1.82b4e0p-3f + 0x1.3719d6p-3f * s) + square * sum;
    return (struct plain_normal_f32){t * sum * power, 0x1.988454p-2f * power};
}
