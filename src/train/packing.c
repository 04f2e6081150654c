#include "train/packing.h"

#include "base/pulse.h"
#include "cpu/cpu.h"

#include <inttypes.h>
#include <stdio.h>

static ls_status pack(struct ls_comm *comm, struct ls_pack_work *work, struct ls_packing *packing) {
    char seen[32];
    snprintf(seen, sizeof seen, "%016" PRIx64, packing->plan.asked);
    LS_TRY(ls_comm_agree_same(comm, LS_INPUT, "what is to be packed, as the ranks see it,", seen));
    uint64_t content;
    LS_TRY(ls_comm_agree(comm, ls_pack_check(work, &content)));
    if (comm->rank == 0) ls_pack_clear(work); // the others wait for its share of the sum
    LS_TRY(ls_comm_sum_u64(comm, &content, 1));
    int64_t kept, written;
    ls_pulse_phase(LS_PACKING);
    LS_TRY(ls_comm_agree(comm, ls_pack_run(work, content, &kept, &written)));
    uint64_t counts[2] = {(uint64_t)kept, (uint64_t)written};
    LS_TRY(ls_comm_sum_u64(comm, counts, 2));
    packing->kept = (int64_t)counts[0];
    packing->written = (int64_t)counts[1];
    return LS_OK;
}

ls_status ls_packing_run(struct ls_comm *comm, const struct ls_pack_job *job, struct ls_pack_source *source,
                         struct ls_packing *packing) {
    struct ls_pack_job mine = *job;
    struct ls_pack_work *work = NULL;
    const int cores = ls_cpu_cores() / comm->local_size;
    mine.rank = comm->rank;
    mine.ranks = comm->size;
    if (mine.threads == 0) mine.threads = cores > 1 ? cores : 1;
    LS_TRY(ls_comm_agree(comm, ls_pack_open(&mine, source, &work, &packing->plan)));
    const ls_status status = pack(comm, work, packing);
    ls_pack_close(work);
    return status;
}
