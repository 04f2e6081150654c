#include "data/number.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LENGTH = 1000, EXACT_DIGITS = 15, EXACT_POWER = 22 };

// The digits of a number and where its point is: value = digits * 10^power.
struct decimal {
    uint64_t digits;
    int n, power; // n: digits but for leading zeros
    bool negative, any;
};

static const char *take_digits(const char *at, const char *end, bool behind_point, struct decimal *decimal) {
    for (; at < end && isdigit((unsigned char)*at); at++) {
        decimal->any = true;
        if (decimal->n < EXACT_DIGITS + 1) {
            decimal->digits = 10 * decimal->digits + (uint64_t)(*at - '0');
            if (decimal->digits) decimal->n++;
        } else {
            decimal->n = EXACT_DIGITS + 1; // too many to be exact
        }
        decimal->power -= behind_point;
    }
    return at;
}

static const char *take_exponent(const char *at, const char *end, int *exponent) {
    if (at == end || (*at != 'e' && *at != 'E')) return at;
    bool negative = ++at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    if (at == end) return NULL;
    for (*exponent = 0; at < end && isdigit((unsigned char)*at); at++)
        if (*exponent < 100000) *exponent = 10 * *exponent + (*at - '0');
    if (!isdigit((unsigned char)at[-1])) return NULL;
    if (negative) *exponent = -*exponent;
    return at;
}

// Is the text a number? Where it is short, this has its digits.
static bool split(const char *at, const char *end, struct decimal *decimal) {
    int exponent = 0;
    if (at < end && (*at == '-' || *at == '+')) decimal->negative = *at++ == '-';
    at = take_digits(at, end, false, decimal);
    if (at < end && *at == '.') at = take_digits(at + 1, end, true, decimal);
    if (!decimal->any) return false;
    at = take_exponent(at, end, &exponent);
    decimal->power += exponent;
    return at == end;
}

bool ls_number_read(const char *text, size_t length, double *value) {
    static const double tens[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *end = text + length;
    while (text < end && (*text == ' ' || *text == '\t')) text++;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t')) end--;
    struct decimal decimal = {0};
    if (end - text > MOST_LENGTH || !split(text, end, &decimal)) return false;
    // Both are exact in f64, so that one operation rounds once (Clinger, "How to Read Floating Point Numbers
    // Accurately", 1990).
    if (decimal.n <= EXACT_DIGITS && decimal.power >= -EXACT_POWER && decimal.power <= EXACT_POWER) {
        double exact = (double)decimal.digits;
        exact = decimal.power < 0 ? exact / tens[-decimal.power] : exact * tens[decimal.power];
        *value = decimal.negative ? -exact : exact;
        return true;
    }
    char copy[MOST_LENGTH + 1];
    memcpy(copy, text, (size_t)(end - text));
    copy[end - text] = 0;
    *value = strtod(copy, NULL);
    return true;
}
