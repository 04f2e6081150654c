// The engine's parts: opening and closing (engine_open.c), what it takes (engine_memory.c), its input
// (engine_input.c) and replica (engine_replica.c), its steps (engine.c) and their updates (engine_update.c),
// trust ratios (engine_trust.c), moving averages (engine_average.c), what is made of the weights for all
// lanes (engine_convert.c), recomputing a lane (engine_audit.c), and what these share (engine_parts.c).
#pragma once

#include "device/device.h"
#include "train/engine.h"
#include "train/trace.h"

enum { LS_MAX_QUEUES = 256, LS_STAGES_A_QUEUE = 2, LS_CHUNKS_A_STAGE = 2 };

// A step that is applied, and the next one, which is begun: what the host writes or reads of a step lies
// twice.
enum { LS_STEPS_AT_ONCE = 2 };

// Where the host cannot write a lane's input to where the device reads it: a place on the device that a
// lane's input is copied to while the lane before computes. All in one piece of memory.
struct ls_stage {
    char *memory;
    struct ls_event *filled, *emptied;
};

// Where the parts of a lane's input lie in a stage: bytes from its start.
struct ls_stage_layout {
    size_t augment, target, weight, control, bytes;
};

// What an engine of one rank takes, in bytes. Made once, by ls_engine_sizes, for the plan that is printed and
// for the engine that is opened, so that both say the same.
struct ls_engine_sizes {
    struct ls_lane_range lanes;
    int queues, buffers, slots, stages; // how many of each
    bool averages;                      // of params and states, one each
    int chunks;                         // of an evaluation, a round
    size_t converted;                   // of the weights, for all lanes
    size_t arena, params, states, slot, output, block_sums, ranges, state_table;
    size_t update_blocks, ratios; // of LARS and LAMB: how many blocks, and bytes; 0: no trust ratios
    size_t marks;                 // 0: no audits, and no output of a lane that is computed again
    struct ls_stage_layout stage;
    size_t scratch; // of the reducer, where ranks send messages
    size_t seen;    // of other ranks' buffers, where they share them
};

// What the host learns of a step: pinned memory, filled by copies and calls that are enqueued.
struct ls_outcome {
    float metrics[LS_METRICS]; // reduced
    struct ls_decision decision;
    double compute_ended, reduce_ended;
};

struct ls_engine {
    struct ls_device *device;
    const struct ls_device_api *api;
    const struct ls_recipe *recipe;
    const struct ls_plan *train, *eval;
    const struct ls_layout *layout;
    struct ls_engine_sizes sizes;
    struct ls_lane_range lanes;
    int lanes_total;

    int n_queues; // lanes side by side
    struct ls_queue *queue[LS_MAX_QUEUES], *comm_queue;
    void *arena[LS_MAX_QUEUES];
    struct ls_program *train_program, *eval_program;
    void *converted;                        // what they make of the weights,
    const struct ls_program *converted_for; // which of them; NULL: not of the weights of now
    struct ls_event **segment_done;         // [queue * segments + segment]
    struct ls_event **folded;               // [segment]
    struct ls_event *reduced, *decided;
    struct ls_event *share_done[LS_MAX_QUEUES]; // of what all queues do together, this queue's part
    struct ls_event *updated;                   // the last step is applied: weights, statistics, its outcome

    struct ls_queue *copy_queue; // NULL where device->host_memory: lanes then read the batch itself
    struct ls_stage *stages;     // [queue * LS_STAGES_A_QUEUE + turn]
    int turn[LS_MAX_QUEUES];     // of the queue's stages, which is filled next

    struct ls_fold *fold;
    struct ls_transport *transport;
    struct ls_reducer *reducer;
    float **buffers;           // [fold->n_buffers]: output buffers
    struct ls_replica replica; // on the device
    struct ls_replica mirror;  // for the host; the replica itself where device->host_memory
    bool mirrored;             // the mirror is as the replica
    // [LS_STEPS_AT_ONCE][lanes of this rank], and that of a lane that is recomputed; host memory
    struct ls_lane_control *control;
    double *block_sums;
    size_t blocks;
    struct ls_decision *decision;
    struct ls_update_range *ranges; // device memory, as is `state_table`
    int n_ranges;
    struct ls_update_state *state_table;
    // Trust ratios (LARS, LAMB), else NULL: blocks of what is trained and their norms, a ratio a range;
    // device memory.
    struct ls_update_block *update_blocks;
    double (*norms)[2];
    float *ratios;
    struct ls_event *normed[LS_MAX_QUEUES], *trusted;
    struct ls_outcome *outcome; // [LS_STEPS_AT_ONCE]
    int begun, applied;     // of LS_STEPS_AT_ONCE: the place of the step that was last begun, last applied
    uint64_t step;          // that was last begun, and
    float loss_scale;       // its gradients' factor
    struct ls_trace *trace; // NULL: none

