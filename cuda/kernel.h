// What a kernel is on CUDA: the node's work, enqueued on a stream. As on the CPU (cpu/kernel.h) a node's
// kernel is chosen from the node alone, once, when the plan is made: never from time, free memory or the
// number of ranks.
#pragma once

#include "graph/plan.h"
#include "ops/ops.h"

#include <cuda_runtime.h>

struct ls_lib;

// What a kernel reads when it is enqueued. All pointers lead to device memory; tensors lie as graph.h says,
// dense, at multiples of LS_ALIGN bytes. out[0] may be in[0] where the op is LS_OP_ELEMENTWISE and both are
// as large; nothing else overlaps. Outputs and workspace hold anything when the kernel starts; every element
// of every output is written.
struct ls_cuda_call {
    const struct ls_graph *graph;
    const struct ls_node *node;
    const void *in[LS_MAX_IN];
    void *out[LS_MAX_OUT];
    void *workspace;                       // as many bytes as `supports` asked for; NULL where that was 0
    const struct ls_lane_control *control; // read on the device, when the kernel runs
    struct ls_lib *lib;                    // matrix products and convolutions
    void *made;                            // from `make`
    cudaStream_t stream;
};

struct ls_cuda_kernel {
    // Can this kernel run the node? If so, *workspace is the bytes that it needs while it runs. If not, a
    // library that it asked may have left its reason as the thread's error.
    bool (*supports)(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                     size_t *workspace);
    // Makes what the kernel keeps from run to run (descriptors, the algorithm); NULL: nothing is kept.
    ls_status (*make)(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      void **made);
    void (*unmake)(void *made); // takes NULL
    // Which of several ways to do it a library took (ls_lib_choice); 0 where it was not asked. Takes NULL.
    int (*choice)(const void *made);
    // Enqueues, and may be captured into a CUDA graph: allocates nothing, waits for nothing, and depends on
    // the call's pointers and the node alone. LS_SYSTEM where a launch failed.
    ls_status (*run)(const struct ls_cuda_call *call);
};

// ops/table.c: the kernel of each op; NULL for views.
const struct ls_cuda_kernel *ls_cuda_kernel(enum ls_op_id op);
