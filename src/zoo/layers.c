// What several models are made of.
#include "zoo/models.h"

bool ls_is_small(const struct ls_graph *graph, ls_value image) {
    if (graph->status) return false;
    const struct ls_shape *shape = &ls_info(graph, image)->shape;
    return shape->dim[2] < 64 || shape->dim[3] < 64;
}

ls_value ls_conv_norm(struct ls_graph *graph, ls_value x, int number, const struct ls_conv_spec *spec,
                      float initial_scale) {
    x = ls_conv(graph, x, ls_arena_format(&graph->arena, "conv%d", number), spec);
    return ls_batchnorm(graph, x, ls_arena_format(&graph->arena, "bn%d", number), initial_scale);
}

ls_value ls_conv_norm_named(struct ls_graph *graph, ls_value x, const char *conv, const char *norm,
                            const struct ls_conv_spec *spec) {
    return ls_batchnorm(graph, ls_conv(graph, x, conv, spec), norm, 1);
}

ls_value ls_classify(struct ls_graph *graph, ls_value x, const char *name,
                     const struct ls_zoo_options *options) {
    x = ls_dropout(graph, x, options->dropout);
    return ls_linear(graph, x, name, options->classes);
}
