// Models, built from ops by straight code. To add one: a file here, and its lines in models.h and zoo.c.
#pragma once

#include "graph/graph.h"
#include "ops/ops.h"

#include "base/begin.h"

struct ls_zoo_options {
    int64_t classes;    // outputs
    double dropout;     // before the last linear layer, in vgg16 before the last two; 0: none
    int64_t width;      // mlp: hidden units of each layer
    int64_t depth;      // mlp: hidden layers
    int64_t blocks;     // vit_s16; 0: as many as it was published with
    int64_t vocabulary; // of a model that reads tokens: how many there are, the least rows of its tables
};

enum ls_zoo_samples {
    LS_SAMPLES_IMAGES,  // images, or whatever can be seen as one
    LS_SAMPLES_SIGNALS, // the same, usually one pixel high
    LS_SAMPLES_TOKENS,  // T whole numbers from 0 on, each below options->vocabulary: for ls_embedding
};

struct ls_zoo_model {
    const char *name, *summary; // a line
    // Adds the model's nodes behind `x` (f32 [N, C, H, W], normalized; tokens: i32 [N, T]) and returns the
    // logits [N, classes].
    ls_value (*build)(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
    int64_t usual_size, usual_channels; // pixels that it was published for; `show` and `bench` use it
    enum ls_zoo_samples samples;
    const char *usual_dropout; // what it has where a recipe says nothing, as one writes it; NULL: none
};

const struct ls_zoo_model *ls_zoo_find(const char *name); // or NULL
const struct ls_zoo_model *ls_zoo_at(int i);              // NULL behind the last
// Of a model that is known, its usual_dropout; else, and where it has none, "0".
const char *ls_zoo_usual_dropout(const char *model);

enum ls_zoo_loss {
    LS_LOSS_CROSS_ENTROPY,
    LS_LOSS_MSE,
    LS_LOSS_BINARY_CROSS_ENTROPY,
    LS_LOSS_MAE,
    LS_LOSS_HUBER,
};
// Adds a model of the program's own: from now on recipes, checkpoints and sessions know it by its name.
// `model` is kept, not copied, for as long as the process lives; once is enough, twice does no harm. Every
// rank, and every program that opens a checkpoint of it, adds the same one. LS_INPUT: the name is not of
// letters, digits, '_', '-' and '.', or another model has it.
ls_status ls_zoo_add(const struct ls_zoo_model *model);

// A whole graph in `mode`: input op, model, and the loss (LS_TRAIN and LS_EVAL) and probabilities (LS_EVAL).
struct ls_model_spec {
    const struct ls_zoo_model *model;
    struct ls_zoo_options options;
    int64_t lane_batch;
    int64_t height, width, channels; // of a sample
    int64_t out_height, out_width;   // of what the model sees; 0: the whole sample
    ls_dtype raw_type;               // u8 or f32; tokens: i32, `channels` of them
    bool channels_first;             // how the raw samples lie
    bool augment;                    // the input op reads augmentation parameters
    bool mixed;                      // and so does the loss, in training: samples are mixed (cross entropy)
    double scale;
    const double *mean, *std; // [n_normalize], 1 or `channels` of them
    int n_normalize;
    enum ls_zoo_loss loss;
    double smoothing;          // of cross entropies
    double huber_delta;        // of LS_LOSS_HUBER
    const char *const *freeze; // [n_freeze], of a training graph: what of it is not trained (graph/graph.h)
    int n_freeze;
};
// Its input op, as ls_zoo_build makes it where the model does not read tokens, which come without one.
struct ls_input_spec ls_zoo_input(const struct ls_model_spec *spec);
// `graph` is made anew; free it with ls_graph_free. On failure it is left empty; the error names the model,
// the sample's size and the node.
ls_status ls_zoo_build(struct ls_graph *graph, enum ls_mode mode, const struct ls_model_spec *spec);

#include "base/end.h"
