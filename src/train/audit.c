#include "train/audit.h"

#include "train/reading.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// A rank's marks of lanes, and where it runs.
struct opinion {
    char host[128];     // as in struct ls_comm
    uint64_t own;       // of the lane of its own that is audited, as it went into the step
    uint64_t neighbour; // of that of the rank before it, computed again
    uint64_t appeal;    // of the lane that is in dispute, computed by a third rank or once more
};

struct ls_audit {
    struct ls_engine *engine;
    struct ls_comm *comm;
    struct ls_reader *reader;
    int64_t every, batch, lane_batch;
    int lanes;
    bool failed;
    struct opinion *all; // by rank, in the audit under way
};

ls_status ls_audit_open(struct ls_engine *engine, struct ls_comm *comm, const struct ls_recipe *recipe,
                        const struct ls_model *model, struct ls_device *device, struct ls_dataset *train,
                        const struct ls_sampling *sampling, struct ls_audit **out) {
    struct ls_audit *audit = calloc(1, sizeof *audit);
    if (!audit) return LS_FAIL(LS_SYSTEM, "out of memory");
    *audit = (struct ls_audit){
        .engine = engine,
        .comm = comm,
        .every = recipe->train.audit_every,
        .batch = recipe->train.batch,
        .lane_batch = model->train->lane_batch,
        .lanes = (int)recipe->train.lanes,
    };
    audit->all = calloc((size_t)comm->size, sizeof *audit->all);
    if (!audit->all) {
        ls_audit_close(audit);
        return LS_FAIL(LS_SYSTEM, "out of memory");
    }
    struct ls_reader_spec reading = ls_reader_spec_of(recipe, false, audit->lane_batch);
    ls_reader_for_device(&reading, device);
    ls_sampling_apply(sampling, &reading);
    ls_status status = ls_reader_open(train, &reading, &audit->reader);
    if (status != LS_OK) {
        ls_audit_close(audit);
        return status;
    }
    *out = audit;
    return LS_OK;
}

void ls_audit_close(struct ls_audit *audit) {
    if (!audit) return;
    if (audit->reader) ls_reader_close(audit->reader);
    free(audit->all);
    free(audit);
}

bool ls_audit_due(const struct ls_audit *audit, uint64_t step) {
    return audit && (step + 1) % (uint64_t)audit->every == 0;
}

uint64_t ls_audit_trusted(const struct ls_audit *audit, uint64_t step) {
    return step / (uint64_t)audit->every * (uint64_t)audit->every;
}

bool ls_audit_failed(const struct ls_audit *audit) {
    return audit->failed;
}

// ---- opinions ----

// One lane of each rank, which take turns.
static int lane_of(const struct ls_audit *audit, uint64_t step, int rank) {
    const struct ls_lane_range range = ls_lanes_of(rank, audit->comm->size, audit->lanes);
    const uint64_t turn = (step + 1) / (uint64_t)audit->every;
    return range.begin + (int)(turn % (uint64_t)(range.end - range.begin));
}

static int after(const struct ls_audit *audit, int rank, int places) {
    return (rank + places) % audit->comm->size;
}

static ls_status recompute(struct ls_audit *audit, uint64_t step, int lane, uint64_t *mark) {
    const uint64_t first = step * (uint64_t)audit->batch + (uint64_t)lane * (uint64_t)audit->lane_batch;
    ls_reader_request(audit->reader, first, audit->lane_batch);
    struct ls_batch *batch = NULL;
    ls_status status = ls_reader_next(audit->reader, &batch, NULL);
    if (status == LS_OK) status = ls_engine_recompute(audit->engine, batch, mark);
    ls_reader_release(audit->reader, batch);
    return status;
}

static ls_status gather(struct ls_audit *audit, ls_status mine, const struct opinion *opinion,
                        struct opinion *all) {
    LS_TRY(ls_comm_agree(audit->comm, mine));
    return ls_comm_gather_all(audit->comm, opinion, all, sizeof *opinion);
}

// ---- verdicts ----

