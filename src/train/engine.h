// The engine: one rank's replica and its share of a step. Everything is enqueued; what meets, meets at
// events.
//
//   queue 0   lane 0  seg 0 | seg 1 | …          fold of buckets 0, T, … as their segments end
//   queue 1   lane 1  seg 0 | seg 1 | …          fold of buckets 1, T+1, …
//   comm                      reduce bucket 0 | reduce bucket 1 | …      (last wave of lanes)
//   then: square sums on all queues, decide on queue 0, update on all queues
#pragma once

#include "comm/comm.h"
#include "comm/reduce.h"
#include "data/reader.h"
#include "train/memory.h"
#include "train/model.h"
#include "train/trace.h"

#include "base/begin.h"

struct ls_engine;
struct ls_checkpoint_state;

struct ls_engine_spec {
    struct ls_device *device;
    struct ls_comm *comm;
    const struct ls_model *model;
    const struct ls_recipe *recipe;
};

// What this rank takes. Of the communicator, sizes and the rank alone are looked at.
struct ls_memory ls_memory_of(const struct ls_recipe *recipe, const struct ls_model *model,
                              const struct ls_dataset_info *train, const struct ls_dataset_info *test,
                              struct ls_device *device, const struct ls_comm *comm);

// A phase that is not the engine's own, for the device's profiler. Phases nest.
void ls_engine_phase_begin(const struct ls_engine *engine, enum ls_trace_kind kind);
void ls_engine_phase_end(const struct ls_engine *engine);
// From now on the engine's work is traced; `trace` outlives the engine, NULL: no more.
void ls_engine_trace(struct ls_engine *engine, struct ls_trace *trace);
int64_t ls_engine_spans_a_step(const struct ls_engine *engine); // at most
int ls_engine_queues(const struct ls_engine *engine);
// From now on the nodes of the training plan are timed, as `profile` of device.h says, into
// seconds[queue * nodes + node]; NULL: no more. Not while a step is under way. LS_INPUT where the device
// can't.
ls_status ls_engine_profile(struct ls_engine *engine, double *seconds);

struct ls_step_control {
    uint64_t step;    // 0-based
    uint64_t updates; // done before this one (AdamW's bias correction, the warm-up of averages)
    float lr;
    float loss_scale; // gradients are computed so many times too large; 0 is 1
    bool stop, fault; // this rank's wishes
};

struct ls_step_result {
    double loss;  // mean over the global batch
    double score; // of the loss op, mean
    double grad_norm;
    bool skipped, stop, fault; // the same on every rank
    double comm_exposed;       // seconds that compute waited for communication
};

// More ranks than lanes: LS_INPUT.
ls_status ls_engine_check_ranks(const struct ls_recipe *recipe, const struct ls_comm *comm);
// Collective; where it fails on one rank it may have succeeded on others.
ls_status ls_engine_open(const struct ls_engine_spec *spec, struct ls_engine **engine);
void ls_engine_close(struct ls_engine *engine);

// The lanes of this rank, and how many samples it takes of each global batch.
struct ls_lane_range ls_engine_lanes(const struct ls_engine *engine);

// One step on this rank's part of the batch (its lanes' samples, in order). All ranks call it alike. The
// batch may be given back when this returns.
ls_status ls_engine_step(struct ls_engine *engine, const struct ls_batch *batch,
                         const struct ls_step_control *control, struct ls_step_result *result);

// The same in three parts, of which two only enqueue: lanes, folds and reductions; then decision and update
// by the reduced gradients; then its result is waited for. The batch may be given back after the third.
// Between a step's second and third part the next one may be begun, which changes no weight: the device then
// never waits for the host. Nothing else is asked of the engine between a step's parts.
//
//   host     begin 0, apply 0, begin 1, result 0, apply 1, begin 2, result 1, apply 2, …
//   device   lanes 0 ……………… update 0 | lanes 1 ……………………… update 1 | lanes 2 …………
void ls_engine_begin(struct ls_engine *engine, const struct ls_batch *batch,
                     const struct ls_step_control *control);
void ls_engine_apply(struct ls_engine *engine, const struct ls_step_control *control);
ls_status ls_engine_result(struct ls_engine *engine, struct ls_step_result *result);
// Waits until the applied step is done, for whoever wants to know when: its result comes without a wait then.
void ls_engine_wait(struct ls_engine *engine);
// A step that was begun is not applied: waits until nothing of it runs. It may be begun anew.
ls_status ls_engine_abandon(struct ls_engine *engine);

// For audits, instead of the first part: waits until the gradients are there. It
// takes a fingerprint of the gradient of lane `audited` where this rank holds it, -1: of none.
ls_status ls_engine_gradients(struct ls_engine *engine, const struct ls_batch *batch,
                              const struct ls_step_control *control, int audited);
// The fingerprint that ls_engine_gradients took. Needs train.audit_every.
ls_status ls_engine_mark_of_step(struct ls_engine *engine, uint64_t *mark);
bool ls_engine_fault(const struct ls_engine *engine); // did a rank say that it could not read its batch?
// Between the first part and the second, or the second time with the same weights: computes the lane whose
// samples `batch` holds, of any rank, and takes its fingerprint.
ls_status ls_engine_recompute(struct ls_engine *engine, const struct ls_batch *batch, uint64_t *mark);

// How many chunks an evaluation should hand over at a time: as many as there are queues, and, where input is
// copied, more, so that one chunk is copied while another computes.
int ls_engine_chunks_a_round(const struct ls_engine *engine);
// Forward only, by the averages where they are kept, on chunks of lane_batch samples: chunk i of the batch is
// samples [i * lane_batch, …). metrics [chunks][3]: sums of loss, correct, weight. results: plan->result of
// all chunks in order, or NULL. Both fastest in memory of the device's alloc_host.
ls_status ls_engine_evaluate(struct ls_engine *engine, const struct ls_batch *batch, int chunks,
                             float (*metrics)[3], float *results);

// The replica, in the layout's flat form, in memory of the host: the device's own, where that is the same, or
// a mirror. Either way a change becomes the device's with ls_engine_upload, and what steps have changed is
// there after ls_engine_download, which copies no more than once a step. Not while a step is under way.
struct ls_replica {
    float *params, *states, *slot[2];
    const char *slot_names[2];
    // Moving averages of params and states (train.ema): what evaluations compute with. NULL: none are kept.
    float *average, *average_states;
};
// The averages begin where the weights and statistics are now. Nothing where none are kept.
void ls_replica_begin_average(const struct ls_replica *replica, const struct ls_layout *layout);
struct ls_replica ls_engine_replica(const struct ls_engine *engine);
ls_status ls_engine_download(struct ls_engine *engine);
ls_status ls_engine_upload(struct ls_engine *engine);

#include "base/end.h"
