// Figures as eval and predict print them, and the picture of a confusion matrix.
#pragma once

#include "base/text.h"
#include "train/figures.h"

// Members of a JSON object: accuracy, top5, ece, calibration, confusion, …; of
// labels accuracy (every label right) and label_accuracy; of values mse, rmse, mae, max_error. `targets`:
// there were some; else every figure is null. `names` may be NULL.
void ls_report_json(const struct ls_figures *figures, bool targets, const char *const *names,
                    struct ls_text *text);
// A line of figures and, of up to 20 classes, the matrix.
void ls_report_text(const struct ls_figures *figures, bool targets, const char *const *names,
                    struct ls_text *text);

// Can the picture be drawn: is there gnuplot, and the folder?
ls_status ls_confusion_check(const char *path);
// A PNG of the matrix: each row's shares in colour, and, of up to 20 classes, the counts.
ls_status ls_confusion_draw(const struct ls_figures *figures, const char *const *names, const char *path);
