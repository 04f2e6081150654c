#include "zoo/zoo.h"

#include "zoo/models.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static const struct ls_zoo_model models[] = {
    {"mlp", "hidden linear layers with relu (width, depth)", ls_build_mlp, 28, 1, false},
    {"lenet", "two 5x5 convolutions, three linear layers (LeCun et al. 1998)", ls_build_lenet, 28, 1, false},
    {"cnn", "small residual network for images of about 28x28, quick on a CPU", ls_build_cnn, 28, 1, false},
    {"cnn1d", "small residual network for signals (data.axes: NLC)", ls_build_cnn1d, 1024, 1, true},
    {"resnet8", "three residual blocks of 16, 32, 64 channels", ls_build_resnet8, 32, 3, false},
    {"resnet18", "18 layers, basic blocks (He et al. 2016)", ls_build_resnet18, 224, 3, false},
    {"resnet34", "34 layers, basic blocks (He et al. 2016)", ls_build_resnet34, 224, 3, false},
    {"resnet50", "50 layers, bottleneck blocks, stride in the 3x3 (v1.5)", ls_build_resnet50, 224, 3, false},
    {"resnet101", "101 layers, else as resnet50", ls_build_resnet101, 224, 3, false},
    {"resnet152", "152 layers, else as resnet50", ls_build_resnet152, 224, 3, false},
    {"vgg16", "13 convolutions, three linear layers, dropout 0.5 (Simonyan, Zisserman 2015)", ls_build_vgg16,
     224, 3, false},
    {"mobilenetv2", "inverted residual blocks, relu6 (Sandler et al. 2018)", ls_build_mobilenetv2, 224, 3,
     false},
    {"efficientnet_b0", "inverted residual blocks with squeeze and excitation, silu (Tan, Le 2019)",
     ls_build_efficientnet_b0, 224, 3, false},
    {"vit_s16", "vision transformer, small, patches of 16x16 (blocks; Dosovitskiy et al. 2021)",
     ls_build_vit_s16, 224, 3, false},
};
enum { MODELS = sizeof models / sizeof *models };

// Models of the program's own, behind those of the table. They come one at a time and stay, so that whoever
// looks needs no lock.
enum { MOST_OWN = 256, MOST_NAME = 63 };
static const struct ls_zoo_model *own[MOST_OWN];
static atomic_int n_own;
static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;

const struct ls_zoo_model *ls_zoo_at(int i) {
    if (i >= 0 && i < MODELS) return &models[i];
    return i >= MODELS && i - MODELS < n_own ? own[i - MODELS] : NULL;
}

const struct ls_zoo_model *ls_zoo_find(const char *name) {
    const struct ls_zoo_model *model = NULL;
    for (int i = 0; (model = ls_zoo_at(i)) != NULL; i++)
        if (strcmp(model->name, name) == 0) return model;
    return NULL;
}

const char *ls_zoo_usual_dropout(const char *model) {
    static const char *const usual[][2] = {
        {"vgg16", "0.5"}, {"mobilenetv2", "0.2"}, {"efficientnet_b0", "0.2"}};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strcmp(model, usual[i][0]) == 0) return usual[i][1];
    return "0";
}

bool ls_is_small(const struct ls_graph *graph, ls_value image) {
    if (graph->status) return false;
    const struct ls_shape *shape = &ls_info(graph, image)->shape;
    return shape->dim[2] < 64 || shape->dim[3] < 64;
}

ls_value ls_conv_norm_named(struct ls_graph *graph, ls_value x, const char *conv, const char *norm,
                            const struct ls_conv_spec *spec) {
    return ls_batchnorm(graph, ls_conv(graph, x, conv, spec), norm, 1);
}

static ls_status check_own(const struct ls_zoo_model *model) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const char *name = model->name;
    if (!name || !*name || strlen(name) > MOST_NAME || name[strspn(name, letters)])
        return LS_FAIL(LS_INPUT,
                       "model \"%s\": expected a name of at most %d letters, digits, '_', '-' and '.'",
                       name ? name : "", MOST_NAME);
    if (!model->build || !model->summary)
        return LS_FAIL(LS_INPUT, "model \"%s\": it has no build function, or no summary", name);
    if (ls_zoo_find(name)) return LS_FAIL(LS_INPUT, "model \"%s\": another model has this name", name);
    if (n_own == MOST_OWN)
        return LS_FAIL(LS_INPUT, "model \"%s\": %d models were added, which is the most", name, MOST_OWN);
    return LS_OK;
}

ls_status ls_zoo_add(const struct ls_zoo_model *model) {
    pthread_mutex_lock(&own_lock);
    ls_status status = LS_OK;
    if (!model->name || ls_zoo_find(model->name) != model) status = check_own(model);
    const bool known = status == LS_OK && ls_zoo_find(model->name) == model;
    if (status == LS_OK && !known) {
        own[n_own] = model;
        n_own++;
    }
    pthread_mutex_unlock(&own_lock);
    return status;
}

