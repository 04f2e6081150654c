// Mean and standard deviation of each channel over samples, the same bits whatever the samples are added in.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <stdbool.h>

struct ls_statistics {
    ls_dtype type;                           // u8 or f32
    int64_t channels, count;                 // count: values of a channel so far
    uint64_t *sum, *squares;                 // u8: exact
    double *mean, *deviations;               // f32: deviations are the sum of (x - mean)^2; [channels]
    double *sample_mean, *sample_deviations; // of the sample that is being added
};

// Nothing added yet; to be closed.
ls_status ls_statistics_open(struct ls_statistics *statistics, ls_dtype type, int64_t channels);
void ls_statistics_close(struct ls_statistics *statistics);
// n samples [n][values], of which each has whole pixels of `channels` values.
void ls_statistics_add(struct ls_statistics *statistics, int64_t n, int64_t values, const void *samples);
// Adds `count` values a channel of which only mean and deviation are known, to statistics of f32.
void ls_statistics_add_known(struct ls_statistics *statistics, int64_t count, const double *mean,
                             const double *std);
// Adds what `more` has seen, of the same type and channels.
void ls_statistics_merge(struct ls_statistics *statistics, const struct ls_statistics *more);
// Of raw / 255 for u8 and of raw for f32, which is what data.scale makes of them; mean, std [channels].
void ls_statistics_result(const struct ls_statistics *statistics, double *mean, double *std);
