// What a run takes, by kind, in bytes. The plan of the run: ls_planning_make reports it, ls_engine_open
// allocates exactly it.
#pragma once

#include <stddef.h>

struct ls_memory {
    // Of the device's memory:
    size_t weights;     // parameters and running statistics
    size_t converted;   // what kernels make of the weights, once for all lanes
    size_t gradients;   // output buffers of the tree
    size_t optimizer;   // its slots, moving averages, and what the update reads beside
    size_t activations; // of all queues
    size_t workspace;   // what the arenas need beyond the activations
    size_t staging; // input of lanes that is on its way to where they read it; 0 where they read the batch
    size_t communication;
    // Of the host's:
    size_t input;      // the ring of batches
    size_t checkpoint; // the copy that is written while training goes on
    size_t mirror;     // of the weights and slots, and what else is copied there; 0 where the host reads the
                       // device's
    size_t program; // what the process holds beside these: heaps of the libraries, and the code they generate
    // Where both memories are one, all of it is the device's.
    size_t device, host, total;
};
