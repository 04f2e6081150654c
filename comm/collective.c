// The collective calls of the control plane.
#include "comm/comm.h"

#include "base/pulse.h"
#include "comm/mpi_calls.h"

#include <stdlib.h>
#include <string.h>

ls_status ls_comm_barrier(struct ls_comm *comm) {
    const struct ls_comm_state *state = comm->state;
    if (!state) return LS_OK;
    MPI_Request request;
    return ls_mpi_collective(comm, MPI_Ibarrier(state->mpi, &request), &request, 0, "the barrier");
}

ls_status ls_comm_broadcast(struct ls_comm *comm, void *data, size_t bytes, int root) {
    const struct ls_comm_state *state = comm->state;
    if (!state) return LS_OK;
    for (char *at = data; bytes > 0;) {
        const size_t n = bytes < LS_MPI_PIECE_BYTES ? bytes : LS_MPI_PIECE_BYTES;
        MPI_Request request;
        LS_TRY(ls_mpi_collective(comm, MPI_Ibcast(at, (int)n, MPI_BYTE, root, state->mpi, &request), &request,
                                 n, "the broadcast"));
        at += n;
        bytes -= n;
    }
    return LS_OK;
}

ls_status ls_comm_gather_all(struct ls_comm *comm, const void *mine, void *all, size_t bytes_each) {
    const struct ls_comm_state *state = comm->state;
    if (!state) {
        if (bytes_each > 0) memcpy(all, mine, bytes_each);
        return LS_OK;
    }
    if (bytes_each > LS_MPI_PIECE_BYTES)
        return LS_FAIL(LS_SYSTEM, "%zu bytes to gather from each rank: at most %d", bytes_each,
                       LS_MPI_PIECE_BYTES);
    MPI_Request request;
    const int n = (int)bytes_each;
    return ls_mpi_collective(comm, MPI_Iallgather(mine, n, MPI_BYTE, all, n, MPI_BYTE, state->mpi, &request),
                             &request, bytes_each * (size_t)comm->size, "the gathering from all ranks");
}

static ls_status gather_parts(struct ls_comm *comm, const void *mine, void *all, int *counts, int *places,
                              const size_t *bytes_of) {
    const struct ls_comm_state *state = comm->state;
    size_t total = 0;
    for (int r = 0; r < comm->size; r++) {
        if (bytes_of[r] > LS_MPI_PIECE_BYTES - total)
            return LS_FAIL(LS_SYSTEM, "more than %d bytes to gather on rank 0", LS_MPI_PIECE_BYTES);
        counts[r] = (int)bytes_of[r];
        places[r] = (int)total;
        total += bytes_of[r];
    }
    if (total == 0) return LS_OK;
    MPI_Request request;
    return ls_mpi_collective(comm,
                             MPI_Igatherv(mine, counts[comm->rank], MPI_BYTE, all, counts, places, MPI_BYTE,
                                          0, state->mpi, &request),
                             &request, total, "the gathering on rank 0");
}

ls_status ls_comm_gather(struct ls_comm *comm, const void *mine, void *all, const size_t *bytes_of) {
    if (!comm->state) {
        if (bytes_of[0] > 0) memcpy(all, mine, bytes_of[0]);
        return LS_OK;
    }
    int *counts = calloc(2 * (size_t)comm->size, sizeof *counts);
    if (!counts) return LS_FAIL(LS_SYSTEM, "out of memory");
    const ls_status status = gather_parts(comm, mine, all, counts, counts + comm->size, bytes_of);
    free(counts);
    return status;
}

ls_status ls_comm_sum_u64(struct ls_comm *comm, uint64_t *values, int n) {
    const struct ls_comm_state *state = comm->state;
    if (!state || n == 0) return LS_OK;
    MPI_Request request;
    return ls_mpi_collective(
        comm, MPI_Iallreduce(MPI_IN_PLACE, values, n, MPI_UINT64_T, MPI_SUM, state->mpi, &request), &request,
        (size_t)n * sizeof *values, "the sum over ranks");
}

ls_status ls_comm_sum_f32(struct ls_comm *comm, float *values, size_t n) {
    const struct ls_comm_state *state = comm->state;
    if (!state) return LS_OK;
    ls_pulse_enter("the sum of floats over ranks", n * sizeof *values);
    const ls_status status = ls_mpi_sum_f32(comm, state->mpi, values, n, "the sum of floats over ranks");
    ls_pulse_leave();
    return status;
}
