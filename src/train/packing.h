// Packing on all ranks: data/pack.h, done in its order and agreed on.
#pragma once

#include "comm/comm.h"
#include "data/pack.h"

#include "base/begin.h"

struct ls_packing {
    struct ls_pack_plan plan; // its names are the job's
    int64_t kept, written;    // shards, of all ranks
};

// All ranks call it, each with the source opened for itself. The job's rank and ranks are those of `comm`;
// its threads, where they are 0, the cores of a host shared out. LS_INPUT names what of the source is bad;
// nothing is written then.
ls_status ls_packing_run(struct ls_comm *comm, const struct ls_pack_job *job, struct ls_pack_source *source,
                         struct ls_packing *packing);

#include "base/end.h"
