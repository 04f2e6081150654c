// The static plan of a lane: what runs in which order, and where each value lies. Made once, before step 0,
// from the graph and the device's word on workspaces; never from free memory, time, or the number of ranks.
#pragma once

#include "graph/graph.h"

#include "base/begin.h"

struct ls_device;
struct ls_lane; // device/device.h

enum { LS_ALIGN = 64, LS_ALIGN_FLOATS = LS_ALIGN / 4 };

// ---- flat memory ----

// All parameters lie in one f32 buffer in the order in which backward finishes their gradients, frozen ones
// behind them; the lane's output buffer has the layout of those that are trained, followed by the tail:
// statistics, then the metrics. Each item starts at a multiple of LS_ALIGN_FLOATS floats; the gaps are zero
// and stay zero.
struct ls_item {
    const char *name;
    struct ls_shape shape; // in meaning (out, in, h, w); memory is NHWC
    size_t offset, count;  // floats, from the start of its buffer
    struct ls_init init;
    bool decays;            // parameters
    float momentum, factor; // states
    size_t output_offset;   // where its gradient or statistic lies in the output buffer; 0 of a frozen one
};

// Metrics: one float each, in this order, at `metrics` in the output buffer.
enum ls_metric {
    LS_METRIC_LOSS,   // sum over samples of weight * loss
    LS_METRIC_SCORE,  // sum over samples of weight * score, what the loss says of a sample for people
    LS_METRIC_WEIGHT, // sum of weights
    LS_METRIC_STOP,   // ranks that were asked to stop
    LS_METRIC_FAULT,  // ranks with an error to report
    LS_METRICS,
};

struct ls_layout {
    struct ls_item *params, *states;
    int n_params, n_states;
    // The first so many of params have a gradient, of states a statistic; the others are frozen.
    int n_trained, n_followed;
    size_t param_floats;   // length of the parameter buffer, gaps included
    size_t state_floats;   // length of the running statistics
    size_t trained_floats; // length of what is trained of the parameters: of an optimizer's slot
    size_t output_floats;  // trained_floats + tail
    size_t metrics;        // offset of the metrics in the output buffer
    int64_t parameters;    // number of parameters, gaps left out
    int64_t frozen;        // … and how many of them are not trained
};

// A bucket is a slice of the output buffer that backward finishes together; the tail belongs to the last.
struct ls_bucket {
    size_t offset, count; // floats
};

// ---- what a lane reads ----

// The part that the kernels read from device memory and the host fills in for each lane.
struct ls_lane_control {
    uint64_t seed;           // of the run: key of dropout
    uint64_t first_position; // of the lane's first sample in the stream of samples: counter of dropout
    float loss_seed;         // loss scale / global batch
    float stop, fault;       // this rank's, in its first lane; 0 in every other
};

// ---- the plan ----

enum ls_region {
    LS_REGION_ARENA,  // activations and workspaces of the lane
    LS_REGION_PARAMS, // offset in bytes from the parameter buffer
    LS_REGION_STATES,
    LS_REGION_OUTPUT, // the lane's output buffer
    LS_REGION_RAW,
    LS_REGION_AUGMENT,
    LS_REGION_TARGET,
    LS_REGION_WEIGHT,
    LS_REGION_CONTROL,
    LS_REGION_CONVERTED, // weights as kernels want them, of all lanes of a rank
    LS_REGIONS,
};

struct ls_place {
    enum ls_region region;
    size_t offset; // bytes
};

// Where the regions of a lane begin. Those that kernels only read lose their const here: a node never writes
// into them, since no place of an output lies there.
void ls_lane_bases(const struct ls_lane *lane, char *base[LS_REGIONS]);
static inline void *ls_place_at(char *const base[LS_REGIONS], const struct ls_place *place) {
    return base[place->region] + place->offset;
}

// What is made of the weights once after each update, before lanes run: a cast (nodes [0, plan->n_casts)), or
// what the kernel of a node makes of its weight, in[1]. Those of one weight stand one after the other.
struct ls_conversion {
    int node;
    size_t before; // bytes that are made of the weights in front: queues share the work by it
};

struct ls_plan {
    const struct ls_graph *graph;   // after all passes; owned by the plan
    const struct ls_layout *layout; // the plan's own, freed with it, or the one in the options
    int64_t lane_batch;
    struct ls_place *places;    // [graph->n_values]
    struct ls_place *workspace; // [graph->n_nodes], in the arena
    size_t *workspace_bytes;    // [graph->n_nodes]
    struct ls_place *converted; // [graph->n_nodes]: what the node's kernel makes of its weight
    size_t *kept_bytes;         // [graph->n_nodes], of it; 0: nothing
    size_t converted_bytes;     // of all that is made of the weights; one a rank
    int n_casts;                // of weights: the first nodes, which no segment runs
    struct ls_conversion *conversions;
    int n_conversions;
    size_t arena_bytes;      // one per queue that runs lanes
    size_t activation_bytes; // the most that activations alone take at one node, for the report
    size_t raw_bytes, augment_bytes, target_bytes, weight_bytes; // input of one lane
    struct ls_bucket *buckets; // in the order in which backward finishes them
    int n_buckets;             // 0 in an evaluation plan; its metrics are in the output buffer all the same
    int *segment_end; // [n_buckets or 1]: nodes [segment_end[i-1] or n_casts, segment_end[i]) finish bucket i
    int n_segments;
    double flops;    // of one lane
    ls_value result; // evaluation: probabilities or predictions, f32 [N, …]
    struct ls_arena memory;
};

struct ls_plan_options {
    ls_dtype precision;  // LS_F32, LS_BF16 or LS_F16 (conformance tests: LS_F64)
    size_t bucket_bytes; // aim for the size of a bucket, less towards the end; one never splits a parameter
    // An evaluation plan is given its training plan's layout, so that both read the same buffers; what the
    // graph reads is looked up in it by name. NULL: the plan makes its own (without training, in the order in
    // which parameters were added). Must outlive the plan.
    const struct ls_layout *layout;
};

// Takes over the contents of `graph` (left empty, on failure too) and makes the plan; a training graph has
// its backward added here. Errors name the node, parameter or value; a missing kernel is an error here. On
// failure *plan is NULL.
ls_status ls_plan_make(struct ls_graph *graph, const struct ls_device *device,
                       const struct ls_plan_options *options, struct ls_plan **plan);
void ls_plan_free(struct ls_plan *plan); // NULL is allowed

#include "base/end.h"
