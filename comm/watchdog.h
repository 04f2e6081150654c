// Notices that a rank has died, hangs, or makes another call than the others, and ends all ranks with one
// line that names it. A thread of its own on each rank, which makes no call of MPI, CUDA or NCCL: those may
// be what hangs.
//
//     rank 0, the hub  <-- a TCP connection each -->  every other rank, a member
//
// Members tell the hub several times a second what they do (base/pulse.h), the hub tells them that it lives.
// The hub alone judges (judge.h) and prints; it then ends all. A ring, in which each rank watches the next,
// would need no hub, but no rank of it would know enough to say who holds up whom. Where the hub itself is
// lost, each member notices; the deputy, to which every member has a second connection, prints and ends all.
#pragma once

#include "comm/comm.h"

struct ls_watchdog;

// Collective. NULL for a world of one, or where the hub cannot listen; a rank that cannot reach the hub is
// warned of and goes unwatched. The thread runs until ls_watchdog_close.
ls_status ls_watchdog_open(struct ls_comm *comm, struct ls_watchdog **watchdog);
// No sign of life or no progress for so long ends the run; 300 s unless set.
void ls_watchdog_set_timeout(struct ls_watchdog *watchdog, double seconds);
// Ends all ranks with `status`; does not return. `text` is what happened, printed by the hub unless it finds
// out in a moment who is to blame; NULL where this rank has printed it.
_Noreturn void ls_watchdog_end_all(struct ls_watchdog *watchdog, ls_status status, const char *text);
// From now on the end of a connection is no death, on either side: MPI is about to be finalized, which no
// rank leaves before all have called this. The hub still notices who is silent or still. Takes NULL.
void ls_watchdog_leave(struct ls_watchdog *watchdog);
void ls_watchdog_close(struct ls_watchdog *watchdog); // after that; takes NULL
