// ranks: 1 2 3
// status: 75
// After an error that all agreed on, MPI ends in good order: every rank goes on to end with a status of its
// own.
#include "comm/comm.h"
#include "mpi/check.h"

int main(void) {
    struct ls_comm comm;
    CHECK(ls_comm_open(&comm) == LS_OK);
    const ls_status mine = comm.rank == comm.size - 1 ? LS_FAIL(LS_INPUT, "no such file") : LS_OK;
    CHECK(ls_comm_agree(&comm, mine) == LS_INPUT);
    ls_comm_end(&comm, LS_INPUT);
    return 75;
}
