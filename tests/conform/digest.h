// What reference.h5 keeps of a long vector: its 2-norm, four sums with random signs, in which any wrong
// element shows, and up to 32 values spread over it. The signs are those of reference_models.py.
#pragma once

#include "h5/h5.h"

// Holds the digest of x against that under `path`: no number may be off by more than `factor` times how far
// PyTorch strays in f32, plus `rounding` times the norm. LS_SYSTEM names path and number.
ls_status ls_digest_check(struct ls_h5 *file, const char *path, const double *x, int64_t n, double factor,
                          double rounding);
