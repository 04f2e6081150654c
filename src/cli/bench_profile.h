// Where the steps of `bench step` go: thread time by op, and what part of the machine's arithmetic that is.
#pragma once

#include "train/engine.h"

enum { LS_PEAK_QUEUES = 256 };

struct ls_profile;

// Collective. From now on the steps of the engine are counted, after one to warm up; rank 0's are what is
// printed. LS_INPUT on a device that cannot tell.
ls_status ls_profile_open(struct ls_comm *comm, const struct ls_model *model, struct ls_engine *engine,
                          int64_t steps, struct ls_profile **profile);
void ls_profile_close(struct ls_profile *profile); // takes NULL
// Step `step` begins; -1 is the one to warm up.
void ls_profile_step(struct ls_profile *profile, int64_t step);

// The most floating-point operations a second that oneDNN (without it, the plain kernels) makes of a
// convolution or a product, on as many queues side by side as the engine has.
struct ls_peak {
    double flops;   // a second, of all queues
    char what[192]; // the operation that reached it
};
ls_status ls_peak_measure(int queues, ls_dtype precision, struct ls_peak *peak);
bool ls_is_product(const struct ls_op *op); // a convolution, a matrix product, or a gradient of one
double ls_node_bytes(const struct ls_graph *graph,
                     const struct ls_node *node); // inputs and outputs, each once
// "conv 3x3", "linear", "batchnorm": the op, of a convolution with its window.
const char *ls_label_of(const struct ls_graph *graph, const struct ls_node *node, char out[64]);

// One row an op and part of the step; `seconds` is the mean of a step. With `json`, an object a row.
void ls_profile_print(const struct ls_profile *profile, const struct ls_peak *peak, double seconds,
                      bool json);
