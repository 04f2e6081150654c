// The ranks of a command, opened and closed in good order.
#pragma once

#include "comm/comm.h"

// Runs `work` on all ranks. Where the ranks agreed on an error, rank 0 alone keeps its text, and so prints
// it.
ls_status ls_with_world(ls_status (*work)(struct ls_comm *comm, void *context), void *context);
