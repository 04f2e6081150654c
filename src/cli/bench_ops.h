// `bench ops`: ops one by one, each alone with its gradient.
#pragma once

#include "cpu/kernel.h"
#include "graph/op.h"

// An op on inputs of these types and shapes, with these attributes, as the text of a graph has them.
struct ls_bench_case {
    const char *op, *in[LS_MAX_IN], *attributes;
};
extern const struct ls_bench_case ls_bench_cases[];
extern const int ls_bench_case_count;

// A case on a CPU device, on all of its queues at once: each has its own copy of every value.
struct ls_op_trial {
    struct ls_graph graph; // node 0 is the op, the others are its gradient
    struct ls_alone alone;
    struct ls_device *device;
    struct ls_queue *const *queue;
    int queues;
    void **data; // [queues][n_values]
};
// `type`: f32, or a half type that what mixed precision narrows has. To be closed on failure too.
ls_status ls_op_trial_open(const struct ls_bench_case *of, ls_dtype type, struct ls_device *device,
                           struct ls_queue *const *queue, int queues, struct ls_op_trial *trial);
void ls_op_trial_close(struct ls_op_trial *trial);

// Work of one queue, and how long that had a processor for it.
struct ls_timed {
    ls_status (*work)(void *on);
    void *on;
    double seconds;
};
// Each queue does its own, all at the same time; the seconds of all together.
ls_status ls_timed_run(struct ls_device *device, struct ls_queue *const *queue, int queues,
                       struct ls_timed *timed, double *seconds);

struct ls_op_time {
    const char *library; // of the kernel: "plain", "onednn"
    double seconds;      // that a queue had a processor for one run; the best run, the mean of the queues
};
// Runs the node until `enough` seconds have gone. Nodes before it have run, for what it reads of them.
ls_status ls_op_trial_time(struct ls_op_trial *trial, int node, enum ls_cpu_kernels kernels, double enough,
                           struct ls_op_time *time);
