#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_task.h"
#include "ops/matmul.h"

// Matrices one behind the other that lie by rows or, transposed, by columns.
static dnnl_status_t add_matrices(struct ls_onednn_task *task, int argument, bool output, int index,
                                  dnnl_data_type_t type, int64_t batch, int64_t rows, int64_t columns,
                                  bool transposed) {
    dnnl_format_tag_t tag = transposed ? dnnl_acb : dnnl_abc;
    dnnl_dims_t dims = {batch, rows, columns};
    return ls_onednn_operand_add(task, argument, output, index, type, 3, dims, tag, tag);
}

// What is asked for is what there is, so no reorder takes part, to which the scale would not apply.
dnnl_status_t ls_onednn_describe_matmul(struct ls_onednn_task *task, const struct ls_graph *graph,
                                        const struct ls_node *node) {
    const struct ls_products p = ls_products_of(graph, node);
    const dnnl_data_type_t type = ls_onednn_type(ls_info(graph, node->in[0])->dtype);
    LS_DNNL_TRY(add_matrices(task, DNNL_ARG_SRC, false, 0, type, p.batch, p.m, p.k, p.transpose_a));
    LS_DNNL_TRY(add_matrices(task, DNNL_ARG_WEIGHTS, false, 1, type, p.batch, p.k, p.n, p.transpose_b));
    LS_DNNL_TRY(add_matrices(task, DNNL_ARG_DST, true, 0, type, p.batch, p.m, p.n, false));
    if (p.scale != 1) LS_DNNL_TRY(ls_dnnl_attr_scale(task->attr, (float)p.scale));
    return ls_dnnl_matmul(&task->desc, ls_onednn_engine(), ls_onednn_asked(task, DNNL_ARG_SRC),
                          ls_onednn_asked(task, DNNL_ARG_WEIGHTS), NULL, ls_onednn_asked(task, DNNL_ARG_DST),
                          task->attr);
}

#endif
