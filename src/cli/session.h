// A checkpoint opened for use: its recipe, model and weights on a device, for eval and predict.
#pragma once

#include "train/checkpoint.h"
#include "train/setup.h"

struct ls_session {
    struct ls_comm *comm;
    struct ls_checkpoint_header header;
    struct ls_recipe recipe;
    struct ls_device *device;
    struct ls_dataset *dataset;
    struct ls_model model;
    struct ls_engine *engine;
};

// `data`: a pattern instead of the recipe's test set, or NULL. Without `with_targets` none are read. All
// ranks call it; errors are agreed on.
ls_status ls_session_open(struct ls_comm *comm, const char *checkpoint, const char *data, bool with_targets,
                          struct ls_session *session);
void ls_session_close(struct ls_session *session);
