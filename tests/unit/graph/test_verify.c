// The verifier sees each kind of broken graph: a valid one is broken in one place, and the message says
// where.
#include "unit/check.h"

#include <math.h>

#include "unit/graph/graph_check.h"

// Values 0 to 3 are what no node makes; nodes: 0 relu, 1 max_pool, 2 batchnorm, 3 add.
static const char valid[] = "graph train\n"
                            "%0 = param \"p\" f32 4x2x6x6 constant(1) decay\n"
                            "%1 = param \"scale\" f32 2 constant(1)\n"
                            "%2 = param \"shift\" f32 2 constant(0)\n"
                            "%3 = state \"mean\" f32 2 constant(0)\n"
                            "%4 = state \"var\" f32 2 constant(1)\n"
                            "%5 = raw \"raw\" u8 4x1x2x2\n"
                            "%6 = target \"target\" i32 4\n"
                            "%7 = relu \"relu\" (%0)\n"
                            "%8, %9 = max_pool \"pool\" (%7) kernel_h=2 kernel_w=2\n"
                            "%10, %11, %12 = batchnorm \"bn\" (%8, %1, %2)\n"
                            "  output %11 \"stat:mean\" of %3 momentum=0.1\n"
                            "  output %12 \"stat:var\" of %4 momentum=0.1 factor=1.01\n"
                            "%13 = add \"add\" (%8, %10)\n"
                            "result %13\n";

static void no_name(struct ls_graph *g) {
    g->values[7].name = NULL;
}
static void node_without_name(struct ls_graph *g) {
    g->nodes[1].name = NULL;
}
static void unknown_kind(struct ls_graph *g) {
    g->values[7].kind = (enum ls_value_kind)99;
}
static void unknown_type(struct ls_graph *g) {
    g->values[7].dtype = LS_DTYPES;
}
static void same_name(struct ls_graph *g) {
    g->values[2].name = "scale";
}
static void two_raw(struct ls_graph *g) {
    g->values[6].kind = LS_INPUT_RAW;
}
static void two_outputs_of_one(struct ls_graph *g) {
    g->values[12].output_of = 3;
}
static void output_of_nothing(struct ls_graph *g) {
    g->values[12].output_of = 99;
}
static void output_of_an_input(struct ls_graph *g) {
    g->values[12].output_of = 5;
}
static void output_of_another_shape(struct ls_graph *g) {
    g->values[12].output_of = 0;
}
static void output_of_integers(struct ls_graph *g) {
    g->values[9].kind = LS_OUTPUT;
}
static void momentum(struct ls_graph *g) {
    g->values[11].momentum = 1.5f;
}
static void factor(struct ls_graph *g) {
    g->values[12].factor = NAN;
}
static void made_by_no_node(struct ls_graph *g) {
    g->values[7].producer = 77;
}
static void wrong_producer(struct ls_graph *g) {
    g->values[7].producer = 2;
}
static void stale_producer(struct ls_graph *g) {
    g->n_nodes = 3;
    g->values[13].producer = 2;
    g->result = LS_NONE;
}
static void no_op(struct ls_graph *g) {
    g->nodes[0].op = NULL;
}
static void foreign_op(struct ls_graph *g) {
    static struct ls_op other;
    other = *g->nodes[0].op;
    g->nodes[0].op = &other;
}
static void inputs_beyond(struct ls_graph *g) {
    g->nodes[0].n_in = LS_MAX_IN + 1;
}
static void too_many_inputs(struct ls_graph *g) {
    g->nodes[0].n_in = 2;
}
static void too_few_outputs(struct ls_graph *g) {
    g->nodes[1].n_out = 1;
}
static void input_out_of_range(struct ls_graph *g) {
    g->nodes[0].in[0] = 14;
}
static void negative_input(struct ls_graph *g) {
    g->nodes[0].in[0] = LS_NONE;
}
static void output_out_of_range(struct ls_graph *g) {
    g->nodes[0].out[0] = 14;
}
static void used_before_made(struct ls_graph *g) {
    struct ls_node first = g->nodes[0];
    g->nodes[0] = g->nodes[1];
    g->nodes[1] = first;
    ls_graph_set_producers(g);
}
static void uses_a_dead_value(struct ls_graph *g) {
    memmove(&g->nodes[0], &g->nodes[1], 3 * sizeof *g->nodes);
    g->n_nodes--;
    ls_graph_set_producers(g);
}
static void makes_a_parameter(struct ls_graph *g) {
    g->nodes[0].out[0] = 0;
}
static void made_twice(struct ls_graph *g) {
    g->nodes[3].out[0] = 10;
}
static void attribute_out_of_range(struct ls_graph *g) {
    g->nodes[1].attr[0].i = 0;
}
static void attribute_nan(struct ls_graph *g) {
    g->nodes[2].attr[0].f = NAN;
}
static void list_where_none_belongs(struct ls_graph *g) {
    g->nodes[0].n_list = 1;
}
static void shape(struct ls_graph *g) {
    g->values[8].shape.dim[3] = 4;
}
static void type(struct ls_graph *g) {
    g->values[9].dtype = LS_I32;
}
static void rule(struct ls_graph *g) {
    g->nodes[3].in[1] = 7;
}
static void lost_output(struct ls_graph *g) {
    g->nodes[2].out[2] = ls_graph_add_value(g, LS_ACTIVATION, "other", LS_F32, LS_SHAPE(2));
    ls_graph_set_producers(g);
}
static void result_out_of_range(struct ls_graph *g) {
    g->result = 14;
}
static void result_of_integers(struct ls_graph *g) {
    g->result = 9;
}

