// Trust ratios of LARS and LAMB: how far a parameter moves goes by its norm. Norms are sums over blocks that
// begin with their parameter, so that neither ranks nor queues change them: every rank has all parameters and
// the whole reduced gradient, and its queues share the blocks out.
#include "train/engine_parts.h"

bool ls_engine_trusts(const struct ls_recipe *recipe) {
    return recipe->train.optimizer == LS_RECIPE_LARS || recipe->train.optimizer == LS_RECIPE_LAMB;
}

static size_t blocks_of(size_t count) {
    return (count + LS_NORM_BLOCK - 1) / LS_NORM_BLOCK;
}

size_t ls_engine_update_blocks(const struct ls_layout *layout) {
    size_t n = 0;
    for (int i = 0; i < layout->n_trained; i++) n += blocks_of(layout->params[i].count);
    return n;
}

// Biases and normalization, which do not decay, have no ratio: they are few, and their norms say little.
static void cut_into_blocks(const struct ls_layout *layout, struct ls_update_range *ranges,
                            struct ls_update_block *blocks) {
    int n = 0;
    for (int i = 0; i < layout->n_trained; i++) {
        const struct ls_item *item = &layout->params[i];
        const size_t count = blocks_of(item->count);
        if (item->decays) ranges[i].first_block = n, ranges[i].n_blocks = (int)count;
        for (size_t b = 0; b < count; b++) {
            const size_t first = b * LS_NORM_BLOCK, left = item->count - first;
            blocks[n++] = (struct ls_update_block){item->offset + first,
                                                   left < LS_NORM_BLOCK ? left : LS_NORM_BLOCK, i};
        }
    }
}

static ls_status open_events(struct ls_engine *engine) {
    for (int q = 0; q < engine->n_queues; q++)
        LS_TRY(engine->api->event_open(engine->device, false, &engine->normed[q]));
    return engine->api->event_open(engine->device, false, &engine->trusted);
}

ls_status ls_engine_open_trust(struct ls_engine *engine, struct ls_update_range *ranges) {
    const size_t n = engine->sizes.update_blocks;
    if (n == 0) return LS_OK;
    LS_TRY(open_events(engine));
    struct ls_arena made = {0};
    struct ls_update_block *blocks = LS_ARENA_NEW(&made, struct ls_update_block, n);
    cut_into_blocks(engine->layout, ranges, blocks);
    ls_status status = ls_engine_place(engine, blocks, n * sizeof *blocks, (void **)&engine->update_blocks);
    ls_arena_free(&made);
    LS_TRY(status);
    LS_TRY(engine->api->alloc(engine->device, n * sizeof *engine->norms, (void **)&engine->norms));
    return engine->api->alloc(engine->device, engine->sizes.ratios, (void **)&engine->ratios);
}

void ls_engine_close_trust(struct ls_engine *engine) {
    const struct ls_device_api *api = engine->api;
    for (int q = 0; q < engine->n_queues; q++)
        if (engine->normed[q]) api->event_close(engine->normed[q]);
    if (engine->trusted) api->event_close(engine->trusted);
    api->free(engine->device, engine->update_blocks);
    api->free(engine->device, engine->norms);
    api->free(engine->device, engine->ratios);
}

void ls_engine_trust(struct ls_engine *engine, const struct ls_update *update) {
    const struct ls_device_api *api = engine->api;
    if (engine->sizes.update_blocks == 0) return;
    for (int q = 0; q < engine->n_queues; q++) {
        size_t begin, end;
        ls_engine_share(engine->sizes.update_blocks, 1, q, engine->n_queues, &begin, &end);
        api->wait(engine->queue[q], engine->decided);
        api->update_norms(engine->queue[q], update, begin, end);
        api->record(engine->queue[q], engine->normed[q]);
    }
    for (int q = 0; q < engine->n_queues; q++) api->wait(engine->queue[0], engine->normed[q]);
    api->update_ratios(engine->queue[0], update);
    api->record(engine->queue[0], engine->trusted);
    for (int q = 0; q < engine->n_queues; q++) api->wait(engine->queue[q], engine->trusted);
}
