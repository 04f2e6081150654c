#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_api.h"

#include <stdlib.h>

#define DNNL_TRY(expression)                                                                                 \
    do {                                                                                                     \
        dnnl_status_t dnnl_try_status_ = (expression);                                                       \
        if (dnnl_try_status_ != dnnl_success) return dnnl_try_status_;                                       \
    } while (0)

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t ls_dnnl_desc_make(ls_dnnl_desc *desc, dnnl_data_type_t type, int rank, const dnnl_dims_t dims,
                                dnnl_format_tag_t tag) {
    dnnl_memory_desc_t made = NULL;
    DNNL_TRY(dnnl_memory_desc_create_with_tag(&made, rank, dims, type, tag));
    *desc = made;
    return dnnl_success;
}

void ls_dnnl_desc_free(ls_dnnl_desc desc) {
    if (desc) dnnl_memory_desc_destroy((dnnl_memory_desc_t)desc);
}

dnnl_status_t ls_dnnl_conv_forward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                   const struct ls_dnnl_window *window, ls_dnnl_desc src,
                                   ls_dnnl_desc weights, ls_dnnl_desc bias, ls_dnnl_desc dst,
                                   dnnl_primitive_attr_t attr) {
    return dnnl_convolution_forward_primitive_desc_create(
        primitive, engine, dnnl_forward_training, dnnl_convolution_direct, src, weights, bias, dst,
        window->stride, window->dilation, window->pad, window->pad, attr);
}

dnnl_status_t ls_dnnl_conv_backward_data(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                         const struct ls_dnnl_window *window, ls_dnnl_desc diff_src,
                                         ls_dnnl_desc weights, ls_dnnl_desc diff_dst,
                                         dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    return dnnl_convolution_backward_data_primitive_desc_create(
        primitive, engine, dnnl_convolution_direct, diff_src, weights, diff_dst, window->stride,
        window->dilation, window->pad, window->pad, hint, attr);
}

dnnl_status_t ls_dnnl_conv_backward_weights(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                            const struct ls_dnnl_window *window, ls_dnnl_desc src,
                                            ls_dnnl_desc diff_weights, ls_dnnl_desc diff_dst,
                                            dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    return dnnl_convolution_backward_weights_primitive_desc_create(
        primitive, engine, dnnl_convolution_direct, src, diff_weights, NULL, diff_dst, window->stride,
        window->dilation, window->pad, window->pad, hint, attr);
}

dnnl_status_t ls_dnnl_pool_forward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                   dnnl_alg_kind_t kind, const dnnl_dims_t kernel,
                                   const struct ls_dnnl_window *window, ls_dnnl_desc src, ls_dnnl_desc dst,
                                   dnnl_primitive_attr_t attr) {
    return dnnl_pooling_forward_primitive_desc_create(primitive, engine, dnnl_forward_training, kind, src,
                                                      dst, window->stride, kernel, window->dilation,
                                                      window->pad, window->pad, attr);
}

dnnl_status_t ls_dnnl_pool_backward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                    dnnl_alg_kind_t kind, const dnnl_dims_t kernel,
                                    const struct ls_dnnl_window *window, ls_dnnl_desc diff_src,
                                    ls_dnnl_desc diff_dst, dnnl_primitive_desc_t hint,
                                    dnnl_primitive_attr_t attr) {
    return dnnl_pooling_backward_primitive_desc_create(primitive, engine, kind, diff_src, diff_dst,
                                                       window->stride, kernel, window->dilation, window->pad,
                                                       window->pad, hint, attr);
}

static dnnl_status_t eltwise(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, dnnl_alg_kind_t kind,
                             float alpha, float beta, ls_dnnl_desc src, ls_dnnl_desc dst,
                             dnnl_primitive_attr_t attr) {
    return dnnl_eltwise_forward_primitive_desc_create(primitive, engine, dnnl_forward_training, kind, src,
                                                      dst, alpha, beta, attr);
}

dnnl_status_t ls_dnnl_binary(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, dnnl_alg_kind_t kind,
                             ls_dnnl_desc a, ls_dnnl_desc b, ls_dnnl_desc dst, dnnl_primitive_attr_t attr) {
    return dnnl_binary_primitive_desc_create(primitive, engine, kind, a, b, dst, attr);
}

