// The fold of one rank's lanes: a binary counter of buffers.
#include "comm/tree.h"

#include <string.h>

struct folding {
    struct ls_fold *fold;
    struct ls_tree_fold tree;
    bool in_use[LS_MAX_LANES]; // buffers
};

static int take_buffer(struct folding *folding) {
    int buffer = 0;
    while (folding->in_use[buffer]) buffer++;
    folding->in_use[buffer] = true;
    if (buffer >= folding->fold->n_buffers) folding->fold->n_buffers = buffer + 1;
    return buffer;
}

static void make_wave(struct folding *folding, struct ls_fold_wave *wave) {
    struct ls_arena *memory = &folding->fold->memory;
    // A wave merges its own lanes and the nodes that were there before.
    const int most_adds = wave->width + folding->tree.n_nodes;
    wave->buffer = LS_ARENA_NEW(memory, int, wave->width);
    wave->adds = LS_ARENA_NEW(memory, struct ls_fold_add, most_adds);
    for (int q = 0; q < wave->width; q++) wave->buffer[q] = take_buffer(folding);
    for (int q = 0; q < wave->width; q++) {
        const struct ls_tree_node leaf = {
            .level = 0, .index = wave->first_lane + q, .buffer = wave->buffer[q]};
        wave->n_adds += ls_tree_push(&folding->tree, leaf, wave->adds + wave->n_adds);
    }
    for (int i = 0; i < wave->n_adds; i++) folding->in_use[wave->adds[i].from] = false;
}

ls_status ls_fold_make(int begin_lane, int end_lane, int lanes, int width, struct ls_fold **fold_made) {
    if (lanes < 1 || lanes > LS_MAX_LANES)
        return LS_FAIL(LS_INPUT, "%d lanes: expected 1 to %d", lanes, LS_MAX_LANES);
    if (begin_lane < 0 || begin_lane >= end_lane || end_lane > lanes)
        return LS_FAIL(LS_INPUT, "a rank with lanes %d up to %d of %d: expected at least one lane",
                       begin_lane, end_lane, lanes);
    if (width < 1) return LS_FAIL(LS_INPUT, "%d lanes side by side: expected at least 1", width);

    struct ls_arena memory = {0};
    struct ls_fold *fold = LS_ARENA_NEW(&memory, struct ls_fold, 1);
    fold->memory = memory;
    struct folding folding = {.fold = fold, .tree.lanes = lanes};
    const int local = end_lane - begin_lane;
    fold->n_waves = (local - 1) / width + 1;
    fold->waves = LS_ARENA_NEW(&fold->memory, struct ls_fold_wave, fold->n_waves);
    for (int w = 0; w < fold->n_waves; w++) {
        const int done = w * width, left = local - done;
        fold->waves[w].first_lane = begin_lane + done;
        fold->waves[w].width = left < width ? left : width;
        make_wave(&folding, &fold->waves[w]);
    }
    memcpy(fold->nodes, folding.tree.nodes, sizeof fold->nodes);
    fold->n_nodes = folding.tree.n_nodes;
    *fold_made = fold;
    return LS_OK;
}

void ls_fold_free(struct ls_fold *fold) {
    if (!fold) return;
    struct ls_arena memory = fold->memory; // `fold` itself lies in it
    ls_arena_free(&memory);
}
