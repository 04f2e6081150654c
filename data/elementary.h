// Elementary functions of f64 from additions, multiplications and divisions alone, in a fixed order: the same
// bits on every machine that rounds as IEEE 754 says (and is not allowed to contract), which a library's own
// do not promise. For drawing random parameters. Errors are below 4 units in the last place of the result, or
// of 1 where it is less.
#pragma once

// Of a finite x > 0, not subnormal.
double ls_log(double x);
// Of x in [-700, 700].
double ls_exp(double x);
// Of `turns` in [-1, 1]: 1 is a whole turn.
void ls_sin_cos(double turns, double *sine, double *cosine);
