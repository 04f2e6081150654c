#include "cli/world.h"

#include "base/log.h"
#include "comm/guard.h"

static struct ls_comm world;
static bool is_open;

static ls_status work_in_it(ls_status (*work)(struct ls_comm *comm, void *context), void *context) {
    is_open = true;
    ls_log_enable(world.rank == 0);
    return work(&world, context);
}

ls_status ls_with_world(ls_status (*work)(struct ls_comm *comm, void *context), void *context) {
    LS_TRY(ls_comm_open(&world));
    return work_in_it(work, context);
}

ls_status ls_with_world_within(double timeout, ls_status (*work)(struct ls_comm *comm, void *context),
                               void *context) {
    LS_TRY(ls_comm_open_within(&world, timeout));
    return work_in_it(work, context);
}

bool ls_world_prints(ls_status status) {
    return is_open ? ls_comm_prints(&world, status) : ls_launched_rank() <= 0;
}

void ls_world_end(ls_status status) {
    if (is_open) ls_comm_end(&world, status);
    is_open = false;
}
