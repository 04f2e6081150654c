// Ends this process where MPI does not come up: then there is no watchdog yet, and nobody to ask how the
// others are. A thread, which makes no call of MPI.
#pragma once

#include "base/status.h"

struct ls_guard;

// Unless it is closed within `timeout` seconds, and some more for slow starts, the process ends with LS_COMM.
// One rank of the host says which rank of it is stopped; where none is, one says that MPI has not come up.
ls_status ls_guard_open(double timeout, struct ls_guard **guard);
void ls_guard_close(struct ls_guard *guard);