    // Where lanes are audited (train.audit_every): the lane whose gradient is fingerprinted in this step, or
    // -1; a fingerprint a bucket, on the device and on the host; where a lane is recomputed.
    int audited;
    uint64_t *marks, *host_marks; // [n_segments]
    float *audit_output;
};

size_t ls_largest_bucket(const struct ls_plan *plan); // floats
struct ls_engine_sizes ls_engine_sizes(const struct ls_recipe *recipe, const struct ls_model *model,
                                       const struct ls_device *device, const struct ls_comm *comm);
// Of the device's memory, each allocation rounded up as a reservation is carved.
size_t ls_engine_device_bytes(const struct ls_engine_sizes *sizes);

// ---- engine_input.c
ls_status ls_engine_open_input(struct ls_engine *engine);
void ls_engine_close_input(struct ls_engine *engine);
// What lane-sized chunk `chunk` of a batch looks like to queue q, whose later work finds its input where the
// lane says. Between two calls for one queue stands ls_engine_input_read.
struct ls_lane ls_engine_input(struct ls_engine *engine, const struct ls_plan *plan, int q,
                               const struct ls_batch *batch, int chunk,
                               const struct ls_lane_control *control);
// The queue's work so far was the last that reads the input of its lane.
void ls_engine_input_read(struct ls_engine *engine, int q);

// ---- engine_convert.c
// Enqueues what makes `program` ready to run with these weights, where that is not done yet; behind it follow
// its lanes, on any queue.
void ls_engine_convert(struct ls_engine *engine, struct ls_program *program, const float *params);

// ---- engine_replica.c
ls_status ls_engine_open_replica(struct ls_engine *engine); // with the initial weights
void ls_engine_close_replica(struct ls_engine *engine);

// ---- engine_update.c
// Enqueues the step's norm, decision and update, on all queues; `updated` is recorded behind them.
void ls_engine_update(struct ls_engine *engine, const struct ls_step_control *control);

// ---- engine_trust.c
// Does the optimizer scale the step of each parameter?
bool ls_engine_trusts(const struct ls_recipe *recipe);
// How many blocks the parameters that are trained have.
size_t ls_engine_update_blocks(const struct ls_layout *layout);
// Their memory, filled. `ranges`, one a parameter, come to know their blocks.
ls_status ls_engine_open_trust(struct ls_engine *engine, struct ls_update_range *ranges);
void ls_engine_close_trust(struct ls_engine *engine);
// Enqueues the ratios for an update that follows the decision; on all queues what comes after it has them.
void ls_engine_trust(struct ls_engine *engine, const struct ls_update *update);

// ---- engine_average.c
// Moves the averages of parameters [begin, end), which queue q has updated.
void ls_engine_average(struct ls_engine *engine, const struct ls_step_control *control, int q, size_t begin,
                       size_t end);
// The same of the statistics, which queue 0 updates.
void ls_engine_average_states(struct ls_engine *engine, const struct ls_step_control *control);

// ---- engine_parts.c
// Device memory with a copy of what the host has made.
ls_status ls_engine_place(struct ls_engine *engine, const void *made, size_t bytes, void **memory);
// The part of [0, n) that falls to queue q, in multiples of `unit`.
void ls_engine_share(size_t n, size_t unit, int q, int queues, size_t *begin, size_t *end);
// *time becomes the time at which the queue comes to this; host memory.
void ls_engine_stamp(const struct ls_engine *engine, struct ls_queue *queue, double *time);
// A phase: what is enqueued in between. A span of it, where this step is traced; else NULL.
struct ls_trace_span *ls_engine_begin_span(const struct ls_engine *engine, struct ls_queue *queue,
                                           enum ls_trace_kind kind, int row, int first, int second);
void ls_engine_end_span(const struct ls_engine *engine, struct ls_queue *queue, struct ls_trace_span *span);

// What kernels read of a lane whose first sample lies there in the stream.
struct ls_lane_control ls_engine_control(const struct ls_engine *engine, uint64_t first_position);

// ---- engine.c, engine_audit.c
// Enqueues the fingerprint of what segment s of a lane has added to its output.
void ls_engine_mark(struct ls_engine *engine, int q, int s, const float *output);
ls_status ls_engine_sync(struct ls_engine *engine); // all queues; the first error
