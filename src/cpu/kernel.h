// What a kernel is on the CPU. Libraries of kernels: plain (all ops, all types, ours), winograd (3x3
// convolutions in f32, ours), pairs (gradients of weights in bf16, ours), batchnorm (in bf16, ours) and
// oneDNN (some). A node's kernel is chosen from the node alone, once, when the plan is made: never from time
// or free memory.
#pragma once

#include "cpu/cpu.h"
#include "graph/plan.h"
#include "ops/ops.h"

#include "base/begin.h"

// What a kernel reads when it runs. Tensors lie as graph.h says, dense, at multiples of LS_ALIGN bytes.
// out[0] may be the memory of in[0] where the op is LS_OP_ELEMENTWISE and both are as large; nothing else
// overlaps. Outputs and workspace hold anything (NaN in tests) when the kernel starts; every element of every
// output is written.
struct ls_kernel_call {
    const struct ls_graph *graph;
    const struct ls_node *node;
    const void *in[LS_MAX_IN]; // [node->n_in]
    void *out[LS_MAX_OUT];     // [node->n_out]
    void *workspace;           // as many bytes as `supports` asked for; NULL where that was 0
    void *kept;                // what `convert` made of in[1]; NULL where `kept` said 0
    const struct ls_lane_control *control;
    void *made; // from `make`; this queue's own, used by one thread at a time
};

// Does each window of this convolution, or of a gradient of one, touch all pixels and all channels under it,
// and the next one begin a pixel further? That is: a stride and a dilation of 1, and one group.
static inline bool ls_conv_touches_all(const struct ls_node *node) {
    const union ls_attr *attr = node->attr;
    return attr[LS_STRIDE_H].i == 1 && attr[LS_STRIDE_W].i == 1 && attr[LS_DILATION_H].i == 1 &&
           attr[LS_DILATION_W].i == 1 && attr[LS_GROUPS].i == 1;
}

// What `make` gives is for one queue: the thread that loads the program makes and unmakes it, the queue's
// thread runs it, never both at once. Threads of different queues run side by side, each with its own.
struct ls_kernel {
    const char *library; // "plain", "winograd", "pairs", "batchnorm", "onednn"
    // Can this kernel run the node, on this processor? If so, *workspace is the bytes that it needs while it
    // runs: the same at every call for equal nodes. Records no error.
    bool (*supports)(const struct ls_graph *graph, const struct ls_node *node, size_t *workspace);
    // Makes what the kernel keeps from run to run (primitives); NULL: nothing is kept.
    ls_status (*make)(const struct ls_graph *graph, const struct ls_node *node, void **made);
    void (*unmake)(void *made); // takes NULL; itself NULL where `make` is
    // Bytes that the kernel makes of the weight in[1] and keeps; 0: it reads in[1] itself, always where that
    // is no weight. Of nodes that it supports; NULL: none. `run` then reads these, and not in[1].
    size_t (*kept)(const struct ls_graph *graph, const struct ls_node *node);
    ls_status (*convert)(const struct ls_kernel_call *call); // from in[1] alone, without workspace
    // Allocates nothing.
    ls_status (*run)(const struct ls_kernel_call *call);
};

static inline size_t ls_kernel_kept(const struct ls_kernel *kernel, const struct ls_graph *graph,
                                    const struct ls_node *node) {
    return kernel && kernel->kept ? kernel->kept(graph, node) : 0;
}

static inline void ls_kernel_unmake(const struct ls_kernel *kernel, void *made) {
    if (kernel->unmake) kernel->unmake(made);
}

// The plain kernel of the op, in f32, f64 and bf16; NULL for views alone.
const struct ls_kernel *ls_plain_kernel(enum ls_op_id op);

struct ls_plain;
// … of convolutions by Winograd's algorithm; NULL of other ops, or where this level does not have it.
const struct ls_kernel *ls_winograd_kernel(enum ls_op_id op, const struct ls_plain *level);

// … by pairs of pixels, of gradients in bf16; NULL where the op has none, or the processor not the
// instructions.
const struct ls_kernel *ls_pairs_kernel(enum ls_op_id op);

// … of batch normalization in bf16; NULL likewise.
const struct ls_kernel *ls_batchnorm_kernel(enum ls_op_id op);

#ifdef LOCKSTEP_HAVE_ONEDNN
const struct ls_kernel *ls_onednn_kernel(enum ls_op_id op); // NULL where oneDNN's is not wanted
bool ls_onednn_has_bf16(void);                              // instructions for bf16 that oneDNN uses
const char *ls_onednn_library(void);                        // "oneDNN 2.6.3"
const char *ls_onednn_isa(void);                            // "avx2": the level at which its kernels are made
#endif

// The kernel that runs the node under this choice: of auto one of ours where that is faster; then oneDNN's
// where it is wanted, built in and supports the node, else the plain one; NULL for a view. LS_INPUT names op
// and types where there is none.
ls_status ls_kernel_choose(enum ls_cpu_kernels choice, const struct ls_graph *graph,
                           const struct ls_node *node, const struct ls_kernel **kernel, size_t *workspace);

// Runs one node on the calling thread, under the floating-point settings of a queue: makes, runs, unmakes,
// with a workspace of its own (filled with NaN). `call->workspace`, `kept` and `made` are not
// read. For tests.
ls_status ls_cpu_run_node(enum ls_cpu_kernels choice, const struct ls_kernel_call *call);

#include "base/end.h"
