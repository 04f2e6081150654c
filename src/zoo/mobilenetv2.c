// MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen 2018) of width 1.0, named as torchvision names it. A
// block widens its input, filters each channel by itself, and narrows the result, without an activation
// behind that; where input and result have one shape they are added. Relu6 is clip between 0 and 6.
#include "zoo/models.h"

static ls_value relu6(struct ls_graph *graph, ls_value x) {
    return ls_clip(graph, x, 0, 6);
}

// A 1x1 convolution.
static ls_value mix(struct ls_graph *graph, ls_value x, const char *conv, const char *norm, int64_t out) {
    const struct ls_conv_spec spec = {.out = out, .kernel = 1, .stride = 1};
    return ls_conv_norm_named(graph, x, conv, norm, &spec);
}

static ls_value block(struct ls_graph *graph, ls_value x, int64_t expand, int64_t out, int64_t stride) {
    if (graph->status) return LS_NONE;
    const int64_t in = ls_info(graph, x)->shape.dim[1], wide = in * expand;
    const struct ls_conv_spec filter = {.out = wide, .kernel = 3, .stride = stride, .pad = 1, .groups = wide};
    ls_value y = x;
    if (expand > 1) {
        y = relu6(graph, mix(graph, y, "0.0", "0.1", wide));
        y = relu6(graph, ls_conv_norm_named(graph, y, "1.0", "1.1", &filter));
        y = mix(graph, y, "2", "3", out);
    } else {
        y = relu6(graph, ls_conv_norm_named(graph, y, "0.0", "0.1", &filter));
        y = mix(graph, y, "1", "2", out);
    }
    return in == out && stride == 1 ? ls_add(graph, x, y) : y;
}

ls_value ls_build_mobilenetv2(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    static const struct {
        int64_t expand, out, blocks, stride;
    } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                  {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
    enum { STAGES = sizeof stages / sizeof *stages, SECOND = 1 };
    const bool small = ls_is_small(graph, x);
    const char *outer = graph->scope;
    const struct ls_conv_spec stem = {.out = 32, .kernel = 3, .stride = small ? 1 : 2, .pad = 1};
    x = relu6(graph, ls_conv_norm_named(graph, x, "features.0.0", "features.0.1", &stem));
    for (int stage = 0, number = 1; stage < STAGES; stage++)
        for (int i = 0; i < stages[stage].blocks; i++, number++) {
            const bool halves = i == 0 && !(small && stage == SECOND);
            graph->scope = ls_arena_format(&graph->arena, "%sfeatures.%d.conv.", outer, number);
            x = block(graph, x, stages[stage].expand, stages[stage].out, halves ? stages[stage].stride : 1);
        }
    graph->scope = outer;
    x = relu6(graph, mix(graph, x, "features.18.0", "features.18.1", 1280));
    x = ls_flatten(graph, ls_global_avg_pool(graph, x));
    return ls_classify(graph, x, "classifier.1", options);
}
