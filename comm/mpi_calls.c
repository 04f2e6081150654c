#include "comm/mpi_calls.h"

#include "base/pulse.h"
#include "comm/patience.h"

ls_status ls_mpi_check(struct ls_comm *comm, int code, const char *what) {
    if (code == MPI_SUCCESS) return LS_OK;
    struct ls_comm_state *state = comm->state;
    state->lost = true;
    char words[MPI_MAX_ERROR_STRING + 1] = "unknown error";
    int length = 0;
    MPI_Error_string(code, words, &length);
    return LS_FAIL(LS_COMM, "rank %d on %s: %s: %s", comm->rank, comm->host, what, words);
}

static ls_status test_all(struct ls_comm *comm, int n, MPI_Request *requests, int *done, MPI_Status *statuses,
                          const char *what) {
    const int code = MPI_Testall(n, requests, done, statuses);
    if (code == MPI_ERR_IN_STATUS && statuses != MPI_STATUSES_IGNORE)
        for (int i = 0; i < n; i++) LS_TRY(ls_mpi_check(comm, statuses[i].MPI_ERROR, what));
    return ls_mpi_check(comm, code, what);
}

// MPI moves data only inside its calls, so a wait is a loop of tests. A test looks before it moves data: what
// has come shows in the next one.
ls_status ls_mpi_wait(struct ls_comm *comm, int n, MPI_Request *requests, MPI_Status *statuses, double bytes,
                      const char *what) {
    for (struct ls_patience patience = ls_patience_for(bytes);; ls_patience_pass(&patience)) {
        int done = 0;
        for (int look = 0; look < 2 && !done; look++)
            LS_TRY(test_all(comm, n, requests, &done, statuses, what));
        if (done) {
            ls_pulse_tick();
            return LS_OK;
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

ls_status ls_mpi_sum_f32(struct ls_comm *comm, MPI_Comm on, float *values, size_t n, const char *what) {
    const size_t piece = LS_MPI_PIECE_BYTES / sizeof *values;
    for (size_t at = 0; at < n; at += piece) {
        const int count = (int)(n - at < piece ? n - at : piece);
        LS_TRY(ls_mpi_check(comm, MPI_Allreduce(MPI_IN_PLACE, values + at, count, MPI_FLOAT, MPI_SUM, on),
                            what));
        ls_pulse_tick();
    }
    return LS_OK;
}
