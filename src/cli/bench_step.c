#include "base/clock.h"
#include "base/philox.h"
#include "base/resident.h"
#include "base/sort.h"
#include "cli/bench.h"
#include "cli/bench_profile.h"
#include "cli/world.h"
#include "train/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A bench of the whole step, on samples that lie in memory.
struct bench {
    const char *model, *precision, *kernels;
    int64_t size, batch, lanes, threads, steps;
    bool eager, profile, json;
};

// Every word goes through an override, and so through the schema: none can smuggle in another key.
static ls_status make_recipe(const struct bench *bench, struct ls_recipe *recipe) {
    static const char fixed[] =
        "seed: 1\nmodel: {zoo: lenet, classes: 1000}\n"
        "data: {train: synthetic, augment: {crop_pad: 2, flip: true}}\ntrain: {steps: 1}\n";
    enum { WORDS = 7, MOST = 160 };
    char overrides[WORDS][MOST];
    snprintf(overrides[0], MOST, "model.zoo=%s", bench->model);
    snprintf(overrides[1], MOST, "train.precision=%s", bench->precision);
    snprintf(overrides[2], MOST, "device.kernels=%s", bench->kernels);
    snprintf(overrides[3], MOST, "train.batch=%lld", (long long)bench->batch);
    snprintf(overrides[4], MOST, "train.lanes=%lld", (long long)bench->lanes);
    snprintf(overrides[5], MOST, "device.threads=%lld", (long long)bench->threads);
    snprintf(overrides[6], MOST, "device.replay=%s", bench->eager ? "false" : "true");
    const char *list[WORDS];
    for (int i = 0; i < WORDS; i++) list[i] = overrides[i];
    return ls_recipe_parse(fixed, "bench step", ".", list, WORDS, recipe);
}

static ls_status alloc_batch(struct ls_device *device, int64_t n, size_t bytes, struct ls_batch *batch) {
    const struct ls_device_api *api = device->api;
    const size_t samples = (size_t)n;
    LS_TRY(api->alloc_host(device, samples * bytes + 16, (void **)&batch->samples));
    LS_TRY(api->alloc_host(device, samples * sizeof(int32_t), (void **)&batch->targets));
    LS_TRY(api->alloc_host(device, samples * LS_AUGMENT_WORDS * sizeof *batch->augment,
                           (void **)&batch->augment));
    return api->alloc_host(device, samples * sizeof *batch->weight, (void **)&batch->weight);
}

// Samples, classes and crops of this rank's lanes: a function of the position, as real ones are.
static void fill_batch(uint64_t first, int64_t n, size_t bytes, struct ls_batch *batch) {
    unsigned char *samples = batch->samples;
    int32_t *targets = batch->targets;
    for (int64_t i = 0; i < n; i++) {
        for (size_t at = 0; at < bytes; at += 16) {
            const struct ls_random4 random = ls_philox(1, LS_RANDOM_TEST, at, first + (uint64_t)i);
            memcpy(samples + (size_t)i * bytes + at, &random, bytes - at < 16 ? bytes - at : 16);
        }
        const struct ls_random4 random = ls_philox(2, LS_RANDOM_TEST, 0, first + (uint64_t)i);
        targets[i] = (int32_t)ls_below(random.word[0], 1000);
        batch->augment[i * LS_AUGMENT_WORDS + 2] = (int32_t)(random.word[1] & 1);
        batch->weight[i] = 1;
    }
}

// Where the device has memory of its own, the samples lie there: what is timed is the step, not the bus.
static ls_status move_samples(struct ls_device *device, size_t bytes, struct ls_batch *batch) {
    const struct ls_device_api *api = device->api;
    struct ls_queue *queue;
    void *there = NULL;
    ls_status status = api->alloc(device, bytes, &there);
    if (status == LS_OK) status = api->queue_open(device, "copy", &queue);
    if (status == LS_OK) {
        api->copy(queue, there, batch->samples, bytes);
        status = api->sync(queue);
        api->queue_close(queue);
    }
    api->free_host(device, batch->samples);
    batch->samples = there;
    return status;
}

// Before the engine is opened: after that, what is allocated was planned.
static ls_status make_batch(const struct bench *bench, const struct ls_comm *comm, struct ls_device *device,
                            const struct ls_sample_shape *sample, struct ls_batch *batch) {
    const int lanes = (int)bench->lanes, begin = ls_lane_begin(comm->rank, comm->size, lanes);
    const int64_t n = (ls_lane_begin(comm->rank + 1, comm->size, lanes) - begin) * (bench->batch / lanes);
    const size_t bytes = (size_t)(sample->height * sample->width * sample->channels);
    const uint64_t first = (uint64_t)(begin * (bench->batch / lanes));
    *batch = (struct ls_batch){.first_position = first, .n = n, .valid = n};
    LS_TRY(alloc_batch(device, n, bytes, batch));
    fill_batch(first, n, bytes, batch);
    return device->host_memory ? LS_OK : move_samples(device, (size_t)n * bytes, batch);
}

