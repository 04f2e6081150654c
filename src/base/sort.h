// Measurements in order.
#pragma once

#include <stddef.h>

#include "base/begin.h"

void ls_sort(double *values, size_t n); // from the least on; none is NaN

#include "base/end.h"
