// The transcendental functions of the kernels, in f64 for every type, so that what is stored is rounded once.
// They are made of additions, multiplications and a quotient, which are exact to the last bit everywhere:
// loops over them vectorise, and every level of instructions gives the same bits. NaN goes through all of
// them.
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

// 1 / (1 + exp(-x)). The exponential is of a number that is not above 0: no overflow, and no digits cancel.
static inline double plain_sigmoid(double x) {
    const double e = plain_exp(-fabs(x));
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

// The normal distribution: the part below x, and its density. By erfc, no digits cancel far below 0.
static inline double plain_normal(double x) {
    return erfc(x * -0x1.6a09e667f3bccp-1) / 2; // -1 / sqrt(2)
}

static inline double plain_normal_density(double x) {
    return 0x1.9884533d43651p-2 * plain_exp(x * x / -2); // 1 / sqrt(2 pi)
}
