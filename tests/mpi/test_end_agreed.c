// ranks: 1 2 3
// status: 2
// An error that all agreed on: MPI ends in good order, and its status is the program's.
#include "comm/comm.h"
#include "mpi/check.h"

int main(void) {
    struct ls_comm comm;
    CHECK(ls_comm_open(&comm) == LS_OK);
    const ls_status mine = comm.rank == comm.size - 1 ? LS_FAIL(LS_INPUT, "no such file") : LS_OK;
    const ls_status status = ls_comm_agree(&comm, mine);
    ls_comm_end(&comm, status);
    return (int)status;
}
