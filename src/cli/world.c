#include "cli/world.h"

#include "base/clock.h"
#include "base/log.h"

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

// PRRTE (Open MPI 5) loses what it has not read yet of a rank's output once another rank has ended with an
// error. The others wait for this one in MPI's own end.
static void let_launcher_read(ls_status status) {
    if (status != LS_OK && world.size > 1 && ls_comm_prints(&world, status)) ls_sleep(0.2);
}

void ls_world_end(ls_status status) {
    if (is_open) {
        let_launcher_read(status);
        ls_comm_end(&world, status);
    }
    is_open = false;
}
