// Sums of f32 that are exact, so that they have one value in whatever order, and in whatever parts, they are
// added: over threads, ranks, and runs that go on where another was stopped.
#pragma once

#include <stdint.h>

#include "base/begin.h"

// value = sum of words[i] * 2^(32 i - 149). 2^-149 is the smallest f32, and the largest has its highest bit
// in word 8. Two sums are added word by word; a sum of up to 2^30 others that were carried does not overflow.
enum { LS_EXACT_WORDS = 10 };
struct ls_exact {
    uint64_t words[LS_EXACT_WORDS];
};

void ls_exact_add(struct ls_exact *sum, float value); // finite, and not below 0
// Brings every word but the last below 2^32: the same value, in the one form that it has.
void ls_exact_carry(struct ls_exact *sum);
double ls_exact_value(const struct ls_exact *sum); // of a carried sum

#include "base/end.h"
