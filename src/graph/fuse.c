// Fusion: an op and the activation that alone reads it become one op, and so do their gradients. What lies
// between is then never written, nor kept for backward.
//
//     y0, … = op(x, …); y = relu(y0)                         ->  y, … = op_relu(x, …)
//     g = relu_grad(y, dy);                                      where y = batchnorm_relu(x, …):
//     dx, … = batchnorm_grad(x, g, scale, mean, var)         ->  dx, … = batchnorm_relu_grad(x, dy, …)
//
//     y0, … = batchnorm(x, …); y = add_relu(y0, b)           ->  y, … = batchnorm_add_relu(x, …, b)
//     dy = add(dy1, dy2); g = relu_grad(y, dy);                  where g is the gradient of b:
//     dx, … = batchnorm_grad(x, g, scale, mean, var)         ->  dx, …, g = batchnorm_add_relu_grad(x, y, …)
//
// Clip from 0 (relu6) behind batch norm goes as relu does; the activations whose gradient reads what went in
// stay nodes of their own.
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

enum { NORM_X, NORM_SCALE, NORM_SHIFT };                   // inputs of batchnorm
enum { NORM_Y, NORM_MEAN, NORM_VAR };                      // its outputs
enum { GRAD_X, GRAD_DY, GRAD_SCALE, GRAD_MEAN, GRAD_VAR }; // inputs of batchnorm_grad
enum { RELU_Y, RELU_DY };                                  // inputs of relu_grad and clip_grad

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

// The node that makes `value` as its first output, and nothing but an activation; -1 if there is none.
static int maker_of(const struct fusion *pass, ls_value value) {
    const struct ls_value_info *info = ls_info(pass->graph, value);
    if (info->producer < 0 || info->kind != LS_ACTIVATION) return -1;
    return pass->graph->nodes[info->producer].out[0] == value ? info->producer : -1;
}

// … and for one reader alone.
static int sole_maker(const struct fusion *pass, ls_value value) {
    return pass->readers[value] == 1 ? maker_of(pass, value) : -1;
}

// … with this op; NULL if it is another.
static struct ls_node *sole_maker_with(const struct fusion *pass, ls_value value, const char *op) {
    int maker = sole_maker(pass, value);
    return maker >= 0 && is(&pass->graph->nodes[maker], op) ? &pass->graph->nodes[maker] : NULL;
}

// The first node with this op that reads `value` as input k; -1 if there is none.
static int reader_of(const struct fusion *pass, ls_value value, const char *op, int k) {
    const struct ls_graph *graph = pass->graph;
    for (int i = 0; i < graph->n_nodes; i++)
        if (!pass->dropped[i] && k < graph->nodes[i].n_in && graph->nodes[i].in[k] == value &&
            is(&graph->nodes[i], op))
            return i;
    return -1;
}

static void drop(struct fusion *pass, const struct ls_node *node) {
    pass->dropped[node - pass->graph->nodes] = true;
}

