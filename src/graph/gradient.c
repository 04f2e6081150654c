// Appends backward: walks forward in reverse and lets each op's rule emit the nodes of its gradient.
//
// The root is "metric:loss": its gradient is the LS_INPUT_SEED value, d(total) / d(loss sum). Where several
// gradients flow into one value they are added in the order of the walk, which is fixed. At the end the
// gradient of each parameter becomes an output "grad:<parameter>". What only frozen parameters go into has no
// backward.
#include "graph/passes.h"

#include <stdlib.h>

bool ls_gradient_wanted(const struct ls_gradient *gradient, ls_value value) {
    return gradient->wanted[value];
}

ls_value ls_gradient_out(const struct ls_gradient *gradient, const struct ls_node *node, int k) {
    return gradient->of[node->out[k]];
}

ls_status ls_gradient_flow(struct ls_gradient *gradient, ls_value value, ls_value contribution) {
    if (!gradient->wanted[value]) return LS_OK;
    struct ls_graph *graph = gradient->graph;
    const struct ls_value_info *of = ls_info(graph, value), *flows = ls_info(graph, contribution);
    char expected[96], found[96];
    if (!ls_shape_equal(&of->shape, &flows->shape) || of->dtype != flows->dtype)
        return LS_FAIL(LS_SYSTEM, "a gradient %s %s flows into \"%s\"; expected %s %s",
                       ls_dtype_name(flows->dtype), ls_shape_text(found, &flows->shape), of->name,
                       ls_dtype_name(of->dtype), ls_shape_text(expected, &of->shape));
    if (gradient->of[value] == LS_NONE) {
        gradient->of[value] = contribution;
        return LS_OK;
    }
    const ls_value in[] = {gradient->of[value], contribution};
    const char *name = ls_arena_format(&graph->arena, "%s/grad_sum%d", of->name, graph->n_nodes);
    const struct ls_node *sum = ls_graph_add_node(graph, ls_op_named("add"), name, in, 2, NULL);
    if (!sum) return graph->status;
    gradient->of[value] = sum->out[0];
    return LS_OK;
}

// Parameters that are trained, and what is computed from one.
static void mark_wanted(const struct ls_graph *graph, bool *wanted) {
    for (ls_value value = 0; value < graph->n_values; value++)
        wanted[value] = graph->values[value].kind == LS_PARAM && !graph->values[value].frozen;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        bool depends = false;
        for (int k = 0; k < node->n_in; k++) depends |= wanted[node->in[k]];
        for (int k = 0; k < node->n_out; k++) wanted[node->out[k]] = depends;
    }
}

static ls_status plant_seed(struct ls_gradient *gradient) {
    const struct ls_graph *graph = gradient->graph;
    ls_value loss = ls_graph_find(graph, "metric:loss"), seed = LS_NONE;
    for (ls_value value = 0; value < graph->n_values; value++)
        if (graph->values[value].kind == LS_INPUT_SEED) seed = value;
    if (loss == LS_NONE) return LS_FAIL(LS_INPUT, "the graph has no value \"metric:loss\" to differentiate");
    if (seed == LS_NONE)
        return LS_FAIL(LS_INPUT, "the graph has no seed: no input of that kind to start backward from");
    gradient->of[loss] = seed;
    return LS_OK;
}

static ls_status differentiate(struct ls_gradient *gradient, int at) {
    const struct ls_node *node = &gradient->graph->nodes[at];
    bool reached = false, wanted = false;
    for (int k = 0; k < node->n_out; k++) reached |= ls_gradient_out(gradient, node, k) != LS_NONE;
    for (int k = 0; k < node->n_in; k++) wanted |= gradient->wanted[node->in[k]];
    if (!reached || !wanted) return LS_OK;
    ls_status status =
        node->op->gradient ? node->op->gradient(gradient, at) : LS_FAIL(LS_INPUT, "this op has no gradient");
    node = &gradient->graph->nodes[at];
    if (status) ls_error_prefix("backward of node \"%s\" (%s)", node->name, node->op->name);
    return status;
}

// Can this value be the output "grad:…" itself? Not what is an input or an output already, nor another
// value's memory.
static bool free_to_be_output(const struct ls_graph *graph, ls_value value) {
    const struct ls_value_info *info = ls_info(graph, value);
    if (info->kind != LS_ACTIVATION) return false;
    return !(graph->nodes[info->producer].op->flags & LS_OP_VIEW);
}

static ls_status make_output(struct ls_gradient *gradient, ls_value param) {
    struct ls_graph *graph = gradient->graph;
    ls_value grad = gradient->of[param];
    const char *name = ls_arena_format(&graph->arena, "grad:%s", ls_info(graph, param)->name);
    if (grad == LS_NONE)
        return LS_FAIL(LS_INPUT, "the loss does not depend on parameter \"%s\"", ls_info(graph, param)->name);
    if (!free_to_be_output(graph, grad)) {
        const union ls_attr to = {.i = ls_info(graph, grad)->dtype};
        const struct ls_node *copy = ls_graph_add_node(graph, ls_op_named("cast"), name, &grad, 1, &to);
        if (!copy) return graph->status;
        grad = copy->out[0];
    }
    ls_info(graph, grad)->kind = LS_OUTPUT;
    ls_info(graph, grad)->name = name;
    ls_info(graph, grad)->output_of = param;
    return LS_OK;
}

static ls_status append_backward(struct ls_gradient *gradient) {
    struct ls_graph *graph = gradient->graph;
    LS_TRY(plant_seed(gradient));
    for (int at = graph->n_nodes - 1; at >= 0; at--) LS_TRY(differentiate(gradient, at));
    for (ls_value value = 0; value < gradient->n_forward_values; value++)
        if (ls_info(graph, value)->kind == LS_PARAM && !ls_info(graph, value)->frozen)
            LS_TRY(make_output(gradient, value));
    return ls_graph_verify(graph);
}

ls_status ls_pass_gradient(struct ls_graph *graph) {
    if (graph->status) return graph->status;
    if (graph->mode != LS_TRAIN) return LS_FAIL(LS_INPUT, "an evaluation graph has no backward");
    size_t n = (size_t)graph->n_values;
    bool *wanted = calloc(n + 1, sizeof *wanted);
    ls_value *of = calloc(n + 1, sizeof *of);
    ls_status status = LS_OK;
    if (wanted && of) {
        mark_wanted(graph, wanted);
        for (size_t i = 0; i < n; i++) of[i] = LS_NONE;
        struct ls_gradient gradient = {graph, of, wanted, graph->n_values};
        status = append_backward(&gradient);
    } else {
        status = LS_FAIL(LS_SYSTEM, "out of memory for the gradients of %d values", graph->n_values);
    }
    free(wanted);
    free(of);
    return status;
}
