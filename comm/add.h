// Sums that a host call makes, of floats in the host's memory.
#pragma once

#include <stddef.h>

// to = left + right; `to` may be either of them.
typedef void ls_add_function(float *to, const float *left, const float *right, size_t n);

// The longest vectors that this processor has: the same bits with any.
ls_add_function *ls_choose_add(void);
