// Building graphs: values and nodes are appended to flat arrays; the op's shape rule runs as a node is added.
#include "graph/graph.h"

#include "graph/append.h"
#include "graph/op.h"

#include <stdlib.h>
#include <string.h>

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
    graph->status = ls_shape_check(&shape);
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

int64_t ls_graph_samples(const struct ls_graph *graph) {
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        bool has_samples = info->kind == LS_INPUT_RAW || info->kind == LS_INPUT_TARGET;
        if (has_samples && info->shape.rank > 0) return info->shape.dim[0];
    }
    return 0;
}
