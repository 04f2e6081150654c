// Lanes of hard numbers, and the tree's value of their sum, evaluated straight from its definition.
#pragma once

#include "base/philox.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Signs and exponents all over: any other order of addition shows. A few are not finite; a NaN says whose it
// is.
static inline float lane_value(int lane, size_t element) {
    const struct ls_random4 random = ls_philox(7, LS_RANDOM_TEST, element, (uint64_t)lane);
    const int which = (int)ls_below(random.word[2], 1000);
    if (which == 0) return float_of_bits(0x7fc00001 + (uint32_t)lane);
    if (which == 1) return INFINITY;
    if (which == 2) return -INFINITY;
    if (which == 3) return 1e-45f; // a denormal
    const float size = ldexpf(1.0f + ls_uniform(random.word[0]), (int)ls_below(random.word[1], 60) - 30);
    return random.word[3] & 1 ? -size : size;
}

// Of two NaNs the left one stays, whatever the compiler makes of an addition.
static inline float add_left(float left, float right) {
    return isnan(left) ? left : left + right;
}

// Node (level, index) of the tree over `lanes` lanes; it has a lane at least.
static inline float tree_value(int level, int index, int lanes, size_t element) {
    if (level == 0) return lane_value(index, element);
    const float left = tree_value(level - 1, 2 * index, lanes, element);
    const bool right_is_empty = (2 * index + 1) << (level - 1) >= lanes;
    return right_is_empty ? left : add_left(left, tree_value(level - 1, 2 * index + 1, lanes, element));
}

static inline float tree_sum(int lanes, size_t element) {
    int level = 0;
    while (1 << level < lanes) level++;
    return tree_value(level, 0, lanes, element);
}

// The same bits.
static inline bool same_value(float a, float b) {
    uint32_t bits_a, bits_b;
    memcpy(&bits_a, &a, sizeof bits_a);
    memcpy(&bits_b, &b, sizeof bits_b);
    return bits_a == bits_b;
}

// For additions that may take their operands in either order, or have one NaN: the same, or both not a
// number.
static inline bool same_number(float a, float b) {
    return (isnan(a) && isnan(b)) || same_value(a, b);
}
