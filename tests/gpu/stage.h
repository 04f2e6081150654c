// Runs the nodes of a trial on the device of a CUDA module, one at a time: the trial's values lie in one
// piece of device memory, poisoned (all bits set: a NaN in every float type) and guarded between them.
#pragma once

#include "conform/trial.h"
#include "device/device.h"

struct ls_stage;

// The first GPU of the module that $LOCKSTEP_CUDA_MODULE names; *device is NULL where it finds none, and
// `why` says why.
ls_status ls_stage_device(struct ls_device **device, char why[256]);

// `in_place`: elementwise ops write over their first input. The trial must outlive the stage and not grow.
ls_status ls_stage_open(struct ls_device *device, const struct ls_trial *trial, bool in_place,
                        struct ls_stage **stage);
void ls_stage_close(struct ls_stage *stage); // NULL is allowed
// Runs a node on the trial's inputs, launched anew and then replayed from a graph. LS_SYSTEM where the two
// differ, or where the node wrote into an input or beside its outputs, or left an element of a float output
// unwritten.
ls_status ls_stage_run(struct ls_stage *stage, int node);
// An element of an output of the node that ran last.
double ls_stage_get(const struct ls_stage *stage, ls_value value, int64_t i);
