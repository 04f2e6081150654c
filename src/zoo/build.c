// A whole graph: the input op, a model, and its loss.
#include "zoo/zoo.h"

#include <inttypes.h>

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

static ls_value add_input(struct ls_graph *graph, const struct ls_model_spec *spec) {
    if (spec->model->samples == LS_SAMPLES_TOKENS)
        return ls_graph_add_value(graph, LS_INPUT_RAW, "raw", LS_I32,
                                  LS_SHAPE(spec->lane_batch, spec->channels));
    const struct ls_input_spec input = ls_zoo_input(spec);
    return ls_input(graph, &input);
}

// Samples are held to the vocabulary where they are read, so that no table lacks a row.
static ls_status check_tables(const struct ls_graph *graph, ls_value x, const struct ls_model_spec *spec) {
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        if (node->op->id != LS_OP_EMBEDDING || node->in[0] != x) continue;
        const int64_t rows = ls_info(graph, node->in[1])->shape.dim[0];
        if (rows < spec->options.vocabulary)
            return LS_FAIL(LS_INPUT,
                           "node \"%s\": the table has %" PRId64 " rows, expected one for each of "
                           "model.vocabulary: %" PRId64,
                           node->name, rows, spec->options.vocabulary);
    }
    return LS_OK;
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
    ls_value x = add_input(graph, spec);
    ls_value y = spec->model->build(graph, x, &spec->options);
    if (graph->status) return graph->status;
    LS_TRY(check_outputs(graph, y, spec));
    if (spec->model->samples == LS_SAMPLES_TOKENS) LS_TRY(check_tables(graph, x, spec));
    LS_TRY(add_loss(graph, y, spec));
    return ls_graph_verify(graph);
}

ls_status ls_zoo_build(struct ls_graph *graph, enum ls_mode mode, const struct ls_model_spec *spec) {
    ls_graph_init(graph, mode);
    if (mode == LS_TRAIN) graph->freeze = spec->freeze, graph->n_freeze = spec->n_freeze;
    ls_status status = build(graph, spec);
    graph->freeze = NULL, graph->n_freeze = 0;
    if (status == LS_OK) return LS_OK;
    if (spec->model->samples == LS_SAMPLES_TOKENS)
        ls_error_prefix("model %s on samples of %" PRId64 " tokens", spec->model->name, spec->channels);
    else
        ls_error_prefix("model %s on samples of %" PRId64 "x%" PRId64 "x%" PRId64
                        " (height, width, channels)",
                        spec->model->name, spec->height, spec->width, spec->channels);
    ls_graph_free(graph);
    return status;
}
