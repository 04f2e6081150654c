#include "train/transport.h"

#include "comm/comm.h"
#include "device/device.h"

ls_status ls_transport_choose(struct ls_comm *comm, struct ls_device *device,
                              struct ls_transport **transport) {
    if (comm->size == 1) return ls_transport_open_self(transport);
    return ls_transport_open_mpi(comm, device, transport);
}

size_t ls_transport_host_bytes(const struct ls_device *device, int ranks) {
    return ranks > 1 && !device->host_memory ? 2 * (size_t)LS_TRANSPORT_BOUNCE_BYTES : 0;
}
