// The file that predict writes.
//
// clang-format off
//   OUT.h5
//   ├── /               format "lockstep predictions", version 1, checkpoint (its name), min_confidence,
//   │                   identity (a hash of all that decides the rows)
//   ├── probabilities   f32 [N, classes], or of labels [N, labels]; of regression, predictions f32 [N, outputs]
//   ├── class           i32 [N], or [N, K] with --top K: the most probable first; -1: abstained. Only of classes,
//   ├── confidence      f32, as class: their probabilities                             as the next
//   ├── crc32c          u32 [N]         CRC32C of a sample's bytes in the three datasets, in this order
//   ├── class_names     UTF-8 [classes] where they are known
//   ├── files           UTF-8 [files]   of the input, in the order of their rows
//   └── file_samples    i64 [files]     how many rows are of each
// clang-format on
//
// It is made at once, with nothing in its rows, as OUT.h5.partial; rows come to their places as they are
// computed, and the whole gets its name by a rename. A row is whole where its CRC is right, so that whoever
// goes on after a kill needs no other record.
#pragma once

#include "data/dataset.h"
#include "train/figures.h"

#define LS_PREDICTIONS_FORMAT "lockstep predictions"

struct ls_predictions_about {
    int64_t samples, outputs, top;
    enum ls_outputs kind;
    double min_confidence;
    const char *identity, *checkpoint;
    const struct ls_dataset *dataset;
    const char *const *class_names; // [outputs], or NULL
};

struct ls_prediction_rows {
    float *values;     // [n][outputs]
    int32_t *classes;  // [n][top]; not looked at where there are no classes
    float *confidence; // [n][top]
};

struct ls_predictions; // an open file

// LS_INPUT where `path` names a file that predict did not write: a new one would take its place.
ls_status ls_predictions_may_replace(const char *path);
// `resume`: goes on with what is there, OUT.h5.partial or the whole OUT.h5, of the same identity; LS_INPUT
// where it has another. Else begins anew. LS_INPUT where another process is at it.
ls_status ls_predictions_open(const char *path, const struct ls_predictions_about *about, bool resume,
                              struct ls_predictions **predictions);
bool ls_predictions_is_whole(const struct ls_predictions *predictions); // was, when it was opened
// Reads rows [first, first + n); *whole: how many of them, from the first on, have been written.
ls_status ls_predictions_read(struct ls_predictions *predictions, int64_t first, int64_t n,
                              struct ls_prediction_rows rows, int64_t *whole);
ls_status ls_predictions_write(struct ls_predictions *predictions, int64_t first, int64_t n,
                               struct ls_prediction_rows rows);
// Every row is written: syncs and renames. The file is closed in any case.
ls_status ls_predictions_finish(struct ls_predictions *predictions);
// `keep`: what is there is left for another that goes on.
void ls_predictions_abandon(struct ls_predictions *predictions, bool keep);

// `lockstep check`: reads a whole file and refuses, with index, the first row that does not match its
// checksum.
ls_status ls_predictions_check(const char *path, char *text, size_t text_bytes);
