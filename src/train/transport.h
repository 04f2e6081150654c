// Which transport carries the gradients: chosen here alone.
#pragma once

#include "comm/transport.h"
#include "train/recipe.h"

#include "base/begin.h"

// Collective, after ls_device_agree. Of a world of one: none is needed. Between GPUs NCCL, where every rank
// has it and none shares its GPU; else MPI, through host memory where the device has another. LS_INPUT where
// device.transport asks for what cannot be had.
ls_status ls_transport_choose(const struct ls_recipe *recipe, struct ls_comm *comm, struct ls_device *device,
                              struct ls_transport **transport);
// Host memory that it takes, as far as this rank can tell.
size_t ls_transport_host_bytes(const struct ls_recipe *recipe, const struct ls_device *device, int ranks);

#include "base/end.h"
