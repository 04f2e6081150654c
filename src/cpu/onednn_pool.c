#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_task.h"

struct pool {
    dnnl_dims_t kernel;
    struct ls_dnnl_window window;
};

static struct pool pool_of(const struct ls_graph *graph, const struct ls_node *node) {
    const int64_t *x = ls_info(graph, node->in[0])->shape.dim;
    const union ls_attr *attr = node->attr;
    if (node->op->id == LS_OP_GLOBAL_AVG_POOL)
        return (struct pool){.kernel = {x[2], x[3]}, .window = {.stride = {1, 1}}};
    return (struct pool){.kernel = {attr[LS_KERNEL_H].i, attr[LS_KERNEL_W].i},
                         .window = {.stride = {attr[LS_STRIDE_H].i, attr[LS_STRIDE_W].i},
                                    .pad = {attr[LS_PAD_H].i, attr[LS_PAD_W].i}}};
}

// oneDNN adds in f32, and in bf16, where windows overlap, gradients round each time that one is added. Ours
// adds no more numbers in f32 than these.
static bool is_exact(const struct ls_node *node, const struct pool *pool, dnnl_data_type_t type) {
    enum { MOST = 256 };
    const dnnl_dim_t *kernel = pool->kernel, *stride = pool->window.stride;
    if (node->op->id == LS_OP_GLOBAL_AVG_POOL) return kernel[0] * kernel[1] <= MOST;
    return type == dnnl_f32 || node->op->id == LS_OP_AVG_POOL ||
           (kernel[0] <= stride[0] && kernel[1] <= stride[1]);
}

static dnnl_alg_kind_t kind_of(const struct ls_node *node) {
    if (node->op->id == LS_OP_MAX_POOL_GRAD) return dnnl_pooling_max;
    const bool count = node->op->id == LS_OP_GLOBAL_AVG_POOL || node->attr[LS_COUNT_PADDING].i;
    return count ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding;
}

static dnnl_status_t add_image(struct ls_onednn_task *task, int argument, bool output, int index,
                               const struct ls_value_info *info, dnnl_data_type_t type) {
    const int64_t *dim = info->shape.dim;
    const dnnl_dims_t dims = {dim[0], dim[1], dim[2], dim[3]};
    return ls_onednn_operand_add(task, argument, output, index, type, 4, dims, dnnl_acdb, dnnl_acdb);
}

// oneDNN's maximum is none of ours: it passes over NaN, and takes the lowest finite number for minus
// infinity. Its gradient reads places as ours are.
dnnl_status_t ls_onednn_describe_pool(struct ls_onednn_task *task, const struct ls_graph *graph,
                                      const struct ls_node *node) {
    const bool forward = node->op->gradient;
    const struct ls_value_info *in = ls_info(graph, node->in[0]), *out = ls_info(graph, node->out[0]);
    const dnnl_data_type_t type = ls_onednn_type(in->dtype);
    const struct pool pool = pool_of(graph, node);
    if (!is_exact(node, &pool, type)) return dnnl_unimplemented;
    const int x = forward ? DNNL_ARG_SRC : DNNL_ARG_DIFF_SRC, y = forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST;
    LS_DNNL_TRY(add_image(task, forward ? x : y, false, 0, in, type));
    LS_DNNL_TRY(add_image(task, forward ? y : x, true, 0, out, type));
    if (node->n_in > 1) {
        const struct ls_value_info *places = ls_info(graph, node->in[1]);
        LS_DNNL_TRY(add_image(task, DNNL_ARG_WORKSPACE, false, 1, places,
                              places->dtype == LS_U8 ? dnnl_u8 : dnnl_s32));
    }
    const ls_dnnl_desc src = ls_onednn_asked(task, x), dst = ls_onednn_asked(task, y);
    dnnl_primitive_desc_t *first = forward ? &task->desc : &task->hint;
    LS_DNNL_TRY(ls_dnnl_pool_forward(first, ls_onednn_engine(), kind_of(node), pool.kernel, &pool.window, src,
                                     dst, task->attr));
    if (forward) return dnnl_success;
    return ls_dnnl_pool_backward(&task->desc, ls_onednn_engine(), kind_of(node), pool.kernel, &pool.window,
                                 src, dst, task->hint, task->attr);
}

#endif
