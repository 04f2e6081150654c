#include "data/elementary.h"

#include <stdint.h>
#include <string.h>

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

enum { FRACTION = 52, BIAS = 1023 }; // of an IEEE f64

// The upper half of ln 2 has 32 bits at most: its product with an exponent is exact.
static const double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;

// x = 2^k m with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh(s) = 2 (s + s^3 / 3 + s^5 / 5 + …), s = (m - 1) /
// (m + 1), so that |s| < 0.172 and what follows the 12th term is below 2^-60 of s.
double ls_log(double x) {
    int k = (int)(bits_of(x) >> FRACTION) - BIAS;
    double m = from_bits((bits_of(x) & ((1ULL << FRACTION) - 1)) | (uint64_t)BIAS << FRACTION);
    if (m > 1.4142135623730951) m /= 2, k++;
    const double s = (m - 1) / (m + 1), square = s * s;
    double sum = 0;
    for (int n = 23; n >= 3; n -= 2) sum = (sum + 1.0 / n) * square;
    return k * ln2_high + (2 * s + (2 * s * sum + k * ln2_low));
}

// x = k ln 2 + r with |r| <= ln(2) / 2, and the power series of exp(r).
double ls_exp(double x) {
    const int k = (int)(x / 0.6931471805599453 + (x < 0 ? -0.5 : 0.5));
    const double r = (x - k * ln2_high) - k * ln2_low;
    double sum = 1;
    for (int n = 14; n >= 1; n--) sum = 1 + r / n * sum;
    // In two steps: 2^k itself may be out of range where the result is not.
    const int half = k / 2;
    return sum * from_bits((uint64_t)(BIAS + half) << FRACTION) *
           from_bits((uint64_t)(BIAS + (k - half)) << FRACTION);
}

// The nearest quarter of a turn apart, the power series of at most an eighth.
void ls_sin_cos(double turns, double *sine, double *cosine) {
    const int quarter = (int)(turns * 4 + (turns < 0 ? -0.5 : 0.5));
    const double x = (turns - quarter * 0.25) * 6.283185307179586, square = x * x;
    double s = 1, c = 1;
    for (int n = 18; n >= 2; n -= 2) {
        s = 1 - square / (n * (n + 1)) * s;
        c = 1 - square / (n * (n - 1)) * c;
    }
    s *= x;
    switch (quarter & 3) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s; break;
    }
}
