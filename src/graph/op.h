// What an op is. graph/ declares this and the table; ops/ fills it.
#pragma once

#include "graph/graph.h"

#include "base/begin.h"

struct ls_attr_info {
    const char *name;
    enum { LS_ATTR_INT, LS_ATTR_FLOAT, LS_ATTR_TYPE } type; // LS_ATTR_TYPE: an ls_dtype, in `i`
    union ls_attr preset, least, most; // default, and the range that the verifier and the parser hold it to
};

enum ls_op_flags {
    LS_OP_VIEW = 1,        // the output is the input's memory with another shape; no kernel
    LS_OP_ELEMENTWISE = 2, // out 0 may share the memory of in 0 where that dies here and is as large
    LS_OP_FUSED = 4,       // made by the fusion pass only: no gradient
    LS_OP_HALF = 8,        // the mixed precision pass may give it bf16 or f16 activations and weights
    LS_OP_LIST = 16,       // the node has a list of numbers
    LS_OP_RETYPE = 32,     // the output is the input in another type
};

struct ls_gradient;

struct ls_op {
    int id; // index in ls_op_table, and in every device's kernel table
    const char *name;
    int min_in, max_in, n_out;
    unsigned flags;
    int n_attrs;
    const struct ls_attr_info *attrs;
    // Sets shape and type of every output from the inputs and attributes. Errors say expected and found;
    // the caller puts the node's name in front.
    ls_status (*infer)(const struct ls_graph *graph, const struct ls_node *node,
                       struct ls_value_info out[LS_MAX_OUT]);
    // Emits the nodes that compute the gradients of the inputs, given those of the outputs; NULL: no
    // gradient.
    ls_status (*gradient)(struct ls_gradient *gradient, int node);
    // Multiplications and additions counted apart; NULL: the number of output elements.
    double (*flops)(const struct ls_graph *graph, const struct ls_node *node);
};

extern const struct ls_op *const ls_op_table[];
extern const int ls_op_count;
const struct ls_op *ls_op_named(const char *name); // or NULL
// Checks a node by its op: arity, input ids, attributes in range, then the shape rule, whose result is in
// `out` (shape and dtype only). Errors name the node.
ls_status ls_node_infer(const struct ls_graph *graph, const struct ls_node *node,
                        struct ls_value_info out[LS_MAX_OUT]);
// What the op's `flops` says, in operations; 0 of a view.
double ls_node_flops(const struct ls_graph *graph, const struct ls_node *node);

// ---- for gradient rules ----

// While backward is emitted: gradient of each forward value, LS_NONE until something flowed into it.
struct ls_gradient {
    struct ls_graph *graph;
    ls_value *of;       // [n forward values]
    const bool *wanted; // [n forward values]
    int n_forward_values;
};

// Is the gradient of this forward value wanted (a parameter, or a value that depends on one)?
bool ls_gradient_wanted(const struct ls_gradient *gradient, ls_value value);
// The gradient of output `k` of the node; LS_NONE if nothing flowed back into it.
ls_value ls_gradient_out(const struct ls_gradient *gradient, const struct ls_node *node, int k);
// Adds `contribution` to the gradient of `value` (an add node where there is one already); nothing where it
// is not wanted.
ls_status ls_gradient_flow(struct ls_gradient *gradient, ls_value value, ls_value contribution);

// ---- an op alone, outside a model: for tests and measurements of kernels ----

struct ls_alone {
    int n_in;
    ls_value in[LS_MAX_IN];
    ls_value dy;                  // gradient of output 0, which nothing makes; LS_NONE where the op has none
    ls_value gradient[LS_MAX_IN]; // of each input; LS_NONE where there is none
};
// Appends, to an f32 or f64 graph of one node, the nodes of its gradient by the inputs that are `wanted` (of
// n_in).
ls_status ls_alone_backward(struct ls_graph *graph, const bool *wanted, struct ls_alone *alone);
// Makes what ls_alone_backward left, in f32, one of a half type, as the mixed precision pass does: after
// backward is there, because gradients of weights stay f32. `narrow` (of n_in): the inputs that it narrows.
ls_status ls_alone_narrow(struct ls_graph *graph, ls_dtype half, const bool *narrow,
                          const struct ls_alone *alone);

#include "base/end.h"
