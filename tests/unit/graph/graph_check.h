// What tests of graphs share: text in, text out. Include cmocka first.
#pragma once

#include "graph/op.h"
#include "zoo/zoo.h"

#include <string.h>

static inline char *graph_text(const struct ls_graph *graph, struct ls_text *out) {
    ls_text_clear(out);
    ls_graph_text(graph, out);
    return out->data;
}

static inline void parse(struct ls_graph *graph, const char *text) {
    if (ls_graph_parse(graph, text, "test")) fail_msg("%s", ls_error_last()->text);
}

static inline void assert_error(ls_status found, ls_status expected, const char *part) {
    assert_int_equal(found, expected);
    if (!strstr(ls_error_last()->text, part))
        fail_msg("error '%s' does not say '%s'", ls_error_last()->text, part);
}

// The model as `lockstep` would build it, for small lanes.
static inline ls_status build_model(struct ls_graph *graph, enum ls_mode mode, const char *name,
                                    const struct ls_zoo_options *options, int64_t size, int64_t channels) {
    static const double mean[] = {0.286}, std[] = {0.353};
    const struct ls_model_spec spec = {
        .model = ls_zoo_find(name),
        .options = *options,
        .lane_batch = 4,
        .height = size,
        .width = size,
        .channels = channels,
        .raw_type = LS_U8,
        .augment = mode == LS_TRAIN,
        .scale = 1 / 255.0,
        .mean = mean,
        .std = std,
        .n_normalize = 1,
    };
    return ls_zoo_build(graph, mode, &spec);
}
