// A checkpoint opened for use: its model and weights on a device, with data to look at.
#pragma once

#include "comm/comm.h"
#include "train/evaluation.h"
#include "train/figures.h"

#include <stdbool.h>

#include "base/begin.h"

// What it points to stays the caller's until ls_session_open returns.
struct ls_session_spec {
    const char *checkpoint;
    const char *const *patterns; // of data files, as they are listed; NULL: the recipe's test set
    int n_patterns;
    bool may_lack_targets; // those that are missing, or not what the model can be held against, are warned of
    bool without_data;     // no files: samples come from memory, ls_session_apply
};

struct ls_session;

// All ranks call it; errors are agreed on, and so is what the ranks have in hand: checkpoint, data, device.
// LS_INPUT names the file and what does not fit, a model that this program has not added among it. On
// failure *session is NULL.
ls_status ls_session_open(struct ls_comm *comm, const struct ls_session_spec *spec,
                          struct ls_session **session);
void ls_session_close(struct ls_session *session); // takes NULL; before `comm` is closed

uint64_t ls_session_step(const struct ls_session *session);        // of the checkpoint
int64_t ls_session_samples(const struct ls_session *session);      // of the data
bool ls_session_has_targets(const struct ls_session *session);     // the data
int64_t ls_session_outputs(const struct ls_session *session);      // of a sample: classes, labels or values
enum ls_outputs ls_session_kind(const struct ls_session *session); // what they are
// Names of the model's classes, [outputs], where the data or the checkpoint know them; else NULL. The
// session's.
const char *const *ls_session_class_names(struct ls_session *session);

// All ranks call it. Runs the model over the whole data set and, where `sink` is not NULL, hands on what
// came out, piece by piece. `stoppable`: ls_stop_wanted on any rank ends it, with evaluation->abandoned.
ls_status ls_session_run(struct ls_session *session, bool stoppable, const struct ls_sink *sink,
                         struct ls_evaluation *evaluation);
// All ranks call it, where there are targets, which it looks through first. `figures` is opened, filled with
// those of all ranks, and to be closed with ls_figures_close, also on failure.
ls_status ls_session_evaluate(struct ls_session *session, struct ls_figures *figures,
                              struct ls_evaluation *evaluation);

// How samples lie in memory, one behind the other: [height][width][channels], or channels first; u8, or else
// f32; as they are in the training data, the model scales and normalizes them. Of tokens [channels] i32.
struct ls_session_sample {
    int64_t height, width, channels;
    bool channels_first, bytes;
    int64_t tokens; // they are from 0 to this less 1; 0: samples are no tokens
};
struct ls_session_sample ls_session_sample(const struct ls_session *session);
// Of this rank alone: what the model says of `n` samples in memory, values [n][outputs]: probabilities or
// predictions, the same bits that ls_session_run gives. LS_INPUT: a token out of range, with the sample.
ls_status ls_session_apply(struct ls_session *session, int64_t n, const void *samples, float *values);

#include "base/end.h"