#define SET_ASIDE                                                                                            \
    "the step was not applied, and checkpoints of steps after %" PRIu64                                      \
    " (the audit before) are set aside as "                                                                  \
    "*.suspect"

static ls_status blame(const struct ls_audit *audit, const struct opinion *all, uint64_t step, int lane,
                       int rank, int other, const char *how) {
    return LS_FAIL(LS_COMM,
                   "audit at step %" PRIu64
                   ": rank %d (host %s) computes wrongly: its gradient of lane %d is not "
                   "that of rank %d%s; " SET_ASIDE ": resume without that device",
                   step + 1, rank, all[rank].host, lane, other, how, ls_audit_trusted(audit, step));
}

static ls_status cannot_tell(const struct ls_audit *audit, const struct opinion *all, uint64_t step, int lane,
                             int owner, int auditor) {
    return LS_FAIL(
        LS_COMM,
        "audit at step %" PRIu64 ": rank %d (host %s) and rank %d (host %s) compute other gradients "
        "of lane %d, and nothing tells which of them computes wrongly (from three ranks on, a third "
        "one would); " SET_ASIDE,
        step + 1, owner, all[owner].host, auditor, all[auditor].host, lane, ls_audit_trusted(audit, step));
}

// All ranks have all opinions, and so come to the same verdict.
static ls_status judge(struct ls_audit *audit, uint64_t step, int owner, struct opinion *mine,
                       struct opinion *all) {
    const int ranks = audit->comm->size, rank = audit->comm->rank;
    audit->failed = true;
    const int auditor = after(audit, owner, 1), third = after(audit, owner, 2),
              lane = lane_of(audit, step, owner);
    if (ranks == 1) return blame(audit, all, step, lane, 0, 0, " once it computes it again");
    // Of two ranks each computes it once more: one that errs now and then does not err twice.
    ls_status status = ranks == 2 || rank == third ? recompute(audit, step, lane, &mine->appeal) : LS_OK;
    LS_TRY(gather(audit, status, mine, all));
    const uint64_t by_owner = all[owner].own, by_auditor = all[auditor].neighbour;
    if (ranks == 2) {
        const char *how = ", nor its own of a second time";
        if (all[owner].appeal == by_auditor) return blame(audit, all, step, lane, owner, auditor, how);
        if (all[auditor].appeal == by_owner) return blame(audit, all, step, lane, auditor, owner, how);
    } else {
        const char *how = ", with which a third rank agrees";
        if (all[third].appeal == by_auditor) return blame(audit, all, step, lane, owner, auditor, how);
        if (all[third].appeal == by_owner) return blame(audit, all, step, lane, auditor, owner, how);
    }
    return cannot_tell(audit, all, step, lane, owner, auditor);
}

static ls_status compare(struct ls_audit *audit, uint64_t step, struct opinion *all) {
    const int ranks = audit->comm->size, before = after(audit, audit->comm->rank, ranks - 1);
    struct opinion mine = {0};
    snprintf(mine.host, sizeof mine.host, "%s", audit->comm->host);
    ls_status status = ls_engine_mark_of_step(audit->engine, &mine.own);
    if (status == LS_OK) status = recompute(audit, step, lane_of(audit, step, before), &mine.neighbour);
    LS_TRY(gather(audit, status, &mine, all));
    for (int owner = 0; owner < ranks; owner++)
        if (all[owner].own != all[after(audit, owner, 1)].neighbour)
            return judge(audit, step, owner, &mine, all);
    return LS_OK;
}

ls_status ls_audit_step(struct ls_audit *audit, const struct ls_batch *batch,
                        const struct ls_step_control *control, struct ls_step_result *result) {
    const int lane = lane_of(audit, control->step, audit->comm->rank);
    LS_TRY(ls_engine_gradients(audit->engine, batch, control, lane));
    // With a batch that a rank could not read there is nothing to compare; the step tells all ranks.
    if (!ls_engine_fault(audit->engine))
        LS_TRY(ls_comm_agree(audit->comm, compare(audit, control->step, audit->all)));
    ls_engine_apply(audit->engine, control);
    return ls_engine_result(audit->engine, result);
}
