// What a run takes, and what a process has taken.
#include "train/engine_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

size_t ls_largest_bucket(const struct ls_plan *plan) {
    size_t most = 0;
    for (int i = 0; i < plan->n_buckets; i++) most = larger(most, plan->buckets[i].count);
    return most;
}

int ls_optimizer_slots(const struct ls_recipe *recipe) {
    if (recipe->train.optimizer == LS_RECIPE_ADAMW) return 2;
    return recipe->train.momentum != 0 ? 1 : 0;
}

// Generated code is there once programs are loaded, and not known before: they are, for a moment.
static size_t program_bytes(struct ls_device *device, const struct ls_model *model, int queues) {
    const struct ls_device_api *api = device->api;
    struct ls_queue *queue[LS_MAX_QUEUES];
    struct ls_program *train = NULL, *eval = NULL;
    int open = 0;
    while (open < queues && open < LS_MAX_QUEUES && api->queue_open(device, "plan", &queue[open]) == LS_OK)
        open++;
    (void)(api->load(device, model->train, queue, open, &train) == LS_OK &&
           api->load(device, model->eval, queue, open, &eval) == LS_OK);
    const int64_t bytes = ls_resident_bytes();
    if (eval) api->unload(eval);
    if (train) api->unload(train);
    while (open > 0) api->queue_close(queue[--open]);
    return bytes > 0 ? (size_t)bytes : 0;
}

struct ls_memory ls_memory_of(const struct ls_recipe *recipe, const struct ls_model *model,
                              const struct ls_dataset_info *train, const struct ls_dataset_info *test,
                              struct ls_device *device, int rank, int ranks) {
    const struct ls_layout *layout = model->train->layout;
    const int lanes = (int)recipe->train.lanes;
    const struct ls_lane_range range = ls_lanes_of(rank, ranks, lanes);
    const int local = range.end - range.begin;
    const int queues = device->compute_queues < local ? device->compute_queues : local;
    struct ls_memory memory = {0};
    memory.weights = (layout->param_floats + layout->state_floats) * sizeof(float);
    memory.optimizer = (size_t)ls_optimizer_slots(recipe) * layout->param_floats * sizeof(float);
    struct ls_fold *fold = NULL;
    if (ls_fold_make(range.begin, range.end, lanes, queues, &fold) == LS_OK) {
        memory.gradients = (size_t)fold->n_buffers * layout->output_floats * sizeof(float);
        ls_fold_free(fold);
    }
    if (recipe->train.audit_every > 0) memory.gradients += layout->output_floats * sizeof(float);
    const size_t arena = larger(model->train->arena_bytes, model->eval->arena_bytes);
    memory.activations =
        (size_t)queues * larger(model->train->activation_bytes, model->eval->activation_bytes);
    memory.workspace = (size_t)queues * arena - memory.activations;
    const int64_t samples = local * model->train->lane_batch;
    const struct ls_reader_spec reading = ls_reader_spec_of(recipe, false, samples);
    const struct ls_reader_spec testing = ls_reader_spec_of(recipe, true, queues * model->train->lane_batch);
    if (train) memory.input += ls_reader_bytes(train, &reading);
    const struct ls_reader_spec auditing = ls_reader_spec_of(recipe, false, model->train->lane_batch);
    if (train && recipe->train.audit_every > 0) memory.input += ls_reader_bytes(train, &auditing);
    if (test) memory.input += ls_reader_bytes(test, &testing);
    if (train) memory.input += train->cache_bytes;
    if (test) memory.input += test->cache_bytes;
    memory.communication =
        ls_reducer_scratch_bytes(rank, ranks, lanes, recipe->train.fast, ls_largest_bucket(model->train));
    if (rank == 0) memory.checkpoint = memory.weights + memory.optimizer;
    memory.program = program_bytes(device, model, queues);
    memory.total = memory.program + memory.weights + memory.gradients + memory.optimizer +
                   memory.activations + memory.workspace + memory.input + memory.communication +
                   memory.checkpoint;
    return memory;
}

struct ls_reader_spec ls_reader_spec_of(const struct ls_recipe *recipe, bool in_order,
                                        int64_t batch_samples) {
    return (struct ls_reader_spec){
        .in_order = in_order,
        .seed = recipe->seed,
        .augment = {.crop_pad = (int)recipe->data.crop_pad, .flip = recipe->data.flip},
        .batch_samples = batch_samples,
        .threads = (int)recipe->data.threads,
        .slots = (int)recipe->data.prefetch + 1,
    };
}

// The figure of /proc/self/status on the line `key`, in bytes, less what is mapped from files or shared.
static int64_t private_bytes(const char *key) {
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    int64_t figure = 0, files = 0, shared = 0;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (!colon) continue;
        const size_t length = (size_t)(colon - line);
        const int64_t kilobytes = strtoll(colon + 1, NULL, 10);
        if (length == strlen(key) && strncmp(line, key, length) == 0) figure = kilobytes;
        if (strncmp(line, "RssFile", length) == 0) files = kilobytes;
        if (strncmp(line, "RssShmem", length) == 0) shared = kilobytes;
    }
    fclose(file);
    return (figure - files - shared) * 1024;
}

int64_t ls_peak_bytes(void) {
    return private_bytes("VmHWM");
}

int64_t ls_resident_bytes(void) {
    return private_bytes("VmRSS");
}
