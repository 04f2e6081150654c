// The control plane: what ranks tell each other outside the flow of gradients. Called by one thread at a
// time, and never while a reduction is enqueued. What returns a status is collective: all ranks call it, in
// the same order.
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/begin.h"

struct ls_comm {
    int rank, size;
    int local_rank, local_size; // among the ranks of this host
    char host[128];
    void *state; // NULL: a world of one without MPI
};

// MPI where the program was started by a launcher (mpirun, srun with PMIx or PMI), or else a world of one
// that needs no MPI daemon. LS_INPUT where srun started several tasks that cannot find each other. A program
// that has started MPI itself, with MPI_THREAD_SERIALIZED at least, keeps it, and may open and close as often
// as it likes; else MPI comes and goes with the ranks, once.
ls_status ls_comm_open(struct ls_comm *comm);
// The same, with another first timeout than 300 s (see ls_comm_set_timeout), within which MPI comes up.
ls_status ls_comm_open_within(struct ls_comm *comm, double timeout);
// With several ranks a watchdog (watchdog.h) looks after them from here on: one that dies, hangs or makes
// another call than the others ends them all, with LS_COMM and one line that names it. `seconds` without a
// sign of life or of progress are too long; 300 unless set.
void ls_comm_set_timeout(struct ls_comm *comm, double seconds);
// Ends MPI in good order, or, where a call of MPI has failed and other ranks may be lost, at once.
void ls_comm_close(struct ls_comm *comm);
// Do all ranks end with this status? LS_OK, LS_PREEMPTED, LS_NUMBERS, and what ls_comm_agree or
// ls_comm_agree_same returned last. Any other is this rank's alone, and the others wait for it somewhere.
bool ls_comm_all_know(const struct ls_comm *comm, ls_status status);
// Should this rank print the error that it ends with? Of an error that all know, rank 0 does; of one of its
// own, this rank; what MPI says when another rank is lost is left to the watchdog, which knows more.
bool ls_comm_prints(const struct ls_comm *comm, ls_status status);
// Closes with the status that this rank ends with, in good order where all know it; else all ranks are ended
// with it, and this does not return. So print the error before.
void ls_comm_end(struct ls_comm *comm, ls_status status);
// How many ranks, this one among them, share memory in which they reduce: those of its host, or 1.
int ls_comm_sharing(const struct ls_comm *comm);
const char *ls_comm_library(void); // "Open MPI 4.1.4"
// This process among those of its launcher, from what that put into its environment; -1: unknown. Before the
// ranks are open, too.
int ls_launched_rank(void);

// Collective calls; LS_COMM where MPI fails. Memory stays the caller's.

ls_status ls_comm_barrier(struct ls_comm *comm); // returns once all ranks have come to it
// Every rank gets the `bytes` of rank `root` in `data`.
ls_status ls_comm_broadcast(struct ls_comm *comm, void *data, size_t bytes, int root);
// Every rank gets what all give, `bytes_each` of each rank, at most 1 GiB, in the order of ranks: `all` [size
// * bytes_each].
ls_status ls_comm_gather_all(struct ls_comm *comm, const void *mine, void *all, size_t bytes_each);
// Rank 0 gets what all ranks give, one behind the other in the order of ranks, in `all` (elsewhere NULL).
// `bytes_of` [size] is the same on all ranks and says what each gives; it may be 0.
ls_status ls_comm_gather(struct ls_comm *comm, const void *mine, void *all, const size_t *bytes_of);
// Adds elementwise over ranks, modulo 2^64. In place.
ls_status ls_comm_sum_u64(struct ls_comm *comm, uint64_t *values, int n);
// The library's own MPI_Allreduce, in place, in an order of its own: what other sums are measured against.
ls_status ls_comm_sum_f32(struct ls_comm *comm, float *values, size_t n);

// Every rank calls this with its own status. Returns LS_OK on all ranks, or on all ranks the first failing
// rank's status and error text (with " (rank R on HOST)" where there is more than one rank). So errors that
// one rank sees are agreed on before any rank ends, and rank 0 can print them.
ls_status ls_comm_agree(struct ls_comm *comm, ls_status mine);
// All ranks must have the same text; otherwise an error of `status` on all, which names `what`, the first
// rank that differs from most, and the first line in which it does.
ls_status ls_comm_agree_same(struct ls_comm *comm, ls_status status, const char *what, const char *text);

#include "base/end.h"
