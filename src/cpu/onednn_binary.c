#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_task.h"

// In bf16, of shapes that are alike: ours is as fast in f32, and faster where one is spread over the other.
dnnl_status_t ls_onednn_describe_binary(struct ls_onednn_task *task, const struct ls_graph *graph,
                                        const struct ls_node *node) {
    const struct ls_value_info *a = ls_info(graph, node->in[0]), *b = ls_info(graph, node->in[1]);
    if (a->dtype != LS_BF16 || !ls_shape_equal(&a->shape, &b->shape)) return dnnl_unimplemented;
    LS_DNNL_TRY(ls_onednn_operand_add_row(task, DNNL_ARG_SRC_0, false, 0, a));
    LS_DNNL_TRY(ls_onednn_operand_add_row(task, DNNL_ARG_SRC_1, false, 1, b));
    LS_DNNL_TRY(ls_onednn_operand_add_row(task, DNNL_ARG_DST, true, 0, a));
    return ls_dnnl_binary(&task->desc, ls_onednn_engine(),
                          node->op->id == LS_OP_MUL ? dnnl_binary_mul : dnnl_binary_add,
                          ls_onednn_asked(task, DNNL_ARG_SRC_0), ls_onednn_asked(task, DNNL_ARG_SRC_1),
                          ls_onednn_asked(task, DNNL_ARG_DST), task->attr);
}

#endif
