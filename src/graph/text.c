// The graph as text; parse.c reads it back. One line a value that no node makes, one line a node:
//
//   graph train
//   %0 = raw "raw" u8 8x1x28x28
//   %1 = param "conv1.weight" f32 16x1x3x3 uniform(0.81649655) decay
//   %2 = state "bn1.running_mean" f32 16 constant(0)
//   %5 = input "input" (%0) scale=0.00392156862745098 [0.286, 0.353] -> f32 8x1x28x28
//   %6, %7, %8 = batchnorm "bn1" (%5, %3, %4) -> f32 8x1x28x28, f32 1, f32 1
//     output %7 "stat:bn1.running_mean" of %2 momentum=0.1 factor=1
//   result %9
//
// Values come before the nodes, in the order of their ids; nodes in the order in which they run. A frozen
// parameter or state says so at the end of its line. An "output" line follows the node that makes the value.
// Numbers are as short as reads back to the same bits; attributes at their presets are left out. The part
// from "->" on may be left out by hand: the ops' rules know it. Ids that are not named are dead values. '#'
// starts a comment.
#include "graph/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const char *ls_value_kind_name(enum ls_value_kind kind) {
    static const char *const names[] = {
        [LS_ACTIVATION] = "activation", [LS_INPUT_RAW] = "raw",       [LS_INPUT_AUGMENT] = "augment",
        [LS_INPUT_TARGET] = "target",   [LS_INPUT_WEIGHT] = "weight", [LS_INPUT_SEED] = "seed",
        [LS_PARAM] = "param",           [LS_STATE] = "state",         [LS_OUTPUT] = "output",
    };
    return names[kind];
}

static void add_double(struct ls_text *out, double number) {
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    ls_text_add(out, "%s", digits);
}

static void add_float(struct ls_text *out, float number) {
    char digits[40];
    for (int precision = 1; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)number);
        if (strtof(digits, NULL) == number) break;
    }
    ls_text_add(out, "%s", digits);
}

static void add_name(struct ls_text *out, const char *name) {
    ls_text_add(out, "\"");
    for (const char *c = name; *c; c++) {
        if (*c == '\n') {
            ls_text_add(out, "\\n");
        } else {
            if (*c == '"' || *c == '\\') ls_text_add(out, "\\");
            ls_text_add_bytes(out, c, 1);
        }
    }
    ls_text_add(out, "\"");
}

static void add_type(struct ls_text *out, const struct ls_value_info *info) {
    char shape[96];
    ls_text_add(out, " %s %s", ls_dtype_name(info->dtype), ls_shape_text(shape, &info->shape));
}

static void add_value(struct ls_text *out, const struct ls_graph *graph, ls_value value) {
    const struct ls_value_info *info = ls_info(graph, value);
    ls_text_add(out, "%%%d = %s ", value, ls_value_kind_name(info->kind));
    add_name(out, info->name);
    add_type(out, info);
    if (info->kind == LS_PARAM || info->kind == LS_STATE) {
        ls_text_add(out, info->init.kind == LS_INIT_UNIFORM ? " uniform(" : " constant(");
        add_float(out, info->init.value);
        ls_text_add(out, ")%s%s", info->decays ? " decay" : "", info->frozen ? " frozen" : "");
    }
    ls_text_add(out, "\n");
}

static void add_attribute(struct ls_text *out, const struct ls_attr_info *info, union ls_attr attr) {
    if (info->type == LS_ATTR_FLOAT ? attr.f == info->preset.f : attr.i == info->preset.i) return;
    ls_text_add(out, " %s=", info->name);
    if (info->type == LS_ATTR_FLOAT)
        add_double(out, attr.f);
    else if (info->type == LS_ATTR_INT)
        ls_text_add(out, "%" PRId64, attr.i);
    else
        ls_text_add(out, "%s", ls_dtype_name((ls_dtype)attr.i));
}

static void add_output(struct ls_text *out, const struct ls_graph *graph, ls_value value) {
    const struct ls_value_info *info = ls_info(graph, value);
    ls_text_add(out, "  output %%%d ", value);
    add_name(out, info->name);
    if (info->output_of != LS_NONE) ls_text_add(out, " of %%%d", info->output_of);
    if (info->momentum != 0) {
        ls_text_add(out, " momentum=");
        add_float(out, info->momentum);
    }
    if (info->factor != 1) {
        ls_text_add(out, " factor=");
        add_float(out, info->factor);
    }
    ls_text_add(out, "\n");
}

static void add_node(struct ls_text *out, const struct ls_graph *graph, const struct ls_node *node) {
    for (int k = 0; k < node->n_out; k++) ls_text_add(out, k ? ", %%%d" : "%%%d", node->out[k]);
    ls_text_add(out, " = %s ", node->op->name);
    add_name(out, node->name);
    ls_text_add(out, " (");
    for (int k = 0; k < node->n_in; k++) ls_text_add(out, k ? ", %%%d" : "%%%d", node->in[k]);
    ls_text_add(out, ")");
    for (int i = 0; i < node->op->n_attrs; i++) add_attribute(out, &node->op->attrs[i], node->attr[i]);
    for (int i = 0; i < node->n_list; i++) {
        ls_text_add(out, i ? ", " : " [");
        add_double(out, node->list[i]);
    }
    if (node->n_list) ls_text_add(out, "]");
    for (int k = 0; k < node->n_out; k++) {
        ls_text_add(out, k ? "," : " ->");
        add_type(out, ls_info(graph, node->out[k]));
    }
    ls_text_add(out, "\n");
    for (int k = 0; k < node->n_out; k++)
        if (ls_info(graph, node->out[k])->kind == LS_OUTPUT) add_output(out, graph, node->out[k]);
}

void ls_graph_text(const struct ls_graph *graph, struct ls_text *out) {
    ls_text_add(out, "graph %s\n", graph->mode == LS_TRAIN ? "train" : "eval");
    for (ls_value value = 0; value < graph->n_values; value++) {
        enum ls_value_kind kind = ls_info(graph, value)->kind;
        if (kind != LS_ACTIVATION && kind != LS_OUTPUT) add_value(out, graph, value);
    }
    for (int i = 0; i < graph->n_nodes; i++) add_node(out, graph, &graph->nodes[i]);
    if (graph->result != LS_NONE) ls_text_add(out, "result %%%d\n", graph->result);
}
