// How far the results of f32 arithmetic may be from exact ones: for each op a bound that follows from its
// operations.
#pragma once

#include "conform/trial.h"

// Is what the op does defined to the last bit (a choice, one operation an element, sums in a given order)?
bool ls_is_exact(enum ls_op_id op);
// For ops that are not: `exact` is a trial whose node 0 ran in f64; bound[k][e] becomes what element e of
// output k of that node, computed in f32 and not rounded further, may be off.
ls_status ls_bounds_of(struct ls_trial *exact, double *const bound[LS_MAX_OUT]);
