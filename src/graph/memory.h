// Where the values of a lane's arena lie. Inside src/graph and its tests only.
#pragma once

#include "graph/plan.h"

enum { LS_ARENA_ALIGN = 256 }; // what CUDA's own allocator promises; the CPU asks for less

static inline size_t ls_arena_aligned(size_t bytes) {
    return (bytes + LS_ARENA_ALIGN - 1) / LS_ARENA_ALIGN * LS_ARENA_ALIGN;
}

// Memory that is needed from node `first` to node `last`, both included.
struct ls_block {
    size_t bytes;
    int first, last;
    size_t offset; // the result, a multiple of LS_ARENA_ALIGN
};

// Gives every block its offset, so that blocks that live at the same node do not overlap; returns the bytes
// that all of them take together. A function of the blocks and their order alone.
size_t ls_blocks_place(struct ls_block *blocks, int n);
// The most bytes (sizes rounded up to LS_ARENA_ALIGN) that live at one node: no placement takes less.
size_t ls_blocks_bound(const struct ls_block *blocks, int n);

// As it lies in memory, without padding.
size_t ls_value_bytes(const struct ls_graph *graph, ls_value value);

// Fills in n_casts, the places of what is made of weights, converted_bytes, and conversions. Needs the final
// order of the nodes, and kept_bytes. `cast_bytes`: the most that a cast takes whose readers all keep what
// they make of it: it lies at the arena's begin, while nothing else does.
void ls_plan_place_converted(struct ls_plan *plan, size_t *cast_bytes);

// Fills in the plan's places of activations and workspaces, arena_bytes and activation_bytes. Needs the
// final order of the nodes, the places of all other values, and workspace_bytes.
ls_status ls_plan_place_arena(struct ls_plan *plan);
