// ranks: 2 3
// status: 4
// One rank ends with an error that the others, which wait for it, do not know of: all end at once.
#include "comm/comm.h"
#include "mpi/check.h"

int main(void) {
    struct ls_comm comm;
    CHECK(ls_comm_open(&comm) == LS_OK);
    if (comm.rank == 1) {
        ls_comm_end(&comm, LS_FAIL(LS_COMM, "a rank disagreed"));
        CHECK(!"a rank that others wait for must not go on");
    }
    ls_comm_barrier(&comm);
    CHECK(!"a barrier must not end before all ranks are there");
}