ls_value ls_conv_norm(struct ls_graph *graph, ls_value x, int number, const struct ls_conv_spec *spec,
                      float initial_scale) {
    x = ls_conv(graph, x, ls_arena_format(&graph->arena, "conv%d", number), spec);
    return ls_batchnorm(graph, x, ls_arena_format(&graph->arena, "bn%d", number), initial_scale);
}

ls_value ls_classify(struct ls_graph *graph, ls_value x, const char *name,
                     const struct ls_zoo_options *options) {
    x = ls_dropout(graph, x, options->dropout);
    return ls_linear(graph, x, name, options->classes);
}

static ls_status check_options(const struct ls_zoo_options *options) {
    if (options->classes < 1)
        return LS_FAIL(LS_INPUT, "classes is %" PRId64 "; expected at least 1", options->classes);
    if (!(options->dropout >= 0 && options->dropout < 1))
        return LS_FAIL(LS_INPUT, "dropout is %g; expected at least 0 and less than 1", options->dropout);
    if (options->width < 0)
        return LS_FAIL(LS_INPUT, "width is %" PRId64 "; expected at least 1", options->width);
    if (options->depth < 0)
        return LS_FAIL(LS_INPUT, "depth is %" PRId64 "; expected at least 1", options->depth);
    if (options->blocks < 0)
        return LS_FAIL(LS_INPUT, "blocks is %" PRId64 "; expected at least 1", options->blocks);
    return LS_OK;
}

// Evaluation looks at probabilities, of a regression at the predictions themselves.
static ls_status add_loss(struct ls_graph *graph, ls_value y, const struct ls_model_spec *spec) {
    ls_value result = y, mixed = LS_NONE;
    if (spec->mixed && graph->mode == LS_TRAIN) mixed = ls_graph_find(graph, "augment");
    switch (spec->loss) {
    case LS_LOSS_CROSS_ENTROPY:
        LS_TRY(ls_cross_entropy(graph, y, spec->smoothing, mixed));
        if (graph->mode == LS_EVAL) result = ls_softmax(graph, y);
        break;
    case LS_LOSS_MSE: LS_TRY(ls_mse(graph, y)); break;
    case LS_LOSS_MAE: LS_TRY(ls_mae(graph, y)); break;
    case LS_LOSS_HUBER: LS_TRY(ls_huber(graph, y, spec->huber_delta)); break;
    case LS_LOSS_BINARY_CROSS_ENTROPY:
        LS_TRY(ls_binary_cross_entropy(graph, y, spec->smoothing));
        if (graph->mode == LS_EVAL) result = ls_sigmoid(graph, y);
        break;
    }
    if (graph->mode == LS_EVAL) graph->result = result;
    return graph->status;
}

struct ls_input_spec ls_zoo_input(const struct ls_model_spec *spec) {
    return (struct ls_input_spec){
        .batch = spec->lane_batch,
        .channels = spec->channels,
        .height = spec->height,
        .width = spec->width,
        .out_height = spec->out_height,
        .out_width = spec->out_width,
        .raw_type = spec->raw_type,
        .channels_first = spec->channels_first,
        .augment = spec->augment,
        .scale = spec->scale,
        .mean = spec->mean,
        .std = spec->std,
        .n_normalize = spec->n_normalize,
    };
}

// Everything behind the model counts on it: the loss finds the target's place in a row.
static ls_status check_outputs(const struct ls_graph *graph, ls_value y, const struct ls_model_spec *spec) {
    char shape[96];
    if (y < 0 || y >= graph->n_values)
        return LS_FAIL(LS_INPUT, "the build function returned no value of its graph");
    const struct ls_shape *found = &ls_info(graph, y)->shape;
    if (found->rank == 2 && found->dim[0] == spec->lane_batch && found->dim[1] == spec->options.classes)
        return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "the outputs are %s, expected %" PRId64 "x%" PRId64 " (samples of a lane, model.classes)",
                   ls_shape_text(shape, found), spec->lane_batch, spec->options.classes);
}

static ls_status build(struct ls_graph *graph, const struct ls_model_spec *spec) {
    LS_TRY(check_options(&spec->options));
    const struct ls_input_spec input = ls_zoo_input(spec);
    ls_value x = ls_input(graph, &input);
    ls_value y = spec->model->build(graph, x, &spec->options);
    if (graph->status) return graph->status;
    LS_TRY(check_outputs(graph, y, spec));
    LS_TRY(add_loss(graph, y, spec));
    return ls_graph_verify(graph);
}

ls_status ls_zoo_build(struct ls_graph *graph, enum ls_mode mode, const struct ls_model_spec *spec) {
    ls_graph_init(graph, mode);
    if (mode == LS_TRAIN) graph->freeze = spec->freeze, graph->n_freeze = spec->n_freeze;
    ls_status status = build(graph, spec);
    graph->freeze = NULL, graph->n_freeze = 0;
    if (status == LS_OK) return LS_OK;
    ls_error_prefix("model %s on samples of %" PRId64 "x%" PRId64 "x%" PRId64 " (height, width, channels)",
                    spec->model->name, spec->height, spec->width, spec->channels);
    ls_graph_free(graph);
    return status;
}
