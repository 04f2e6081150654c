// What every command that computes sets up: device, data, model. Each step ends with the ranks agreeing, so
// that one message comes out whichever rank noticed.
#pragma once

#include "comm/comm.h"
#include "train/engine.h"

#include "base/begin.h"

// Opens the device that the recipe asks for. `note`: says in one line what was chosen and why.
ls_status ls_device_choose(const struct ls_recipe *recipe, const struct ls_comm *comm, bool note,
                           struct ls_device **device);
// Collective. Refuses ranks whose devices would not give equal bits, and ranks that share a GPU unless
// device.share says so.
ls_status ls_device_agree(const struct ls_recipe *recipe, struct ls_comm *comm, struct ls_device *device);

// Opens data.train or data.test of the recipe.
ls_status ls_data_open(const struct ls_recipe *recipe, bool test, struct ls_dataset **dataset);
// The train and test sets must show the model the same samples.
ls_status ls_data_same_shape(const struct ls_recipe *recipe, const struct ls_dataset_info *train,
                             const struct ls_dataset_info *test);
// Reads all targets (and samples, where they are floating point and not many), each rank its part, and
// refuses bad ones.
ls_status ls_data_scan(struct ls_dataset *dataset, const struct ls_recipe *recipe, struct ls_comm *comm);

// Refuses a plan that does not fit device.memory, naming by how much and the largest lane that would fit.
ls_status ls_memory_check(const struct ls_recipe *recipe, const struct ls_sample_shape *sample,
                          struct ls_device *device, const struct ls_comm *comm,
                          const struct ls_memory *memory);

// Fills the engine's replica, averages included, from a checkpoint: rank 0 reads the file, all receive.
// `state` may be NULL. `slots`: the optimizer's too.
ls_status ls_replica_load(struct ls_engine *engine, const struct ls_layout *layout, struct ls_comm *comm,
                          const char *path, bool slots, struct ls_checkpoint_state *state);

#include "base/end.h"
