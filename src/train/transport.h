// Which transport carries the gradients: chosen here alone.
#pragma once

#include "comm/transport.h"

// Collective. Of a world of one: none is needed. Else MPI, through host memory where the device has another.
ls_status ls_transport_choose(struct ls_comm *comm, struct ls_device *device,
                              struct ls_transport **transport);
// Host memory that it takes, at most.
size_t ls_transport_host_bytes(const struct ls_device *device, int ranks);
