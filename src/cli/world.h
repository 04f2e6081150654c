// The ranks of a command.
#pragma once

#include "comm/comm.h"

#include <stdbool.h>

// Opens the ranks and runs `work` on all of them.
ls_status ls_with_world(ls_status (*work)(struct ls_comm *comm, void *context), void *context);
// The same, where ranks that make no progress for `timeout` seconds are given up from the start.
ls_status ls_with_world_within(double timeout, ls_status (*work)(struct ls_comm *comm, void *context),
                               void *context);
// Should this process print the error that it ends with? Before the ranks are open, one of those that a
// launcher started does.
bool ls_world_prints(ls_status status);
// Ends what ls_with_world opened, if it did; after the error was printed, because an error that the ranks did
// not agree on ends them all at once, this one included.
void ls_world_end(ls_status status);
