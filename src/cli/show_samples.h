// A sheet of samples: what is in a shard, or what a model will see of them in training.
#pragma once

#include "cli/cli.h"

enum { LS_SHOW_MOST_SAMPLES = 4096 };

struct ls_show_samples {
    const char *const *words; // a recipe and overrides, or files
    int n;
    const char *out;                   // the PNG
    int64_t samples;                   // as many as there are, where that is less
    int64_t epoch;                     // of a recipe
    const char *input, *target, *axes; // of files
};

ls_status ls_show_samples(const struct ls_show_samples *asked);
