// Trains one recipe in the variants of a list, one after the other, on as many ranks as it is started on:
//
//     trainings RECIPE LIST OUT      a line of LIST is a training: overrides of the recipe, tabs between them
//
// Prints the names of all ops in the first line. Then a line for each training: the ops of its plans; the
// loss and the gradient's norm of every step, and the loss of every evaluation, to the bit; the hash of the
// weights. The zoo has two more models here, every_op and tokens.
#include "graph/op.h"
#include "lockstep/lockstep.h"
#include "train/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OVERRIDES = 32, MOST_LINE = 4096 };

// ---- the model: a block for each kind of op ----
// What no builder makes, gradients and the fusion pass make of the others.

enum { CHANNELS = 8, SIZE = 8, INDICES = 2 };

static ls_value norm(struct ls_graph *graph, ls_value x, const char *conv, const char *name) {
    const struct ls_conv_spec spec = {.out = CHANNELS, .kernel = 3, .stride = 1, .pad = 1};
    return ls_batchnorm(graph, ls_conv(graph, x, conv, &spec), name, 1);
}

// A parameter of one number a channel, spread over samples and pixels.
static ls_value channels(struct ls_graph *graph, const char *name) {
    const struct ls_init init = {LS_INIT_UNIFORM, 0.5F};
    return ls_graph_add_param(graph, name, LS_SHAPE(1, CHANNELS, 1, 1), init, false);
}

// What a channel is worth, from all of its pixels: [samples, CHANNELS, 1, 1].
static ls_value gate(struct ls_graph *graph, ls_value x, int64_t samples) {
    x = ls_linear(graph, ls_flatten(graph, ls_global_avg_pool(graph, x)), "gate", CHANNELS);
    return ls_sigmoid(graph, ls_reshape(graph, x, LS_SHAPE(samples, CHANNELS, 1, 1)));
}

// Activations, and what they are fused with. "still" is there to be frozen.
static ls_value pointwise(struct ls_graph *graph, ls_value x, int64_t samples) {
    x = ls_leaky_relu(graph, norm(graph, x, "conv1", "norm1"), 0.1);
    ls_value y = ls_add(graph, ls_tanh(graph, x), channels(graph, "shift"));
    y = ls_mul(graph, ls_hard_swish(graph, norm(graph, y, "conv2", "still")), channels(graph, "scale"));
    y = ls_relu(graph, norm(graph, y, "conv3", "norm3"));
    ls_value gated = ls_mul(graph, gate(graph, ls_gelu(graph, y, false), samples), ls_silu(graph, y));
    y = ls_clip(graph, ls_gelu(graph, gated, true), 0, 6);
    return ls_relu(graph, ls_add(graph, norm(graph, y, "conv4", "norm4"), x));
}

// To half the size and back: by convolutions, and by pools and resizing.
static ls_value resampled(struct ls_graph *graph, ls_value x) {
    const struct ls_conv_spec down = {.out = CHANNELS, .kernel = 3, .stride = 2, .pad = 1, .bias = true};
    const struct ls_conv_transpose_spec up = {.out = CHANNELS, .kernel = 2, .stride = 2, .bias = true};
    ls_value y = ls_conv_transpose(graph, ls_relu(graph, ls_conv(graph, x, "down", &down)), "up", &up);
    y = ls_add(graph, y, ls_upsample(graph, ls_relu(graph, ls_max_pool(graph, x, 2, 2, 0)), 2, false));
    y = ls_add(graph, y, ls_upsample(graph, ls_avg_pool(graph, x, 2, 2, 0, true), 2, true));
    return ls_groupnorm(graph, ls_relu(graph, ls_add(graph, y, channels(graph, "other"))), "group", 4, 1e-5);
}

// Half of the channels with rows and columns exchanged, the other half as it is.
static ls_value moved(struct ls_graph *graph, ls_value x) {
    ls_value half[2];
    for (int i = 0; i < 2; i++) half[i] = ls_slice(graph, x, 1, (int64_t)i * CHANNELS / 2, CHANNELS / 2);
    half[1] = ls_transpose(graph, half[1], (int[]){0, 1, 3, 2});
    return ls_concat(graph, half, 2, 1);
}

// A picture is not made of indices. Its parameters of augmentation are, where samples are flipped and no
// more.
static ls_value indexed(struct ls_graph *graph) {
    return ls_embedding(graph, ls_graph_find(graph, "augment"), "table", INDICES, CHANNELS);
}

// Attention among pixels and what is indexed: [samples, tokens, CHANNELS].
static ls_value attended(struct ls_graph *graph, ls_value x, int64_t samples) {
    const int64_t pixels = (int64_t)SIZE * SIZE, tokens = pixels + LS_AUGMENT_WORDS;
    const struct ls_init init = {LS_INIT_UNIFORM, 0.5F};
    ls_value places = ls_graph_add_param(graph, "places", LS_SHAPE(1, tokens, CHANNELS), init, true);
    x = ls_reshape(graph, x, LS_SHAPE(samples, pixels, CHANNELS));
    x = ls_concat(graph, (ls_value[]){x, indexed(graph)}, 2, 1);
    x = ls_layernorm(graph, ls_add(graph, x, ls_repeat(graph, places, samples)), "norm5", 1e-5);
    ls_value weights = ls_softmax(graph, ls_matmul(graph, x, x, false, true, 0.25));
    return ls_matmul(graph, weights, x, false, false, 1);
}

