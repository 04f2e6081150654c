// Between the files of this folder.
#pragma once

#include "study/fit.h"
#include "study/study.h"

// runs.c: makes or finds every trial of a point, and measures its reductions.
ls_status ls_study_measure(struct ls_study *study, struct ls_point *point);
ls_status ls_study_make_folders(const struct ls_study_spec *spec);
ls_status ls_study_write_array(const struct ls_study *study); // array.c: DIR/array.sbatch
// The program that makes the runs; `out` is room for its name.
const char *ls_study_program(const struct ls_study_spec *spec, char *out, size_t bytes);
const char *ls_study_mode_name(enum ls_scaling_mode mode);

// observe.c
// A run's metrics.jsonl. LS_INPUT where it has no end.
ls_status ls_study_read_trial(const char *metrics, struct ls_study *study, struct ls_trial *trial);
// The number behind `"key":` in a line of JSON that Lockstep wrote; NAN where there is none.
double ls_study_number(const char *line, const char *key);
// The string behind it, "" where there is none.
void ls_study_string(const char *line, const char *key, char *out, size_t bytes);

// report.c, plot.c
ls_status ls_study_write(const struct ls_study *study, const struct ls_scaling_fit *fit);
ls_status ls_study_plot(const struct ls_study *study);
