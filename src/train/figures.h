// What a model's results are worth, held against the targets. Everything is counted, or summed exactly
// (base/exact.h), so that the figures have one value however samples are spread over ranks and pieces.
#pragma once

#include "base/exact.h"
#include "comm/comm.h"

#include "base/begin.h"

// Calibration, of bins (b/15, (b+1)/15] of the confidence, the probability of the most probable class:
//   ECE = sum over bins of n_b / n * | accuracy_b - mean confidence_b |      (Guo et al., 2017)
// Micro-averaged F1, of all labels of all samples together, with TP the labels that hold and were said to, FP
// those that were said to and do not, FN those that hold and were not:
//   F1 = 2 TP / (2 TP + FP + FN), and 0 where that is 0 / 0
// Top-5: the target is among the five most probable classes; of equals, the lower class is the more probable.
enum { LS_CALIBRATION_BINS = 15, LS_TOP = 5, LS_CONFUSION_CLASSES = 2048 };

enum ls_outputs { LS_CLASSES, LS_LABELS, LS_VALUES }; // probabilities that add to 1; of each label; numbers

// Every member is a u64 that ranks add.
struct ls_figure_counts {
    uint64_t samples;
    uint64_t correct; // samples; of labels: with every label right
    uint64_t correct_labels, held_labels, said_labels, found_labels; // found: held and said
    // of classes
    uint64_t in_top, abstained, correct_answers;
    struct ls_calibration_bin {
        uint64_t samples, correct;
        struct ls_exact confidence;
    } bins[LS_CALIBRATION_BINS];
    // of values: over all samples and outputs; what is beyond f32 counts as the largest f32
    struct ls_exact absolute, squared;
};

struct ls_figures {
    int64_t outputs; // of a sample
    enum ls_outputs kind;
    float min_confidence; // below it the model abstains
    struct ls_figure_counts counts;
    float largest;       // of values: the largest absolute error
    uint64_t *confusion; // [outputs][outputs]: true class, predicted class; NULL of more than 2048 outputs
};

// `confusion`: count the confusion matrix of classes, too.
ls_status ls_figures_open(int64_t outputs, enum ls_outputs kind, float min_confidence, bool confusion,
                          struct ls_figures *figures);
// As opened.
void ls_figures_reset(struct ls_figures *figures);
void ls_figures_close(struct ls_figures *figures); // frees what it holds
// `values` [n][outputs]; `targets` [n] i32 classes in range, or [n][outputs] f32. All are finite. A label
// is taken to hold where its probability is above 0.5. Without targets (NULL) samples and abstentions are
// counted.
void ls_figures_add(struct ls_figures *figures, int64_t n, const float *values, const void *targets);
// All ranks get the figures of all.
ls_status ls_figures_reduce(struct ls_figures *figures, struct ls_comm *comm);

// Of reduced figures; parts of 1. NAN where there are no samples.
double ls_figures_accuracy(const struct ls_figures *figures); // of labels: of samples with all of them right
double ls_figures_answered_accuracy(const struct ls_figures *figures); // of samples not abstained from
double ls_figures_top(const struct ls_figures *figures);               // of classes: top-5
double ls_figures_ece(const struct ls_figures *figures);               // of classes
double ls_figures_label_accuracy(const struct ls_figures *figures);    // of labels, each for itself
double ls_figures_f1(const struct ls_figures *figures);                // of labels
double ls_figures_mse(const struct ls_figures *figures); // of values: mean over samples and outputs
double ls_figures_mae(const struct ls_figures *figures); // likewise

// The `top` most probable of n classes, the most probable first; of equals, the lower class. `order` [n] is
// room to work in. Costs n + top * log n.
void ls_rank_classes(const float *values, int64_t n, int64_t top, int32_t *order, int32_t *ranked,
                     float *confidence);

#include "base/end.h"