static ls_value build(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    if (graph->status) return LS_NONE;
    const int64_t samples = ls_info(graph, x)->shape.dim[0];
    x = attended(graph, moved(graph, resampled(graph, pointwise(graph, x, samples))), samples);
    if (graph->status) return LS_NONE;
    const int64_t values = ls_shape_count(&ls_info(graph, x)->shape) / samples;
    x = ls_relu(graph, ls_linear(graph, ls_reshape(graph, x, LS_SHAPE(samples, values)), "hidden", 16));
    return ls_linear(graph, ls_dropout(graph, x, 0.2), "head", options->classes);
}

static const struct ls_zoo_model every_op = {
    .name = "every_op", .summary = "all that the op table has", .build = build};

// Of tokens, a row each: their mean.
static ls_value build_tokens(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    if (graph->status) return LS_NONE;
    const struct ls_shape shape = ls_info(graph, x)->shape;
    x = ls_embedding(graph, x, "table", options->vocabulary, CHANNELS);
    x = ls_reshape(graph, x, LS_SHAPE(shape.dim[0], CHANNELS, shape.dim[1], 1));
    return ls_linear(graph, ls_flatten(graph, ls_global_avg_pool(graph, x)), "head", options->classes);
}

static const struct ls_zoo_model tokens = {
    .name = "tokens", .summary = "a table", .build = build_tokens, .samples = LS_SAMPLES_TOKENS};

// ---- what is said of a training ----

static void say_ops(const struct ls_graph *graph) {
    for (int i = 0; i < graph->n_nodes; i++) printf(" %s", graph->nodes[i].op->name);
}

static ls_status say_plans(struct ls_comm *comm, const struct ls_recipe *recipe) {
    struct ls_dataset *dataset;
    struct ls_device *device;
    struct ls_model model;
    LS_TRY(ls_data_open(recipe, false, &dataset));
    const struct ls_sample_shape sample = ls_sample_shape_of(ls_dataset_info(dataset));
    ls_dataset_close(dataset);
    LS_TRY(ls_device_choose(recipe, comm, false, &device));
    const ls_status status = ls_model_make(recipe, &sample, device, &model);
    if (status == LS_OK) {
        say_ops(model.train->graph);
        say_ops(model.eval->graph);
    }
    ls_model_free(&model);
    device->api->close(device);
    return status;
}

static void say_step(void *context, const struct ls_metrics_step *step) {
    (void)context;
    printf(" %a/%a", step->loss, step->grad_norm);
}

static void say_evaluation(void *context, uint64_t step, double loss, const struct ls_scores *scores) {
    (void)context, (void)step, (void)scores;
    printf(" test=%a", loss);
}

// ---- trainings ----

static ls_status train(struct ls_comm *comm, const struct ls_train_request *request) {
    struct ls_recipe recipe;
    struct ls_train_summary summary;
    LS_TRY(ls_comm_agree(comm, ls_recipe_load(&request->recipe, &recipe)));
    const ls_status status = comm->rank == 0 ? say_plans(comm, &recipe) : LS_OK;
    ls_recipe_free(&recipe);
    LS_TRY(ls_comm_agree(comm, status));
    if (comm->rank == 0) printf(" :");
    LS_TRY(ls_train(comm, request, &summary));
    if (comm->rank == 0) printf(" params=%016llx\n", (unsigned long long)summary.params_hash);
    return LS_OK;
}

// `line` is cut into its words.
static ls_status train_line(struct ls_comm *comm, const char *recipe, char *line, const char *out) {
    const char *overrides[MOST_OVERRIDES];
    int n = 0;
    char *rest;
    line[strcspn(line, "\n")] = 0;
    for (char *word = strtok_r(line, "\t", &rest); word && n < MOST_OVERRIDES;
         word = strtok_r(NULL, "\t", &rest))
        overrides[n++] = word;
    return train(comm, &(struct ls_train_request){
                           .recipe = {.path = recipe, .overrides = overrides, .n_overrides = n},
                           .out = out,
                           .watch = {.step = say_step, .evaluation = say_evaluation},
                       });
}

static ls_status train_list(struct ls_comm *comm, char **words) {
    FILE *list = fopen(words[2], "r");
    if (!list) return LS_FAIL(LS_INPUT, "%s cannot be read", words[2]);
    char line[MOST_LINE], out[MOST_LINE];
    ls_status status = LS_OK;
    for (int i = 0; status == LS_OK && fgets(line, sizeof line, list); i++) {
        snprintf(out, sizeof out, "%s/%d", words[3], i);
        status = train_line(comm, words[1], line, out);
    }
    fclose(list);
    return status;
}

int main(int argc, char **words) {
    struct ls_comm comm;
    if (argc != 4) return LS_INPUT;
    ls_status status = ls_zoo_add(&every_op);
    if (status == LS_OK) status = ls_zoo_add(&tokens);
    if (status == LS_OK) status = ls_comm_open(&comm);
    if (status != LS_OK) return status;
    if (comm.rank == 0) {
        for (int i = 0; i < ls_op_count; i++) printf(" %s", ls_op_table[i]->name);
        printf("\n");
    }
    status = train_list(&comm, words);
    if (status != LS_OK && ls_comm_prints(&comm, status)) fprintf(stderr, "%s\n", ls_error_last()->text);
    ls_comm_end(&comm, status);
    return status;
}
