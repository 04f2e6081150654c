// Building graphs: values and nodes are appended to flat arrays; the op's shape rule runs as a node is added.
#include "graph/graph.h"

#include "graph/append.h"
#include "graph/op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// More elements than any device holds; below it no product of a few sizes overflows an int64_t.
#define MAX_ELEMENTS ((int64_t)1 << 40)

// ---- shapes ----

int64_t ls_shape_count(const struct ls_shape *shape) {
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= shape->dim[i];
    return count;
}

bool ls_shape_equal(const struct ls_shape *a, const struct ls_shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

char *ls_shape_text(char out[96], const struct ls_shape *shape) {
    int length = 0;
    if (shape->rank == 0) snprintf(out, 96, "scalar");
    for (int i = 0; i < shape->rank && i < LS_MAX_RANK && length < 96; i++)
        length += snprintf(out + length, (size_t)(96 - length), i ? "x%" PRId64 : "%" PRId64, shape->dim[i]);
    return out;
}

static ls_status check_shape(const struct ls_shape *shape) {
    if (shape->rank < 0 || shape->rank > LS_MAX_RANK)
        return LS_FAIL(LS_INPUT, "rank %d; expected 0 to %d", shape->rank, LS_MAX_RANK);
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        char text[96];
        if (shape->dim[i] < 1)
            return LS_FAIL(LS_INPUT, "shape %s: every dimension must be at least 1",
                           ls_shape_text(text, shape));
        if (shape->dim[i] > MAX_ELEMENTS / count)
            return LS_FAIL(LS_INPUT, "shape %s: more than 2^40 elements", ls_shape_text(text, shape));
        count *= shape->dim[i];
    }
    return LS_OK;
}

// ---- the graph ----

void ls_graph_init(struct ls_graph *graph, enum ls_mode mode) {
    *graph = (struct ls_graph){.mode = mode, .scope = "", .result = LS_NONE};
}

void ls_graph_free(struct ls_graph *graph) {
    free(graph->values);
    free(graph->nodes);
    ls_arena_free(&graph->arena);
    ls_graph_init(graph, graph->mode);
}

// Room for one more of `n` items of `size` bytes.
static void *room(void *items, int n, int *capacity, size_t size) {
    if (n < *capacity) return items;
    *capacity = *capacity ? 2 * *capacity : 64;
    void *grown = realloc(items, (size_t)*capacity * size);
    if (!grown) ls_out_of_memory((size_t)*capacity * size);
    return grown;
}

ls_value ls_append_value(struct ls_graph *graph, struct ls_value_info info) {
    graph->values = room(graph->values, graph->n_values, &graph->capacity_values, sizeof *graph->values);
    graph->values[graph->n_values] = info;
    return graph->n_values++;
}

struct ls_node *ls_append_node(struct ls_graph *graph, const struct ls_node *node) {
    graph->nodes = room(graph->nodes, graph->n_nodes, &graph->capacity_nodes, sizeof *graph->nodes);
    graph->nodes[graph->n_nodes] = *node;
    return &graph->nodes[graph->n_nodes++];
}

ls_value ls_graph_add_value(struct ls_graph *graph, enum ls_value_kind kind, const char *name, ls_dtype dtype,
                            struct ls_shape shape) {
    if (graph->status) return LS_NONE;
    graph->status = check_shape(&shape);
    if (graph->status) {
        ls_error_prefix("value \"%s\"", name);
        return LS_NONE;
    }
    return ls_append_value(graph, (struct ls_value_info){.shape = shape,
                                                         .dtype = dtype,
                                                         .kind = kind,
                                                         .name = ls_arena_copy(&graph->arena, name),
                                                         .producer = -1,
                                                         .output_of = LS_NONE,
                                                         .factor = 1});
}

bool ls_name_is_below(const char *name, const char *prefix) {
    const size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 && (name[n] == 0 || name[n] == '.');
}

static bool is_frozen(const struct ls_graph *graph, const char *name) {
    for (int i = 0; i < graph->n_freeze; i++)
        if (ls_name_is_below(name, graph->freeze[i])) return true;
    return false;
}

