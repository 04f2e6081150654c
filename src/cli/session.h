// A checkpoint opened for use: its recipe, model and weights on a device, for eval and predict.
#pragma once

#include "train/checkpoint.h"
#include "train/figures.h"
#include "train/setup.h"

struct ls_session_spec {
    const char *checkpoint;
    const char *const *patterns; // of data files, as they are listed; NULL: the recipe's test set
    int n_patterns;
    bool may_lack_targets; // those that are missing, or not what the model can be held against, are warned of
};

struct ls_session {
    struct ls_comm *comm;
    struct ls_checkpoint_header header;
    struct ls_recipe recipe;
    struct ls_device *device;
    struct ls_dataset *dataset;
    struct ls_model model;
    struct ls_engine *engine;
    const char *const *class_names; // the checkpoint's, once they were asked for
    struct ls_arena names;
};

// All ranks call it; errors are agreed on, and so is what the ranks have in hand: checkpoint, data, device.
ls_status ls_session_open(struct ls_comm *comm, const struct ls_session_spec *spec,
                          struct ls_session *session);
void ls_session_close(struct ls_session *session);
int64_t ls_session_outputs(const struct ls_session *session); // of a sample: classes, or values
enum ls_outputs ls_session_kind(const struct ls_session *session);
// Names of the model's classes, where the data or the checkpoint know them; else NULL.
const char *const *ls_session_class_names(struct ls_session *session);
