#include "cli/cli.h"
#include "cli/show_samples.h"
#include "graph/op.h"
#include "h5/h5.h"
#include "train/checkpoint.h"
#include "train/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ls_status show_models(void) {
    for (int i = 0; ls_zoo_at(i); i++) printf("%-16s %s\n", ls_zoo_at(i)->name, ls_zoo_at(i)->summary);
    return LS_OK;
}

static ls_status show_model(const char *name) {
    const struct ls_zoo_model *model = ls_zoo_find(name);
    if (!model) return LS_FAIL(LS_INPUT, "there is no model \"%s\"; 'lockstep show zoo' lists them", name);
    static const double mean[] = {0}, std[] = {1};
    const struct ls_model_spec spec = {
        .model = model,
        .options = {.classes = 1000},
        .lane_batch = 1,
        .height = model->samples == LS_SAMPLES_SIGNALS ? 1 : model->usual_size,
        .width = model->usual_size,
        .channels = model->usual_channels,
        .raw_type = LS_U8,
        .scale = 1.0 / 255,
        .mean = mean,
        .std = std,
        .n_normalize = 1,
    };
    struct ls_graph graph;
    ls_graph_init(&graph, LS_EVAL);
    ls_status status = ls_zoo_build(&graph, LS_EVAL, &spec);
    long long parameters = 0;
    double flops = 0;
    for (int v = 0; status == LS_OK && v < graph.n_values; v++) {
        const struct ls_value_info *info = ls_info(&graph, v);
        char shape[96];
        if (info->kind != LS_PARAM) continue;
        printf("  %-44s %s\n", info->name, ls_shape_text(shape, &info->shape));
        parameters += ls_shape_count(&info->shape);
    }
    for (int i = 0; status == LS_OK && i < graph.n_nodes; i++)
        flops += ls_node_flops(&graph, &graph.nodes[i]);
    if (status == LS_OK)
        printf(
            "%s: %s\n%lld parameters with 1000 classes; %.4g GFLOP forward for a sample of %lldx%lldx%lld\n",
            name, model->summary, parameters, flops / 1e9, (long long)spec.height, (long long)spec.width,
            (long long)spec.channels);
    ls_graph_free(&graph);
    return status;
}

static ls_status print_dataset(void *context, const char *name, const struct ls_h5_dataset *info) {
    (void)context;
    printf("  %-44s %s", name, info->words);
    for (int i = 0; i < info->rank; i++) printf("%s%lld", i ? "x" : " ", (long long)info->dim[i]);
    printf("  %s%s%s%s\n", info->layout, info->swapped ? ", other byte order" : "",
           info->missing[0] ? "; cannot be read: " : "", info->missing);
    return LS_OK;
}

static void print_attributes(struct ls_h5 *file) {
    static const char *const names[] = {"format", "version", "uuid", "split", "axes"};
    static const char *const numbers[] = {"shard", "shards"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[256];
        bool found = false;
        if (ls_h5_attr_text(file, "/", names[i], text, sizeof text, &found) == LS_OK && found)
            printf("  %s: %s\n", names[i], text);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int64_t value;
        bool found = false;
        if (ls_h5_attr_i64(file, "/", numbers[i], &value, &found) == LS_OK && found)
            printf("  %s: %lld\n", numbers[i], (long long)value);
    }
}

static ls_status show_checkpoint(const char *path, struct ls_h5 *file) {
    struct ls_checkpoint_header header;
    LS_TRY(ls_checkpoint_read_header(path, &header));
    printf("%s: checkpoint of step %llu\n", path, (unsigned long long)header.state.step);
    printf("  written by Lockstep %s on %s\n", header.version, header.fingerprint);
    printf("  seed %llu, batch %llu, lanes %llu, skipped steps %llu\n", (unsigned long long)header.state.seed,
           (unsigned long long)header.state.batch, (unsigned long long)header.state.lanes,
           (unsigned long long)header.state.skipped);
    if (header.state.best_score >= 0)
        printf("  best %s so far %.4f at step %llu\n", isnan(header.state.last.f1) ? "accuracy" : "F1",
               header.state.best_score, (unsigned long long)header.state.best_step);
    ls_checkpoint_header_free(&header);
    return ls_h5_visit(file, "/", print_dataset, NULL);
}

