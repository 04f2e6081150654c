// One table of ops with shapes and attributes drives them through correctness, gradients and devices. A case
// is a forward op; its gradient nodes come from the op's own rule.
#pragma once

#include "conform/trial.h"
#include "graph/op.h"

// What an input holds: numbers that do not sit on a kink of the op, and that bf16 holds exactly.
enum ls_fill {
    LS_FILL_NONE,     // the caller puts in what it wants
    LS_FILL_SIGNED,   // multiples of 1/32 in [-2, 2), none of them 0
    LS_FILL_BETWEEN,  // half way between those: no difference of the two is 0, or a multiple of 1/32
    LS_FILL_DISTINCT, // signed, and no two alike within reach of a window
    LS_FILL_POSITIVE, // [1/2, 3/2)
    LS_FILL_RAW,      // 0..255
    LS_FILL_AUGMENT,  // shifts and flips
    LS_FILL_CHANGE,   // everything that can be done to a sample, each in half of the samples
    LS_FILL_MIX,      // every other sample is mixed with the next
    LS_FILL_CLASS,
    LS_FILL_LABEL,  // 0 or 1
    LS_FILL_WEIGHT, // 0 in one sample, 1 elsewhere
};

struct ls_case_input {
    enum ls_fill fill;
    enum {
        LS_CASE_STORED,
        LS_CASE_WIDE,
        LS_CASE_FIXED
    } type;         // the trial's; f64 where that is f64, else f32;
    ls_dtype fixed; // as said here
    struct ls_shape shape;
};

struct ls_case {
    const char *name;
    enum ls_op_id op;
    int n_in;
    struct ls_case_input in[LS_MAX_IN];
    union ls_attr attrs[LS_MAX_ATTRS];
    double list[8];
    int n_list;
    int classes; // of a target
};

extern const struct ls_case ls_cases[];
extern const int ls_case_count;

// A case as a trial: inputs, the op (node 0), a gradient `dy` for output 0, and the nodes of backward.
struct ls_case_trial {
    struct ls_trial trial;
    const struct ls_case *of;
    ls_value in[LS_MAX_IN];
    struct ls_alone alone;
};

// Types: f32, f64, bf16 or f16. The inputs are filled, the same numbers for every type; nothing has run. `of`
// is one of ls_cases. The trial is to be closed on failure too.
ls_status ls_case_open(const struct ls_case *of, ls_dtype type, struct ls_case_trial *trial);
// The same for a case from anywhere, which must outlive the trial; inputs and dy hold anything.
ls_status ls_case_make(const struct ls_case *of, ls_dtype type, struct ls_case_trial *trial);
void ls_case_close(struct ls_case_trial *trial);
