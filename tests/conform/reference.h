// Cases from reference.h5, which reference.py makes with PyTorch and draws.
#pragma once

#include "conform/cases.h"
#include "h5/h5.h"

struct ls_reference {
    struct ls_h5 *file;
    const char *name; // of the case
    struct ls_case of;
    struct ls_case_trial trial;
};

// The names of the cases, owned by `arena`.
ls_status ls_reference_names(struct ls_h5 *file, struct ls_arena *arena, const char ***names, int *n);
// The case as a trial with its inputs and dy filled; nothing has run. What the file holds as f64 is of
// `type`, all else of its own type. `file` and `name` must outlive it. To be closed on failure too.
ls_status ls_reference_open(struct ls_h5 *file, const char *name, ls_dtype type,
                            struct ls_reference *reference);
void ls_reference_close(struct ls_reference *reference);

// Does the case have this tensor, "out1", "gradient0", …?
bool ls_reference_has(const struct ls_reference *reference, const char *tensor);
// Its numbers in memory order, malloc'd. LS_INPUT where it does not have `count` of them.
ls_status ls_reference_read(const struct ls_reference *reference, const char *tensor, int64_t count,
                            double **numbers);
// Compares every element; none may be off by more than `tolerance` times the largest number expected.
// LS_SYSTEM names case, tensor and element.
ls_status ls_reference_compare(const struct ls_reference *reference, const char *tensor, ls_value value,
                               double tolerance);
