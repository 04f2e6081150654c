// From a floating-point type to another; f64 goes to bf16 by way of f32.
#include "cpu/plain/plain.h"

#define PLAIN_FAMILY "cpu/plain/cast.inc"
#include "cpu/plain/each_type.h"

PLAIN_OP(cast, "x:f", NULL);
