// Where a place of a resized image lies in the original, along one axis: the one source of it on every
// device. Plain C and C++, no library: CUDA kernels include it as well. All in integers, so that each place
// and each weight is exact before it is rounded once.
#pragma once

#include "base/philox.h" // LS_ANYWHERE

#include <stdbool.h>
#include <stdint.h>

struct ls_axis {
    int64_t in, out; // pixels of the original, and of what is made of it; below 2^31
    bool bilinear;
};

// The pixels that place `o` sees: `low` with weight (of - part) / of and, where part > 0, `high` with part /
// of. Nearest: pixel o * in / out, rounded down. Bilinear: a pixel lies where its centre is, at i + 1/2, so
// place o at (o + 1/2) * in / out - 1/2 between two of them; beyond the outer ones it sees those.
struct ls_taps {
    int64_t low, high, part, of;
};

LS_ANYWHERE struct ls_taps ls_taps_of(struct ls_axis axis, int64_t o) {
    struct ls_taps taps = {o * axis.in / axis.out, 0, 0, 1};
    if (axis.bilinear) {
        const int64_t position = (2 * o + 1) * axis.in - axis.out;
        taps.of = 2 * axis.out;
        taps.low = position < 0 ? 0 : position / taps.of;
        taps.part = position < 0 ? 0 : position % taps.of;
    }
    taps.high = taps.low + 1 < axis.in ? taps.low + 1 : taps.low;
    return taps;
}

LS_ANYWHERE int64_t ls_ceil_div(int64_t a, int64_t b) {
    return a <= 0 ? 0 : (a + b - 1) / b;
}

// The places that may see pixel `i`: [*begin, *end). All others do not.
LS_ANYWHERE void ls_places_of(struct ls_axis axis, int64_t i, int64_t *begin, int64_t *end) {
    *begin = axis.bilinear ? ls_ceil_div((2 * i - 1) * axis.out - axis.in, 2 * axis.in)
                           : ls_ceil_div(i * axis.out, axis.in);
    *end = axis.bilinear ? ls_ceil_div((2 * i + 3) * axis.out - axis.in, 2 * axis.in)
                         : ls_ceil_div((i + 1) * axis.out, axis.in);
    if (*end > axis.out) *end = axis.out;
}

// The weight of pixel `i` at a place, in parts of taps->of.
LS_ANYWHERE int64_t ls_share_of(const struct ls_taps *taps, int64_t i) {
    return (taps->low == i ? taps->of - taps->part : 0) + (taps->high == i ? taps->part : 0);
}