static void set_inputs(struct ls_node *node, const struct ls_op *op, const ls_value *in, int n_in) {
    node->op = op;
    node->n_in = n_in;
    memcpy(node->in, in, sizeof *in * (size_t)n_in);
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

// ---- forward

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

// The fused op stands where the sum stood: what is added may be made between the two. A sum of values that
// are spread over each other stays.
static void fuse_norm_into_sum(struct fusion *pass, int i) {
    struct ls_graph *graph = pass->graph;
    struct ls_node *sum = &graph->nodes[i];
    const struct ls_op *fused = ls_op_named("batchnorm_add_relu");
    if (!ls_shape_equal(&ls_info(graph, sum->in[0])->shape, &ls_info(graph, sum->in[1])->shape)) return;
    for (int k = 0; fused && k < 2; k++) {
        const struct ls_node *norm = sole_maker_with(pass, sum->in[k], "batchnorm");
        if (!norm) continue;
        struct ls_node made = *norm;
        made.op = fused;
        made.in[made.n_in++] = sum->in[1 - k];
        made.out[NORM_Y] = sum->out[0];
        drop(pass, norm);
        *sum = made;
        for (int out = 0; out < made.n_out; out++) ls_info(graph, made.out[out])->producer = i;
        return;
    }
}

// ---- backward

// Is `grad`, a batchnorm_grad, that of `norm`?
static bool is_grad_of(const struct ls_node *grad, const struct ls_node *norm) {
    return grad->in[GRAD_X] == norm->in[NORM_X] && grad->in[GRAD_SCALE] == norm->in[NORM_SCALE] &&
           grad->in[GRAD_MEAN] == norm->out[NORM_MEAN] && grad->in[GRAD_VAR] == norm->out[NORM_VAR];
}

// What is done after the normalization is done again in backward, from the same inputs.
static void take_norm(struct ls_node *grad, const struct ls_op *fused, const struct ls_node *norm,
                      ls_value dy) {
    const ls_value in[] = {norm->in[NORM_X],     dy,
                           norm->in[NORM_SCALE], norm->in[NORM_SHIFT],
                           norm->out[NORM_MEAN], norm->out[NORM_VAR]};
    set_inputs(grad, fused, in, 6);
    memcpy(grad->attr, norm->attr, sizeof grad->attr);
}

// The fused op stands where the second of the two stood.
static void fuse_relu_grad(struct fusion *pass, int i) {
    struct ls_graph *graph = pass->graph;
    struct ls_node *grad = &graph->nodes[i];
    const struct ls_op *fused = ls_op_named("batchnorm_relu_grad");
    int at = sole_maker(pass, grad->in[GRAD_DY]);
    double most;
    if (!fused || at < 0 || !is_relu(&graph->nodes[at], "relu_grad", "clip_grad", &most)) return;
    const struct ls_node *relu = &graph->nodes[at];
    int maker = maker_of(pass, relu->in[RELU_Y]);
    if (maker < 0) return;
    const struct ls_node *norm = &graph->nodes[maker];
    if (!is(norm, "batchnorm_relu") || norm->attr[slot_of(norm->op, "most")].f != most ||
        !is_grad_of(grad, norm))
        return;
    take_norm(grad, fused, norm, relu->in[RELU_DY]);
    pass->dropped[at] = true;
}

// The fused op stands where the gradient of relu stood: others read its result from there on. Where that is
// the gradient of two normalizations, the one that was fused with the sum takes it.
static void fuse_sum_grad(struct fusion *pass, int i) {
    struct ls_graph *graph = pass->graph;
    struct ls_node *relu = &graph->nodes[i];
    const struct ls_op *fused = ls_op_named("batchnorm_add_relu_grad");
    int maker = maker_of(pass, relu->in[RELU_Y]);
    if (!fused || maker < 0 || !is(&graph->nodes[maker], "batchnorm_add_relu")) return;
    const struct ls_node *norm = &graph->nodes[maker];
    int reader = reader_of(pass, norm->in[NORM_X], "batchnorm_grad", GRAD_X);
    if (reader < i || graph->nodes[reader].in[GRAD_DY] != relu->out[0] ||
        !is_grad_of(&graph->nodes[reader], norm))
        return;
    const struct ls_node *sum = sole_maker_with(pass, relu->in[RELU_DY], "add");
    const ls_value dy = sum ? sum->in[0] : relu->in[RELU_DY], db = relu->out[0];
    const ls_value in[] = {norm->in[NORM_X],          relu->in[RELU_Y],     dy,
                           norm->in[NORM_SCALE],      norm->out[NORM_MEAN], norm->out[NORM_VAR],
                           sum ? sum->in[1] : LS_NONE};
    *relu = graph->nodes[reader];
    set_inputs(relu, fused, in, sum ? 7 : 6);
    relu->out[relu->n_out++] = db;
    for (int k = 0; k < relu->n_out; k++) ls_info(graph, relu->out[k])->producer = i;
    pass->dropped[reader] = true;
    if (sum) drop(pass, sum);
}

ls_status ls_pass_fuse(struct ls_graph *graph) {
    struct ls_arena scratch = {0};
    struct fusion pass = {.graph = graph,
                          .readers = ls_graph_count_readers(graph, &scratch),
                          .dropped = LS_ARENA_NEW(&scratch, bool, graph->n_nodes)};
    for (int i = 0; i < graph->n_nodes; i++) fuse_relu(&pass, i);
    for (int i = 0; i < graph->n_nodes; i++) {
        if (pass.dropped[i]) continue;
        if (is(&graph->nodes[i], "add_relu")) fuse_norm_into_sum(&pass, i);
        if (is(&graph->nodes[i], "relu_grad")) fuse_sum_grad(&pass, i);
        if (is(&graph->nodes[i], "batchnorm_grad")) fuse_relu_grad(&pass, i);
    }
    int *order = LS_ARENA_NEW(&scratch, int, graph->n_nodes), n = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        if (!pass.dropped[i]) order[n++] = i;
    ls_graph_reorder(graph, order, n);
    ls_arena_free(&scratch);
    return LS_OK;
}
