// VGG of 16 layers (Simonyan, Zisserman 2015), without batch normalization, named as torchvision names it:
// 3x3 convolutions and pools under `features`, three linear layers under `classifier`.
#include "zoo/models.h"

enum { STAGES = 5, PLACES = 7, HIDDEN = 4096 };

static ls_value features(struct ls_graph *graph, ls_value x) {
    static const struct {
        int convolutions;
        int64_t channels;
    } stages[STAGES] = {{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}};
    int place = 0; // torchvision counts relus and pools too
    for (int stage = 0; stage < STAGES; stage++) {
        for (int i = 0; i < stages[stage].convolutions; i++, place += 2) {
            const struct ls_conv_spec spec = {
                .out = stages[stage].channels, .kernel = 3, .stride = 1, .pad = 1, .bias = true};
            const char *name = ls_arena_format(&graph->arena, "features.%d", place);
            x = ls_relu(graph, ls_conv(graph, x, name, &spec));
        }
        x = ls_max_pool(graph, x, 2, 2, 0);
        place++;
    }
    return x;
}

// The linear layers see 7x7 places of a picture of 224 pixels a side or more, of a smaller one what is left.
static ls_value places(struct ls_graph *graph, ls_value x) {
    if (graph->status) return LS_NONE;
    const int64_t height = ls_info(graph, x)->shape.dim[2], width = ls_info(graph, x)->shape.dim[3];
    return ls_avg_pool_to(graph, x, height < PLACES ? height : PLACES, width < PLACES ? width : PLACES);
}

ls_value ls_build_vgg16(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    x = ls_flatten(graph, places(graph, features(graph, x)));
    x = ls_relu(graph, ls_linear(graph, x, "classifier.0", HIDDEN));
    x = ls_dropout(graph, x, options->dropout);
    x = ls_relu(graph, ls_linear(graph, x, "classifier.3", HIDDEN));
    return ls_classify(graph, x, "classifier.6", options);
}