static const struct {
    void (*breaks)(struct ls_graph *graph);
    const char *error;
} cases[] = {
    {no_name, "value 7 has no name"},
    {node_without_name, "node 1 has no name"},
    {unknown_kind, "value 7 \"relu\" has no known kind"},
    {unknown_type, "value 7 \"relu\" has no known type"},
    {same_name, "values 1 and 2 are both named \"scale\""},
    {two_raw, "value 6 \"target\" is an input of the same kind as value 5 \"raw\""},
    {two_outputs_of_one, "values \"stat:mean\" and \"stat:var\" are both the output of \"mean\""},
    {output_of_nothing, "output \"stat:var\" is of value 99; expected 0 to 13"},
    {output_of_an_input, "output \"stat:var\" is of \"raw\"; expected a parameter or a state"},
    {output_of_another_shape, "output \"stat:var\" is 2; expected 4x2x6x6, as \"p\""},
    {output_of_integers, "output \"pool:1\" is u8; expected f32 or f64"},
    {momentum, "output \"stat:mean\" has momentum 1.5; expected 0 to 1"},
    {factor, "output \"stat:var\" has factor nan; expected a number above 0"},
    {made_by_no_node, "value 7 \"relu\" is made by node 77; expected -1 to 3"},
    {wrong_producer, "node 0 \"relu\": output 0, value 7 \"relu\", names node 2 as its producer; expected 0"},
    {stale_producer, "value 13 \"add\" names node 2 as its producer, which does not make it"},
    {no_op, "node 0 \"relu\": it has no op"},
    {foreign_op, "is not in the op table"},
    {inputs_beyond, "node 0 \"relu\": 9 inputs; expected 0 to 8"},
    {too_many_inputs, "node \"relu\" (relu): 2 inputs; expected 1 to 1"},
    {too_few_outputs, "node 1 \"pool\": 1 outputs; expected 2"},
    {input_out_of_range, "input 0 is value 14; expected 0 to 13"},
    {negative_input, "input 0 is value -1; expected 0 to 13"},
    {output_out_of_range, "output 0 is value 14; expected 0 to 13"},
    {used_before_made, "node 0 \"pool\": input 0, value 7 \"relu\", is used before it is made"},
    {uses_a_dead_value, "node 0 \"pool\": input 0, value 7 \"relu\", is used before it is made"},
    {makes_a_parameter, "output 0, value 0 \"p\", is of a kind that no node makes"},
    {made_twice, "node 3 \"add\": output 0, value 10 \"bn\", is made twice"},
    {attribute_out_of_range, "node \"pool\" (max_pool): stride_h is 0; expected 1 to 2147483647"},
    {attribute_nan, "node \"bn\" (batchnorm): epsilon is nan"},
    {list_where_none_belongs, "a list of 1 numbers; this op takes none"},
    {shape, "node 1 \"pool\": output 0, value 8 \"pool\", is f32 4x2x5x4; expected f32 4x2x5x5"},
    {type, "output 1, value 9 \"pool:1\", is i32 4x2x5x5; expected u8 4x2x5x5"},
    {rule, "node \"add\" (add): b is 4x2x6x6; expected 4x2x5x5"},
    {lost_output, "output \"stat:var\" is made by no node"},
    {result_out_of_range, "the result is value 14; expected 0 to 13"},
    {result_of_integers, "the result is u8; expected f32 or f64"},
};

static void each_kind_of_broken_graph(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ls_graph graph;
        parse(&graph, valid);
        cases[i].breaks(&graph);
        assert_error(ls_graph_verify(&graph), LS_INPUT, cases[i].error);
        ls_graph_free(&graph);
    }
}

// A dropped node leaves dead values behind; that is no fault.
static void dead_values_are_allowed(void **state) {
    (void)state;
    struct ls_graph graph;
    parse(&graph, valid);
    graph.n_nodes = 3;
    graph.result = LS_NONE;
    ls_graph_set_producers(&graph);
    assert_int_equal(ls_graph_verify(&graph), LS_OK);
    ls_graph_free(&graph);
}

static void a_graph_that_failed_does_not_verify(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_EVAL);
    ls_graph_add_value(&graph, LS_PARAM, "p", LS_F32, LS_SHAPE(2, 0));
    assert_error(graph.status, LS_INPUT, "value \"p\": shape 2x0: every dimension must be at least 1");
    assert_int_equal(ls_graph_add_value(&graph, LS_PARAM, "q", LS_F32, LS_SHAPE(2)), LS_NONE);
    assert_int_equal(ls_graph_verify(&graph), LS_INPUT);
    ls_graph_free(&graph);

    ls_graph_init(&graph, LS_EVAL);
    ls_graph_add_value(&graph, LS_PARAM, "p", LS_F32, LS_SHAPE(1 << 20, 1 << 20, 2));
    assert_error(graph.status, LS_INPUT, "more than 2^40 elements");
    ls_graph_free(&graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_broken_graph),
        cmocka_unit_test(dead_values_are_allowed),
        cmocka_unit_test(a_graph_that_failed_does_not_verify),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
