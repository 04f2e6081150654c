#include "cli/world.h"

#include "base/log.h"

ls_status ls_with_world(ls_status (*work)(struct ls_comm *comm, void *context), void *context) {
    struct ls_comm comm;
    LS_TRY(ls_comm_open(&comm));
    ls_log_enable(comm.rank == 0);
    ls_status status = work(&comm, context);
    // A communication error is not agreed on: whoever sees it says so.
    const bool prints = comm.rank == 0 || status == LS_COMM;
    if (status != LS_OK && !prints) ls_error_clear();
    ls_comm_close(&comm);
    return status;
}
