// Checkpoints: one HDF5 file a step, the same whatever the number of ranks. checkpoint_parts.h has the
// drawing of a file.
#pragma once

#include "base/status.h"
#include "train/scores.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/begin.h"

#define LS_CHECKPOINT_FORMAT "lockstep checkpoint" // the attribute `format` of the root

struct ls_layout;

enum { LS_MAX_SLOTS = 2 };

// Every field has its line in the table of checkpoint_parts.c.
struct ls_checkpoint_state {
    uint64_t step; // steps done
    uint64_t seed;
    double loss_scale;
    uint64_t skipped;        // steps skipped so far
    uint64_t skipped_in_row; // … just now
    uint64_t samples, batch, lanes;
    uint64_t data_identity, data_content; // of data.train: names and sizes; what is in it
    uint64_t from_content;                // of model.from (ls_checkpoint_content); 0: none, or an older file
    // The best accuracy; of labels the best F1, of values minus the least loss; NAN: none yet.
    double best_score;
    uint64_t best_step;
    uint64_t evaluated_step; // of the last evaluation; 0: none
    double last_loss;        // of the last evaluation, or, where there was none, of the last step
    struct ls_scores last;   // the same
};

// What goes into a file, or came out of one. Buffers have the layout's flat form, gaps zero.
struct ls_checkpoint {
    const struct ls_layout *layout;
    float *params, *states, *slot[LS_MAX_SLOTS];
    const char *slot_names[LS_MAX_SLOTS]; // "momentum"; NULL: unused
    float *average, *average_states;      // moving averages of params and states; NULL: none
    struct ls_checkpoint_state state;
    const char *recipe;      // resolved, YAML
    const char *model;       // text of the training graph
    const char *fingerprint; // device, kernel library
    const char *class_names; // one a line; NULL or empty: unknown
    const char *version;     // Lockstep's
    const char *choices;     // struct ls_device; NULL or empty: there were none
};

// Writes folder/step-00000500.h5: temporary file in the same folder, close, fsync, verify, rename, fsync of
// the folder. On failure (LS_SYSTEM: disk full, …) no file of that name is there that was not there before.
ls_status ls_checkpoint_write(const char *folder, const struct ls_checkpoint *checkpoint);
// Checks structure and every CRC32C. LS_INPUT names file, dataset, and what is wrong.
ls_status ls_checkpoint_verify(const char *path);

// What a file says of itself without its arrays; texts are malloc'd, freed by ls_checkpoint_header_free.
struct ls_checkpoint_header {
    struct ls_checkpoint_state state;
    char *recipe, *model, *fingerprint, *version;
    char *class_names; // one a line; NULL: unknown
    char *choices;     // NULL: there were none, or the file is older than they are
};
ls_status ls_checkpoint_read_header(const char *path, struct ls_checkpoint_header *header);
void ls_checkpoint_header_free(struct ls_checkpoint_header *header);
// Fills params, states and slots of `checkpoint` (buffers given, slots by name) and its state from the file,
// not its texts; every name and shape must match. On failure (LS_INPUT) the buffers hold anything.
ls_status ls_checkpoint_read(const char *path, struct ls_checkpoint *checkpoint);
// A parameter or running statistic on its way from a file to a layout.
struct ls_match {
    const char *name;
    bool param, frozen;                   // of what is here
    bool there, here;                     // in the file; in the layout
    bool taken;                           // there and here in one shape
    bool averaged;                        // there is a moving average, which is taken as evaluations take it
    char shape_there[96], shape_here[96]; // in meaning, as in struct ls_item
};
// Fills in only the parameters and statistics whose names and shapes match (model.from). Tells `each` of all:
// those of the layout, parameters from the last to the first, and then those that the file alone has.
ls_status ls_checkpoint_read_matching(const char *path, const struct ls_layout *layout, float *params,
                                      float *states,
                                      void (*each)(void *context, const struct ls_match *match),
                                      void *context);

// A hash of the weights that a file holds, of their names and of moving averages too, out of the checksums
// that are kept with them: the arrays are not read.
ls_status ls_checkpoint_content(const char *path, uint64_t *content);

// The newest file in `folder` that verifies, its path malloc'd; NULL where there is none. Files passed over
// are named, with the reason, in warnings. Left-over temporary files are removed.
ls_status ls_checkpoint_newest(const char *folder, char **path);
// Keeps the newest `keep` files among those of at most step `last`, the one of `best_step`, the newest of at
// most step `trusted`, and all behind `last`.
void ls_checkpoint_prune(const char *folder, int64_t keep, uint64_t best_step, uint64_t trusted,
                         uint64_t last);
// Renames the files of the steps after `trusted` to *.h5.suspect, which no resume takes. A file that cannot
// be renamed is warned of.
void ls_checkpoint_set_aside(const char *folder, uint64_t trusted);

// XXH64 of the f32 parameters in layout order, gaps left out.
uint64_t ls_params_hash(const struct ls_layout *layout, const float *params);

// ---- writing while training continues
struct ls_checkpoint_writer; // a thread with its own copy of the buffers
ls_status ls_checkpoint_writer_open(const char *folder, const struct ls_layout *layout,
                                    const struct ls_checkpoint *like, int64_t keep,
                                    struct ls_checkpoint_writer **writer);
// Copies what is given and returns; waits first for a write still under way. An error is warned of at once,
// and comes out of ls_checkpoint_writer_flush until a later write succeeds, of ls_checkpoint_writer_finish
// for good.
void ls_checkpoint_writer_start(struct ls_checkpoint_writer *writer, const struct ls_checkpoint *checkpoint);
// Instead of a start, where nothing can be written: the last error counts as that of a write.
void ls_checkpoint_writer_refuse(struct ls_checkpoint_writer *writer);
// Waits for the write under way; the error of the last one.
ls_status ls_checkpoint_writer_flush(struct ls_checkpoint_writer *writer);
// Waits; the first error since open. It stays open.
ls_status ls_checkpoint_writer_finish(struct ls_checkpoint_writer *writer);
void ls_checkpoint_writer_close(struct ls_checkpoint_writer *writer);
// With train.audit_every, the newest file that an audit stands behind is kept too, whatever its age.
void ls_checkpoint_writer_audits_every(struct ls_checkpoint_writer *writer, uint64_t every);
// Calls `done` (from the writer's thread) after each successful write: path, seconds, bytes.
void ls_checkpoint_writer_on_done(struct ls_checkpoint_writer *writer,
                                  void (*done)(void *context, uint64_t step, const char *path, double seconds,
                                               uint64_t bytes),
                                  void *context);

#include "base/end.h"
