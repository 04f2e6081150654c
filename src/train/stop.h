// The wish to stop: SIGUSR1 (Slurm's warning) and SIGTERM set a flag, which the ranks agree on at the next
// step boundary; one that is set while rank 0's callback of a step runs, at the boundary after that.
#pragma once

#include <stdbool.h>

#include "base/begin.h"

void ls_stop_listen(void); // from now on the signals set it
void ls_stop_ask(void);    // the program's own wish: from any thread, or from a signal handler of its own
bool ls_stop_wanted(void); // by this rank
void ls_stop_forget(void); // before another training in the same process

#include "base/end.h"
