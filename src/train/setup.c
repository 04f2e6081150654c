#include "train/setup.h"

#include "base/log.h"
#include "cpu/cpu.h"
#include "train/checkpoint.h"
#include "train/gpu.h"
#include "train/stop.h"

#include <stdio.h>
#include <string.h>

// ---- device

// The cores of this rank: its affinity mask, or, where the ranks of a host share one mask, its part of it.
static int threads_for(const struct ls_recipe *recipe, const struct ls_comm *comm) {
    if (recipe->device.threads > 0) return (int)recipe->device.threads;
    const int cores = ls_cpu_cores();
    if (comm->local_size <= 1) return cores;
    const int online = ls_cpu_cores_online();
    const bool bound = cores < online;
    const int mine = bound ? cores : cores / comm->local_size;
    return mine > 0 ? mine : 1;
}

static ls_status open_cpu(const struct ls_recipe *recipe, const struct ls_comm *comm, bool note,
                          const char *why, struct ls_device **device) {
    if (recipe->train.precision == LS_F16 || recipe->train.tf32)
        return LS_FAIL(LS_INPUT, "%s: %s needs a GPU; the CPU device has fp32 and bf16",
                       ls_recipe_place(recipe, "train.precision"), recipe->train.tf32 ? "tf32" : "fp16");
    const struct ls_cpu_options options = {
        .threads = threads_for(recipe, comm),
        .kernels = strcmp(recipe->device.kernels, "plain") == 0    ? LS_CPU_PLAIN
                   : strcmp(recipe->device.kernels, "onednn") == 0 ? LS_CPU_ONEDNN
                                                                   : LS_CPU_AUTO,
    };
    LS_TRY(ls_cpu_open(&options, device));
    (*device)->memory_limit = recipe->device.memory;
    if (!note) return LS_OK;
    ls_note("device: cpu: %s%s%s%s", (*device)->name, why[0] ? " (" : "", why, why[0] ? ")" : "");
    if (options.kernels == LS_CPU_PLAIN || (options.kernels == LS_CPU_AUTO && !ls_cpu_library()))
        ls_warn("the plain kernels serve%s: correct, and slow",
                ls_cpu_library() ? " as device.kernels asks"
                                 : ", because oneDNN was not there when this program was built");
    return LS_OK;
}

ls_status ls_device_choose(const struct ls_recipe *recipe, const struct ls_comm *comm, bool note,
                           struct ls_device **device) {
    const char *kind = recipe->device.kind;
    if (strcmp(kind, "cpu") == 0) return open_cpu(recipe, comm, note, "", device);
    ls_status status = ls_gpu_open(recipe, comm, device);
    if (status == LS_OK) {
        if (note)
            ls_note("device: cuda: %s%s", (*device)->name,
                    comm->size > 1 && !recipe->device.share ? ", and one for each rank" : "");
        return LS_OK;
    }
    const struct ls_cuda_gpu *gpus;
    const char *why;
    if (strcmp(kind, "auto") == 0 && ls_gpu_count(&gpus, &why) == 0) {
        char reason[LS_ERROR_TEXT];
        snprintf(reason, sizeof reason, "%s", ls_error_last()->text);
        ls_error_clear();
        return open_cpu(recipe, comm, note, reason, device);
    }
    if (strcmp(kind, "cuda") == 0) ls_error_prefix("%s: cuda", ls_recipe_place(recipe, "device.kind"));
    // There is a GPU, and the run should not be slow without a word.
    else if (status == LS_INPUT)
        return LS_FAIL(LS_INPUT, "%s; device.kind=cpu does without a GPU", ls_error_last()->text);
    return status;
}

struct holder { // of a GPU
    char host[128], uuid[48];
};

// All ranks see the same holders and so come to the same end.
static ls_status check_shares(const struct ls_recipe *recipe, const struct ls_comm *comm,
                              const struct holder *holders, struct ls_device *device) {
    for (int a = 0; a < comm->size; a++)
        for (int b = a + 1; b < comm->size && holders[a].uuid[0]; b++) {
            if (strcmp(holders[a].uuid, holders[b].uuid) != 0) continue;
            device->shared = true;
            if (!recipe->device.share)
                return LS_FAIL(
                    LS_INPUT,
                    "ranks %d and %d on %s have the same GPU, %s: give each rank one of its own, or let "
                    "ranks share one with device.share=true",
                    a, b, holders[b].host, holders[b].uuid);
        }
    return LS_OK;
}

