// Fusion: an op and the relu that alone reads it become one op, and so do their gradients. The gradient of
// relu reads relu's output, so what went into it need not be kept. So it is with clip from 0 (relu6) behind
// batch norm; the activations whose gradient reads what went in stay nodes of their own.
//
//     y0, … = op(x, …); y = relu(y0)                         ->  y, … = op_relu(x, …)
//     g = relu_grad(y, dy);
//     dx, … = batchnorm_grad(x, g, scale, mean, var)         ->  dx, … = batchnorm_relu_grad(x, y, dy, …)
#include "graph/passes.h"
#include "graph/rewrite.h"

#include <string.h>

// A fused op has the attributes and extra outputs of the op that it stands for.
static const struct {
    const char *op, *fused;
} with_relu[] = {
    {"conv", "conv_relu"},
    {"linear", "linear_relu"},
    {"batchnorm", "batchnorm_relu"},
    {"batchnorm_eval", "batchnorm_eval_relu"},
    {"add", "add_relu"},
};

enum { BATCHNORM_X, BATCHNORM_DY }; // inputs of batchnorm_grad; scale, mean and var follow
enum { RELU_Y, RELU_DY };           // inputs of relu_grad and clip_grad

struct fusion {
    struct ls_graph *graph;
    int *readers;
    bool *dropped; // [nodes]
};

static bool is(const struct ls_node *node, const char *op) {
    return strcmp(node->op->name, op) == 0;
}

static const struct ls_op *fused_with_relu(const struct ls_op *op) {
    for (size_t i = 0; i < sizeof with_relu / sizeof *with_relu; i++)
        if (strcmp(op->name, with_relu[i].op) == 0) return ls_op_named(with_relu[i].fused);
    return NULL;
}

// The node that makes `value` as its first output and for one reader alone; -1 if there is none.
static int sole_maker(const struct fusion *pass, ls_value value) {
    const struct ls_value_info *info = ls_info(pass->graph, value);
    if (info->producer < 0 || info->kind != LS_ACTIVATION || pass->readers[value] != 1) return -1;
    return pass->graph->nodes[info->producer].out[0] == value ? info->producer : -1;
}

// Slot of the op's attribute of that name; -1 where it has none.
static int slot_of(const struct ls_op *op, const char *name) {
    for (int i = 0; i < op->n_attrs; i++)
        if (strcmp(op->attrs[i].name, name) == 0) return i;
    return -1;
}

// Is the node relu, or clip from 0 to `most`? That is 0 for relu, which has no bound.
static bool is_relu(const struct ls_node *node, const char *relu, const char *clip, double *most) {
    *most = 0;
    if (is(node, relu)) return true;
    if (!is(node, clip)) return false;
    *most = node->attr[slot_of(node->op, "high")].f;
    return node->attr[slot_of(node->op, "low")].f == 0 && *most > 0;
}

// Can the op have that bound? Then it does.
static bool takes_bound(const struct ls_op *op, struct ls_node *node, double most) {
    const int slot = slot_of(op, "most");
    if (slot >= 0) node->attr[slot].f = most;
    return slot >= 0 || most == 0;
}

// The fused op stands where the first of the two stood: its inputs are there, and its readers come after
// relu.
static void fuse_relu(struct fusion *pass, int i) {
    struct ls_graph *graph = pass->graph;
    const struct ls_node *relu = &graph->nodes[i];
    double most;
    if (!is_relu(relu, "relu", "clip", &most)) return;
    int maker = sole_maker(pass, relu->in[0]);
    if (maker < 0) return;
    struct ls_node *node = &graph->nodes[maker];
    const struct ls_op *fused = fused_with_relu(node->op);
    if (!fused || !takes_bound(fused, node, most)) return;
    node->op = fused;
    node->out[0] = relu->out[0];
    ls_info(graph, node->out[0])->producer = maker;
    pass->dropped[i] = true;
}

// The fused op stands where the second of the two stood.
static void fuse_batchnorm_grad(struct fusion *pass, int i) {
    struct ls_graph *graph = pass->graph;
    struct ls_node *node = &graph->nodes[i];
    int maker = sole_maker(pass, node->in[BATCHNORM_DY]);
    double most;
    if (maker < 0 || !is_relu(&graph->nodes[maker], "relu_grad", "clip_grad", &most)) return;
    const struct ls_node *relu = &graph->nodes[maker];
    const struct ls_op *fused = ls_op_named("batchnorm_relu_grad");
    if (!fused || !takes_bound(fused, node, most)) return;
    memmove(&node->in[BATCHNORM_DY + 1], &node->in[BATCHNORM_DY],
            sizeof *node->in * (size_t)(node->n_in - BATCHNORM_DY));
    node->in[BATCHNORM_X + 1] = relu->in[RELU_Y];
    node->in[BATCHNORM_X + 2] = relu->in[RELU_DY];
    node->n_in++;
    node->op = fused;
    pass->dropped[maker] = true;
}

ls_status ls_pass_fuse(struct ls_graph *graph) {
    struct ls_arena scratch = {0};
    struct fusion pass = {.graph = graph,
                          .readers = ls_graph_count_readers(graph, &scratch),
                          .dropped = LS_ARENA_NEW(&scratch, bool, graph->n_nodes)};
    for (int i = 0; i < graph->n_nodes; i++) {
        fuse_relu(&pass, i);
        if (is(&graph->nodes[i], "batchnorm_grad")) fuse_batchnorm_grad(&pass, i);
    }
    int *order = LS_ARENA_NEW(&scratch, int, graph->n_nodes), n = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        if (!pass.dropped[i]) order[n++] = i;
    ls_graph_reorder(graph, order, n);
    ls_arena_free(&scratch);
    return LS_OK;
}
