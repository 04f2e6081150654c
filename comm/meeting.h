// How ranks come to have connections of their own, without MPI: one rank listens, others come to it.
#pragma once

#include "comm/comm.h"
#include "comm/wire.h"

// Collective; every rank of at least `first` but `root` itself is a guest of `root`. On a guest that met the
// root, wires[root] is the connection; on the root, wires[r] is that to each guest that did; all others are
// left as they are. `met` [ranks] says on all ranks who did. A guest that has not got through after some
// seconds is without.
ls_status ls_meet(struct ls_comm *comm, int root, int first, struct ls_wire *wires, bool *met);
