// Numbers as text.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// A decimal number that fills the text but for spaces at its ends: [+-]digits[.digits][e[+-]digits], digits
// on one side of the point at least. Rounded to the nearest f64. No inf, no nan, no hexadecimal.
bool ls_number_read(const char *text, size_t length, double *value);
