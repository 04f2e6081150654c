// What a session is made of, for session*.c and predict.c.
#pragma once

#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/session.h"
#include "train/setup.h"

struct ls_session {
    struct ls_comm *comm;
    struct ls_checkpoint_header header;
    struct ls_recipe recipe;
    struct ls_device *device;
    struct ls_dataset *dataset;    // NULL: samples come from memory
    struct ls_sample_shape sample; // what the model was built for
    struct ls_session_room *room;  // session_apply.c: NULL until it is wanted
    struct ls_model model;
    struct ls_engine *engine;
    const char *const *class_names; // the checkpoint's, once they were asked for
    struct ls_arena names;
};

void ls_session_leave_room(struct ls_session *session); // frees it, where there is one
