#include "cli/cli.h"
#include "train/setup.h"

#include <stdio.h>
#include <string.h>

static void print_bytes(const char *what, size_t bytes, const char *why) {
    char text[32];
    printf("  %-16s %12s  %s\n", what, ls_format_bytes(text, (double)bytes), why);
}

static void print_memory(const struct ls_memory *memory) {
    printf("memory of rank 0:\n");
    print_bytes("weights", memory->weights, "parameters and running statistics");
    print_bytes("gradients", memory->gradients, "output buffers of the lanes' tree");
    print_bytes("optimizer", memory->optimizer, "");
    print_bytes("activations", memory->activations, "of all lanes side by side");
    print_bytes("workspace", memory->workspace, "of the kernels, beyond the activations");
    if (memory->staging) print_bytes("staging", memory->staging, "input of the next lane, on the device");
    print_bytes("communication", memory->communication, "");
    if (memory->host) print_bytes("device", memory->device, "all of the above");
    print_bytes("input", memory->input, "ring of batches");
    print_bytes("checkpoint", memory->checkpoint, "the copy that is written while training goes on");
    if (memory->mirror) print_bytes("mirror", memory->mirror, "of what the device holds, pinned");
    print_bytes("program", memory->program, "heaps and code of the libraries, as this process has them");
    if (memory->host) print_bytes("host", memory->host, "all since the device");
    print_bytes("total", memory->total, "");
}

static void print_plan(const struct ls_recipe *recipe, const struct ls_model *model,
                       const struct ls_memory *memory, const struct ls_device *device, int ranks) {
    const struct ls_plan *plan = model->train;
    char bytes[32];
    const int lanes = (int)recipe->train.lanes;
    printf("model %s: %lld parameters\n", recipe->model.zoo, (long long)plan->layout->parameters);
    printf("lane: %lld samples, %.2f GFLOP forward and backward, %d nodes, %d buckets\n",
           (long long)plan->lane_batch, plan->flops / 1e9, plan->graph->n_nodes, plan->n_buckets);
    const struct ls_lane_range most = ls_lanes_of(ranks - 1, ranks, lanes);
    printf("ranks: %d, up to %d of %d lanes each, %d side by side, on %s\n", ranks, most.end - most.begin,
           lanes,
           device->compute_queues < most.end - most.begin ? device->compute_queues : most.end - most.begin,
           device->name);
    static const char *const algorithms[] = {
        [LS_REDUCE_ALIGNED] = "ordered, halving and doubling",
        [LS_REDUCE_SLICES] = "ordered, by slices (ranks do not hold one tree node each)",
        [LS_REDUCE_FAST] = "fast: the library's own; the promise of equal bits does not hold",
    };
    if (ranks > 1) {
        double most_sent = 0;
        for (int r = 0; r < ranks; r++) {
            const double sent =
                ls_reduce_traffic(r, ranks, lanes, recipe->train.fast, plan->layout->output_floats);
            if (sent > most_sent) most_sent = sent;
        }
        printf("reduction: %s; a rank sends up to %s a step\n",
               algorithms[ls_reduce_choose(ranks, lanes, recipe->train.fast)],
               ls_format_bytes(bytes, most_sent * 4));
    }
    print_memory(memory);
}

// "224x224x3": height, width, channels of u8 samples, instead of looking into the data.
static ls_status parse_sample(const char *text, struct ls_sample_shape *sample) {
    long long h, w, c;
    char more;
    if (sscanf(text, "%lldx%lldx%lld%c", &h, &w, &c, &more) != 3 || h < 1 || w < 1 || c < 1)
        return LS_FAIL(LS_INPUT, "--sample: expected HEIGHTxWIDTHxCHANNELS, as 224x224x3, found \"%s\"",
                       text);
    *sample = (struct ls_sample_shape){.height = h, .width = w, .channels = c, .type = LS_U8};
    return LS_OK;
}

struct inputs {
    struct ls_dataset *train, *test;
};

static ls_status look_at_data(const struct ls_recipe *recipe, struct inputs *inputs,
                              struct ls_sample_shape *sample) {
    LS_TRY(ls_data_open(recipe, false, &inputs->train));
    *sample = ls_sample_shape_of(ls_dataset_info(inputs->train));
    if (recipe->data.test.n == 0) return LS_OK;
    LS_TRY(ls_data_open(recipe, true, &inputs->test));
    return ls_data_same_shape(ls_dataset_info(inputs->train), ls_dataset_info(inputs->test));
}

static ls_status plan(struct ls_recipe *recipe, const char *sample_text, int64_t ranks,
                      struct inputs *inputs) {
    if (ranks < 1 || ranks > recipe->train.lanes)
        return LS_FAIL(LS_INPUT, "--ranks: expected 1 to train.lanes: %lld, found %lld",
                       (long long)recipe->train.lanes, (long long)ranks);
    // Ranks of one host share its cores, as they would in training.
    const struct ls_comm alone = {.size = (int)ranks, .local_size = (int)ranks};
    struct ls_sample_shape sample;
    if (sample_text) {
        LS_TRY(parse_sample(sample_text, &sample));
        sample.target_is_class = recipe->train.loss == LS_RECIPE_CROSS_ENTROPY;
        sample.target_values = recipe->model.classes;
    } else {
        LS_TRY(look_at_data(recipe, inputs, &sample));
    }
    struct ls_device *device = NULL;
    LS_TRY(ls_device_choose(recipe, &alone, false, &device));
    struct ls_model model;
    ls_status status = ls_model_make(recipe, &sample, device, &model);
    if (status == LS_OK) {
        const struct ls_memory memory =
            ls_memory_of(recipe, &model, inputs->train ? ls_dataset_info(inputs->train) : NULL,
                         inputs->test ? ls_dataset_info(inputs->test) : NULL, device, 0, (int)ranks);
        print_plan(recipe, &model, &memory, device, (int)ranks);
        status = ls_memory_check(recipe, &sample, device, &memory);
        if (status == LS_OK && device->memory_limit > 0) printf("fits device.memory\n");
    }
    ls_model_free(&model);
    device->api->close(device);
    return status;
}

ls_status ls_command_plan(const struct ls_command *command, int argc, char **argv) {
    int64_t ranks = 1, memory = 0;
    const char *sample = NULL;
    bool helped = false;
    const struct ls_option options[] = {
        {"--ranks", NULL, LS_INTEGER, &ranks, "N",
         "of how many ranks on one host (default 1); device.threads=T says how many threads each has"},
        {"--device-memory", NULL, LS_SIZE, &memory, "SIZE", "does it fit into so much? 6GiB, 512MiB"},
        {"--sample", NULL, LS_WORD, &sample, "HxWxC",
         "plan for u8 samples of this shape without looking at the data"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n < 1) return LS_FAIL(LS_INPUT, "plan needs a recipe: lockstep plan %s", command->usage);
    struct ls_recipe recipe;
    LS_TRY(ls_recipe_read(argv[0], (const char *const *)(argv + 1), n - 1, &recipe));
    if (memory > 0) recipe.device.memory = memory;
    struct inputs inputs = {0};
    ls_status status = plan(&recipe, sample, ranks, &inputs);
    if (inputs.train) ls_dataset_close(inputs.train);
    if (inputs.test) ls_dataset_close(inputs.test);
    ls_recipe_free(&recipe);
    return status;
}
