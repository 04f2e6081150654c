// Does a device compute wrongly? Every train.audit_every steps one lane is computed a second time on another
// rank, and the gradients' bits are compared before the step is applied. Lanes take turns, so that every rank
// is seen to.
#pragma once

#include "train/engine.h"
#include "train/sampling.h"

struct ls_audit;

// Collective only in its effects: all ranks open it, or none. `train` and `sampling` stay the caller's.
ls_status ls_audit_open(struct ls_engine *engine, struct ls_comm *comm, const struct ls_recipe *recipe,
                        const struct ls_model *model, struct ls_device *device, struct ls_dataset *train,
                        const struct ls_sampling *sampling, struct ls_audit **audit);
void ls_audit_close(struct ls_audit *audit); // takes NULL
// Is the step that follows `step` steps done audited?
bool ls_audit_due(const struct ls_audit *audit, uint64_t step);
// The last step, of `step` steps done, that an audit stands behind; what came later may be wrong. 0: none.
uint64_t ls_audit_trusted(const struct ls_audit *audit, uint64_t step);
// Did bits differ? All ranks say the same.
bool ls_audit_failed(const struct ls_audit *audit);
// ls_engine_step with an audit in its midst. Where bits differ: LS_COMM on all ranks, the rank that is wrong
// by name where a third opinion (or, of two ranks, a second one of each) tells, and the step is not applied.
ls_status ls_audit_step(struct ls_audit *audit, const struct ls_batch *batch,
                        const struct ls_step_control *control, struct ls_step_result *result);
