// What a device offers. Everything that a step does is enqueued: a queue runs what it is given in order; work
// of different queues meets at events only. On the CPU a queue is a thread, on CUDA a stream. No code of its
// own here.
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/begin.h"

struct ls_graph;
struct ls_node;
struct ls_plan;
struct ls_device;
struct ls_queue;
struct ls_event;
struct ls_program; // a plan made ready on a device: primitives, captured graphs

enum { LS_CALL_BYTES = 96, LS_DEVICE_ALIGN = 256 };

// Where a lane's data lies (device memory).
struct ls_lane {
    const float *params, *states;
    float *output; // the lane's output buffer
    const void *raw, *augment, *target, *weight;
    const struct ls_lane_control *control;
    void *converted; // plan->converted_bytes, which `convert` fills; one for all lanes
    void *arena;     // plan->arena_bytes; one for each queue that runs lanes
    void *result;    // evaluation: where plan->result is copied to at the end (f32), or NULL
};

// What all ranks decide alike from the reduced gradient; lies in device memory, made by `decide`.
struct ls_decision {
    double grad_norm;  // 2-norm of the reduced gradient, loss scale taken out
    float grad_factor; // what the update multiplies the reduced gradient with: 1 / loss scale, and clipping
    int32_t skip;      // not finite, or a rank with an error: no update, no statistics
};

struct ls_decide {
    const double *block_sums; // [blocks] of `square_sums`
    size_t blocks;
    const float *metrics;   // of the reduced output buffer: its loss and its fault may skip the step
    float loss_scale, clip; // what gradients were multiplied with; clip 0: none
    struct ls_decision *decision;
};

enum ls_optimizer_kind { LS_SGD, LS_ADAMW, LS_LARS, LS_LAMB };

struct ls_update_range {
    size_t offset, count; // floats; ranges cover the buffer, each with one setting
    float weight_decay, lr_scale;
    // LARS and LAMB: a range is one parameter, whose norms are sums over blocks [first_block, first_block +
    // n_blocks). 0 blocks: its trust ratio is 1.
    int first_block, n_blocks;
};

// A part of a range: at most LS_NORM_BLOCK floats, counted from the parameter's first, so that a norm is one
// sum whoever adds up which blocks. All ranges have blocks; ratios come of those that name theirs.
struct ls_update_block {
    size_t offset, count; // floats
    int range;
};

// One pass over a slice of the flat buffers. g = grad * decision.grad_factor; lr is the rate times the
// range's lr_scale, decay its weight_decay.
// SGD (Sutskever et al. 2013, as PyTorch writes it): g += decay * p; m = momentum * m + g;
//   p -= lr * (nesterov ? g + momentum * m : m).
// AdamW (Loshchilov, Hutter 2019): p -= lr * decay * p; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g²;
//   p -= lr / correction1 * m / (sqrt(v / correction2) + epsilon), correction_i = 1 - b_i^t.
// LARS (You, Gitman, Ginsburg 2017, algorithm 1): ratio = trust * |p| / (|g| + decay * |p|);
//   m = momentum * m + lr * ratio * (g + decay * p); p -= m.
// LAMB (You et al. 2019, algorithm 2, phi(z) = z): m and v as AdamW's, u = m / correction1 /
//   (sqrt(v / correction2) + epsilon) + decay * p; ratio = |p| / |u|; p -= lr * ratio * u.
// |.| are 2-norms of a whole parameter; a ratio is 1 where one of both is 0.
struct ls_update {
    enum ls_optimizer_kind kind;
    float lr, momentum, epsilon, trust;
    double beta1, beta2, correction1, correction2; // f64: 1 - 0.999 is not near enough to 0.001 in f32
    bool nesterov;
    float *params;
    const float *grads;
    float *slot[2]; // SGD: momentum (NULL where momentum is 0), -; LARS: momentum, -; others: both moments
    const struct ls_update_range *ranges; // [n_ranges], device memory
    int n_ranges;
    const struct ls_update_block *blocks; // LARS, LAMB; device memory, as are the next two
    double (*norms)[2];                   // of each block: squares of p, and of g (LARS) or u (LAMB)
    float *ratios;                        // [n_ranges]
    size_t begin, end;                    // the slice, floats
    const struct ls_decision *decision;
};

