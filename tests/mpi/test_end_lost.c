// ranks: 2 3
// status: 4
// A call of MPI fails on one rank: the error has MPI's own words, and closing ends all ranks at once.
#include "comm/comm.h"
#include "comm/transport.h"
#include "mpi/check.h"
#include "unit/comm/rehearsal.h"

int main(void) {
    struct ls_comm comm;
    struct ls_transport *transport;
    CHECK(ls_comm_open(&comm) == LS_OK);
    CHECK(ls_transport_open_mpi(&comm, rehearsal_device(), &transport) == LS_OK);
    float buffer[8] = {0};
    struct ls_queue queue = {0};
    if (comm.rank == 0) transport->api->exchange(transport, 1, buffer, 5, 1, NULL, 0, &queue);
    if (comm.rank == 1) transport->api->exchange(transport, 0, NULL, 0, 0, buffer, 4, &queue);
    const ls_status status = queue_run(&queue);
    if (comm.rank == 1) {
        CHECK(status == LS_COMM);
        CHECK(strncmp(ls_error_last()->text, "rank 1 on ", 10) == 0);
        CHECK(strstr(ls_error_last()->text, "from rank 0: "));
        CHECK(strstr(ls_error_last()->text, "TRUNCATE") || strstr(ls_error_last()->text, "truncated"));
        transport->api->close(transport);
        ls_comm_close(&comm);
        CHECK(!"after an error in MPI it must not be ended in good order");
    }
    ls_comm_barrier(&comm);
    CHECK(!"a barrier must not end before all ranks are there");
}
