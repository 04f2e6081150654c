#include "train/transport.h"

#include "base/log.h"
#include "comm/comm.h"
#include "device/device.h"
#include "train/gpu.h"

#include <string.h>

// Why this rank's gradients do not travel over NCCL; NULL: they can. Whoever asks for NCCL between ranks that
// share a GPU hears from NCCL itself.
static const char *why_not_nccl(const struct ls_device *device, bool asked) {
    const char *why;
    const struct ls_cuda_module *module = ls_gpu_module(&why);
    struct ls_cuda_libraries libraries;
    if (device->shared && !asked) return "NCCL wants a GPU for each rank";
    if (!module || !module->open_nccl) return "the CUDA module was built without NCCL";
    module->libraries(&libraries);
    return libraries.nccl[0] ? NULL : "NCCL is not installed";
}

// NCCL, where all ranks can. One that cannot decides for all.
static ls_status choose_for_gpus(const struct ls_recipe *recipe, struct ls_comm *comm,
                                 struct ls_device *device, struct ls_transport **transport) {
    const bool asked = strcmp(recipe->device.transport, "nccl") == 0;
    const char *obstacle = why_not_nccl(device, asked), *why;
    if (asked)
        LS_TRY(ls_comm_agree(comm, obstacle ? LS_FAIL(LS_INPUT, "%s: %s",
                                                      ls_recipe_place(recipe, "device.transport"), obstacle)
                                            : LS_OK));
    uint64_t obstacles = obstacle ? 1 : 0;
    LS_TRY(ls_comm_sum_u64(comm, &obstacles, 1));
    if (obstacles == 0) return ls_gpu_module(&why)->open_nccl(comm, device, transport);
    ls_note("gradients travel over MPI, through host memory: %s", obstacle ? obstacle : "a rank has no NCCL");
    return ls_transport_open_mpi(comm, device, transport);
}

ls_status ls_transport_choose(const struct ls_recipe *recipe, struct ls_comm *comm, struct ls_device *device,
                              struct ls_transport **transport) {
    if (comm->size == 1) return ls_transport_open_self(transport);
    const bool gpus = strcmp(device->api->kind, "cuda") == 0;
    if (gpus && strcmp(recipe->device.transport, "mpi") != 0)
        return choose_for_gpus(recipe, comm, device, transport);
    return ls_transport_open_mpi(comm, device, transport);
}

size_t ls_transport_host_bytes(const struct ls_recipe *recipe, const struct ls_device *device, int ranks) {
    if (ranks == 1 || device->host_memory) return 0;
    const bool over_mpi = strcmp(recipe->device.transport, "mpi") == 0 || why_not_nccl(device, false);
    return over_mpi ? 2 * (size_t)LS_TRANSPORT_BOUNCE_BYTES : 0;
}
