// A graph printed and read back is the same graph: print, parse, print is a fixed point.
#include "graph/passes.h"
#include "unit/check.h"
#include "unit/graph/graph_check.h"

static void check_fixed_point(const struct ls_graph *graph) {
    struct ls_text first = {0}, second = {0};
    struct ls_graph again;
    parse(&again, graph_text(graph, &first));
    assert_string_equal(first.data, graph_text(&again, &second));
    assert_int_equal(graph->mode, again.mode);
    assert_int_equal(graph->result, again.result);
    assert_int_equal(graph->n_nodes, again.n_nodes);
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *a = &graph->nodes[i], *b = &again.nodes[i];
        assert_memory_equal(a->attr, b->attr, sizeof a->attr);
        for (int k = 0; k < a->n_out; k++) {
            const struct ls_value_info *u = ls_info(graph, a->out[k]), *v = ls_info(&again, b->out[k]);
            assert_int_equal(u->kind, v->kind);
            assert_int_equal(u->output_of, v->output_of);
            assert_true(u->momentum == v->momentum && u->factor == v->factor);
        }
    }
    for (ls_value value = 0; value < again.n_values; value++) {
        const struct ls_value_info *u = ls_info(graph, value), *v = ls_info(&again, value);
        if (u->kind != LS_PARAM && u->kind != LS_STATE) continue;
        assert_true(u->init.kind == v->init.kind && u->init.value == v->init.value && u->decays == v->decays);
    }
    ls_graph_free(&again);
    ls_text_free(&first);
    ls_text_free(&second);
}

static void every_model_through_every_pass(void **state) {
    (void)state;
    const struct ls_zoo_options options = {.classes = 10, .dropout = 0.1};
    for (int i = 0; ls_zoo_at(i); i++)
        for (int mode = LS_TRAIN; mode <= LS_EVAL; mode++) {
            struct ls_graph graph;
            assert_int_equal(build_model(&graph, (enum ls_mode)mode, ls_zoo_at(i)->name, &options, 32, 3),
                             LS_OK);
            check_fixed_point(&graph);
            if (mode == LS_TRAIN) assert_int_equal(ls_pass_gradient(&graph), LS_OK);
            check_fixed_point(&graph);
            assert_int_equal(ls_pass_precision(&graph, LS_BF16), LS_OK);
            check_fixed_point(&graph);
            assert_int_equal(ls_pass_fuse(&graph), LS_OK);
            check_fixed_point(&graph);
            assert_int_equal(ls_pass_schedule(&graph), LS_OK);
            check_fixed_point(&graph);
            ls_graph_free(&graph);
        }
}

// Numbers that have no short form, names with quotes, backslashes and line ends, and a dead value.
static void odd_names_and_numbers(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_EVAL);
    const struct ls_shape shape = LS_SHAPE(2, 3);
    ls_value p = ls_graph_add_param(&graph, "a \"b\"\\n\n c%d", shape,
                                    (struct ls_init){LS_INIT_UNIFORM, 0.1f + 1e-8f}, true);
    ls_graph_add_value(&graph, LS_ACTIVATION, "dead", LS_F32, shape);
    const union ls_attr clip[] = {{.f = -1.0 / 3}, {.f = 0.1 + 0.2}};
    const struct ls_node *node = ls_graph_add_node(&graph, ls_op_named("clip"), "x\\", &p, 1, clip);
    assert_non_null(node);
    graph.result = node->out[0];
    assert_int_equal(ls_graph_verify(&graph), LS_OK);
    check_fixed_point(&graph);

    struct ls_text text = {0};
    struct ls_graph again;
    parse(&again, graph_text(&graph, &text));
    assert_string_equal(ls_info(&again, 0)->name, "a \"b\"\\n\n c%d");
    ls_text_free(&text);
    ls_graph_free(&again);
    ls_graph_free(&graph);
}

// Types may be left out by hand, ids may come in any order, comments and empty lines anywhere.
static void written_by_hand(void **state) {
    (void)state;
    struct ls_graph graph;
    struct ls_text text = {0};
    parse(&graph, "# a net\n\ngraph eval\n"
                  "%7 = param \"w\" f32 2x3x4x5 constant(1) # comment\n"
                  "%2 = relu \"r\" (%7)\n"
                  "  %4, %1 = max_pool \"m\" ( %2 ) kernel_h=2 kernel_w=5\r\n"
                  "result %4");
    assert_int_equal(graph.n_values, 8);
    assert_string_equal(graph_text(&graph, &text), "graph eval\n"
                                                   "%7 = param \"w\" f32 2x3x4x5 constant(1)\n"
                                                   "%2 = relu \"r\" (%7) -> f32 2x3x4x5\n"
                                                   "%4, %1 = max_pool \"m\" (%2) kernel_h=2 kernel_w=5"
                                                   " -> f32 2x3x3x1, u8 2x3x3x1\n"
                                                   "result %4\n");
    check_fixed_point(&graph);
    ls_text_free(&text);
    ls_graph_free(&graph);
}

