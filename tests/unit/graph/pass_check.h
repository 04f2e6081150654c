// A pass is tested on text: a graph goes in, a graph comes out.
#pragma once

#include "graph/passes.h"
#include "unit/check.h"

static inline struct ls_graph graph_of(const char *text) {
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    if (ls_graph_parse(&graph, text, "before") != LS_OK || ls_graph_verify(&graph) != LS_OK)
        fail_msg("%s", ls_error_last()->text);
    return graph;
}

static inline void run_pass(struct ls_graph *graph, ls_status (*pass)(struct ls_graph *)) {
    if (pass(graph) != LS_OK || ls_graph_verify(graph) != LS_OK) fail_msg("%s", ls_error_last()->text);
}

static inline void expect_text(const struct ls_graph *graph, const char *expected) {
    struct ls_text text = {0};
    ls_graph_text(graph, &text);
    assert_string_equal(text.data, expected);
    ls_text_free(&text);
}

static inline void expect(ls_status (*pass)(struct ls_graph *), const char *before, const char *after) {
    struct ls_graph graph = graph_of(before);
    run_pass(&graph, pass);
    expect_text(&graph, after);
    ls_graph_free(&graph);
}

static inline void expect_unchanged(ls_status (*pass)(struct ls_graph *), const char *text) {
    expect(pass, text, text);
}