static ls_status show_file(const char *path) {
    struct ls_h5 *file = NULL;
    LS_TRY(ls_h5_open(path, &file));
    ls_status status;
    if (ls_h5_exists(file, "model") && ls_h5_exists(file, "state")) {
        status = show_checkpoint(path, file);
    } else {
        printf("%s: HDF5\n", path);
        print_attributes(file);
        status = ls_h5_visit(file, "/", print_dataset, NULL);
    }
    ls_h5_close(file);
    return status;
}

static ls_status show_one(const char *what) {
    if (strcmp(what, "zoo") == 0) return show_models();
    if (strncmp(what, "zoo:", 4) == 0) return show_model(what + 4);
    if (ls_is_recipe(what))
        return LS_FAIL(LS_INPUT, "of a recipe, show draws samples: lockstep show %s --samples 64", what);
    return show_file(what);
}

// One that was given of those that say how a sheet is drawn.
static const char *idle_option(const struct ls_show_samples *sheet) {
    if (sheet->out) return "--out";
    if (sheet->epoch >= 0) return "--epoch";
    if (sheet->input) return "--input";
    if (sheet->target) return "--target";
    return sheet->axes ? "--axes" : NULL;
}

static ls_status show_sheet(struct ls_show_samples *sheet) {
    if (sheet->epoch < 0) sheet->epoch = 0;
    if (!sheet->out) sheet->out = "sheet.png";
    if (!sheet->input) sheet->input = "images";
    if (!sheet->target) sheet->target = "labels";
    return ls_show_samples(sheet);
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    struct ls_show_samples sheet = {.epoch = -1};
    bool helped = false;
    const struct ls_option options[] = {
        {"--samples", NULL, LS_INTEGER(1, LS_SHOW_MOST_SAMPLES), &sheet.samples, "N",
         "draw so many samples of a recipe or of shards as one PNG"},
        {"--out", "-o", LS_WORD, &sheet.out, "FILE", "the PNG (default sheet.png)"},
        {"--epoch", NULL, LS_INTEGER(0, INT32_MAX), &sheet.epoch, "E",
         "of a recipe: as the model sees them in epoch E (default 0)"},
        {"--input", NULL, LS_WORD, &sheet.input, "NAME", "of files: dataset of the samples (default images)"},
        {"--target", NULL, LS_WORD, &sheet.target, "NAME",
         "and of the targets, where there is one (default labels)"},
        {"--axes", NULL, LS_WORD, &sheet.axes, "AXES", "NHWC or NCHW (default: as for training)"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    sheet.words = (const char *const *)argv;
    sheet.n = n;
    if (sheet.samples > 0 && n > 0) return show_sheet(&sheet);
    if (n != 1)
        return LS_FAIL(LS_INPUT, "show takes one argument, found %d: lockstep show %s", n, command->usage);
    const char *idle = idle_option(&sheet);
    if (idle && !ls_is_recipe(argv[0]))
        return LS_FAIL(LS_INPUT, "%s goes with --samples: there is nothing to draw", idle);
    return show_one(argv[0]);
}

const struct ls_command ls_command_show = {
    .name = "show",
    .summary = "what is in a shard, a checkpoint or a model; how samples look",
    .usage = "FILE | zoo | zoo:NAME | RECIPE [key=value …] --samples N | SHARD… --samples N",
    .details = "Lists datasets and attributes of a shard, state and parameters of a checkpoint, the models "
               "of the zoo, or the parameters of one of them. With --samples it draws the first samples as a "
               "sheet of pictures: of shards, as they are stored; of a recipe, in the order of an epoch and "
               "changed as data.augment says, which is what the model sees, but for the normalization. Their "
               "targets are printed row by row.",
    .example =
        "lockstep show zoo:resnet18\n"
        "lockstep show launch/recipes/fashion-mnist.yaml data.augment.rotate=15 --samples 64 -o sheet.png",
    .run = run,
    .alone = true,
};
