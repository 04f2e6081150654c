// Checks for programs under mpirun: a failed one names place and rank, and ends the program with status 9.
// A test says in a line "// ranks: 1 2 3" with how many ranks it runs, once each; in "// status: N" what it
// ends with, where that is not 0.
#pragma once

#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>

static inline void check_failed(const char *file, int line, const char *expression) {
    const char *rank = getenv("OMPI_COMM_WORLD_RANK"), *pmi = getenv("PMI_RANK");
    fprintf(stderr, "%s:%d: rank %s: %s (last error: %s)\n", file, line,
            rank  ? rank
            : pmi ? pmi
                  : "?",
            expression, ls_error_last()->text);
    exit(9);
}

#define CHECK(expression)                                                                                    \
    do {                                                                                                     \
        if (!(expression)) check_failed(__FILE__, __LINE__, #expression);                                    \
    } while (0)
