// A small residual network for signals: every convolution runs along the width (He et al. 2016 in one
// dimension; Wang, Yan, Oates 2017 show how far that goes on time series). A stem of 7 points, then three
// residual blocks of two convolutions of 5 points; each halves the length, all but the first double the
// channels. 178,026 parameters with one channel in and 10 classes.
#include "zoo/models.h"

static ls_value conv_norm(struct ls_graph *graph, ls_value x, int number, int64_t out, int64_t kernel,
                          int64_t stride) {
    const struct ls_conv_spec spec = {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2};
    x = ls_conv1d(graph, x, ls_arena_format(&graph->arena, "conv%d", number), &spec);
    return ls_batchnorm(graph, x, ls_arena_format(&graph->arena, "bn%d", number), 1);
}

static ls_value block(struct ls_graph *graph, ls_value x, int64_t channels) {
    ls_value y = ls_relu(graph, conv_norm(graph, x, 1, channels, 5, 2));
    y = conv_norm(graph, y, 2, channels, 5, 1);
    x = ls_conv1d(graph, x, "downsample.0",
                  &(struct ls_conv_spec){.out = channels, .kernel = 1, .stride = 2});
    x = ls_batchnorm(graph, x, "downsample.1", 1);
    return ls_relu(graph, ls_add(graph, y, x));
}

// A vector of features has no width to run along.
static bool is_signal(struct ls_graph *graph, ls_value x) {
    if (graph->status) return false;
    if (ls_info(graph, x)->shape.dim[3] > 1) return true;
    graph->status = LS_FAIL(LS_INPUT, "a signal is one point long: where samples are [N, L], [N, L, C] or "
                                      "[N, C, L], data.axes says so (NLC or NCL)");
    return false;
}

ls_value ls_build_cnn1d(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    if (!is_signal(graph, x)) return LS_NONE;
    x = ls_relu(graph, conv_norm(graph, x, 1, 32, 7, 1));
    x = ls_max_pool1d(graph, x, 3, 2, 1);
    for (int stage = 1; stage <= 3; stage++) {
        const char *outer = graph->scope;
        graph->scope = ls_arena_format(&graph->arena, "%slayer%d.", outer, stage);
        x = block(graph, x, 16 << stage);
        graph->scope = outer;
    }
    x = ls_flatten(graph, ls_global_avg_pool(graph, x));
    return ls_classify(graph, x, "fc", options);
}
