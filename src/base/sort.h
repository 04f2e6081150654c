// Measurements in order.
#pragma once

#include <stddef.h>

#include "base/begin.h"

void ls_sort(double *values, size_t n); // from the least on; none is NaN
// Sorts them, and returns the one in the middle: of an even number, the mean of the two there. n > 0.
double ls_median(double *values, size_t n);

#include "base/end.h"
