// What a training would take, without training: nothing is read but the data's shapes, and no rank is
// needed.
#pragma once

#include "train/memory.h"
#include "train/recipe_source.h"

#include <stdbool.h>

#include "base/begin.h"

struct ls_planning_request {
    struct ls_recipe_source recipe;
    int ranks;             // of one host, which share its cores; 0 is 1
    int64_t device_memory; // bytes that a rank may take of its device; 0: as the recipe says
    // Of u8 samples, instead of looking into the data; of a model that reads tokens, 1, 1 and how many a
    // sample holds. height 0: look.
    int64_t height, width, channels;
};

enum ls_planning_reduction {
    LS_PLANNING_ALONE,   // one rank
    LS_PLANNING_ALIGNED, // ordered, halving and doubling: every rank holds one node of the lanes' tree
    LS_PLANNING_SLICES,  // ordered, by slices
    LS_PLANNING_FAST,    // the library's own: the promise of equal bits does not hold
};

struct ls_planning {
    bool made; // what follows is known
    char model[64];
    int64_t parameters;
    int64_t frozen; // of them: not trained
    int64_t lane_samples;
    double lane_flops; // forward and backward
    int nodes, buckets;
    int lanes, most_lanes; // of all ranks; of the rank that has the most
    int side_by_side;      // lanes of a rank that run at a time
    char device[128];
    enum ls_planning_reduction reduction;
    double sent_bytes;       // by the rank that sends most, a step, where ranks send messages
    bool shares_memory;      // ranks of one host send none: they sum where all of them see the gradients
    struct ls_memory memory; // of rank 0
    bool limited;            // there is a limit of memory, and it fits
};

// LS_INPUT: the recipe or the data cannot be used; or, with `made`, it does not fit the memory: the error
// says by how much and names the largest lane that would.
ls_status ls_planning_make(const struct ls_planning_request *request, struct ls_planning *planning);

#include "base/end.h"
