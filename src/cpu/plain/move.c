// Values that only move.
#include "ops/move.h"
#include "cpu/plain/plain.h"

#include <string.h>

#define PLAIN_FAMILY "cpu/plain/move.inc"
#include "cpu/plain/each_type.h"

PLAIN_OP(transpose, "x:x", NULL);
PLAIN_OP(concat, "xxxxxxxx:x", NULL);
PLAIN_OP(slice, "x:x", NULL);
PLAIN_OP(pad, "x:x", NULL);
PLAIN_OP(repeat, "x:x", NULL);
