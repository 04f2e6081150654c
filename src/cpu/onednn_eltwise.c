#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_task.h"

// Forward and in bf16: where oneDNN's is faster than ours, and as exact. Of a slope of 0 oneDNN's turns NaN
// into 0.
dnnl_status_t ls_onednn_describe_eltwise(struct ls_onednn_task *task, const struct ls_graph *graph,
                                         const struct ls_node *node) {
    const struct ls_value_info *x = ls_info(graph, node->in[0]);
    const bool leaky = node->op->id == LS_OP_LEAKY_RELU;
    const float slope = leaky ? (float)node->attr[LS_LEAKY_RELU_SLOPE].f : 0;
    if (x->dtype != LS_BF16 || (leaky && slope == 0)) return dnnl_unimplemented;
    LS_DNNL_TRY(ls_onednn_operand_add_row(task, DNNL_ARG_SRC, false, 0, x));
    LS_DNNL_TRY(ls_onednn_operand_add_row(task, DNNL_ARG_DST, true, 0, x));
    const ls_dnnl_desc src = ls_onednn_asked(task, DNNL_ARG_SRC), dst = ls_onednn_asked(task, DNNL_ARG_DST);
    return leaky ? ls_dnnl_leaky_relu(&task->desc, ls_onednn_engine(), slope, src, dst, task->attr)
                 : ls_dnnl_hard_swish(&task->desc, ls_onednn_engine(), src, dst, task->attr);
}

#endif
