// Of matrix products (matmul.inc), what is the same for every type.
#pragma once

#include "cpu/plain/plain.h"

#if defined(__AVX__)
#define PLAIN_VECTOR_BYTES 32
#else
#define PLAIN_VECTOR_BYTES 16
#endif

// Panels are as wide in the workspace for every level of instructions, so that plans do not depend on it.
enum { WIDEST_PANEL = 16, MULTIPLE_OF_ROWS = 6 };

static inline size_t panel_count(int64_t k, int64_t n) {
    return (size_t)(k * plain_round_up(n, WIDEST_PANEL));
}
