// The ranks of a command.
#pragma once

#include "comm/comm.h"

#include <stdbool.h>

// Opens the ranks and runs `work` on all of them. Where the ranks agreed on an error, rank 0 alone keeps its
// text, and so prints it.
ls_status ls_with_world(ls_status (*work)(struct ls_comm *comm, void *context), void *context);
// Ends what ls_with_world opened, if it did; after the error was printed, because an error that the ranks did
// not agree on ends them all at once, this one included.
void ls_world_end(ls_status status);
