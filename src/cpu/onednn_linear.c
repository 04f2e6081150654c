#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_task.h"

// A matrix that lies as rows of `columns`, or, transposed, one whose columns lie one after another.
static dnnl_status_t add_matrix(struct ls_onednn_task *task, int argument, bool output, int index,
                                dnnl_data_type_t type, int64_t rows, int64_t columns, bool transposed) {
    dnnl_format_tag_t tag = transposed ? dnnl_ba : dnnl_ab;
    dnnl_dims_t dims = {rows, columns};
    return ls_onednn_operand_add(task, argument, output, index, type, 2, dims, tag, tag);
}

static dnnl_status_t add_forward(struct ls_onednn_task *task, dnnl_data_type_t type, int64_t n, int64_t f,
                                 int64_t o, bool bias) {
    LS_DNNL_TRY(add_matrix(task, DNNL_ARG_SRC, false, 0, type, n, f, false));
    LS_DNNL_TRY(add_matrix(task, DNNL_ARG_WEIGHTS, false, 1, type, f, o, true));
    if (bias) LS_DNNL_TRY(add_matrix(task, DNNL_ARG_BIAS, false, 2, dnnl_f32, 1, o, false));
    return add_matrix(task, DNNL_ARG_DST, true, 0, type, n, o, false);
}

static dnnl_status_t add_input_grad(struct ls_onednn_task *task, dnnl_data_type_t type, int64_t n, int64_t f,
                                    int64_t o) {
    LS_DNNL_TRY(add_matrix(task, DNNL_ARG_SRC, false, 0, type, n, o, false));
    LS_DNNL_TRY(add_matrix(task, DNNL_ARG_WEIGHTS, false, 1, type, o, f, false));
    return add_matrix(task, DNNL_ARG_DST, true, 0, type, n, f, false);
}

static dnnl_status_t add_weight_grad(struct ls_onednn_task *task, dnnl_data_type_t type, int64_t n, int64_t f,
                                     int64_t o) {
    LS_DNNL_TRY(add_matrix(task, DNNL_ARG_SRC, false, 1, type, o, n, true));
    LS_DNNL_TRY(add_matrix(task, DNNL_ARG_WEIGHTS, false, 0, type, n, f, false));
    return add_matrix(task, DNNL_ARG_DST, true, 0, dnnl_f32, o, f, false);
}

static dnnl_status_t add_operands(struct ls_onednn_task *task, const struct ls_graph *graph,
                                  const struct ls_node *node) {
    const struct ls_shape *a = &ls_info(graph, node->in[0])->shape, *b = &ls_info(graph, node->in[1])->shape;
    dnnl_data_type_t type = ls_onednn_type(ls_info(graph, node->in[0])->dtype);
    switch (node->op->id) {
    case LS_OP_LINEAR_INPUT_GRAD: return add_input_grad(task, type, a->dim[0], b->dim[1], a->dim[1]);
    case LS_OP_LINEAR_WEIGHT_GRAD: return add_weight_grad(task, type, a->dim[0], a->dim[1], b->dim[1]);
    default: return add_forward(task, type, a->dim[0], a->dim[1], b->dim[0], node->n_in > 2);
    }
}

dnnl_status_t ls_onednn_describe_linear(struct ls_onednn_task *task, const struct ls_graph *graph,
                                        const struct ls_node *node) {
    task->relu = node->op->id == LS_OP_LINEAR_RELU;
    LS_DNNL_TRY(add_operands(task, graph, node));
    return ls_dnnl_matmul(&task->desc, ls_onednn_engine(), ls_onednn_asked(task, DNNL_ARG_SRC),
                          ls_onednn_asked(task, DNNL_ARG_WEIGHTS), ls_onednn_asked(task, DNNL_ARG_BIAS),
                          ls_onednn_asked(task, DNNL_ARG_DST), task->attr);
}

#endif
