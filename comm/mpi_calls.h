// How this folder calls MPI: on a communicator that returns errors, with waits that let others run, and with
// failures in words.
#pragma once

#include "comm/comm.h"

#include <mpi.h>
#include <stdatomic.h>
#include <stdbool.h>

struct ls_comm_state {
    MPI_Comm mpi, data;           // of the control plane and of the transport: their messages never meet
    bool started_mpi;             // so it ends it
    atomic_bool lost;             // a call has failed: other ranks may be gone
    struct ls_watchdog *watchdog; // NULL: none
    struct ls_segment *segment;   // NULL: the ranks share no memory
    int first_on_host;            // of the ranks
    ls_status agreed;             // what ls_comm_agree or ls_comm_agree_same returned last on all ranks
};

enum { LS_MPI_PIECE_BYTES = 1 << 30 }; // counts in MPI are int

// LS_OK for MPI_SUCCESS; else LS_COMM, "rank 2 on HOST: WHAT: MPI's own words".
ls_status ls_mpi_check(struct ls_comm *comm, int code, const char *what);
// A collective call of the control plane that was started with `code`: noted for the watchdog, and waited
// for.
ls_status ls_mpi_collective(struct ls_comm *comm, int code, MPI_Request *request, size_t bytes,
                            const char *what);
// The library's own all-reduce, in place, over `on`. The blocking call is what MPI libraries have made fast;
// its core is not given away.
ls_status ls_mpi_sum_f32(struct ls_comm *comm, MPI_Comm on, float *values, size_t n, const char *what);
// Waits for all requests, which carry `bytes`; `statuses` may be MPI_STATUSES_IGNORE.
ls_status ls_mpi_wait(struct ls_comm *comm, int n, MPI_Request *requests, MPI_Status *statuses, double bytes,
                      const char *what);
