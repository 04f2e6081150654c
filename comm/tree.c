#include "comm/tree.h"

#include <string.h>

static bool right_sibling_is_empty(const struct ls_tree_node *node, int lanes) {
    return node->index % 2 == 0 && ((long long)node->index + 1) << node->level >= lanes;
}

// The root is the lowest node that covers all lanes.
static bool is_root(const struct ls_tree_node *node, int lanes) {
    return node->index == 0 && 1LL << node->level >= lanes;
}

static void promote(struct ls_tree_node *node, int lanes) {
    while (!is_root(node, lanes) && right_sibling_is_empty(node, lanes)) {
        node->level++;
        node->index /= 2;
    }
}

static bool are_siblings(const struct ls_tree_node *left, const struct ls_tree_node *right) {
    return left->level == right->level && right->index % 2 == 1 && left->index == right->index - 1;
}

int ls_tree_push(struct ls_tree_fold *fold, struct ls_tree_node node, struct ls_fold_add *adds) {
    int n_adds = 0;
    promote(&node, fold->lanes);
    while (fold->n_nodes > 0 && are_siblings(&fold->nodes[fold->n_nodes - 1], &node)) {
        const struct ls_tree_node left = fold->nodes[--fold->n_nodes];
        adds[n_adds++] = (struct ls_fold_add){.to = left.buffer, .from = node.buffer};
        node = (struct ls_tree_node){.level = left.level + 1, .index = left.index / 2, .buffer = left.buffer};
        promote(&node, fold->lanes);
    }
    fold->nodes[fold->n_nodes++] = node;
    return n_adds;
}

int ls_tree_nodes_of(int rank, int ranks, int lanes, struct ls_tree_node nodes[LS_MAX_NODES]) {
    struct ls_tree_fold fold = {.lanes = lanes};
    struct ls_fold_add unused[LS_MAX_NODES];
    const int end = ls_lane_begin(rank + 1, ranks, lanes);
    for (int lane = ls_lane_begin(rank, ranks, lanes); lane < end; lane++)
        ls_tree_push(&fold, (struct ls_tree_node){.level = 0, .index = lane}, unused);
    memcpy(nodes, fold.nodes, sizeof fold.nodes);
    return fold.n_nodes;
}

struct ls_merges ls_merges_make(struct ls_arena *memory, int ranks, int lanes) {
    struct ls_merges merges = {.first_node = LS_ARENA_NEW(memory, int, ranks + 1),
                               .adds = LS_ARENA_NEW(memory, struct ls_fold_add, lanes)};
    struct ls_tree_fold fold = {.lanes = lanes};
    int n_nodes = 0;
    for (int p = 0; p < ranks; p++) {
        struct ls_tree_node nodes[LS_MAX_NODES];
        const int n = ls_tree_nodes_of(p, ranks, lanes, nodes);
        for (int i = 0; i < n; i++) {
            nodes[i].buffer = n_nodes++;
            merges.n_adds += ls_tree_push(&fold, nodes[i], merges.adds + merges.n_adds);
        }
        merges.first_node[p + 1] = n_nodes;
    }
    return merges;
}