// average += rest * (values - average): a moving average of weights or statistics.
struct ls_average {
    float *average;
    const float *values;
    size_t n;
    float rest; // 1 - decay
    const struct ls_decision *decision;
};

struct ls_update_state {
    size_t offset, count; // floats, in the states' buffer
    size_t output_offset; // floats, in the output buffer: where its statistic lies
    float momentum, factor;
};

// running = (1 - momentum) * running + momentum * (factor * (sum over lanes / lanes)), for every state of the
// table.
struct ls_update_states {
    const struct ls_update_state *table; // [n_states], device memory
    int n_states;
    float *states;
    const float *output; // reduced
    int lanes;
    const struct ls_decision *decision;
};

enum { LS_NORM_BLOCK = 16384 }; // floats a block of the norm: fixed, so that the sum has one value

struct ls_device_api {
    const char *kind; // "cpu", "cuda"

    void (*close)(struct ls_device *device);

    // Zeroed, aligned to 64 bytes at least (256 on CUDA); every page touched, so that memory that is not
    // there shows now.
    ls_status (*alloc)(struct ls_device *device, size_t bytes, void **memory);
    void (*free)(struct ls_device *device, void *memory);
    // Takes, at once, memory from which later allocs are carved until it is used up; each takes its bytes,
    // rounded up to LS_DEVICE_ALIGN. Only while nothing of an earlier reservation is in use. Nothing is done
    // where allocating is cheap.
    ls_status (*reserve)(struct ls_device *device, size_t bytes);
    // Host memory that copies run from and to at full speed.
    ls_status (*alloc_host)(struct ls_device *device, size_t bytes, void **memory);
    void (*free_host)(struct ls_device *device, void *memory);

    // Queues and events. Enqueueing never fails by itself: an error of a task makes later tasks of the queue
    // pass, and comes out of `sync`, with its text. The error stays for good: each later `sync` reports it.
    ls_status (*queue_open)(struct ls_device *device, const char *name, struct ls_queue **queue);
    void (*queue_close)(struct ls_queue *queue);
    void *(*native)(struct ls_queue *queue); // the cudaStream_t behind a queue of CUDA; NULL elsewhere
    // `awaited`: the host waits for it, not queues alone.
    ls_status (*event_open)(struct ls_device *device, bool awaited, struct ls_event **event);
    void (*event_close)(struct ls_event *event);
    void (*record)(struct ls_queue *queue, struct ls_event *event);
    // The one function through which a queue waits for another: what follows on `queue` starts after the work
    // that was before the event's last `record`, at the time of this call. An event never recorded is no
    // wait.
    void (*wait)(struct ls_queue *queue, struct ls_event *event);
    ls_status (*sync)(struct ls_queue *queue); // the host waits until the queue is empty
    // The host waits for the work before the event's last `record`, while what was enqueued since goes on;
    // then, as of `sync`, the first error of `queue` so far.
    ls_status (*await)(struct ls_queue *queue, struct ls_event *event);

    // For the device's profiler: what the host enqueues in between, under a name that lives on. Ranges nest.
    // NULL where there is none.
    void (*range_begin)(const char *name);
    void (*range_end)(void);

    // ---- enqueued work ----
    void (*copy)(struct ls_queue *queue, void *to, const void *from,
                 size_t bytes); // host or device, no overlap
    void (*zero)(struct ls_queue *queue, void *memory, size_t bytes);
    void (*add)(struct ls_queue *queue, float *to, const float *a, const float *b,
                size_t n); // to may be a or b
    // A host function, with a copy of `bytes` of `argument` (at most LS_CALL_BYTES). It must make no device
    // call.
    void (*call)(struct ls_queue *queue, ls_status (*function)(void *argument), const void *argument,
                 size_t bytes);

