// The libraries beneath.
#pragma once

#include "base/text.h"

#include "base/begin.h"

// A line each, two blanks in front: MPI, HDF5, oneDNN, CUDA, with their versions; what is missing is said.
// Looks for the CUDA module and the libraries that it opens.
void ls_libraries(struct ls_text *out);

#include "base/end.h"