ls_value ls_graph_add_param(struct ls_graph *graph, const char *name, struct ls_shape shape,
                            struct ls_init init, bool decays) {
    if (graph->status) return LS_NONE;
    const char *scoped = ls_arena_format(&graph->arena, "%s%s", graph->scope, name);
    ls_value param = ls_graph_add_value(graph, LS_PARAM, scoped, LS_F32, shape);
    if (param == LS_NONE) return LS_NONE;
    ls_info(graph, param)->init = init;
    ls_info(graph, param)->decays = decays;
    ls_info(graph, param)->frozen = is_frozen(graph, scoped);
    return param;
}

bool ls_graph_casts_weight(const struct ls_graph *graph, const struct ls_node *node) {
    return (node->op->flags & LS_OP_RETYPE) && ls_info(graph, node->in[0])->kind == LS_PARAM &&
           ls_info(graph, node->out[0])->kind == LS_ACTIVATION;
}

bool ls_graph_is_weight(const struct ls_graph *graph, ls_value value) {
    const struct ls_value_info *info = ls_info(graph, value);
    return info->kind == LS_PARAM ||
           (info->producer >= 0 && ls_graph_casts_weight(graph, &graph->nodes[info->producer]));
}

ls_value ls_graph_find(const struct ls_graph *graph, const char *name) {
    for (ls_value value = 0; value < graph->n_values; value++)
        if (strcmp(graph->values[value].name, name) == 0) return value;
    return LS_NONE;
}

const char *ls_output_name(struct ls_graph *graph, const char *node, int k) {
    return k == 0 ? node : ls_arena_format(&graph->arena, "%s:%d", node, k);
}

struct ls_node *ls_graph_add_node_list(struct ls_graph *graph, const struct ls_op *op, const char *name,
                                       const ls_value *in, int n_in, const union ls_attr *attrs,
                                       const double *list, int n_list) {
    if (graph->status) return NULL;
    if (n_in < 0 || n_in > LS_MAX_IN) {
        graph->status = LS_FAIL(LS_INPUT, "node \"%s\" (%s): %d inputs; expected at most %d", name, op->name,
                                n_in, LS_MAX_IN);
        return NULL;
    }
    struct ls_node node = {.op = op, .n_in = n_in, .n_out = op->n_out, .list = list, .n_list = n_list};
    node.name = ls_arena_copy(&graph->arena, name);
    if (n_in) memcpy(node.in, in, sizeof *in * (size_t)n_in);
    for (int i = 0; i < op->n_attrs; i++) node.attr[i] = attrs ? attrs[i] : op->attrs[i].preset;

    struct ls_value_info out[LS_MAX_OUT];
    graph->status = ls_node_infer(graph, &node, out);
    if (graph->status) return NULL;
    if (n_list) {
        double *copy = LS_ARENA_NEW(&graph->arena, double, n_list);
        node.list = memcpy(copy, list, sizeof *list * (size_t)n_list);
    }
    for (int k = 0; k < node.n_out; k++) {
        out[k].name = ls_output_name(graph, node.name, k);
        out[k].producer = graph->n_nodes;
        node.out[k] = ls_append_value(graph, out[k]);
    }
    return ls_append_node(graph, &node);
}

struct ls_node *ls_graph_add_node(struct ls_graph *graph, const struct ls_op *op, const char *name,
                                  const ls_value *in, int n_in, const union ls_attr *attrs) {
    return ls_graph_add_node_list(graph, op, name, in, n_in, attrs, NULL, 0);
}

void ls_graph_set_producers(struct ls_graph *graph) {
    for (ls_value value = 0; value < graph->n_values; value++) graph->values[value].producer = -1;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_out; k++) graph->values[graph->nodes[i].out[k]].producer = i;
}

// ---- ops ----

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
    for (int k = 0; k < op->n_out; k++) LS_TRY(check_shape(&out[k].shape));
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

int64_t ls_graph_samples(const struct ls_graph *graph) {
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        bool has_samples = info->kind == LS_INPUT_RAW || info->kind == LS_INPUT_TARGET;
        if (has_samples && info->shape.rank > 0) return info->shape.dim[0];
    }
    return 0;
}
