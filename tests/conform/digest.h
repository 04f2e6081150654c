// What reference.h5 keeps of a long vector: its 2-norm, four sums with random signs, in which any wrong
// element shows, and up to 32 values spread over it. The signs are those of reference_models.py.
#pragma once

#include "h5/h5.h"

enum { LS_DIGEST_SUMS = 4, LS_DIGEST_VALUES = 32, LS_DIGEST_MOST = 1 + LS_DIGEST_SUMS + LS_DIGEST_VALUES };

struct ls_digest {
    int n;
    double number[LS_DIGEST_MOST]; // norm, sums, values
};

struct ls_digest ls_digest_of(const double *x, int64_t n);
// Holds the digest of x against that under `path`: no number may be off by more than `factor` times how far
// PyTorch strays in f32, plus `rounding` times the norm. LS_SYSTEM names path and number.
ls_status ls_digest_check(struct ls_h5 *file, const char *path, const double *x, int64_t n, double factor,
                          double rounding);
