// The passes, in the order in which ls_plan_make runs them. One pass a file; each leaves a graph that
// verifies.
#pragma once

#include "graph/op.h"

// Appends backward: for every parameter that is not frozen a value of kind LS_OUTPUT named
// "grad:<parameter>". Starts from the loss ops, whose gradient nodes read the LS_INPUT_SEED value.
ls_status ls_pass_gradient(struct ls_graph *graph);
// Gives ops that allow it activations and weights of type `half` (bf16 or f16), with cast nodes where types
// meet. Parameters, statistics, gradients of parameters, and the loss stay f32.
ls_status ls_pass_precision(struct ls_graph *graph, ls_dtype half);
// Replaces an op and the activation that alone uses it by one fused op, forward and backward.
ls_status ls_pass_fuse(struct ls_graph *graph);
// Orders backward so that gradients finish early and memory is released soon; drops nodes that nothing needs.
ls_status ls_pass_schedule(struct ls_graph *graph);
