// What a model is worth to people, in the terms of its task. NAN: no figure of this task, or not known.
#pragma once

#include "base/text.h"
#include "train/figures.h"

#include "base/begin.h"

struct ls_scores {
    double accuracy; // classes, and labels: the part of the samples that are right, of labels in all of them
    double top5;     // of more than five classes
    double label_accuracy; // labels: the part of all labels that are right
    double f1;             // labels: micro-averaged; figures.h has its formula
    double mae, mse;       // values: mean absolute and mean squared error, over samples and values
};

struct ls_scores ls_scores_none(void);                                   // all NAN
struct ls_scores ls_scores_of_figures(const struct ls_figures *figures); // reduced
// Of a step: the loss has one score beside it (ops.h), here its mean.
struct ls_scores ls_scores_of_step(enum ls_outputs kind, double score);
// The larger, the better: accuracy, F1 or the negative of the loss.
double ls_scores_best(const struct ls_scores *scores, double loss);

// Members of a JSON object: accuracy, null where it is not known, and others that are.
void ls_scores_json(const struct ls_scores *scores, struct ls_text *out);
// " accuracy=0.9100", " accuracy=0.9100 f1=0.8800" or " mae=0.123 mse=0.034", as the last line of train has
// it.
void ls_scores_line(const struct ls_scores *scores, struct ls_text *out);
// ", accuracy 0.9100, top5 0.9900": all that are known, for people.
void ls_scores_words(const struct ls_scores *scores, struct ls_text *out);

#include "base/end.h"
