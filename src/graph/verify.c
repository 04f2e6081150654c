// What holds in every graph, checked: after a graph is built or read, and after every pass.
#include "graph/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_input(enum ls_value_kind kind) {
    return kind == LS_INPUT_RAW || kind == LS_INPUT_AUGMENT || kind == LS_INPUT_TARGET ||
           kind == LS_INPUT_WEIGHT || kind == LS_INPUT_SEED;
}

static bool made_by_node(enum ls_value_kind kind) {
    return kind == LS_ACTIVATION || kind == LS_OUTPUT;
}

#define BROKEN(...) LS_FAIL(LS_INPUT, __VA_ARGS__)

// ---- values ----

// Inputs have one place each in a plan; parameters, states and outputs are known by their names.
static ls_status check_one_of_a_kind(const struct ls_graph *graph, ls_value value) {
    const struct ls_value_info *info = ls_info(graph, value);
    if (info->kind == LS_ACTIVATION) return LS_OK;
    for (ls_value other = 0; other < value; other++) {
        const struct ls_value_info *before = ls_info(graph, other);
        if (before->kind == LS_ACTIVATION) continue;
        if (is_input(info->kind) && before->kind == info->kind)
            return BROKEN("value %d \"%s\" is an input of the same kind as value %d \"%s\"", value,
                          info->name, other, before->name);
        if (strcmp(before->name, info->name) == 0)
            return BROKEN("values %d and %d are both named \"%s\"", other, value, info->name);
        if (info->kind == LS_OUTPUT && before->kind == LS_OUTPUT && info->output_of != LS_NONE &&
            info->output_of == before->output_of)
            return BROKEN("values \"%s\" and \"%s\" are both the output of \"%s\"", before->name, info->name,
                          ls_info(graph, info->output_of)->name);
    }
    return LS_OK;
}

static ls_status check_output(const struct ls_graph *graph, const struct ls_value_info *info) {
    if (info->dtype != LS_F32 && info->dtype != LS_F64)
        return BROKEN("output \"%s\" is %s; expected f32 or f64", info->name, ls_dtype_name(info->dtype));
    if (info->output_of == LS_NONE) return LS_OK;
    if (info->output_of < 0 || info->output_of >= graph->n_values)
        return BROKEN("output \"%s\" is of value %d; expected 0 to %d", info->name, info->output_of,
                      graph->n_values - 1);
    const struct ls_value_info *of = ls_info(graph, info->output_of);
    char found[96], expected[96];
    if (of->kind != LS_PARAM && of->kind != LS_STATE)
        return BROKEN("output \"%s\" is of \"%s\"; expected a parameter or a state", info->name, of->name);
    if (!ls_shape_equal(&info->shape, &of->shape))
        return BROKEN("output \"%s\" is %s; expected %s, as \"%s\"", info->name,
                      ls_shape_text(found, &info->shape), ls_shape_text(expected, &of->shape), of->name);
    if (of->kind == LS_STATE && !(info->momentum >= 0 && info->momentum <= 1))
        return BROKEN("output \"%s\" has momentum %g; expected 0 to 1", info->name, (double)info->momentum);
    if (of->kind == LS_STATE && !(isfinite(info->factor) && info->factor > 0))
        return BROKEN("output \"%s\" has factor %g; expected a number above 0", info->name,
                      (double)info->factor);
    return LS_OK;
}

static ls_status check_value(const struct ls_graph *graph, ls_value value) {
    const struct ls_value_info *info = ls_info(graph, value);
    if (!info->name) return BROKEN("value %d has no name", value);
    if ((unsigned)info->kind > LS_OUTPUT)
        return BROKEN("value %d \"%s\" has no known kind", value, info->name);
    if ((unsigned)info->dtype >= LS_DTYPES)
        return BROKEN("value %d \"%s\" has no known type", value, info->name);
    LS_TRY(check_one_of_a_kind(graph, value));
    if (info->kind == LS_OUTPUT) LS_TRY(check_output(graph, info));
    if (info->producer < -1 || info->producer >= graph->n_nodes)
        return BROKEN("value %d \"%s\" is made by node %d; expected -1 to %d", value, info->name,
                      info->producer, graph->n_nodes - 1);
    return LS_OK;
}

// ---- nodes ----

static ls_status check_uses(const struct ls_graph *graph, const struct ls_node *node, const bool *made) {
    for (int k = 0; k < node->n_in; k++) {
        ls_value value = node->in[k];
        if (value < 0 || value >= graph->n_values)
            return BROKEN("input %d is value %d; expected 0 to %d", k, value, graph->n_values - 1);
        if (made_by_node(ls_info(graph, value)->kind) && !made[value])
            return BROKEN("input %d, value %d \"%s\", is used before it is made", k, value,
                          ls_info(graph, value)->name);
    }
    return LS_OK;
}

