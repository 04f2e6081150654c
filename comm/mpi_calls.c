#include "comm/mpi_calls.h"

#include "base/clock.h"
#include "base/pulse.h"

#include <sched.h>
#include <time.h>

ls_status ls_mpi_check(struct ls_comm *comm, int code, const char *what) {
    if (code == MPI_SUCCESS) return LS_OK;
    struct ls_comm_state *state = comm->state;
    state->lost = true;
    char words[MPI_MAX_ERROR_STRING + 1] = "unknown error";
    int length = 0;
    MPI_Error_string(code, words, &length);
    return LS_FAIL(LS_COMM, "rank %d on %s: %s: %s", comm->rank, comm->host, what, words);
}

// MPI moves data only inside its calls, so a wait is a loop of tests. Other ranks and compute threads may
// want this core, so between tests it is given away; and after a time in which the data should have come at a
// modest rate, the loop sleeps.
enum { MODEST_BYTES_PER_S = 100 * 1000 * 1000, SLEEP_NS = 50 * 1000 };
static const double PATIENCE_S = 0.01;

ls_status ls_mpi_wait(struct ls_comm *comm, int n, MPI_Request *requests, MPI_Status *statuses, double bytes,
                      const char *what) {
    const double give_up_spinning = ls_now() + PATIENCE_S + bytes / MODEST_BYTES_PER_S;
    for (bool sleeping = false;;) {
        int done = 0;
        const int code = MPI_Testall(n, requests, &done, statuses);
        if (code == MPI_ERR_IN_STATUS && statuses != MPI_STATUSES_IGNORE)
            for (int i = 0; i < n; i++) LS_TRY(ls_mpi_check(comm, statuses[i].MPI_ERROR, what));
        LS_TRY(ls_mpi_check(comm, code, what));
        if (done) {
            ls_pulse_tick();
            return LS_OK;
        }
        if (sleeping) {
            const struct timespec pause = {.tv_nsec = SLEEP_NS};
            nanosleep(&pause, NULL);
        } else {
            sched_yield();
            sleeping = ls_now() > give_up_spinning;
        }
    }
}

ls_status ls_mpi_collective(struct ls_comm *comm, int code, MPI_Request *request, size_t bytes,
                            const char *what) {
    LS_TRY(ls_mpi_check(comm, code, what));
    ls_pulse_enter(what, bytes);
    ls_status status = ls_mpi_wait(comm, 1, request, MPI_STATUSES_IGNORE, (double)bytes, what);
    ls_pulse_leave();
    return status;
}
