// Element by element: relu, clip, sigmoid, dropout. The result may take the place of the first input.
#include "base/philox.h"
#include "cpu/plain/functions.h"
#include "cpu/plain/plain.h"

#include <math.h>

#define PLAIN_FAMILY "cpu/plain/elementwise.inc"
#include "cpu/plain/each_type.h"

PLAIN_OP(relu, "x:x", NULL);
PLAIN_OP(relu_grad, "xx:x", NULL);
PLAIN_OP(clip, "x:x", NULL);
PLAIN_OP(clip_grad, "xx:x", NULL);
PLAIN_OP(sigmoid, "x:x", NULL);
PLAIN_OP(sigmoid_grad, "xx:x", NULL);
PLAIN_OP(dropout, "x:x", NULL);
