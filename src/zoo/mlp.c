#include "zoo/models.h"

ls_value ls_build_mlp(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    int64_t width = options->width ? options->width : 256, depth = options->depth ? options->depth : 2;
    x = ls_flatten(graph, x);
    for (int64_t i = 1; i <= depth && graph->status == LS_OK; i++) {
        x = ls_linear(graph, x, ls_arena_format(&graph->arena, "fc%d", (int)i), width);
        x = ls_relu(graph, x);
    }
    return ls_classify(graph, x, "head", options);
}
