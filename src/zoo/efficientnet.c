// EfficientNet-B0 (Tan, Le 2019), named as torchvision names it: blocks as MobileNetV2's, with silu, and in
// each a squeeze and excitation (Hu, Shen, Sun 2018), which weighs the channels by what the whole image
// shows. No blocks are dropped in training (stochastic depth, which the paper uses).
#include "zoo/models.h"

// Each channel times a number between 0 and 1, made of all channels' averages by two small layers.
static ls_value squeeze_and_excite(struct ls_graph *graph, ls_value x, const char *name, int64_t squeezed) {
    if (graph->status) return LS_NONE;
    const int64_t channels = ls_info(graph, x)->shape.dim[1];
    const struct ls_conv_spec first = {.out = squeezed, .kernel = 1, .stride = 1, .bias = true},
                              second = {.out = channels, .kernel = 1, .stride = 1, .bias = true};
    ls_value y = ls_global_avg_pool(graph, x);
    y = ls_silu(graph, ls_conv(graph, y, ls_arena_format(&graph->arena, "%s.fc1", name), &first));
    y = ls_sigmoid(graph, ls_conv(graph, y, ls_arena_format(&graph->arena, "%s.fc2", name), &second));
    return ls_mul(graph, x, y);
}

struct stage {
    int64_t expand, kernel, stride, out, blocks;
};

// Convolution and normalization are parts 0 and 1 of layer `number` of the block.
static ls_value layer(struct ls_graph *graph, ls_value x, int number, const struct ls_conv_spec *spec) {
    const char *conv = ls_arena_format(&graph->arena, "%d.0", number);
    return ls_conv_norm_named(graph, x, conv, ls_arena_format(&graph->arena, "%d.1", number), spec);
}

static ls_value block(struct ls_graph *graph, ls_value x, const struct stage *stage, int64_t stride) {
    if (graph->status) return LS_NONE;
    const int64_t in = ls_info(graph, x)->shape.dim[1], wide = in * stage->expand;
    const struct ls_conv_spec widen = {.out = wide, .kernel = 1, .stride = 1},
                              narrow = {.out = stage->out, .kernel = 1, .stride = 1},
                              filter = {.out = wide,
                                        .kernel = stage->kernel,
                                        .stride = stride,
                                        .pad = stage->kernel / 2,
                                        .groups = wide};
    int number = 0;
    ls_value y = x;
    if (stage->expand > 1) y = ls_silu(graph, layer(graph, y, number++, &widen));
    y = ls_silu(graph, layer(graph, y, number++, &filter));
    y = squeeze_and_excite(graph, y, ls_arena_format(&graph->arena, "%d", number++), in / 4);
    y = layer(graph, y, number, &narrow);
    return in == stage->out && stride == 1 ? ls_add(graph, y, x) : y;
}

ls_value ls_build_efficientnet_b0(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    static const struct stage stages[] = {{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2},
                                          {6, 3, 2, 80, 3}, {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4},
                                          {6, 3, 1, 320, 1}};
    enum { STAGES = sizeof stages / sizeof *stages, SECOND = 1 };
    const bool small = ls_is_small(graph, x);
    const char *outer = graph->scope;
    const struct ls_conv_spec stem = {.out = 32, .kernel = 3, .stride = small ? 1 : 2, .pad = 1},
                              head = {.out = 1280, .kernel = 1, .stride = 1};
    x = ls_silu(graph, ls_conv_norm_named(graph, x, "features.0.0", "features.0.1", &stem));
    for (int s = 0; s < STAGES; s++)
        for (int i = 0; i < stages[s].blocks; i++) {
            const bool halves = i == 0 && !(small && s == SECOND);
            graph->scope = ls_arena_format(&graph->arena, "%sfeatures.%d.%d.block.", outer, s + 1, i);
            x = block(graph, x, &stages[s], halves ? stages[s].stride : 1);
        }
    graph->scope = outer;
    x = ls_silu(graph, ls_conv_norm_named(graph, x, "features.8.0", "features.8.1", &head));
    x = ls_flatten(graph, ls_global_avg_pool(graph, x));
    return ls_classify(graph, x, "classifier.1", options);
}
