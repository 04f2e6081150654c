#include "cli/world.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

static struct ls_comm world;
static bool is_open;

ls_status ls_with_world(ls_status (*work)(struct ls_comm *comm, void *context), void *context) {
    LS_TRY(ls_comm_open(&world));
    is_open = true;
    ls_log_enable(world.rank == 0);
    ls_status status = work(&world, context);
    return status;
}

bool ls_world_prints(ls_status status) {
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    if (is_open) return ls_comm_prints(&world, status);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *rank = getenv(names[i]);
        if (rank) return strcmp(rank, "0") == 0;
    }
    return true;
}

void ls_world_end(ls_status status) {
    if (is_open) ls_comm_end(&world, status);
    is_open = false;
}
