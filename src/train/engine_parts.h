// The engine's parts: opening and closing (engine_open.c), its steps (engine.c), recomputing a lane
// (engine_audit.c).
#pragma once

#include "train/engine.h"

enum { LS_MAX_QUEUES = 256 };

struct ls_engine {
    struct ls_device *device;
    const struct ls_device_api *api;
    const struct ls_recipe *recipe;
    const struct ls_plan *train, *eval;
    const struct ls_layout *layout;
    struct ls_lane_range lanes;
    int lanes_total;

    int n_queues; // lanes side by side
    struct ls_queue *queue[LS_MAX_QUEUES], *comm_queue;
    void *arena[LS_MAX_QUEUES];
    struct ls_program *train_program, *eval_program;
    struct ls_event **segment_done;      // [queue * segments + segment]
    struct ls_event **folded, **reduced; // [segment]
    struct ls_event *summed[LS_MAX_QUEUES], *decided;

    struct ls_fold *fold;
    struct ls_transport *transport;
    struct ls_reducer *reducer;
    float **buffers; // [fold->n_buffers]: output buffers
    struct ls_replica replica;
    struct ls_lane_control *control; // [lanes of this rank]
    double *block_sums;
    size_t blocks;
    struct ls_decision *decision;
    struct ls_update_range *ranges; // device memory, as is `state_table`
    int n_ranges;
    struct ls_update_state *state_table;
    double compute_ended, reduce_ended; // of the last step
    struct ls_trace *trace;             // NULL: none

    // Where lanes are audited (train.audit_every): the lane whose gradient is fingerprinted in this step, or
    // -1; a fingerprint a bucket, on the device and on the host; where a lane is recomputed.
    int audited;
    uint64_t *marks, *host_marks; // [n_segments]
    float *audit_output;
};

size_t ls_largest_bucket(const struct ls_plan *plan); // floats
int ls_optimizer_slots(const struct ls_recipe *recipe);

// What lane-sized chunk `chunk` of a batch looks like to queue q, with the chunk's control.
struct ls_lane ls_engine_lane(const struct ls_engine *engine, const struct ls_plan *plan, int q,
                              const struct ls_batch *batch, int chunk, float *output);
struct ls_lane_control ls_engine_control(const struct ls_engine *engine, uint64_t first_position);
// Enqueues the fingerprint of what segment s of a lane has added to its output.
void ls_engine_mark(struct ls_engine *engine, int q, int s, const float *output);
ls_status ls_engine_sync(struct ls_engine *engine); // all queues; the first error
