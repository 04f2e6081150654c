#include "cli/cli.h"
#include "train/planning.h"

#include <stdio.h>

static void print_bytes(const char *what, size_t bytes, const char *why) {
    char text[32];
    printf("  %-16s %12s%s%s\n", what, ls_format_bytes(text, (double)bytes), *why ? "  " : "", why);
}

static void print_memory(const struct ls_planning *planning) {
    const struct ls_memory *memory = &planning->memory;
    printf("memory of rank 0:\n");
    print_bytes("weights", memory->weights, "parameters and running statistics");
    if (memory->converted) print_bytes("converted", memory->converted, "the weights as kernels read them");
    print_bytes("gradients", memory->gradients, "output buffers of the lanes' tree");
    print_bytes("optimizer", memory->optimizer, "its slots, and moving averages");
    print_bytes("activations", memory->activations, "of all lanes side by side");
    print_bytes("workspace", memory->workspace, "of the kernels, beyond the activations");
    if (memory->staging) print_bytes("staging", memory->staging, "input of the next lane, on the device");
    print_bytes("communication", memory->communication,
                planning->shares_memory ? "what it sees of other ranks' gradients: it is there once" : "");
    if (memory->host) print_bytes("device", memory->device, "all of the above");
    print_bytes("input", memory->input, "ring of batches");
    print_bytes("checkpoint", memory->checkpoint, "the copy that is written while training goes on");
    if (memory->mirror) print_bytes("mirror", memory->mirror, "of what the device holds, pinned");
    print_bytes("program", memory->program, "heaps and code of the libraries, as this process has them");
    if (memory->host) print_bytes("host", memory->host, "all since the device");
    print_bytes("total", memory->total, "");
}

static void print_plan(const struct ls_planning *planning, int ranks) {
    static const char *const reductions[] = {
        [LS_PLANNING_ALIGNED] = "ordered, halving and doubling",
        [LS_PLANNING_SLICES] = "ordered, by slices (ranks do not hold one tree node each)",
        [LS_PLANNING_FAST] = "fast: the library's own; the promise of equal bits does not hold",
    };
    char bytes[32];
    printf("model %s: %lld parameters", planning->model, (long long)planning->parameters);
    if (planning->frozen) printf(", %lld of them frozen", (long long)planning->frozen);
    printf("\n");
    printf("lane: %lld samples, %.4g GFLOP forward and backward, %d nodes, %d buckets\n",
           (long long)planning->lane_samples, planning->lane_flops / 1e9, planning->nodes, planning->buckets);
    printf("ranks: %d, up to %d of %d lanes each, %d side by side, on %s\n", ranks, planning->most_lanes,
           planning->lanes, planning->side_by_side, planning->device);
    if (planning->reduction != LS_PLANNING_ALONE)
        printf("reduction: %s; %sa rank sends up to %s a step\n", reductions[planning->reduction],
               planning->shares_memory ? "on one host in memory that ranks share, on several " : "",
               ls_format_bytes(bytes, planning->sent_bytes));
    print_memory(planning);
    if (planning->limited) printf("fits device.memory\n");
}

// "224x224x3": height, width, channels of u8 samples.
static ls_status parse_sample(const char *text, struct ls_planning_request *request) {
    long long h, w, c;
    char more;
    if (sscanf(text, "%lldx%lldx%lld%c", &h, &w, &c, &more) != 3 || h < 1 || w < 1 || c < 1)
        return LS_FAIL(LS_INPUT, "--sample: expected HEIGHTxWIDTHxCHANNELS, as 224x224x3, found \"%s\"",
                       text);
    request->height = h;
    request->width = w;
    request->channels = c;
    return LS_OK;
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    int64_t ranks = 1, memory = 0;
    const char *sample = NULL;
    bool helped = false;
    const struct ls_option options[] = {
        {"--ranks", NULL, LS_INTEGER(1, 1 << 20), &ranks, "N",
         "of how many ranks on one host (default 1); device.threads=T says how many threads each has"},
        {"--device-memory", NULL, LS_SIZE(1, 0), &memory, "SIZE", "does it fit into so much? 6GiB, 512MiB"},
        {"--sample", NULL, LS_WORD, &sample, "HxWxC",
         "plan for u8 samples of this shape without looking at the data"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n < 1) return LS_FAIL(LS_INPUT, "plan needs a recipe: lockstep plan %s", command->usage);
    struct ls_planning_request request = {
        .recipe = {.path = argv[0], .overrides = (const char *const *)(argv + 1), .n_overrides = n - 1},
        .ranks = (int)ranks,
        .device_memory = memory,
    };
    if (sample) LS_TRY(parse_sample(sample, &request));
    struct ls_planning planning;
    const ls_status status = ls_planning_make(&request, &planning);
    if (planning.made) print_plan(&planning, request.ranks);
    return status;
}

const struct ls_command ls_command_plan = {
    .name = "plan",
    .summary = "memory and arithmetic of a recipe, and whether it fits",
    .usage = "RECIPE [key=value …] [--ranks N] [--device-memory 6GiB] [--sample HxWxC]",
    .details = "Makes the static plan that training would use, without training: memory by kind, "
               "floating-point operations, and how gradients are reduced. Exit status 2 where it does not "
               "fit the device memory given.",
    .example = "lockstep plan launch/recipes/fashion-mnist.yaml --ranks 4 --device-memory 2GiB",
    .run = run,
    .alone = true,
};
