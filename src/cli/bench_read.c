// Reading, beside memcpy and H5Dread; and whether a recipe's model would wait for it.
#include "cli/bench_read.h"

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/world.h"
#include "train/reading.h"
#include "train/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asked {
    const char *const *words; // files, or one recipe
    int n;
    const char *input, *target, *axes;
    int64_t batch, threads, milliseconds;
    bool json;
};

// What is measured: the recipe's own, where there is one.
struct subject {
    struct ls_recipe recipe; // path NULL: none
    bool has_recipe;
    struct ls_read_bench bench;
};

static const char *const way_names[LS_READ_WAYS] = {
    [LS_READ_COPY] = "memcpy",
    [LS_READ_LIBRARY] = "H5Dread",
    [LS_READ_DIRECT] = "lockstep",
    [LS_READ_CHECKED] = "with checksums",
    [LS_READ_COPY_RING] = "memcpy, ring",
    [LS_READ_COPY_THREADS] = "memcpy, ring",
    [LS_READ_LIBRARY_RING] = "H5Dread, ring",
    [LS_READ_ALONE] = "read ahead",
    [LS_READ_READER] = "read ahead",
};

// ---- printing

static void print_heading(const struct subject *subject) {
    const struct ls_dataset_info *info = ls_dataset_info(subject->bench.set);
    printf("%s\n%lld samples of %zu bytes as delivered (%s); batches of %lld, from the first %lld samples\n",
           ls_dataset_path_note(subject->bench.set), (long long)info->samples, info->sample_bytes,
           ls_dtype_name(info->type), (long long)subject->bench.batch,
           (long long)ls_read_bench_samples(&subject->bench));
    printf("%-9s %-5s %-15s %7s %9s %12s %10s %11s\n", "order", "cache", "way", "threads", "GB/s",
           "samples/s", "of memcpy", "of H5Dread");
}

static int threads_of(const struct subject *subject, int way) {
    return way == LS_READ_READER || way == LS_READ_COPY_THREADS ? subject->bench.threads : 1;
}

static void print_json(const struct subject *subject, bool shuffled, bool cold,
                       const struct ls_read_figures *figures, int way) {
    const size_t sample_bytes = ls_dataset_info(subject->bench.set)->sample_bytes;
    const double rate = 1 / figures->seconds[way];
    struct ls_text text = {0};
    ls_bench_begin(&text, "read");
    ls_json_text(&text, "order", shuffled ? "shuffled" : "in order");
    ls_json_text(&text, "cache", cold ? "cold" : "warm");
    ls_json_text(&text, "way", way_names[way]);
    ls_json_count(&text, "threads", threads_of(subject, way));
    ls_json_count(&text, "batch", subject->bench.batch);
    ls_json_count(&text, "sample_bytes", (int64_t)sample_bytes);
    ls_json_count(&text, "samples", figures->samples);
    ls_json_count(&text, "rounds", figures->rounds);
    ls_json_rounded(&text, "gb_s", rate * (double)sample_bytes / 1e9, 6);
    ls_json_rounded(&text, "samples_per_s", rate, 8);
    ls_json_rounded(&text, "of_memcpy", figures->of_copy[way], 6);
    ls_json_rounded(&text, "of_h5dread", figures->of_library[way], 6);
    ls_bench_print(&text);
}

static void print_figures(const struct subject *subject, bool json, bool shuffled, bool cold,
                          const struct ls_read_figures *figures) {
    const struct ls_dataset_info *info = ls_dataset_info(subject->bench.set);
    const char *order = shuffled ? "shuffled" : "in order", *cache = cold ? "cold" : "warm";
    for (int way = 0; way < LS_READ_WAYS; way++) {
        if (figures->seconds[way] <= 0) continue;
        double rate = 1 / figures->seconds[way], bandwidth = rate * (double)info->sample_bytes / 1e9;
        if (json)
            print_json(subject, shuffled, cold, figures, way);
        else
            printf("%-9s %-5s %-15s %7d %9.3f %12.0f %10.2f %11.2f\n", order, cache, way_names[way],
                   threads_of(subject, way), bandwidth, rate, figures->of_copy[way],
                   figures->of_library[way]);
    }
    fflush(stdout);
}

