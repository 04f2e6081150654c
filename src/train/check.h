// Reading a file whole, to see whether it is good.
#pragma once

#include "data/pack.h"

#include "base/begin.h"

struct ls_check_spec {
    const char *input, *target; // datasets of a data file; NULL: "images"; "labels", where there are any
    // Samples are whole numbers from 0 to tokens - 1, [N, T] or [N]. Up to INT32_MAX. 0: samples are values.
    int64_t tokens;
    int threads; // 0: the cores that the process may use
};

// A checkpoint, a file of predictions, a shard, or other people's data: every byte of it. LS_INPUT where
// anything is wrong, with the words of the first; LS_SYSTEM where it could not be looked at. The report is
// to be freed with ls_check_report_free in any case.
ls_status ls_check_file(const char *path, const struct ls_check_spec *spec, struct ls_check_report *report);

#include "base/end.h"