ls_status ls_device_agree(const struct ls_recipe *recipe, struct ls_comm *comm, struct ls_device *device) {
    LS_TRY(ls_comm_agree_same(comm, LS_INPUT, "the device (equal bits need equal devices)",
                              device->fingerprint));
    struct holder mine = {.uuid = ""};
    snprintf(mine.host, sizeof mine.host, "%s", comm->host);
    snprintf(mine.uuid, sizeof mine.uuid, "%s", device->uuid);
    struct ls_arena memory = {0};
    struct holder *holders = LS_ARENA_NEW(&memory, struct holder, comm->size);
    ls_status status = ls_comm_gather_all(comm, &mine, holders, sizeof mine);
    if (status == LS_OK) status = check_shares(recipe, comm, holders, device);
    ls_arena_free(&memory);
    return ls_comm_agree(comm, status);
}

// ---- data

ls_status ls_data_open(const struct ls_recipe *recipe, bool test, struct ls_dataset **dataset) {
    const struct ls_list *patterns = test ? &recipe->data.test : &recipe->data.train;
    const struct ls_dataset_spec spec = {
        .patterns = patterns->items,
        .n_patterns = patterns->n,
        .input = recipe->data.input,
        .target = recipe->data.target,
        .targets = ls_targets_of(recipe),
        .what = ls_recipe_place(recipe, test ? "data.test" : "data.train"),
        .axes = recipe->data.axes,
        .tokens = recipe->model.vocabulary,
    };
    return ls_dataset_open(&spec, dataset);
}

ls_status ls_data_same_shape(const struct ls_recipe *recipe, const struct ls_dataset_info *train,
                             const struct ls_dataset_info *test) {
    const char *place = ls_recipe_place(recipe, "data.test");
    if (train->type == LS_I32 && train->channels != test->channels)
        return LS_FAIL(LS_INPUT, "%s: samples are of %lld tokens, those of data.train of %lld", place,
                       (long long)test->channels, (long long)train->channels);
    if (train->height != test->height || train->width != test->width || train->channels != test->channels)
        return LS_FAIL(LS_INPUT,
                       "%s: samples are %lldx%lldx%lld (height, width, channels), those of data.train "
                       "are %lldx%lldx%lld",
                       place, (long long)test->height, (long long)test->width, (long long)test->channels,
                       (long long)train->height, (long long)train->width, (long long)train->channels);
    if (train->type != test->type || train->channels_first != test->channels_first)
        return LS_FAIL(LS_INPUT, "%s: samples are %s%s, those of data.train are %s%s", place,
                       ls_dtype_name(test->type), test->channels_first ? ", channels first" : "",
                       ls_dtype_name(train->type), train->channels_first ? ", channels first" : "");
    if (train->target_is_class != test->target_is_class || train->target_values != test->target_values)
        return LS_FAIL(LS_INPUT, "%s: targets are of another kind than those of data.train", place);
    return LS_OK;
}

// Below this, samples of numbers or tokens are looked through before step 0; above it, each is looked at when
// it is read.
static const double scan_bytes = 4.0 * 1024 * 1024 * 1024;
static const int64_t scan_piece_bytes = 256 << 20;

ls_status ls_data_scan(struct ls_dataset *dataset, const struct ls_recipe *recipe, struct ls_comm *comm) {
    const struct ls_dataset_info *info = ls_dataset_info(dataset);
    const int64_t begin = info->samples * comm->rank / comm->size,
                  end = info->samples * (comm->rank + 1) / comm->size;
    const bool samples =
        info->type != LS_U8 && (double)info->samples * (double)info->sample_bytes <= scan_bytes;
    // Between pieces a signal is answered.
    const int64_t bytes = samples ? info->sample_bytes : 64;
    const int64_t piece = bytes < scan_piece_bytes ? scan_piece_bytes / bytes : 1;
    for (int64_t at = begin; at < end && !ls_stop_wanted(); at += piece)
        LS_TRY(ls_dataset_scan(dataset, at, end - at < piece ? end : at + piece, recipe->model.classes,
                               samples));
    return LS_OK;
}

