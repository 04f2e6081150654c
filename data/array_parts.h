// What the readers of heads share (array_idx.c, array_npy.c); array.c has it.
#pragma once

#include "data/array.h"

// The next `n` bytes of the head, which end at array->offset then; what they are is for the message of a file
// that ends too soon.
ls_status ls_array_head(struct ls_array *array, const char *what, void *out, size_t n);
// The head is read, and type and shape are known: checks them against what is there.
ls_status ls_array_check(struct ls_array *array);