static void free_batch(struct ls_device *device, struct ls_batch *batch) {
    const struct ls_device_api *api = device->api;
    if (device->host_memory)
        api->free_host(device, batch->samples);
    else
        api->free(device, batch->samples);
    api->free_host(device, batch->targets);
    api->free_host(device, batch->augment);
    api->free_host(device, batch->weight);
}

struct outcome {
    double median, mean; // seconds of a step
    double processor;    // seconds of processors that this rank takes for a step
    int64_t peak_bytes;
};

static ls_status timed_steps(const struct bench *bench, struct ls_comm *comm, struct ls_engine *engine,
                             struct ls_profile *profile, const struct ls_batch *batch,
                             struct outcome *outcome) {
    double *seconds = calloc((size_t)bench->steps, sizeof *seconds);
    if (!seconds) return LS_FAIL(LS_SYSTEM, "out of memory");
    ls_status status = LS_OK;
    for (int64_t step = -1; step < bench->steps && status == LS_OK; step++) { // one step to warm up
        status = ls_comm_barrier(comm);
        ls_profile_step(profile, step);
        const double start = ls_now(), processor = ls_process_time();
        const struct ls_step_control control = {
            .step = (uint64_t)(step + 1), .updates = (uint64_t)(step + 1), .lr = 0.01f};
        struct ls_step_result result;
        if (status == LS_OK) status = ls_engine_step(engine, batch, &control, &result);
        if (step < 0) continue;
        seconds[step] = ls_now() - start;
        outcome->mean += seconds[step] / (double)bench->steps;
        outcome->processor += (ls_process_time() - processor) / (double)bench->steps;
    }
    outcome->median = ls_median(seconds, (size_t)bench->steps);
    outcome->peak_bytes = ls_peak_bytes();
    free(seconds);
    return status;
}

static void print_result(const struct bench *bench, const struct ls_comm *comm,
                         const struct ls_device *device, const struct ls_memory *memory,
                         const struct outcome *outcome) {
    const double seconds = outcome->median, rate = (double)bench->batch / seconds;
    const long long peak = (long long)outcome->peak_bytes;
    char peak_text[32], plan_text[32];
    if (!bench->json) {
        printf("%s, %lldx%lld, batch %lld, %lld lanes, %s, %d rank(s), %s\n", bench->model,
               ls_zoo_find(bench->model)->samples == LS_SAMPLES_SIGNALS ? 1 : (long long)bench->size,
               (long long)bench->size, (long long)bench->batch, (long long)bench->lanes, bench->precision,
               comm->size, device->name);
        printf("%.1f samples/s, %.1f ms a step (median of %lld); memory %s, plan %s\n", rate, seconds * 1e3,
               (long long)bench->steps, ls_format_bytes(peak_text, (double)peak),
               ls_format_bytes(plan_text, (double)memory->total));
        return;
    }
    struct ls_text text = {0};
    ls_bench_begin(&text, "step");
    ls_json_text(&text, "model", bench->model);
    ls_json_count(&text, "size", bench->size);
    ls_json_count(&text, "batch", bench->batch);
    ls_json_count(&text, "lanes", bench->lanes);
    ls_json_text(&text, "precision", bench->precision);
    ls_json_count(&text, "threads", bench->threads);
    ls_json_count(&text, "queues", device->compute_queues);
    ls_json_count(&text, "ranks", comm->size);
    ls_json_text(&text, "device", device->name);
    ls_json_count(&text, "steps", bench->steps);
    ls_json_rounded(&text, "samples_per_s", rate, 8);
    ls_json_rounded(&text, "step_ms", seconds * 1e3, 8);
    ls_json_rounded(&text, "processor_ms", outcome->processor * 1e3, 8);
    ls_json_count(&text, "peak_bytes", peak);
    ls_json_count(&text, "plan_bytes", (int64_t)memory->total);
    ls_bench_print(&text);
}

// With --profile first a row an op; the peak is measured by all ranks at once, as they share the machine.
static ls_status measure(const struct bench *bench, struct ls_comm *comm, const struct ls_recipe *recipe,
                         const struct ls_model *model, struct ls_engine *engine, const struct ls_batch *batch,
                         struct outcome *outcome) {
    struct ls_profile *profile = NULL;
    ls_status status = LS_OK;
    if (bench->profile) status = ls_profile_open(comm, model, engine, bench->steps, &profile);
    if (status == LS_OK) status = timed_steps(bench, comm, engine, profile, batch, outcome);
    struct ls_peak peak = {0};
    if (status == LS_OK && profile) status = ls_comm_barrier(comm);
    if (status == LS_OK && profile)
        status =
            ls_comm_agree(comm, ls_peak_measure(ls_engine_queues(engine), recipe->train.precision, &peak));
    if (status == LS_OK && profile && comm->rank == 0)
        ls_profile_print(profile, &peak, outcome->mean, bench->json);
    ls_profile_close(profile);
    return status;
}

