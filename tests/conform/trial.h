// A trial: a small graph whose values lie in memory of their own, run node by node. Memory is poisoned before
// each run (all bits set: a NaN in every float type) and guarded behind its end.
#pragma once

#include "cpu/kernel.h"

struct ls_trial {
    struct ls_graph graph;
    void **data; // [n_data], of each value; grows with the graph
    int n_data;
    struct ls_lane_control control;
};

void ls_trial_open(struct ls_trial *trial);
void ls_trial_close(struct ls_trial *trial);

ls_value ls_trial_input(struct ls_trial *trial, const char *name, ls_dtype dtype, struct ls_shape shape);
// Appends a node; the index of it, or -1 with the error recorded.
int ls_trial_node(struct ls_trial *trial, enum ls_op_id op, const ls_value *in, int n_in,
                  const union ls_attr *attrs, const double *list, int n_list);
// Runs nodes [begin, end) with this choice of kernels, outputs poisoned before. LS_SYSTEM where a kernel
// wrote behind an output, into an input, or left an element of a float output unwritten.
ls_status ls_trial_run(struct ls_trial *trial, enum ls_cpu_kernels kernels, int begin, int end);

int64_t ls_trial_count(const struct ls_trial *trial, ls_value value);
double ls_number_at(ls_dtype type, const void *data, int64_t i); // f64, f32, f16, bf16, i32 or u8
double ls_trial_get(const struct ls_trial *trial, ls_value value, int64_t i); // element in memory order
void ls_trial_put(struct ls_trial *trial, ls_value value, int64_t i, double number);
// Makes room for values added to the graph since: their shapes and types are fixed from here on. ls_trial_put
// and ls_trial_run do so themselves.
void ls_trial_grow(struct ls_trial *trial);