// ---- memory

// What the plan may take of the device: what the recipe grants, or else what is there. 0: unknown.
static int64_t memory_there(const struct ls_device *device) {
    return device->memory_limit > 0 ? device->memory_limit : device->memory_free;
}

// The largest number of samples a lane whose whole plan fits; 0 if not even one does.
static int64_t largest_lane(const struct ls_recipe *recipe, const struct ls_sample_shape *sample,
                            struct ls_device *device, const struct ls_comm *comm) {
    int64_t fits = 0, fails = recipe->train.batch / recipe->train.lanes;
    while (fails - fits > 1) {
        struct ls_recipe tried = *recipe;
        const int64_t lane = (fits + fails) / 2;
        tried.train.batch = lane * recipe->train.lanes;
        struct ls_model model;
        bool fit = ls_model_make(&tried, sample, device, &model) == LS_OK;
        if (fit) {
            const struct ls_memory memory = ls_memory_of(&tried, &model, NULL, NULL, device, comm);
            fit = (int64_t)memory.device <= memory_there(device);
        }
        ls_model_free(&model);
        if (fit)
            fits = lane;
        else
            fails = lane;
    }
    return fits;
}

ls_status ls_memory_check(const struct ls_recipe *recipe, const struct ls_sample_shape *sample,
                          struct ls_device *device, const struct ls_comm *comm,
                          const struct ls_memory *memory) {
    const int64_t there = memory_there(device);
    if (there <= 0 || (int64_t)memory->device <= there) return LS_OK;
    char needed[32], limit[32], how[768];
    const int64_t lane = largest_lane(recipe, sample, device, comm);
    ls_format_bytes(needed, (double)memory->device);
    ls_format_bytes(limit, (double)there);
    if (device->memory_limit > 0)
        snprintf(how, sizeof how, "%.500s: the plan needs %s, the limit is %s",
                 ls_recipe_place(recipe, "device.memory"), needed, limit);
    else
        snprintf(how, sizeof how, "the plan needs %s of device memory, %s has %s free", needed, device->name,
                 limit);
    if (lane == 0) return LS_FAIL(LS_INPUT, "%s; not even lanes of one sample fit", how);
    return LS_FAIL(LS_INPUT,
                   "%s; the largest lane that fits has %lld samples (this one: %lld): "
                   "lower train.batch or raise train.lanes",
                   how, (long long)lane, (long long)(recipe->train.batch / recipe->train.lanes));
}

// ---- replica

ls_status ls_replica_load(struct ls_engine *engine, const struct ls_layout *layout, struct ls_comm *comm,
                          const char *path, bool slots, struct ls_checkpoint_state *state) {
    struct ls_replica replica = ls_engine_replica(engine);
    struct ls_checkpoint checkpoint = {.layout = layout,
                                       .params = replica.params,
                                       .states = replica.states,
                                       .average = replica.average,
                                       .average_states = replica.average_states};
    const size_t params = layout->param_floats * sizeof(float), states = layout->state_floats * sizeof(float);
    for (int i = 0; slots && i < LS_MAX_SLOTS; i++) {
        checkpoint.slot[i] = replica.slot[i];
        checkpoint.slot_names[i] = replica.slot_names[i];
    }
    ls_status status = comm->rank == 0 ? ls_checkpoint_read(path, &checkpoint) : LS_OK;
    LS_TRY(ls_comm_agree(comm, status));
    LS_TRY(ls_comm_broadcast(comm, replica.params, params, 0));
    LS_TRY(ls_comm_broadcast(comm, replica.states, states, 0));
    if (replica.average) LS_TRY(ls_comm_broadcast(comm, replica.average, params, 0));
    if (replica.average) LS_TRY(ls_comm_broadcast(comm, replica.average_states, states, 0));
    for (int i = 0; slots && i < LS_MAX_SLOTS; i++)
        if (replica.slot[i])
            LS_TRY(ls_comm_broadcast(comm, replica.slot[i], layout->trained_floats * sizeof(float), 0));
    LS_TRY(ls_comm_broadcast(comm, &checkpoint.state, sizeof checkpoint.state, 0));
    LS_TRY(ls_comm_agree(comm, ls_engine_upload(engine)));
    if (state) *state = checkpoint.state;
    return LS_OK;
}
