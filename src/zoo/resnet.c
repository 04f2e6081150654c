// Residual networks (He, Zhang, Ren, Sun 2016), named as torchvision names them. Those of 50 layers and more
// have their stride in the 3x3 convolution (v1.5). The scale of a block's last normalization starts at 0, so
// that each block starts as the identity (Goyal et al. 2017).
#include "zoo/models.h"

struct resnet {
    bool bottleneck;
    int n_stages;
    int blocks[4];
    int64_t channels[4]; // inside the blocks of each stage
    bool small_stem;     // a 3x3 stem whatever the size of the image
};

static ls_value conv_norm(struct ls_graph *graph, ls_value x, int number, int64_t out, int64_t kernel,
                          int64_t stride, float initial_scale) {
    const struct ls_conv_spec spec = {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2};
    return ls_conv_norm(graph, x, number, &spec, initial_scale);
}

static ls_value body(struct ls_graph *graph, ls_value x, bool bottleneck, int64_t channels, int64_t stride) {
    if (!bottleneck) {
        x = ls_relu(graph, conv_norm(graph, x, 1, channels, 3, stride, 1));
        return conv_norm(graph, x, 2, channels, 3, 1, 0);
    }
    x = ls_relu(graph, conv_norm(graph, x, 1, channels, 1, 1, 1));
    x = ls_relu(graph, conv_norm(graph, x, 2, channels, 3, stride, 1));
    return conv_norm(graph, x, 3, 4 * channels, 1, 1, 0);
}

// x itself where the block keeps its shape, else a 1x1 convolution of it.
static ls_value shortcut(struct ls_graph *graph, ls_value x, int64_t out, int64_t stride) {
    if (graph->status || (ls_info(graph, x)->shape.dim[1] == out && stride == 1)) return x;
    x = ls_conv(graph, x, "downsample.0", &(struct ls_conv_spec){.out = out, .kernel = 1, .stride = stride});
    return ls_batchnorm(graph, x, "downsample.1", 1);
}

static ls_value block(struct ls_graph *graph, ls_value x, bool bottleneck, int64_t channels, int64_t stride) {
    ls_value y = body(graph, x, bottleneck, channels, stride);
    ls_value skip = shortcut(graph, x, bottleneck ? 4 * channels : channels, stride);
    return ls_relu(graph, ls_add(graph, y, skip));
}

// Images below 64 pixels keep their size: what the large stem throws away, they do not have.
static ls_value stem(struct ls_graph *graph, ls_value x, const struct resnet *net) {
    if (graph->status) return LS_NONE;
    const struct ls_shape *image = &ls_info(graph, x)->shape;
    if (net->small_stem || image->dim[2] < 64 || image->dim[3] < 64)
        return ls_relu(graph, conv_norm(graph, x, 1, net->channels[0], 3, 1, 1));
    x = ls_relu(graph, conv_norm(graph, x, 1, net->channels[0], 7, 2, 1));
    return ls_max_pool(graph, x, 3, 2, 1);
}

static ls_value build(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options,
                      const struct resnet *net) {
    x = stem(graph, x, net);
    for (int stage = 0; stage < net->n_stages; stage++)
        for (int i = 0; i < net->blocks[stage]; i++) {
            const char *outer = graph->scope;
            graph->scope = ls_arena_format(&graph->arena, "%slayer%d.%d.", outer, stage + 1, i);
            x = block(graph, x, net->bottleneck, net->channels[stage], stage > 0 && i == 0 ? 2 : 1);
            graph->scope = outer;
        }
    x = ls_flatten(graph, ls_global_avg_pool(graph, x));
    return ls_classify(graph, x, "fc", options);
}

ls_value ls_build_resnet8(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return build(graph, x, options, &(struct resnet){false, 3, {1, 1, 1}, {16, 32, 64}, true});
}

ls_value ls_build_resnet18(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return build(graph, x, options, &(struct resnet){false, 4, {2, 2, 2, 2}, {64, 128, 256, 512}, false});
}

ls_value ls_build_resnet34(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return build(graph, x, options, &(struct resnet){false, 4, {3, 4, 6, 3}, {64, 128, 256, 512}, false});
}

ls_value ls_build_resnet50(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return build(graph, x, options, &(struct resnet){true, 4, {3, 4, 6, 3}, {64, 128, 256, 512}, false});
}

ls_value ls_build_resnet101(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return build(graph, x, options, &(struct resnet){true, 4, {3, 4, 23, 3}, {64, 128, 256, 512}, false});
}

ls_value ls_build_resnet152(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return build(graph, x, options, &(struct resnet){true, 4, {3, 8, 36, 3}, {64, 128, 256, 512}, false});
}