static ls_status with_engine(const struct bench *bench, struct ls_comm *comm, const struct ls_recipe *recipe,
                             struct ls_device *device, const struct ls_sample_shape *sample) {
    struct ls_model model;
    struct ls_engine *engine = NULL;
    struct ls_batch batch = {0};
    ls_status status = ls_model_make(recipe, sample, device, &model);
    struct ls_memory memory = {0};
    if (status == LS_OK) memory = ls_memory_of(recipe, &model, NULL, NULL, device, comm);
    const struct ls_engine_spec spec = {device, comm, &model, recipe};
    status = ls_comm_agree(comm, status);
    if (status == LS_OK) status = ls_comm_agree(comm, make_batch(bench, comm, device, sample, &batch));
    if (status == LS_OK) status = ls_comm_agree(comm, ls_engine_open(&spec, &engine));
    struct outcome outcome = {0};
    if (status == LS_OK) status = measure(bench, comm, recipe, &model, engine, &batch, &outcome);
    if (status == LS_OK && comm->rank == 0) {
        // Here the batch is the caller's, and nothing is checkpointed.
        memory.total -= memory.checkpoint;
        memory.total += (size_t)batch.n * (size_t)(sample->height * sample->width * sample->channels);
        print_result(bench, comm, device, &memory, &outcome);
    }
    ls_engine_close(engine);
    free_batch(device, &batch);
    ls_model_free(&model);
    return status;
}

static ls_status work(struct ls_comm *comm, void *context) {
    const struct bench *bench = context;
    struct ls_recipe recipe;
    LS_TRY(ls_comm_agree(comm, make_recipe(bench, &recipe)));
    const struct ls_zoo_model *model = ls_zoo_find(bench->model);
    const struct ls_sample_shape sample = {.height = model->samples == LS_SAMPLES_SIGNALS ? 1 : bench->size,
                                           .width = bench->size,
                                           .channels = model->usual_channels,
                                           .type = LS_U8,
                                           .target_is_class = true,
                                           .target_values = 1};
    struct ls_device *device = NULL;
    ls_status status = ls_comm_agree(comm, ls_device_choose(&recipe, comm, false, &device));
    if (status == LS_OK) status = ls_device_agree(&recipe, comm, device);
    if (status == LS_OK) status = with_engine(bench, comm, &recipe, device, &sample);
    if (device) device->api->close(device);
    ls_recipe_free(&recipe);
    return status;
}

ls_status ls_bench_step(const struct ls_command *command, int argc, char **argv) {
    struct bench bench = {
        .model = "resnet18", .precision = "fp32", .kernels = "auto", .batch = 64, .lanes = 2, .steps = 5};
    bool helped = false;
    const struct ls_option options[] = {
        {"--model", NULL, LS_WORD, &bench.model, "M", "a model of the zoo (default resnet18)"},
        {"--size", NULL, LS_INTEGER(1, 65536), &bench.size, "S",
         "height and width of a sample, or its length (default: the model's usual)"},
        {"--batch", NULL, LS_INTEGER(1, 1 << 30), &bench.batch, "B", "global batch (default 64)"},
        {"--lanes", NULL, LS_INTEGER(1, 1 << 20), &bench.lanes, "L", "lanes (default 2)"},
        {"--precision", NULL, LS_WORD, &bench.precision, "P", "fp32, tf32, bf16 or fp16 (default fp32)"},
        {"--threads", NULL, LS_INTEGER(1, 1024), &bench.threads, "T",
         "threads of a rank (default: the cores it may use)"},
        {"--kernels", NULL, LS_WORD, &bench.kernels, "K", "auto, plain or onednn (default auto)"},
        {"--steps", NULL, LS_INTEGER(1, 100000), &bench.steps, "N",
         "steps to time, after one to warm up (default 5)"},
        {"--eager", NULL, LS_FLAG, &bench.eager, NULL, "GPU: launch every kernel anew, instead of a replay"},
        {"--profile", NULL, LS_FLAG, &bench.profile, NULL,
         "CPU: time by op of rank 0, and the best rate of a convolution or product beside it"},
        {"--json", NULL, LS_FLAG, &bench.json, NULL,
         "print one JSON object; with --profile, one a row before it"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n != 0) return LS_FAIL(LS_INPUT, "bench step takes no further argument, found \"%s\"", argv[0]);
    const struct ls_zoo_model *model = ls_zoo_find(bench.model);
    if (!model)
        return LS_FAIL(LS_INPUT, "--model: there is no model \"%s\"; 'lockstep show zoo' lists them",
                       bench.model);
    if (bench.size == 0) bench.size = model->usual_size;
    return ls_with_world(work, &bench);
}