    // sums[b], for b in [begin, end): sum of squares in f64 of block b of `data` [n], the LS_NORM_BLOCK
    // floats from b * LS_NORM_BLOCK on (fewer in the last). A block's sum has one fixed order.
    void (*square_sums)(struct ls_queue *queue, const float *data, size_t n, size_t begin, size_t end,
                        double *sums);
    // *mark, in device memory, becomes a hash of the bits of `data` [n]: equal bits, equal mark, on devices
    // of one kind.
    void (*fingerprint)(struct ls_queue *queue, const float *data, size_t n, uint64_t *mark);
    void (*decide)(struct ls_queue *queue, const struct ls_decide *decide);
    // LARS and LAMB, before `update`, which takes the ratios. `update_norms`: the norms of blocks [begin,
    // end); of LAMB also the moments of their elements. `update_ratios`: the ratios, of all norms.
    void (*update_norms)(struct ls_queue *queue, const struct ls_update *update, size_t begin, size_t end);
    void (*update_ratios)(struct ls_queue *queue, const struct ls_update *update);
    void (*update)(struct ls_queue *queue, const struct ls_update *update);
    void (*update_states)(struct ls_queue *queue, const struct ls_update_states *update);
    void (*average)(struct ls_queue *queue, const struct ls_average *average);

    // ---- plans ----
    // Can this node run here? If so, *workspace is what it needs. If not, an error that names op and types.
    ls_status (*node_workspace)(const struct ls_device *device, const struct ls_graph *graph,
                                const struct ls_node *node, size_t *workspace);
    // Bytes that the node's kernel makes of its weight, in[1], and keeps for all lanes until weights change;
    // 0: it reads the weight as it is. NULL: so do all.
    size_t (*node_kept)(const struct ls_device *device, const struct ls_graph *graph,
                        const struct ls_node *node);
    // Makes a plan ready; `queues` of them will run it, each with an arena of its own. The plan outlives the
    // program.
    ls_status (*load)(struct ls_device *device, const struct ls_plan *plan, struct ls_queue *const *queues,
                      int n_queues, struct ls_program **program);
    void (*unload)(struct ls_program *program);
    // Enqueues part `part` of `parts` of plan->conversions: what lanes then read instead of the weights,
    // until those change. Of the lane, its params, converted and arena are used.
    void (*convert)(struct ls_queue *queue, struct ls_program *program, int part, int parts,
                    const struct ls_lane *lane);
    // Enqueues segment `segment` of the plan for a lane, whose struct is copied.
    void (*run)(struct ls_queue *queue, struct ls_program *program, int segment, const struct ls_lane *lane);
    // From now on each run of a node adds the seconds that it had a processor to seconds[place of the queue
    // in `load` * (nodes + 1) + node], and of a part of `convert` to the place behind the nodes; NULL: no
    // more. Only while nothing of the program is enqueued. NULL where the device cannot tell.
    void (*profile)(struct ls_program *program, double *seconds);
};

// The arithmetic of Lockstep's own kernels and passes: raised whenever one of them gives other bits than
// before, so that ranks of two builds do not meet, and a run that another build began says so when it goes
// on.
#define LS_ARITHMETIC 7

struct ls_device {
    const struct ls_device_api *api;
    int compute_queues; // how many lanes run side by side: threads on the CPU, 1 on CUDA
    // The host reads and writes device memory as its own, while nothing runs that touches it: what it has
    // need not be copied first, and `memory_limit` is of all that a run takes.
    bool host_memory;
    char name[128];        // "AMD EPYC, 2 threads"
    char uuid[48];         // of a GPU; else ""
    bool shared;           // with another rank, on purpose
    char fingerprint[320]; // LS_ARITHMETIC, device model, instruction set, kernel library and version: equal
                           // text, equal bits
    // Of the plans that were loaded: where a library could not do what it was first asked for, and does it
    // otherwise. Equal bits need equal texts here too. "": that cannot be.
    char choices[24];
    int64_t memory_limit; // bytes; 0: none
    int64_t memory_free;  // bytes that were there to be taken when the device was opened; 0: not known
};

#include "base/end.h"
