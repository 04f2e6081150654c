// The wish to stop: SIGUSR1 (Slurm's warning) and SIGTERM set a flag, which the ranks agree on at the next
// step boundary.
#pragma once

#include <stdbool.h>

void ls_stop_listen(void);
bool ls_stop_wanted(void);
