// Nodes held to their ops: arity, attributes, shapes; and what they cost.
#include "graph/op.h"

#include "graph/append.h"

#include <inttypes.h>
#include <string.h>

const struct ls_op *ls_op_named(const char *name) {
    for (int id = 0; id < ls_op_count; id++)
        if (strcmp(ls_op_table[id]->name, name) == 0) return ls_op_table[id];
    return NULL;
}

static ls_status check_attribute(const struct ls_attr_info *info, union ls_attr attr) {
    if (info->type == LS_ATTR_FLOAT) {
        if (attr.f >= info->least.f && attr.f <= info->most.f) return LS_OK; // a NaN is in no range
        return LS_FAIL(LS_INPUT, "%s is %g; expected %g to %g", info->name, attr.f, info->least.f,
                       info->most.f);
    }
    if (attr.i >= info->least.i && attr.i <= info->most.i) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s is %" PRId64 "; expected %" PRId64 " to %" PRId64, info->name, attr.i,
                   info->least.i, info->most.i);
}

static ls_status check_node(const struct ls_graph *graph, const struct ls_node *node,
                            struct ls_value_info out[LS_MAX_OUT]) {
    const struct ls_op *op = node->op;
    if (node->n_in < op->min_in || node->n_in > op->max_in)
        return LS_FAIL(LS_INPUT, "%d inputs; expected %d to %d", node->n_in, op->min_in, op->max_in);
    if (node->n_out != op->n_out) return LS_FAIL(LS_INPUT, "%d outputs; expected %d", node->n_out, op->n_out);
    for (int k = 0; k < node->n_in; k++)
        if (node->in[k] < 0 || node->in[k] >= graph->n_values)
            return LS_FAIL(LS_INPUT, "input %d is value %d; expected 0 to %d", k, node->in[k],
                           graph->n_values - 1);
    for (int i = 0; i < op->n_attrs; i++) LS_TRY(check_attribute(&op->attrs[i], node->attr[i]));
    if (node->n_list && !(op->flags & LS_OP_LIST))
        return LS_FAIL(LS_INPUT, "a list of %d numbers; this op takes none", node->n_list);
    LS_TRY(op->infer(graph, node, out));
    for (int k = 0; k < op->n_out; k++) LS_TRY(ls_shape_check(&out[k].shape));
    return LS_OK;
}

ls_status ls_node_infer(const struct ls_graph *graph, const struct ls_node *node,
                        struct ls_value_info out[LS_MAX_OUT]) {
    for (int k = 0; k < LS_MAX_OUT; k++)
        out[k] =
            (struct ls_value_info){.kind = LS_ACTIVATION, .producer = -1, .output_of = LS_NONE, .factor = 1};
    ls_status status = check_node(graph, node, out);
    if (status) ls_error_prefix("node \"%s\" (%s)", node->name, node->op->name);
    return status;
}

double ls_node_flops(const struct ls_graph *graph, const struct ls_node *node) {
    if (node->op->flags & LS_OP_VIEW) return 0;
    if (node->op->flops) return node->op->flops(graph, node);
    double elements = 0;
    for (int k = 0; k < node->n_out; k++)
        elements += (double)ls_shape_count(&ls_info(graph, node->out[k])->shape);
    return elements;
}