static ls_status check_makes(const struct ls_graph *graph, int at, bool *made) {
    const struct ls_node *node = &graph->nodes[at];
    struct ls_value_info expected[LS_MAX_OUT];
    for (int k = 0; k < node->n_out; k++) {
        ls_value value = node->out[k];
        if (value < 0 || value >= graph->n_values)
            return BROKEN("output %d is value %d; expected 0 to %d", k, value, graph->n_values - 1);
        const struct ls_value_info *info = ls_info(graph, value);
        if (!made_by_node(info->kind))
            return BROKEN("output %d, value %d \"%s\", is of a kind that no node makes", k, value,
                          info->name);
        if (made[value]) return BROKEN("output %d, value %d \"%s\", is made twice", k, value, info->name);
        if (info->producer != at)
            return BROKEN("output %d, value %d \"%s\", names node %d as its producer; expected %d", k, value,
                          info->name, info->producer, at);
        made[value] = true;
    }
    LS_TRY(ls_node_infer(graph, node, expected));
    for (int k = 0; k < node->n_out; k++) {
        const struct ls_value_info *info = ls_info(graph, node->out[k]);
        char found[96], rule[96];
        if (info->dtype != expected[k].dtype || !ls_shape_equal(&info->shape, &expected[k].shape))
            return BROKEN("output %d, value %d \"%s\", is %s %s; expected %s %s", k, node->out[k], info->name,
                          ls_dtype_name(info->dtype), ls_shape_text(found, &info->shape),
                          ls_dtype_name(expected[k].dtype), ls_shape_text(rule, &expected[k].shape));
    }
    return LS_OK;
}

static ls_status check_node(const struct ls_graph *graph, int at, bool *made) {
    const struct ls_node *node = &graph->nodes[at];
    if (!node->op) return BROKEN("it has no op");
    if (node->op->id < 0 || node->op->id >= ls_op_count || ls_op_table[node->op->id] != node->op)
        return BROKEN("op %d is not in the op table", node->op->id);
    if (node->n_in < 0 || node->n_in > LS_MAX_IN)
        return BROKEN("%d inputs; expected 0 to %d", node->n_in, LS_MAX_IN);
    if (node->n_out != node->op->n_out)
        return BROKEN("%d outputs; expected %d", node->n_out, node->op->n_out);
    if ((node->op->flags & LS_OP_FUSED) && node->op->gradient) return BROKEN("a fused op has a gradient");
    LS_TRY(check_uses(graph, node, made));
    return check_makes(graph, at, made);
}

static ls_status check_all(const struct ls_graph *graph, bool *made) {
    for (ls_value value = 0; value < graph->n_values; value++) LS_TRY(check_value(graph, value));
    for (int at = 0; at < graph->n_nodes; at++) {
        const struct ls_node *node = &graph->nodes[at];
        if (!node->name) return BROKEN("node %d has no name", at);
        ls_status status = check_node(graph, at, made);
        if (status) ls_error_prefix("graph, node %d \"%s\"", at, node->name);
        if (status) return status;
    }
    for (ls_value value = 0; value < graph->n_values; value++) {
        const struct ls_value_info *info = ls_info(graph, value);
        if (made[value]) continue;
        if (info->kind == LS_OUTPUT) return BROKEN("output \"%s\" is made by no node", info->name);
        if (info->producer != -1)
            return BROKEN("value %d \"%s\" names node %d as its producer, which does not make it", value,
                          info->name, info->producer);
    }
    return LS_OK;
}

static ls_status check_result(const struct ls_graph *graph, const bool *made) {
    if (graph->result == LS_NONE) return LS_OK;
    if (graph->result < 0 || graph->result >= graph->n_values)
        return BROKEN("the result is value %d; expected 0 to %d", graph->result, graph->n_values - 1);
    const struct ls_value_info *info = ls_info(graph, graph->result);
    if (!made[graph->result])
        return BROKEN("the result, value %d \"%s\", is made by no node", graph->result, info->name);
    if (info->dtype != LS_F32 && info->dtype != LS_F64)
        return BROKEN("the result is %s; expected f32 or f64", ls_dtype_name(info->dtype));
    return LS_OK;
}

ls_status ls_graph_verify(const struct ls_graph *graph) {
    if (graph->status) return graph->status;
    bool *made = calloc((size_t)graph->n_values + 1, sizeof *made);
    if (!made) return LS_FAIL(LS_SYSTEM, "out of memory to verify %d values", graph->n_values);
    ls_status status = check_all(graph, made);
    if (status == LS_OK) status = check_result(graph, made);
    free(made);
    return status;
}