// Each kind of value, and what an output is of.
static void kinds_and_outputs(void **state) {
    (void)state;
    static const char written[] =
        "graph train\n"
        "%0 = raw \"raw\" u8 4x2x1x1\n"
        "%1 = augment \"augment\" i32 4x32\n"
        "%2 = target \"target\" i32 4\n"
        "%3 = weight \"weight\" f32 4\n"
        "%4 = seed \"seed\" f32 scalar\n"
        "%5 = param \"scale\" f32 2 uniform(0.25) decay\n"
        "%6 = state \"mean\" f32 2 constant(-1)\n"
        "%7 = input \"in\" (%0, %1) augmented=1 scale=0.1 [0.5, 2] -> f32 4x2x1x1\n"
        "%8, %9, %10 = batchnorm \"bn\" (%7, %5, %5) epsilon=0.001 -> f32 4x2x1x1, f32 2, f32 2\n"
        "  output %9 \"stat:mean\" of %6 momentum=0.1 factor=1.3333334\n"
        "%11, %12 = rank_flags \"flags\" () -> f32 scalar, f32 scalar\n"
        "  output %11 \"metric:stop\"\n"
        "%13 = cast \"cast\" (%8) to=bf16 -> bf16 4x2x1x1\n";
    struct ls_graph graph;
    struct ls_text text = {0};
    parse(&graph, written);
    assert_string_equal(graph_text(&graph, &text), written);
    assert_int_equal(ls_info(&graph, 9)->output_of, 6);
    assert_true(ls_info(&graph, 9)->momentum == 0.1f && ls_info(&graph, 9)->factor == 4 / 3.0f);
    assert_int_equal(ls_info(&graph, 11)->kind, LS_OUTPUT);
    assert_int_equal(ls_info(&graph, 12)->kind, LS_ACTIVATION);
    ls_text_free(&text);
    ls_graph_free(&graph);
}

static const struct {
    const char *text, *error;
} broken_texts[] = {
    {"", "test:1: expected 'graph', found the end of the line"},
    {"graph fast", "expected train or eval, found 'fast'"},
    {"graph eval\n\nresult 3", "test:3: expected a value (%0, %1, ...), found '3'"},
    {"graph eval\n%0 = prm \"a\" f32 2", "test:2: 'prm' is neither a kind of value nor an op"},
    {"graph eval\n%0 = param a f32 2", "expected '\"', found 'a f32 2'"},
    {"graph eval\n%0 = param \"a f32 2\n", "expected the name's closing quote"},
    {"graph eval\n%0 = param \"a\" f33 2 constant(0)", "unknown type 'f33'"},
    {"graph eval\n%0 = param \"a\" f32 2xx constant(0)", "expected a whole number, found 'x constant(0)'"},
    {"graph eval\n%0 = param \"a\" f32 0 constant(0)", "dimension 0 is 0; expected 1 to 2147483647"},
    {"graph eval\n%0 = param \"a\" f32 1x2x3x4x5x6 constant(0)", "rank above 5"},
    {"graph eval\n%0 = param \"a\" f32 2",
     "expected uniform(...) or constant(...), found the end of the line"},
    {"graph eval\n%0 = param \"a\" f32 2 constant()", "expected a number, found ')'"},
    {"graph eval\n%0 = param \"a\" f32 2 constant(1) decay x", "expected the end of the line, found 'x'"},
    {"graph eval\n%0 = param \"a\" f32 2 constant(1)\n%0 = seed \"s\" f32 scalar",
     "test:3: value %0 is made twice"},
    {"graph eval\n%99999999 = seed \"s\" f32 scalar", "value %99999999; expected less than"},
    {"graph eval\n%0 = relu \"r\" (%1)", "value %1 is used before it is made"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\n%1 = relu \"r\" (%0) slope=3", "op relu has no attribute 'slope'"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\n%1 = clip \"r\" (%0) low=", "expected a number, found the end"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\n%1 = clip \"r\" (%0) low=nan",
     "test:3: node \"r\" (clip): low is nan; expected -3e+38 to 3e+38"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\n%1 = cast \"r\" (%0) to=f128", "unknown type 'f128'"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\n%1 = relu \"r\" (%0) [1, 2]",
     "a list of 2 numbers; this op takes none"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\n%1 = relu \"r\" (%0) -> f32 2x3",
     "output 0 is written as f32 2x3; its rule says f32 2x2"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\n%1, %2 = relu \"r\" (%0)", "2 outputs; expected 1"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\noutput %0 \"x\"", "output %0 is made by no node before this line"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\n%1 = relu \"r\" (%0)\noutput %1 \"x\" of %0",
     "test: output \"x\" is of \"s\"; expected a parameter or a state"},
    {"graph eval\n%0 = seed \"s\" f32 2x2\nresult %0", "test: the result, value 0 \"s\", is made by no node"},
};

static void errors_name_the_line(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof broken_texts / sizeof *broken_texts; i++) {
        struct ls_graph graph;
        assert_error(ls_graph_parse(&graph, broken_texts[i].text, "test"), LS_INPUT, broken_texts[i].error);
        assert_int_equal(graph.n_values, 0);
    }
}

// A text cut anywhere, or with a byte changed, is read or refused, but never worse.
static void damaged_texts(void **state) {
    (void)state;
    struct ls_graph graph, again;
    struct ls_text text = {0};
    const struct ls_zoo_options options = {.classes = 3};
    assert_int_equal(build_model(&graph, LS_TRAIN, "lenet", &options, 12, 1), LS_OK);
    graph_text(&graph, &text);
    for (size_t i = 0; i < text.length; i++) {
        char before = text.data[i];
        for (int change = 0; change < 4; change++) {
            text.data[i] = "\0%9x"[change];
            if (ls_graph_parse(&again, text.data, "test") == LS_OK) ls_graph_free(&again);
        }
        text.data[i] = before;
    }
    ls_text_free(&text);
    ls_graph_free(&graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_through_every_pass),
        cmocka_unit_test(odd_names_and_numbers),
        cmocka_unit_test(written_by_hand),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(damaged_texts),
        cmocka_unit_test(kinds_and_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