dnnl_status_t ls_dnnl_matmul(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, ls_dnnl_desc src,
                             ls_dnnl_desc weights, ls_dnnl_desc bias, ls_dnnl_desc dst,
                             dnnl_primitive_attr_t attr) {
    return dnnl_matmul_primitive_desc_create(primitive, engine, src, weights, bias, dst, attr);
}

#else

dnnl_status_t ls_dnnl_desc_make(ls_dnnl_desc *desc, dnnl_data_type_t type, int rank, const dnnl_dims_t dims,
                                dnnl_format_tag_t tag) {
    dnnl_memory_desc_t *made = calloc(1, sizeof *made);
    if (!made) return dnnl_out_of_memory;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(made, rank, dims, type, tag);
    if (status == dnnl_success)
        *desc = made;
    else
        free(made);
    return status;
}

void ls_dnnl_desc_free(ls_dnnl_desc desc) {
    free((dnnl_memory_desc_t *)desc);
}

dnnl_status_t ls_dnnl_conv_forward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                   const struct ls_dnnl_window *window, ls_dnnl_desc src,
                                   ls_dnnl_desc weights, ls_dnnl_desc bias, ls_dnnl_desc dst,
                                   dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t op;
    DNNL_TRY(dnnl_dilated_convolution_forward_desc_init(&op, dnnl_forward_training, dnnl_convolution_direct,
                                                        src, weights, bias, dst, window->stride,
                                                        window->dilation, window->pad, window->pad));
    return dnnl_primitive_desc_create(primitive, &op, attr, engine, NULL);
}

dnnl_status_t ls_dnnl_conv_backward_data(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                         const struct ls_dnnl_window *window, ls_dnnl_desc diff_src,
                                         ls_dnnl_desc weights, ls_dnnl_desc diff_dst,
                                         dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t op;
    DNNL_TRY(dnnl_dilated_convolution_backward_data_desc_init(&op, dnnl_convolution_direct, diff_src, weights,
                                                              diff_dst, window->stride, window->dilation,
                                                              window->pad, window->pad));
    return dnnl_primitive_desc_create(primitive, &op, attr, engine, hint);
}

dnnl_status_t ls_dnnl_conv_backward_weights(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                            const struct ls_dnnl_window *window, ls_dnnl_desc src,
                                            ls_dnnl_desc diff_weights, ls_dnnl_desc diff_dst,
                                            dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr) {
    dnnl_convolution_desc_t op;
    DNNL_TRY(dnnl_dilated_convolution_backward_weights_desc_init(&op, dnnl_convolution_direct, src,
                                                                 diff_weights, NULL, diff_dst, window->stride,
                                                                 window->dilation, window->pad, window->pad));
    return dnnl_primitive_desc_create(primitive, &op, attr, engine, hint);
}

dnnl_status_t ls_dnnl_pool_forward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                   dnnl_alg_kind_t kind, const dnnl_dims_t kernel,
                                   const struct ls_dnnl_window *window, ls_dnnl_desc src, ls_dnnl_desc dst,
                                   dnnl_primitive_attr_t attr) {
    dnnl_pooling_desc_t op;
    DNNL_TRY(dnnl_pooling_forward_desc_init(&op, dnnl_forward_training, kind, src, dst, window->stride,
                                            kernel, window->pad, window->pad));
    return dnnl_primitive_desc_create(primitive, &op, attr, engine, NULL);
}

dnnl_status_t ls_dnnl_pool_backward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                    dnnl_alg_kind_t kind, const dnnl_dims_t kernel,
                                    const struct ls_dnnl_window *window, ls_dnnl_desc diff_src,
                                    ls_dnnl_desc diff_dst, dnnl_primitive_desc_t hint,
                                    dnnl_primitive_attr_t attr) {
    dnnl_pooling_desc_t op;
    DNNL_TRY(dnnl_pooling_backward_desc_init(&op, kind, diff_src, diff_dst, window->stride, kernel,
                                             window->pad, window->pad));
    return dnnl_primitive_desc_create(primitive, &op, attr, engine, hint);
}

