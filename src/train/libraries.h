// The libraries beneath.
#pragma once

#include "base/text.h"

#include "base/begin.h"

// A line each, two blanks in front: MPI, HDF5, oneDNN, formats, CUDA, with versions; what is missing is said.
// Looks for the CUDA module and the libraries that it opens.
void ls_libraries(struct ls_text *out);
// "szip: libaec; pictures: JPEG (libjpeg-turbo 2.1.5), PNG (libpng 1.6.39)": what a build may lack the
// libraries for.
void ls_libraries_of_formats(struct ls_text *out);

#include "base/end.h"
