// In the place of the other files, where NCCL's header was not there.
#include "comm/nccl/nccl.h"

#include "comm/comm.h"

#include <stdio.h>

static const char why[] = "NCCL (its header was not there when this was built)";

const char *ls_nccl_version(char missing[LS_NCCL_MISSING]) {
    snprintf(missing, LS_NCCL_MISSING, "%s", why);
    return "";
}

ls_status ls_transport_open_nccl(struct ls_comm *comm, struct ls_device *device,
                                 struct ls_transport **transport) {
    (void)device, (void)transport;
    return ls_comm_agree(comm, LS_FAIL(LS_INPUT, "gradients over NCCL: %s is not there", why));
}