// ---- would the model wait?

enum { MODEL_STEPS = 3 };

static ls_status time_steps(struct ls_engine *engine, const struct ls_batch *batch, double *seconds) {
    *seconds = 0;
    for (uint64_t step = 0; step <= MODEL_STEPS; step++) { // the first one warms up
        double start = ls_now();
        struct ls_step_control control = {.step = step, .updates = step, .lr = 1e-6f};
        struct ls_step_result result;
        LS_TRY(ls_engine_step(engine, batch, &control, &result));
        double now = ls_now() - start;
        if (step > 0 && (*seconds == 0 || now < *seconds)) *seconds = now;
    }
    return LS_OK;
}

// The model trains on one batch that lies in memory.
static ls_status time_model(const struct subject *subject, struct ls_comm *comm, struct ls_device *device,
                            double *seconds) {
    const struct ls_recipe *recipe = &subject->recipe;
    const struct ls_sample_shape sample = ls_sample_shape_of(ls_dataset_info(subject->bench.set));
    const struct ls_reader_spec spec = ls_reader_spec_of(recipe, false, recipe->train.batch);
    struct ls_model model;
    struct ls_engine *engine = NULL;
    struct ls_reader *reader = NULL;
    struct ls_batch *batch = NULL;
    LS_TRY(ls_model_make(recipe, &sample, device, &model));
    ls_status status = ls_engine_open(&(struct ls_engine_spec){device, comm, &model, recipe}, &engine);
    if (status == LS_OK) status = ls_reader_open(subject->bench.set, &spec, &reader);
    if (status == LS_OK) {
        ls_reader_request(reader, 0, recipe->train.batch);
        status = ls_reader_next(reader, &batch, NULL);
    }
    if (status == LS_OK) status = time_steps(engine, batch, seconds);
    if (batch) ls_reader_release(reader, batch);
    ls_reader_close(reader);
    ls_engine_close(engine);
    ls_model_free(&model);
    return status;
}

static void print_verdict(const struct subject *subject, bool json, double step, const char *device,
                          const struct ls_read_figures *warm, const struct ls_read_figures *cold) {
    const struct ls_recipe *recipe = &subject->recipe;
    double takes = (double)recipe->train.batch / step;
    double brings[2] = {1 / warm->seconds[LS_READ_READER], 1 / cold->seconds[LS_READ_READER]};
    if (json) {
        struct ls_text text = {0};
        ls_bench_begin(&text, "read");
        ls_json_text(&text, "model", recipe->model.zoo);
        ls_json_text(&text, "device", device);
        ls_json_rounded(&text, "model_samples_per_s", takes, 8);
        ls_json_rounded(&text, "warm_samples_per_s", brings[0], 8);
        ls_json_rounded(&text, "cold_samples_per_s", brings[1], 8);
        ls_bench_print(&text);
        return;
    }
    printf("%s takes %.0f samples/s on %s\n", recipe->model.zoo, takes, device);
    for (int i = 0; i < 2; i++)
        printf("  %s: %.0f samples/s are read ahead, %.1f times as many: %s\n", i ? "cold" : "warm",
               brings[i], brings[i] / takes, brings[i] > takes ? "it does not wait" : "it waits for data");
}

static ls_status judge(const struct subject *subject, struct ls_comm *comm, bool json,
                       const struct ls_read_figures *warm, const struct ls_read_figures *cold) {
    struct ls_device *device = NULL;
    double step = 0;
    LS_TRY(ls_device_choose(&subject->recipe, comm, false, &device));
    ls_status status = time_model(subject, comm, device, &step);
    if (status == LS_OK) print_verdict(subject, json, step, device->name, warm, cold);
    device->api->close(device);
    return status;
}

// ---- opening

