// Gradients against central differences. With L = sum of dy * y over output 0 of the case's op,
// dL/dx = (L(x + h) - L(x - h)) / 2h + O(h²); in f64 with h = 2^-16 both errors are near 1e-9 of |dy| · |y|.
#pragma once

#include "conform/cases.h"

// Runs the case in f64 with these kernels, forward and backward, and compares every element of every
// gradient. LS_SYSTEM names case, input and element where they differ. `checked`: how many elements were
// compared.
ls_status ls_difference_check(const struct ls_case *of, enum ls_cpu_kernels kernels, int64_t *checked);
