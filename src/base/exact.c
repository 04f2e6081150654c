#include "base/exact.h"

#include <math.h>
#include <string.h>

enum { FRACTION_BITS = 23, WORD_BITS = 32, SMALLEST = -149 };

void ls_exact_carry(struct ls_exact *sum) {
    for (int i = 0; i + 1 < LS_EXACT_WORDS; i++) {
        sum->words[i + 1] += sum->words[i] >> WORD_BITS;
        sum->words[i] &= UINT32_MAX;
    }
}

void ls_exact_add(struct ls_exact *sum, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t exponent = bits >> FRACTION_BITS & 0xff;
    uint64_t digits = bits & ((UINT32_C(1) << FRACTION_BITS) - 1);
    // Subnormal numbers have the exponent of the smallest normal ones, and no leading 1.
    if (exponent > 0) digits |= UINT32_C(1) << FRACTION_BITS;
    const uint32_t place = exponent > 0 ? exponent - 1 : 0;
    uint64_t *word = &sum->words[place / WORD_BITS];
    digits <<= place % WORD_BITS;
    word[0] += digits & UINT32_MAX;
    word[1] += digits >> WORD_BITS;
    if ((word[0] | word[1]) >> 62) ls_exact_carry(sum);
}

double ls_exact_value(const struct ls_exact *sum) {
    double value = 0;
    for (int i = LS_EXACT_WORDS; i-- > 0;) value += ldexp((double)sum->words[i], WORD_BITS * i + SMALLEST);
    return value;
}
