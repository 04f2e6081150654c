// The tree of lanes, for the files of this folder: how nodes that come from left to right are folded.
#pragma once

#include "comm/reduce.h"

// A fold under way: nodes beside each other, left to right, none of them a sibling of its neighbour.
struct ls_tree_fold {
    int lanes;
    struct ls_tree_node nodes[LS_MAX_NODES];
    int n_nodes;
};

// Puts a node to the right of the others and merges siblings as far as they go; where a node's right sibling
// would be empty, the node becomes its parent. Writes the additions to `adds` in order, at most as many as
// there are nodes, and returns how many. A merged node keeps the buffer of its left part.
int ls_tree_push(struct ls_tree_fold *fold, struct ls_tree_node node, struct ls_fold_add *adds);

// The nodes that a rank holds after the fold of its own lanes; buffers are left 0. Returns their number.
int ls_tree_nodes_of(int rank, int ranks, int lanes, struct ls_tree_node nodes[LS_MAX_NODES]);

// How ranks' nodes are folded; these are numbered from left to right.
struct ls_merges {
    int *first_node;          // [ranks + 1]: rank p holds nodes first_node[p] up to first_node[p + 1]
    struct ls_fold_add *adds; // [n_adds]: of nodes; the last one gives the root
    int n_adds;
};
struct ls_merges ls_merges_make(struct ls_arena *memory, int ranks, int lanes);