static dnnl_status_t eltwise(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, dnnl_alg_kind_t kind,
                             float alpha, float beta, ls_dnnl_desc src, ls_dnnl_desc dst,
                             dnnl_primitive_attr_t attr) {
    (void)dst; // lies as src does
    dnnl_eltwise_desc_t op;
    DNNL_TRY(dnnl_eltwise_forward_desc_init(&op, dnnl_forward_training, kind, src, alpha, beta));
    return dnnl_primitive_desc_create(primitive, &op, attr, engine, NULL);
}

dnnl_status_t ls_dnnl_binary(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, dnnl_alg_kind_t kind,
                             ls_dnnl_desc a, ls_dnnl_desc b, ls_dnnl_desc dst, dnnl_primitive_attr_t attr) {
    dnnl_binary_desc_t op;
    DNNL_TRY(dnnl_binary_desc_init(&op, kind, a, b, dst));
    return dnnl_primitive_desc_create(primitive, &op, attr, engine, NULL);
}

dnnl_status_t ls_dnnl_matmul(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, ls_dnnl_desc src,
                             ls_dnnl_desc weights, ls_dnnl_desc bias, ls_dnnl_desc dst,
                             dnnl_primitive_attr_t attr) {
    dnnl_matmul_desc_t op;
    DNNL_TRY(dnnl_matmul_desc_init(&op, src, weights, bias, dst));
    return dnnl_primitive_desc_create(primitive, &op, attr, engine, NULL);
}

#endif

dnnl_status_t ls_dnnl_leaky_relu(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, float slope,
                                 ls_dnnl_desc src, ls_dnnl_desc dst, dnnl_primitive_attr_t attr) {
    return eltwise(primitive, engine, dnnl_eltwise_relu, slope, 0, src, dst, attr);
}

// Version 2.6 knows the two numbers, and reads none.
dnnl_status_t ls_dnnl_hard_swish(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, ls_dnnl_desc src,
                                 ls_dnnl_desc dst, dnnl_primitive_attr_t attr) {
    return eltwise(primitive, engine, dnnl_eltwise_hardswish, 1.0f / 6, 0.5f, src, dst, attr);
}

static dnnl_status_t set_attr(dnnl_primitive_attr_t attr) {
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    DNNL_TRY(dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict));
#if DNNL_VERSION_MAJOR > 3 || (DNNL_VERSION_MAJOR == 3 && DNNL_VERSION_MINOR >= 6)
    DNNL_TRY(dnnl_primitive_attr_set_deterministic(attr, 1));
#endif
    return dnnl_success;
}

dnnl_status_t ls_dnnl_attr_make(dnnl_primitive_attr_t *attr) {
    *attr = NULL;
    DNNL_TRY(dnnl_primitive_attr_create(attr));
    dnnl_status_t status = set_attr(*attr);
    if (status != dnnl_success) {
        dnnl_primitive_attr_destroy(*attr);
        *attr = NULL;
    }
    return status;
}

static dnnl_status_t append_linear(dnnl_post_ops_t steps, float scale) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(steps, dnnl_eltwise_linear, scale, 0);
#else
    return dnnl_post_ops_append_eltwise(steps, 1, dnnl_eltwise_linear, scale, 0);
#endif
}

dnnl_status_t ls_dnnl_attr_scale(dnnl_primitive_attr_t attr, float scale) {
    dnnl_post_ops_t steps = NULL;
    DNNL_TRY(dnnl_post_ops_create(&steps));
    dnnl_status_t status = append_linear(steps, scale);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attr, steps);
    dnnl_post_ops_destroy(steps);
    return status;
}

const char *ls_dnnl_isa_name(dnnl_cpu_isa_t isa) {
    switch ((int)isa) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core: return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512_core_amx";
#if DNNL_VERSION_MAJOR >= 3
    case dnnl_cpu_isa_avx2_vnni_2: return "avx2_vnni_2";
    case dnnl_cpu_isa_avx512_core_fp16: return "avx512_core_fp16";
    case dnnl_cpu_isa_avx512_core_amx_fp16: return "avx512_core_amx_fp16";
#endif
    default: return NULL;
    }
}

#endif