static ls_status open_subject(const struct asked *asked, struct subject *subject) {
    struct ls_dataset_spec spec = {.patterns = asked->words,
                                   .n_patterns = asked->n,
                                   .input = asked->input,
                                   .target = asked->target,
                                   .target_optional = true,
                                   .axes = asked->axes};
    subject->bench = (struct ls_read_bench){.seed = 1,
                                            .batch = asked->batch ? asked->batch : 64,
                                            .threads = asked->threads ? (int)asked->threads : 2,
                                            .seconds = (double)asked->milliseconds / 1e3};
    if (ls_is_recipe(asked->words[0])) {
        LS_TRY(ls_recipe_read(asked->words[0], asked->words + 1, asked->n - 1, &subject->recipe));
        subject->has_recipe = true;
        const struct ls_recipe *recipe = &subject->recipe;
        spec = (struct ls_dataset_spec){.patterns = recipe->data.train.items,
                                        .n_patterns = recipe->data.train.n,
                                        .input = recipe->data.input,
                                        .target = recipe->data.target,
                                        .targets = ls_targets_of(recipe),
                                        .what = "data.train",
                                        .axes = recipe->data.axes,
                                        .tokens = recipe->model.vocabulary};
        subject->bench.seed = recipe->seed;
        if (!asked->batch) subject->bench.batch = recipe->train.batch;
        if (!asked->threads) subject->bench.threads = (int)recipe->data.threads;
    }
    LS_TRY(ls_dataset_open(&spec, &subject->bench.set));
    spec.through_library = true;
    return ls_dataset_open(&spec, &subject->bench.library);
}

static ls_status measure(const struct asked *asked, struct subject *subject, struct ls_comm *comm) {
    struct ls_read_figures figures[2][2]; // [shuffled][cold]
    if (!asked->json) print_heading(subject);
    for (int cold = 0; cold < 2; cold++) {
        for (int shuffled = 0; shuffled < 2; shuffled++) {
            LS_TRY(ls_read_bench_run(&subject->bench, shuffled, cold, &figures[shuffled][cold]));
            print_figures(subject, asked->json, shuffled, cold, &figures[shuffled][cold]);
        }
    }
    return subject->has_recipe ? judge(subject, comm, asked->json, &figures[1][0], &figures[1][1]) : LS_OK;
}

static ls_status work(struct ls_comm *comm, void *context) {
    const struct asked *asked = context;
    if (comm->size > 1)
        return LS_FAIL(LS_INPUT, "bench read measures one process, found %d ranks", comm->size);
    struct subject subject = {0};
    ls_status status = open_subject(asked, &subject);
    if (status == LS_OK) status = measure(asked, &subject, comm);
    if (subject.bench.set) ls_dataset_close(subject.bench.set);
    if (subject.bench.library) ls_dataset_close(subject.bench.library);
    if (subject.has_recipe) ls_recipe_free(&subject.recipe);
    return status;
}

ls_status ls_bench_read(const struct ls_command *command, int argc, char **argv) {
    struct asked asked = {.input = "images", .target = "labels", .milliseconds = 700};
    bool helped = false;
    const struct ls_option options[] = {
        {"--input", NULL, LS_WORD, &asked.input, "NAME", "dataset of the samples (default images)"},
        {"--target", NULL, LS_WORD, &asked.target, "NAME",
         "dataset of the targets, where there is one (default labels)"},
        {"--axes", NULL, LS_WORD, &asked.axes, "AXES", "NHWC, NCHW, NLC or NCL (default: as for training)"},
        {"--batch", NULL, LS_INTEGER(1, 1 << 20), &asked.batch, "N",
         "samples of a batch (default 64, or the recipe's)"},
        {"--threads", NULL, LS_INTEGER(1, 256), &asked.threads, "T",
         "threads that read ahead (default 2, or the recipe's)"},
        {"--ms", NULL, LS_INTEGER(1, 3600000), &asked.milliseconds, "MS",
         "time for each way of reading (default 700)"},
        {"--json", NULL, LS_FLAG, &asked.json, NULL, "print one JSON object a measurement"},
        {0},
    };
    LS_TRY(ls_options_parse(command, options, argc, argv, &asked.n, &helped));
    if (helped) return LS_OK;
    asked.words = (const char *const *)argv;
    if (asked.n == 0) return LS_FAIL(LS_INPUT, "bench read needs data files, or a recipe");
    return ls_with_world(work, &asked);
}
